"""What every corpus command shares: the options of its output, and the way from splits of text to a whole folder."""

import argparse
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt_plugin.arguments import positive
from nmt_plugin.corpora import pieces
from nmt_plugin.corpora.build import STEPS, Vocabulary, write_corpus
from nmt_plugin.corpora.card import finished_card, write_card
from nmt_plugin.corpora.folder import whole_folder
from nmt_plugin.corpora.pairs import Pair
from nmt_plugin.corpora.progress import Progress


@dataclass(frozen=True)
class Prepared:
    """Text that is ready for SentencePiece, and what the card has to tell of it."""

    languages: tuple[str, str]
    splits: Mapping[str, Sequence[Pair]]
    facts: dict[str, Any]


def build_corpus(
    options: argparse.Namespace, request: dict[str, Any], steps: int, prepare: Callable[[Progress], Prepared]
) -> None:
    """A corpus folder from what `prepare` gives in its `steps`, or one line if the same request is already there."""
    card = finished_card(options.output, request, fresh=options.fresh)
    if card is not None:
        print(f"{options.output} is already built: {_summary(card)}; --fresh builds it again")
        return
    progress = Progress(steps + STEPS)
    vocabulary = Vocabulary(options.vocab_size, options.spm_model_type, options.seed, options.dictionaries)
    with whole_folder(options.output) as folder:
        made = prepare(progress)
        written = write_corpus(
            folder, made.splits, made.languages, vocabulary, workers=options.workers, progress=progress
        )
        source, target = made.languages
        facts = {"source_language": source, "target_language": target, **made.facts, **written}
        card = write_card(folder, request, facts)
    print(f"{options.output}: {_summary(card)} ({progress.seconds:.1f} s)")


def vocabulary_request(options: argparse.Namespace) -> dict[str, Any]:
    """What the shared options decide of a corpus; the default dictionaries go without saying, as in older cards."""
    decisive = ("vocab_size", "spm_model_type", "seed")
    request = {name: getattr(options, name) for name in decisive}
    return request if options.dictionaries == "joined" else request | {"dictionaries": options.dictionaries}


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """The options of the stages that every corpus shares."""
    parser.add_argument(
        "--output", required=True, type=Path, help="corpus folder to make: raw/ spm/ data-bin/ card.json"
    )
    parser.add_argument(
        "--vocab-size", type=positive, default=6000, help="pieces of a SentencePiece model (%(default)s)"
    )
    parser.add_argument("--spm-model-type", choices=pieces.MODEL_TYPES, default="bpe", help="default %(default)s")
    parser.add_argument(
        "--dictionaries",
        choices=pieces.DICTIONARIES,
        default="joined",
        help="one SentencePiece model and dictionary for both languages, or one for each (%(default)s)",
    )
    parser.add_argument("--seed", type=seed, default=1, help="of the split and of SentencePiece (default %(default)s)")
    parser.add_argument("--workers", type=positive, default=2, help="processes of fairseq-preprocess (%(default)s)")
    parser.add_argument("--fresh", action="store_true", help="build again even if a corpus is there")


def reasons(dropped: Mapping[str, int]) -> str:
    """What was left out, most first: "120 too long, 3 empty", or "none"."""
    most_first = sorted(dropped.items(), key=lambda item: -item[1])
    return ", ".join(f"{number:,} {why}" for why, number in most_first) or "none"


def digest_of(digests: Iterable[str]) -> str:
    """One SHA-256 over others, in their order."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def seed(text: str) -> int:
    """An option's value from 0 on."""
    return int(_above(int(text), -1))


def ratio(text: str) -> float:
    """An option's value above 1."""
    return _above(float(text), 1)


def _above(value: float, limit: int) -> float:
    if not limit < value < float("inf"):  # also refuses NaN
        raise argparse.ArgumentTypeError(f"{value} is not above {limit}")
    return value


def _summary(card: dict[str, Any]) -> str:
    sizes = ", ".join(f"{name} {part['pairs']:,}" for name, part in card["splits"].items())
    entries = [card[name] for name in ("source_entries", "dictionary_entries") if name in card]
    tokens = card["splits"]["train"]["target_tokens"]
    dictionaries = " + ".join(f"{number:,}" for number in entries)
    return f"{sizes} pairs; {dictionaries} dictionary entries; {tokens:,} target tokens in train"
