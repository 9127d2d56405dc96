"""`python -m nmt_plugin.diffusion`: the diffusion index eta between two students of one teacher, T low and T high."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt_plugin.arguments import positive
from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.decoder_states.eta import indices, similar_tokens
from nmt_plugin.decoder_states.reader import StateReader, choose_texts
from nmt_plugin.decoder_states.sentences import Sentences
from nmt_plugin.decoder_states.study import SPLITS, check_output, data_record, device_name, quiet_libraries
from nmt_plugin.decoder_states.token_classes import TokenClasses
from nmt_plugin.decoder_states.token_sets import NamedSets, named_sets, sample_s2, sets_of_file
from shared.diffusion import NORMALIZATIONS, ClassSets, nearest_centroid_sets
from shared.diffusion.pairs import Student, check_pair
from shared.diffusion.table import table_in_percent
from shared.errors import UserError, exit_on_user_error
from shared.naming import unique_name
from shared.results import Result, RunClock, write_result

S1_SIZE = 5
EXAMPLES = """examples:
  python -m nmt_plugin.diffusion --low T1/checkpoint_last.pt --high T3/checkpoint_last.pt \\
      --teacher teacher/checkpoint_last.pt --corpus data/nmt/libreoffice.en-de --output runs/nmt/diffusion
  python -m nmt_plugin.diffusion --low T1/checkpoint_last.pt --high T3/checkpoint_last.pt --sets sets.json \\
      --corpus data/nmt/libreoffice.en-de --splits valid --min-count 20 --output runs/nmt/diffusion-sets
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see `--help`."""
    args = _parser().parse_args(argv)
    quiet_libraries()
    with exit_on_user_error():
        diffusion(args)


def diffusion(args: argparse.Namespace) -> Result:
    """Write eta of every (split, target, set) to `args.output`/result.json, print a table, and return the record.

    Raises UserError, before any model is run, for students of different teachers or recipes, a temperature that does
    not rise, other dictionaries than the corpus has, and tokens below the floor.
    """
    clock = RunClock()
    named = _named_sets(args)
    check_output(args.output, "diffusion")
    corpus = read_corpus(args.corpus)
    low, high = StateReader(args.low, corpus), StateReader(args.high, corpus)
    teacher = None if args.teacher is None else StateReader(args.teacher, corpus)
    _check_models(low, high, teacher)
    texts = choose_texts(args.splits, [low, high, teacher or low], args.max_sentences, args.seed)
    classes = TokenClasses(low.task.target_dictionary, {text.split: text.counts() for text in texts}, args.min_count)
    print(*texts, classes, sep="\n", flush=True)
    sets = _class_sets(args, named, classes, teacher, texts[0])
    eta = [row for text in texts for row in indices(args.normalization, text, low, high, classes, sets)]
    result = Result(
        kind="diffusion",
        task="translation",
        name=args.name or _name(args, corpus.name, low, high, sets),
        data=data_record(corpus),
        models=[low.card, high.card],
        teacher=low.teacher,
        eta=eta,
        notes=[*map(str, texts), str(classes)],
        provenance=clock.provenance(device_name(low.device)),
    )
    path = write_result(args.output, result)
    print(*table_in_percent(eta), *similar_tokens(eta), f"wrote {path}", sep="\n", flush=True)
    return result


def _named_sets(args: argparse.Namespace) -> dict[str, NamedSets] | None:
    """The sets of `--sets`; None where the teacher chooses. Raises UserError for flags that do not go together."""
    if args.targets is not None and len(set(args.targets)) != len(args.targets):
        raise UserError(f"--targets names a token twice: {' '.join(args.targets)}")
    if args.sets is None:
        if args.teacher is None:
            raise UserError("S1 is the tokens nearest by the teacher's centroids: name --teacher, or sets by --sets")
        return None
    if args.s1_size is not None:
        raise UserError("--s1-size is for the nearest tokens of a teacher; --sets names S1 itself, so leave one out")
    return named_sets(args.sets, args.targets, args.s2_size)


def _check_models(low: StateReader, high: StateReader, teacher: StateReader | None) -> None:
    """Raise UserError unless the students may be compared and `teacher` is theirs."""
    check_pair(*(Student(str(one.path), one.card, one.teacher, _further(one)) for one in (low, high)))
    card = low.teacher
    if teacher is not None and (card is None or teacher.card.sha256 != card.sha256):
        raise UserError(
            f"{teacher.path} is not the teacher of {low.path}; S1 is chosen by that one's centroids, or name --sets"
        )


def _further(reader: StateReader) -> dict[str, Any]:
    """What must agree beside the card. A file that keeps fairseq's name says whether it is the last or the best."""
    kept = reader.path.stem if reader.path.stem.startswith("checkpoint") else None
    return {"ignore_prefix_size": reader.prefix} | ({"checkpoint (last or best)": kept} if kept else {})


def _class_sets(
    args: argparse.Namespace,
    named: dict[str, NamedSets] | None,
    classes: TokenClasses,
    teacher: StateReader | None,
    text: Sentences,
) -> list[ClassSets]:
    """S1 and S2 of every target; by the teacher's centroids on `text` where `named` is None."""
    if named is not None:
        chosen = [sets_of_file(target, sets, classes) for target, sets in named.items()]
    else:
        assert teacher is not None  # _named_sets asked for it
        size, targets = args.s1_size or S1_SIZE, args.targets or classes.frequent_words()
        places = [classes.place(target) for target in targets]
        if size > len(classes.names) - 2:
            raise UserError(f"--s1-size {size} leaves no class for S2: there are {len(classes.names)} in all")
        centroids = teacher.centroids(text, classes.entries)
        chosen = [nearest_centroid_sets(centroids, place, size) for place in places]
    return chosen if args.s2_size is None else [sample_s2(one, args.s2_size, args.seed) for one in chosen]


def _name(args: argparse.Namespace, corpus: str, low: StateReader, high: StateReader, sets: list[ClassSets]) -> str:
    teacher = low.teacher
    parts = [corpus, low.card.arch, "diffusion", f"a{(teacher.alpha if teacher else 0) or 0:g}"]
    parts += [f"T{reader.card.temperature:g}" for reader in (low, high)]
    parts += ["nearest" if args.sets is None else "explicit", args.normalization, f"seed{low.card.seed}"]
    told = [dataclasses.asdict(one) for one in sets]
    measured = [args.normalization, args.splits, args.min_count, args.max_sentences, args.seed]
    return unique_name(parts, [low.card, high.card], told, measured)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nmt_plugin.diffusion",
        description="The diffusion index eta in translation: decoder states before the output layer are the "
        "penultimate features, target tokens the classes; measured on train and valid, never on the test set.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--low", required=True, type=Path, help="checkpoint of the student distilled at the lower temperature"
    )
    parser.add_argument(
        "--high", required=True, type=Path, help="checkpoint of the one distilled at the higher temperature"
    )
    parser.add_argument(
        "--teacher", type=Path, help="checkpoint of their teacher, whose centroids choose S1 (not needed with --sets)"
    )
    parser.add_argument("--corpus", required=True, type=Path, help="folder that python -m nmt_plugin.corpora built")
    parser.add_argument("--output", required=True, type=Path, help="folder for result.json")
    parser.add_argument("--name", help="name of the record in reports (default: what it holds, and a short hash)")
    parser.add_argument(
        "--targets",
        nargs="+",
        metavar="TOKEN",
        help="target tokens (default: all of --sets, or the three most frequent pieces that start a word and have at "
        "least 4 letters)",
    )
    parser.add_argument(
        "--sets",
        type=Path,
        metavar="FILE",
        help='JSON {"TARGET": {"s1": ["TOKEN", ...], "s2": [...]}}; without "s2", all other tokens; or the result.json '
        "of an earlier measurement, whose sets are then measured again",
    )
    parser.add_argument("--s1-size", type=positive, help=f"number of nearest tokens in S1 (default: {S1_SIZE})")
    parser.add_argument("--s2-size", type=positive, help="sample so many of the other tokens for S2 (default: all)")
    parser.add_argument(
        "--normalization",
        default="mean_pairwise",
        choices=NORMALIZATIONS,
        help="what distances are divided by (default: mean_pairwise)",
    )
    parser.add_argument(
        "--min-count",
        type=positive,
        default=10,
        help="leave out tokens with fewer occurrences in a measured split (default: 10)",
    )
    parser.add_argument(
        "--splits",
        nargs="+",
        default=list(SPLITS),
        choices=SPLITS,
        help="what to measure; S1 is chosen on the first (default: train valid)",
    )
    parser.add_argument(
        "--max-sentences", type=positive, help="measure a sample of so many sentences of a split (default: all)"
    )
    parser.add_argument("--seed", type=positive, default=1, help="seed of the samples (default: 1)")
    return parser


if __name__ == "__main__":
    main()
