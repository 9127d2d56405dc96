"""Is one system better than another, or is it chance? sacreBLEU's paired tests on the same sentences."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sacrebleu.significance import PairedTest
from sacrebleu.significance import Result as Outcome

from nmt_plugin.scores.scoring import Scoring
from nmt_plugin.scores.segments import Segments, check_parallel, read_segments
from shared.errors import UserError
from shared.results import FILE_NAME, Result, read_result

TESTS = {"bs": "paired bootstrap resampling", "ar": "paired approximate randomization"}
SAMPLES = {"bs": 1000, "ar": 10_000}
INTERVAL_SAMPLES = 1000  # resamples of the intervals beside approximate randomization, which gives none itself


@dataclass(frozen=True)
class Standing:
    """One system on one metric. `score` is over all sentences, `mean` and `half_width` over the resamples: the middle
    and half of the 95 % interval. `change` is against the baseline and `p_value` the chance of one so large between
    equal systems (two-sided); both are None for the baseline itself.
    """

    score: float
    mean: float
    half_width: float
    change: float | None
    p_value: float | None


@dataclass(frozen=True)
class Comparison:
    """`standings` maps a metric to its signature and to one Standing for each system, the baseline first."""

    test: str
    samples: int
    seed: int
    systems: list[Segments]
    references: Segments
    standings: dict[str, tuple[str, list[Standing]]]


def compare_systems(
    systems: Sequence[Segments],
    references: Segments,
    scoring: Scoring,
    *,
    test: str = "bs",
    samples: int | None = None,
    seed: int = 12345,
) -> Comparison:
    """Test every system against the first (Koehn 2004 for "bs", Riezler and Maxwell 2005 for "ar").

    Each p-value is of one pair; none is corrected for the number of systems. `seed` is above 0: sacreBLEU takes 0 for
    no seed. Raises UserError for files of different length and for systems of the same text.
    """
    for system in systems:
        check_parallel(system, references)
    digests = [system.sha256 for system in systems]
    if same := [str(system.path) for system in systems if digests.count(system.sha256) > 1]:
        raise UserError(f"{', '.join(same)} are the same text; there is nothing to compare")
    names = [str(system.path) for system in systems]
    if seed < 1:
        raise UserError(f"the seed is {seed}; it must be 1 or more (sacreBLEU takes 0 for no seed)")
    samples = samples or SAMPLES[test]
    with _sacrebleu_seed(seed):
        signatures, found = PairedTest(
            [(name, system.lines) for name, system in zip(names, systems, strict=True)],
            scoring.scorers(),
            [references.lines],
            test_type=test,
            n_samples=samples,
            n_ar_confidence=INTERVAL_SAMPLES if test == "ar" else -1,
        )()
    standings = {
        metric: (f"{metric}|{signature}", _standings(found[metric])) for metric, signature in signatures.items()
    }
    return Comparison(test, samples, seed, list(systems), references, standings)


def read_system(path: Path, checkpoint: str, references: Segments) -> Segments:
    """Hypotheses of one system: a text file, or `checkpoint`'s in a folder that nmt_plugin.evaluate scored.

    Raises UserError where the folder's record is of other references, or has no such checkpoint.
    """
    if not path.is_dir():
        return read_segments(path)
    record = read_result(path / FILE_NAME)
    scored = _name_of(references, record)
    if scored is None:
        below = [file.parent for file in sorted(path.glob(f"scores-*/{FILE_NAME}"))]
        fitting = [folder for folder in below if _name_of(references, read_result(folder / FILE_NAME))]
        rather = f"name {' or '.join(map(str, fitting))}" if fitting else "compare on one corpus"
        raise UserError(f"{path} was scored against other references than {references.path}; {rather}")
    file = path / f"{checkpoint}.{scored.removeprefix('raw/')}"
    if not file.is_file():
        known = sorted({key.partition("/")[0] for key in record.metrics})
        raise UserError(f"{file}: no such hypotheses; {path} has scores of {', '.join(known)} (--checkpoint, --subset)")
    return read_segments(file)


def _name_of(references: Segments, record: Result) -> str | None:
    """What the record calls the references; None where it is of others."""
    return next((name for name, digest in record.data.sha256.items() if digest == references.sha256), None)


def _standings(outcomes: Sequence[str | Outcome]) -> list[Standing]:
    """sacreBLEU's outcomes of one metric, the baseline's first."""
    found = [outcome for outcome in outcomes if isinstance(outcome, Outcome)]  # its type allows a column of names too
    return [_standing(outcome, found[0].score if place else None) for place, outcome in enumerate(found)]


def _standing(outcome: Outcome, baseline: float | None) -> Standing:
    assert outcome.mean is not None
    assert outcome.ci is not None
    change = None if baseline is None else float(outcome.score - baseline)
    p_value = None if outcome.p_value is None else float(outcome.p_value)
    if change == 0.0:
        p_value = 1.0  # any difference is at least as large as none; sacreBLEU's count has it as 1 / (samples + 1)
    return Standing(float(outcome.score), float(outcome.mean), float(outcome.ci), change, p_value)


@contextmanager
def _sacrebleu_seed(seed: int) -> Iterator[None]:
    """sacreBLEU reads its seed from the environment only; what was there before comes back."""
    before = os.environ.get("SACREBLEU_SEED")
    os.environ["SACREBLEU_SEED"] = str(seed)
    try:
        yield
    finally:
        del os.environ["SACREBLEU_SEED"]
        if before is not None:
            os.environ["SACREBLEU_SEED"] = before
