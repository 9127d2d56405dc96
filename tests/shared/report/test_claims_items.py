"""Intervals and tests over test items: from the outcomes beside the records, or not at all."""

import dataclasses
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from shared.outcomes import write_outcomes
from shared.report.claims import ClaimSet, Comparison, claim_sets
from shared.results import Metric, Result, read_results_by_path, write_result
from shared.stats import Interval
from tests.shared.report.claims_records import model_records, noise, with_outcomes

KEY = "last/test/top1"


@pytest.fixture
def study(sample: ModuleType, tmp_path: Path) -> Path:
    def score(alpha: float, t: float | None, seed: int) -> float:
        return 80 - (t == 3) * (2 + 60 * alpha) + noise(alpha, t, seed)

    with_outcomes(tmp_path, model_records(sample, score, (1.0, 3.0), (1, 2, 3), (0.0, 0.1)), 400)
    return tmp_path


def judged(folder: Path) -> ClaimSet:
    records = read_results_by_path(folder)
    [one] = claim_sets(records, list(records.values()))
    return one


def comparison(one: ClaimSet, claim: str) -> Comparison:
    return next(v for v in one.verdicts if v.claim == claim).comparisons[0]


def record_of(folder: Path, name: str) -> tuple[Path, Result]:
    [found] = [(path.parent, r) for path, r in read_results_by_path(folder).items() if r.name == name]
    return found


def right(folder: Path, alpha: float, t: int) -> np.ndarray:
    """[seeds, items], read without the code under test."""
    rows = []
    for seed in (1, 2, 3):
        with np.load(record_of(folder, f"student-{alpha:g}-{t}-{seed}")[0] / "outcomes.npz") as archive:
            rows.append(archive[KEY][:, 0])
    return np.stack(rows).astype(float)


def brute_force(gaps: np.ndarray, draws: int = 4000) -> Interval:
    """The crossed bootstrap of a [seeds, items] array of what each adds to the contrast, in points."""
    rng = np.random.default_rng(7)
    means = []
    for _ in range(draws):
        seeds, items = rng.integers(0, gaps.shape[0], gaps.shape[0]), rng.integers(0, gaps.shape[1], gaps.shape[1])
        means.append(100 * gaps[np.ix_(seeds, items)].mean())
    return Interval(*np.quantile(means, [0.025, 0.975]))


def test_the_interval_of_c4_is_that_of_a_crossed_bootstrap(study: Path) -> None:
    gaps = right(study, 0.1, 3) - right(study, 0.1, 1) - right(study, 0.0, 3) + right(study, 0.0, 1)
    wanted, found = brute_force(gaps), comparison(judged(study), "C4").items
    assert found is not None
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.25)
    assert found.low < 100 * gaps.mean() < found.high < 0


def test_c5_has_an_interval_and_a_p_value_over_items(study: Path) -> None:
    gaps = right(study, 0.1, 1) - right(study, 0.1, 3)
    wanted, found = brute_force(gaps), comparison(judged(study), "C5")
    assert found.label.endswith("T 3 with \u03b1 0.1")
    assert found.items is not None
    assert (found.items.low, found.items.high) == pytest.approx((wanted.low, wanted.high), abs=0.25)
    rng, each = np.random.default_rng(1), gaps.mean(axis=0)
    flipped = [abs((each * rng.choice([-1, 1], len(each))).mean()) for _ in range(2000)]
    share = (1 + sum(value >= abs(each.mean()) - 1e-12 for value in flipped)) / 2001
    assert found.items_p == pytest.approx(share, abs=0.01)
    assert comparison(judged(study), "C4").items_p is None


def test_the_same_records_give_the_same_intervals(study: Path) -> None:
    assert comparison(judged(study), "C4").items == comparison(judged(study), "C4").items


def test_records_without_outcomes_have_no_interval_and_no_caution(study: Path) -> None:
    (record_of(study, "student-0.1-3-2")[0] / "outcomes.npz").unlink()
    one = judged(study)
    assert comparison(one, "C4").items is None
    assert comparison(one, "C5").items_p is None
    assert comparison(one, "C4").p is not None
    assert one.cautions == []
    untouched = one.verdicts[4].comparisons[1]
    assert untouched.items is not None  # T 1 with alpha 0.1 beside T 1 with alpha 0


def test_outcomes_that_do_not_add_up_to_the_score_are_refused(study: Path) -> None:
    folder, record = record_of(study, "student-0.1-3-2")
    metric = dataclasses.replace(record.metrics[KEY], value=record.metrics[KEY].value + 1e-4)
    write_result(folder, dataclasses.replace(record, metrics={KEY: metric}))
    one = judged(study)
    assert comparison(one, "C4").items is None
    [caution] = one.cautions
    assert caution.startswith("student-0.1-3-2: its outcomes give top-1 accuracy")


def test_outcomes_of_another_number_of_items_are_never_paired(study: Path) -> None:
    folder, record = record_of(study, "student-0.1-3-2")
    rows = np.ones((300, 1), dtype=np.int64)
    write_outcomes(folder, {KEY: rows})
    write_result(folder, dataclasses.replace(record, metrics={KEY: Metric(100.0, "%", 300)}))
    one = judged(study)
    assert comparison(one, "C4").items is None
    [caution] = one.cautions
    assert "outcomes of 300 and 400 items are not of one test set" in caution
