"""`python -m nmt_plugin.clusters`: how tight the clusters of decoder states are, target tokens the classes."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.decoder_states.choice import add_flags, choose_sets, sets_asked_for, settings_of, texts_and_classes
from nmt_plugin.decoder_states.reader import StateReader
from nmt_plugin.decoder_states.sentences import Sentences
from nmt_plugin.decoder_states.study import check_output, data_record, device_name, quiet_libraries
from nmt_plugin.decoder_states.token_classes import TokenClasses
from shared.diffusion import CentroidAccumulator, ClassSets, Clusters, PredictionAccumulator
from shared.diffusion.cluster_record import chooser_note, cluster_metrics, cluster_table, set_notes
from shared.errors import UserError, exit_on_user_error
from shared.locks import alone_in
from shared.naming import unique_name
from shared.results import Metric, Result, RunClock, write_result

EXAMPLES = """examples:
  python -m nmt_plugin.clusters --model teacher/checkpoint_last.pt --corpus data/nmt/libreoffice.en-de \\
      --output runs/nmt/clusters-teacher
  python -m nmt_plugin.clusters --model T1/checkpoint_last.pt --teacher teacher/checkpoint_last.pt \\
      --corpus data/nmt/libreoffice.en-de --output runs/nmt/clusters-T1
  python -m nmt_plugin.clusters --model T1/checkpoint_last.pt --sets runs/nmt/diffusion/result.json \\
      --corpus data/nmt/libreoffice.en-de --output runs/nmt/clusters-sets
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see `--help`."""
    args = _parser().parse_args(argv)
    quiet_libraries()
    with exit_on_user_error(), alone_in(args.output):
        clusters(args)


def clusters(args: argparse.Namespace) -> Result:
    """Write the record of a model's clusters to `args.output`/result.json, print a table, and return the record.

    Raises UserError, before any model is run, for a student whose own centroids would choose S1, other dictionaries
    than the corpus has, and tokens below the floor.
    """
    clock = RunClock()
    named = sets_asked_for(args)
    if named is not None and args.teacher is not None:
        raise UserError("--teacher chooses S1 by its centroids; --sets names S1 itself, so leave one out")
    check_output(args.output, "clusters")
    corpus = read_corpus(args.corpus)
    reader = StateReader(args.model, corpus)
    chooser = reader if args.teacher is None else StateReader(args.teacher, corpus)
    if named is None and args.teacher is None and reader.card.role != "teacher":
        raise UserError(f"{reader.path} is a student; name --teacher, whose centroids choose S1, or sets by --sets")
    texts, classes = texts_and_classes(args, [reader, chooser])
    print(*texts, classes, sep="\n", flush=True)
    sets = choose_sets(args, named, classes, [chooser], texts[0])
    metrics = {name: metric for text in texts for name, metric in _measured(reader, text, classes, sets).items()}
    result = Result(
        kind="clusters",
        task="translation",
        name=args.name or _name(args, corpus.name, reader, sets),
        data=data_record(corpus),
        models=[reader.card],
        teacher=reader.teacher,
        metrics=metrics,
        notes=[*map(str, texts), str(classes), *_notes(reader, chooser, classes, sets)],
        provenance=clock.provenance(device_name(reader.device)),
    )
    path = write_result(args.output, result)
    similar = [f"S1 of {classes.names[one.target]}: {' '.join(classes.names[k] for k in one.s1)}" for one in sets]
    print(*cluster_table(metrics, sets), *similar, f"wrote {path}", sep="\n", flush=True)
    return result


def _measured(
    reader: StateReader, text: Sentences, classes: TokenClasses, sets: Sequence[ClassSets]
) -> dict[str, Metric]:
    """After one pass. Raises UserError where the model has diverged, or where its states have no clusters.

    Probabilities are over the whole dictionary, and their mean is needed for every class: classes x dictionary numbers
    are too many, so only the targets and S1, the tokens that the claims are about, are asked for their predictions.
    """
    asked = _asked(sets)
    place = torch.full((len(classes.entries),), -1)
    place[torch.tensor(asked)] = torch.arange(len(asked))
    seen: CentroidAccumulator | None = None
    predictions = PredictionAccumulator(len(asked), len(reader.task.target_dictionary))
    try:
        for states, labels in reader.states(text, classes.entries):
            seen = seen or CentroidAccumulator(len(classes.entries), states.shape[1], second_moments=True)
            seen.update(states, labels)
            places = place.to(labels.device)[labels]
            predictions.update(reader.logits(states[places >= 0]), places[places >= 0])
        assert seen is not None  # there is at least one sentence
        return cluster_metrics(text.split, Clusters(seen), predictions, sets)
    except (ValueError, UserError) as error:
        raise UserError(f"{reader.path} on {text.split}: {error}") from None


def _asked(sets: Sequence[ClassSets]) -> list[int]:
    return sorted({k for one in sets for k in (one.target, *one.s1)})


def _notes(reader: StateReader, chooser: StateReader, classes: TokenClasses, sets: Sequence[ClassSets]) -> list[str]:
    asked = f"stability and confidence are over the {len(_asked(sets))} tokens that are targets or in S1"
    how = [] if chooser is reader else [chooser_note(chooser.card)]
    return [asked, *how, *set_notes(sets, classes.names, comma=" ")]


def _name(args: argparse.Namespace, corpus: str, reader: StateReader, sets: list[ClassSets]) -> str:
    card = reader.card
    parts = [corpus, card.arch, "clusters", f"a{(reader.teacher or card).alpha or 0:g}"]
    parts.append(card.role if card.temperature is None else f"T{card.temperature:g}")
    parts += ["nearest" if args.sets is None else "explicit", f"seed{card.seed}"]
    return unique_name(parts, [card], [dataclasses.asdict(one) for one in sets], settings_of(args))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nmt_plugin.clusters",
        description="How tight the clusters of decoder states before the output layer are, target tokens the classes, "
        "and how far apart similar tokens; measured on train and valid, never on the test set.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", required=True, type=Path, help="checkpoint to measure, a teacher or a student")
    parser.add_argument(
        "--teacher",
        type=Path,
        help="checkpoint whose centroids choose S1 (default: the model, where it is a teacher); models to be compared "
        "need the same one",
    )
    parser.add_argument("--corpus", required=True, type=Path, help="folder that python -m nmt_plugin.corpora built")
    parser.add_argument("--output", required=True, type=Path, help="folder for result.json")
    parser.add_argument("--name", help="name of the record in reports (default: what it holds, and a short hash)")
    add_flags(parser)
    return parser


if __name__ == "__main__":
    main()
