"""`python -m nmt_plugin.diffusion`: the diffusion index eta between two students of one teacher, T low and T high."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.decoder_states.choice import add_flags, choose_sets, sets_asked_for, settings_of, texts_and_classes
from nmt_plugin.decoder_states.eta import indices, similar_tokens
from nmt_plugin.decoder_states.reader import StateReader
from nmt_plugin.decoder_states.study import check_output, data_record, device_name, quiet_libraries
from shared.diffusion import NORMALIZATIONS, ClassSets
from shared.diffusion.cluster_record import chooser_note, set_notes
from shared.diffusion.pairs import Student, check_pair
from shared.diffusion.table import table_in_percent
from shared.errors import UserError, exit_on_user_error
from shared.locks import alone_in
from shared.naming import unique_name
from shared.results import Result, RunClock, write_result

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
    with exit_on_user_error(), alone_in(args.output):
        diffusion(args)


def diffusion(args: argparse.Namespace) -> Result:
    """Write eta of every (split, target, set) to `args.output`/result.json, print a table, and return the record.

    Raises UserError, before any model is run, for students of different teachers or recipes, a temperature that does
    not rise, other dictionaries than the corpus has, and tokens below the floor.
    """
    clock = RunClock()
    named = sets_asked_for(args)
    if named is None and args.teacher is None:
        raise UserError("S1 is the tokens nearest by the teacher's centroids: name --teacher, or sets by --sets")
    check_output(args.output, "diffusion")
    corpus = read_corpus(args.corpus)
    low, high = StateReader(args.low, corpus), StateReader(args.high, corpus)
    teachers = [StateReader(path, corpus) for path in args.teacher or []]
    _check_models(low, high, teachers)
    texts, classes = texts_and_classes(args, [low, high, *teachers])
    print(*texts, classes, sep="\n", flush=True)
    sets = choose_sets(args, named, classes, teachers, texts[0])
    eta = [row for text in texts for row in indices(args.normalization, text, low, high, classes, sets)]
    how = [chooser_note(teacher.card) for teacher in teachers] if named is None else []
    result = Result(
        kind="diffusion",
        task="translation",
        name=args.name or _name(args, corpus.name, low, high, sets),
        data=data_record(corpus),
        models=[low.card, high.card],
        teacher=low.teacher,
        eta=eta,
        notes=[*map(str, texts), str(classes), *how, *set_notes(sets, classes.names, comma=" ")],
        provenance=clock.provenance(device_name(low.device)),
    )
    path = write_result(args.output, result)
    print(*table_in_percent(eta), *similar_tokens(eta), f"wrote {path}", sep="\n", flush=True)
    return result


def _check_models(low: StateReader, high: StateReader, teachers: Sequence[StateReader]) -> None:
    """Raise UserError unless the students may be compared and theirs is among the `teachers`, if there are any."""
    check_pair(*(Student(str(one.path), one.card, one.teacher, _further(one)) for one in (low, high)))
    card = low.teacher
    if teachers and (card is None or card.sha256 not in [teacher.card.sha256 for teacher in teachers]):
        given = " and ".join(str(teacher.path) for teacher in teachers)
        raise UserError(
            f"{given} is not the teacher of {low.path}; S1 is chosen by that one's centroids, or name --sets"
        )


def _further(reader: StateReader) -> dict[str, Any]:
    """What must agree beside the card, which names the prefix where there is one.

    A file that keeps fairseq's name says whether it is the last or the best.
    """
    kept = reader.path.stem if reader.path.stem.startswith("checkpoint") else None
    return {"criterion.ignore_prefix_size": reader.prefix} | ({"checkpoint (last or best)": kept} if kept else {})


def _name(args: argparse.Namespace, corpus: str, low: StateReader, high: StateReader, sets: list[ClassSets]) -> str:
    teacher = low.teacher
    parts = [corpus, low.card.arch, "diffusion", f"a{(teacher.alpha if teacher else 0) or 0:g}"]
    parts += [f"T{reader.card.temperature:g}" for reader in (low, high)]
    parts += ["nearest" if args.sets is None else "explicit", args.normalization, f"seed{low.card.seed}"]
    told = [dataclasses.asdict(one) for one in sets]
    return unique_name(parts, [low.card, high.card], told, [args.normalization, *settings_of(args)])


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
        "--teacher",
        type=Path,
        nargs="+",
        metavar="CHECKPOINT",
        help="of their teacher, whose centroids choose S1 (not needed with --sets); several, theirs among them, choose "
        "by the mean of their distances: give all teachers that are to be compared by these sets",
    )
    parser.add_argument("--corpus", required=True, type=Path, help="folder that python -m nmt_plugin.corpora built")
    parser.add_argument("--output", required=True, type=Path, help="folder for result.json")
    parser.add_argument("--name", help="name of the record in reports (default: what it holds, and a short hash)")
    parser.add_argument(
        "--normalization",
        default="mean_pairwise",
        choices=NORMALIZATIONS,
        help="what distances are divided by (default: mean_pairwise)",
    )
    add_flags(parser)
    return parser


if __name__ == "__main__":
    main()
