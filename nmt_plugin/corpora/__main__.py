"""`python -m nmt_plugin.corpora libreoffice --pair en-de --source data/libreoffice-help --output data/nmt/...`."""

import argparse
from pathlib import Path
from typing import Any

from nmt_plugin.corpora import databin, libreoffice, pieces, splits
from nmt_plugin.corpora.build import STEPS, Vocabulary, write_corpus
from nmt_plugin.corpora.card import finished_card, write_card
from nmt_plugin.corpora.cleaning import Rules, clean
from nmt_plugin.corpora.folder import whole_folder
from nmt_plugin.corpora.progress import Progress
from shared.errors import UserError, exit_on_user_error


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and build one corpus; a user's mistake ends with one line and exit status 2."""
    options = _parser().parse_args(arguments)
    with exit_on_user_error():
        options.build(options)


def build_libreoffice(options: argparse.Namespace) -> None:
    """From the help pages of two languages to a corpus folder, or one line if it is already there."""
    if options.pair not in libreoffice.PAIRS:
        raise UserError(f"--pair {options.pair} is unknown; choose from {', '.join(libreoffice.PAIRS)}")
    databin.require_fairseq()
    files = {language: libreoffice.pages(options.source, language) for language in options.pair.split("-")}
    request = _request(options, {language: libreoffice.fingerprint(found) for language, found in files.items()})
    card = finished_card(options.output, request, fresh=options.fresh)
    if card is not None:
        print(f"{options.output} is already built: {_summary(card)}; --fresh builds it again")
        return
    progress = Progress(STEPS + 3)
    with whole_folder(options.output) as folder:
        card = write_card(folder, request, _fill(folder, options, files, progress))
    print(f"{options.output}: {_summary(card)} ({progress.seconds:.1f} s)")


def _fill(
    folder: Path, options: argparse.Namespace, files: dict[str, dict[str, Path]], progress: Progress
) -> dict[str, Any]:
    """All stages in turn; returns the facts for the card."""
    source, target = options.pair.split("-")
    with progress.step("parse and align") as note:
        pairs, unaligned = libreoffice.align(files[source], files[target])
        note.text = f"{len(pairs):,} paragraphs in both languages on {len(files[source]):,} pages"
    with progress.step("clean") as note:
        fit, unfit = clean(pairs, source, target, Rules(max_words=options.max_words, max_ratio=options.max_ratio))
        reasons = ", ".join(f"{count:,} {why}" for why, count in unfit.most_common())
        note.text = f"{len(fit):,} fit; left out: {reasons or 'none'}"
    with progress.step("split by page") as note:
        parts, spare = splits.split_by_page(fit, valid=options.valid_size, test=options.test_size, seed=options.seed)
        note.text = ", ".join(f"{name} {len(part):,}" for name, part in parts.items())
    vocabulary = Vocabulary(options.vocab_size, options.spm_model_type, options.seed)
    facts = write_corpus(folder, parts, (source, target), vocabulary, workers=options.workers, progress=progress)
    return {
        "source_language": source,
        "target_language": target,
        "license": libreoffice.LICENSE,
        "packages": [libreoffice.package_release(options.source, language) for language in (source, target)],
        "libreoffice_version": libreoffice.version(files[source]),
        "counts": {"aligned": len(pairs), "fit": len(fit), "distinct": splits.count_distinct(fit)},
        "dropped": {"unaligned": dict(unaligned), "unfit": dict(unfit), "split": dict(spare)},
        **facts,
    }


def _request(options: argparse.Namespace, inputs: dict[str, str]) -> dict[str, Any]:
    """All that decides the corpus; two builds of one request are equal."""
    decisive = ("pair", "vocab_size", "spm_model_type", "seed", "valid_size", "test_size", "max_words", "max_ratio")
    return (
        {"corpus": "libreoffice"}
        | {name: getattr(options, name) for name in decisive}
        | {f"pages_sha256_{language}": digest for language, digest in inputs.items()}
    )


def _summary(card: dict[str, Any]) -> str:
    sizes = ", ".join(f"{name} {part['pairs']:,}" for name, part in card["splits"].items())
    tokens = card["splits"]["train"]["target_tokens"]
    return f"{sizes} pairs; {card['dictionary_entries']:,} dictionary entries; {tokens:,} target tokens in train"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nmt_plugin.corpora", description="Text in, fairseq data-bin out.")
    corpora = parser.add_subparsers(required=True, metavar="CORPUS")
    help_pages = corpora.add_parser("libreoffice", help="LibreOffice Help, aligned by paragraph id, split by page")
    help_pages.set_defaults(build=build_libreoffice)
    help_pages.add_argument("--pair", required=True, help=f"source-target: {' or '.join(libreoffice.PAIRS)}")
    help_pages.add_argument(
        "--source", required=True, type=Path, help="folder with en-US/, de/, ru/ (scripts/setup.sh)"
    )
    help_pages.add_argument("--valid-size", type=_count, default=1000, help="pairs aimed at (default %(default)s)")
    help_pages.add_argument("--test-size", type=_count, default=1200, help="pairs aimed at (default %(default)s)")
    help_pages.add_argument("--max-words", type=_count, default=Rules.max_words, help="drop longer pairs (%(default)s)")
    help_pages.add_argument(
        "--max-ratio", type=_ratio, default=Rules.max_ratio, help="longer over shorter (%(default)s)"
    )
    _add_common(help_pages)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    """The options of the stages that every corpus shares."""
    parser.add_argument(
        "--output", required=True, type=Path, help="corpus folder to make: raw/ spm/ data-bin/ card.json"
    )
    parser.add_argument("--vocab-size", type=_count, default=6000, help="joint SentencePiece pieces (%(default)s)")
    parser.add_argument("--spm-model-type", choices=pieces.MODEL_TYPES, default="bpe", help="default %(default)s")
    parser.add_argument("--seed", type=_seed, default=1, help="of the split and of SentencePiece (default %(default)s)")
    parser.add_argument("--workers", type=_count, default=2, help="processes of fairseq-preprocess (%(default)s)")
    parser.add_argument("--fresh", action="store_true", help="build again even if a corpus is there")


def _count(text: str) -> int:
    return int(_above(int(text), 0))


def _seed(text: str) -> int:
    return int(_above(int(text), -1))


def _ratio(text: str) -> float:
    return _above(float(text), 1)


def _above(value: float, limit: int) -> float:
    if not limit < value < float("inf"):  # also refuses NaN
        raise argparse.ArgumentTypeError(f"{value} is not above {limit}")
    return value


if __name__ == "__main__":
    main()
