"""`python -m nmt_plugin.project`: the projection of three target tokens, train above valid, one column a model."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from nmt_plugin.arguments import positive
from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.decoder_states.reader import StateReader, choose_texts
from nmt_plugin.decoder_states.sample import StateSample
from nmt_plugin.decoder_states.sentences import Sentences
from nmt_plugin.decoder_states.study import SPLITS, check_output, data_record, device_name, quiet_libraries
from nmt_plugin.decoder_states.token_classes import TokenClasses
from nmt_plugin.decoder_states.token_sets import read_sets
from shared.diffusion import CentroidAccumulator, PenultimateProjection
from shared.errors import UserError, exit_on_user_error
from shared.files import atomic_path
from shared.locks import alone_in
from shared.naming import unique_name
from shared.results import Panel, Result, RunClock, write_result

DECIMALS = 4
EXAMPLES = """example:
  python -m nmt_plugin.project --students T1/checkpoint_last.pt T3/checkpoint_last.pt \\
      --corpus data/nmt/libreoffice.en-de --tokens ▁Tabelle ▁Tabellen ▁oder --output runs/nmt/projection
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see `--help`."""
    args = _parser().parse_args(argv)
    quiet_libraries()
    with exit_on_user_error(), alone_in(args.output):
        project(args)


def project(args: argparse.Namespace) -> Result:
    """Write `args.output`/projection.png and a record with the points, from which a report draws the figure again.

    The PCA of each model is fitted on its train points and centroids and reused for valid (Chandrasegaran et al. 2022,
    Algorithm 1 and its code). Raises UserError for anything but three different known tokens, for two models of the
    same (alpha, temperature), and for a student without a temperature.
    """
    clock = RunClock()
    tokens = args.tokens or _tokens_of_sets(args.sets)
    if len(set(tokens)) != 3:
        raise UserError(f"--tokens is {' '.join(tokens)}; name three different tokens, two similar and one not")
    check_output(args.output, "projection")
    corpus = read_corpus(args.corpus)
    readers = [StateReader(path, corpus) for path in args.students]
    _check_columns(readers)
    texts = choose_texts(SPLITS, readers, args.max_sentences, args.seed)
    known = TokenClasses(readers[0].task.target_dictionary, {text.split: text.counts() for text in texts}, floor=1)
    entries = [known.entries[known.place(token)] for token in tokens]
    print(*texts, sep="\n", flush=True)
    shown = dict(zip(SPLITS, (args.train_states, args.valid_states), strict=True))
    columns = [_panels(reader, texts, tokens, entries, shown, args.seed) for reader in readers]
    panels = [panel for split in range(len(SPLITS)) for panel in (column[split] for column in columns)]
    models = [reader.card for reader in readers] * len(SPLITS)
    told = [tokens, shown, args.max_sentences, args.seed]
    notes = [*map(str, texts), f"points drawn by seed {args.seed}"]
    result = Result(
        kind="projection",
        task="translation",
        name=args.name or unique_name([corpus.name, "projection", *tokens], models, told),
        data=data_record(corpus),
        models=models,
        panels=panels,
        notes=notes,
        provenance=clock.provenance(device_name(readers[0].device)),
    )
    _draw(panels, args.output / "projection.png")
    print(f"{', '.join(tokens)}: {args.output / 'projection.png'} and {write_result(args.output, result)}")
    return result


def _tokens_of_sets(path: Path) -> list[str]:
    """Two similar tokens and one that is not. Raises UserError for a file that names no token of S1 or of S2."""
    target, sets = next(iter(read_sets(path).items()))
    if not sets.s1 or not sets.s2:
        lacking, which = ("S2", "third") if sets.s1 else ("S1", "second")
        raise UserError(f"{path} names no {lacking} of {target}, the {which} token; name three by --tokens")
    return [target, sets.s1[0], sets.s2[0]]


def _check_columns(readers: Sequence[StateReader]) -> None:
    """Raises UserError for models that have no column of their own: it is a teacher's, or of a teacher and a T."""
    seen: dict[tuple[float, float | None], Path] = {}
    for reader in readers:
        if reader.teacher is not None and reader.card.temperature is None:
            raise UserError(f"{reader.path} is a student of weight 0, which used no temperature; it has no column")
        if (place := _column(reader)) in seen:
            raise UserError(
                f"{reader.path} and {seen[place]} have the same alpha and temperature; one column of the figure each"
            )
        seen[place] = reader.path


def _column(reader: StateReader) -> tuple[float, float | None]:
    """(alpha of the teacher, temperature); a teacher stands for itself, without temperature."""
    source = reader.teacher or reader.card
    return source.alpha or 0.0, reader.card.temperature


def _panels(
    reader: StateReader,
    texts: Sequence[Sentences],
    tokens: Sequence[str],
    entries: Sequence[int],
    shown: dict[str, int],
    seed: int,
) -> list[Panel]:
    """One panel per split: sampled states of each token, and the centroids over all of its states."""
    projection = PenultimateProjection(*reader.output_rows(entries))
    panels: list[Panel] = []
    for text in texts:
        samples, centroids = _read(reader, text, entries, shown[text.split], seed)
        if not panels:
            projection.fit(torch.cat([*samples, centroids]))
        points = [_rounded(projection.transform(rows)) for rows in samples]
        stars = _rounded(projection.transform(centroids))
        named = dict(zip(tokens, points, strict=True)), dict(zip(tokens, stars, strict=True))
        panels.append(Panel(text.split, *_column(reader), *named))
    return panels


def _read(
    reader: StateReader, text: Sentences, entries: Sequence[int], size: int, seed: int
) -> tuple[list[Tensor], Tensor]:
    """(sampled states [up to size, d] of each token, centroids [3, d]), float64, in one pass."""
    samples = [StateSample(size, seed) for _ in entries]
    accumulator: CentroidAccumulator | None = None
    for states, labels in reader.states(text, entries):
        accumulator = accumulator or CentroidAccumulator(len(entries), states.shape[1])
        try:
            accumulator.update(states, labels)
        except ValueError as error:
            raise UserError(f"{reader.path}: {error}") from None
        for k, sample in enumerate(samples):
            sample.update(states[labels == k])
    assert accumulator is not None  # there is at least one sentence
    try:
        return [sample.rows for sample in samples], accumulator.centroids.cpu()
    except ValueError as error:
        raise UserError(f"{reader.path}: {error}") from None


def _draw(panels: list[Panel], path: Path) -> None:
    from shared.report.projection_figure import draw_projection

    figure = draw_projection(panels, items="tokens")
    with atomic_path(path) as beside:
        figure.savefig(beside, format="png", dpi=150, metadata={"Software": None})


def _rounded(points: Tensor) -> list[list[float]]:
    return [[round(value, DECIMALS) for value in point] for point in points.tolist()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nmt_plugin.project",
        description="Decoder states of three target tokens on the plane of their output weights, for train and valid.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--students",
        required=True,
        nargs="+",
        type=Path,
        help="checkpoints, one column each; teachers may be among them",
    )
    parser.add_argument("--corpus", required=True, type=Path, help="folder that python -m nmt_plugin.corpora built")
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--tokens", nargs=3, metavar="TOKEN", help="three target tokens, two similar and one not")
    either.add_argument(
        "--sets",
        type=Path,
        metavar="FILE",
        help="in their place, class sets as nmt_plugin.diffusion reads and writes them: the first target, and the "
        "first token of its S1 and of its S2",
    )
    parser.add_argument("--output", required=True, type=Path, help="folder for projection.png and result.json")
    parser.add_argument("--name", help="name of the record in reports (default: corpus, tokens, and a short hash)")
    parser.add_argument(
        "--train-states",
        type=positive,
        default=150,
        help="states shown of each token, at most, on train (default: 150)",
    )
    parser.add_argument("--valid-states", type=positive, default=50, help="and on valid (default: 50)")
    parser.add_argument(
        "--max-sentences", type=positive, help="read a sample of so many sentences of a split (default: all)"
    )
    parser.add_argument("--seed", type=positive, default=1, help="seed of the samples (default: 1)")
    return parser


if __name__ == "__main__":
    main()
