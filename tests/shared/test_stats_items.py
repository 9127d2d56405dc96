"""The crossed bootstrap and approximate randomization: brute force, closed forms, coverage and invariances."""

import itertools
import math

import numpy as np
import pytest

from shared.bleu import corpus_bleu
from shared.stats import Interval, bootstrap_interval, item_permutation_test
from shared.stats.items import Array, Score


def mean_of(items: int) -> Score:
    """A score that is the mean over items, in percent."""
    return lambda sums: 100.0 * sums[..., 0] / items


def edges(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def resampled_by_definition(cells: list[Array], weights: list[float], score: Score) -> list[float]:
    """The contrast of every one of the S^S * N^N samples."""
    seeds, items, _ = cells[0].shape
    contrasts = []
    for chosen in itertools.product(range(items), repeat=items):
        per_seed = [
            sum(w * float(score(cell[s, list(chosen)].sum(axis=0))) for w, cell in zip(weights, cells, strict=True))
            for s in range(seeds)
        ]
        contrasts += [np.mean(sample) for sample in itertools.product(per_seed, repeat=seeds)]
    return contrasts


def test_bootstrap_equals_all_resamples() -> None:
    """2 cells, 3 seeds, 4 items, a score that is not linear: 27 * 256 samples, against 40,000 that are drawn."""
    rng = np.random.default_rng(0)
    cells = [rng.normal(size=(3, 4, 2)), rng.normal(size=(3, 4, 2))]

    def score(sums: Array) -> Array:
        return np.exp(sums[..., 0] / 4) + sums[..., 1] ** 2

    every = resampled_by_definition(cells, [1.0, -0.5], score)
    low, high = np.quantile(every, [0.1, 0.9])
    drawn = bootstrap_interval(cells, [1.0, -0.5], score, level=0.8, draws=40_000)
    assert edges(drawn) == pytest.approx((low, high), abs=0.02 * (high - low))


def test_one_seed_is_the_usual_interval_of_a_mean() -> None:
    """800 of 1,000 right: 80 +- 1.96 * sqrt(80 * 20 / 1000) = 80 +- 2.479."""
    right = np.arange(1000).reshape(1, 1000, 1) < 800
    found = bootstrap_interval([right], [1.0], mean_of(1000), draws=4000)
    assert edges(found) == pytest.approx((80 - 2.479, 80 + 2.479), abs=0.2)
    wider = bootstrap_interval([right], [1.0], mean_of(1000), draws=4000, level=0.99)
    assert wider.high - wider.low == pytest.approx(2 * 2.576 * math.sqrt(1.6), rel=0.07)


def test_seeds_alone_differ() -> None:
    """Every item of a seed alike: the interval is that of the 5^5 means of 5 values."""
    values = [70.0, 71.5, 69.0, 73.0, 70.5]
    means = [np.mean(sample) for sample in itertools.product(values, repeat=5)]
    cell = np.repeat(np.array(values) / 100, 20).reshape(5, 20, 1)
    found = bootstrap_interval([cell], [1.0], mean_of(20), draws=10_000)
    assert edges(found) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.15)


def test_seeds_see_the_same_items() -> None:
    """Where seeds do not differ, five say no more than one; with items drawn seed by seed they would (by sqrt(5))."""
    one = np.random.default_rng(0).normal(size=(1, 200, 1))
    five = np.repeat(one, 5, axis=0)
    single = bootstrap_interval([one], [1.0], mean_of(200), draws=4000)
    several = bootstrap_interval([five], [1.0], mean_of(200), draws=4000)
    assert several.high - several.low == pytest.approx(single.high - single.low, rel=0.1)


def test_cells_share_items_and_seeds() -> None:
    """What items and seeds add to both cells cancels in every draw: what is left is the constant 1 between them."""
    rng = np.random.default_rng(0)
    cell = rng.normal(size=(4, 30, 1)) + 5.0 * rng.normal(size=(4, 1, 1)) + 5.0 * rng.normal(size=(1, 30, 1))
    found = bootstrap_interval([cell + 0.01, cell], [1.0, -1.0], mean_of(30), draws=200)
    assert edges(found) == pytest.approx((1.0, 1.0))


def test_bootstrap_invariances() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.1, 1.0, (3, 50, 1)), rng.normal(size=(3, 50, 1))
    score = mean_of(50)
    found = bootstrap_interval([a, b], [1.0, -1.0], score, draws=400)
    again = bootstrap_interval([b, a], [-1.0, 1.0], score, draws=400)
    flipped = bootstrap_interval([a, b], [-1.0, 1.0], score, draws=400)
    doubled = bootstrap_interval([a, b], [2.0, -2.0], score, draws=400)
    shifted = bootstrap_interval([a, b], [1.0, -1.0], lambda sums: score(sums) + 7.0, draws=400)
    assert edges(again) == pytest.approx(edges(found))
    assert edges(flipped) == pytest.approx((-found.high, -found.low))
    assert edges(doubled) == pytest.approx((2 * found.low, 2 * found.high))
    assert edges(shifted) == pytest.approx(edges(found))
    assert bootstrap_interval([a, b], [1.0, -1.0], score, draws=400) == found
    assert bootstrap_interval([a, b], [1.0, -1.0], score, draws=400, seed=1) != found


def test_more_items_than_a_block_holds() -> None:
    """600,000 items are one draw at a time; a fair coin's mean has a 95 % interval of +- .1265 percent points."""
    coins = np.random.default_rng(0).integers(0, 2, (1, 600_000, 1), dtype=np.int8)
    found = bootstrap_interval([coins], [1.0], mean_of(600_000), draws=60)
    assert (found.high - found.low) / 2 == pytest.approx(0.1265, rel=0.3)
    assert found.low < 100 * coins.mean() < found.high


def test_coverage_of_a_known_contrast() -> None:
    """200 studies of 5 seeds and 60 items, true contrast 1, where items, seeds and their interaction all vary."""
    rng = np.random.default_rng(0)
    covered = 0
    for study in range(200):
        effect = 0.3 * rng.normal(size=(2, 5, 1, 1)) + rng.normal(size=(2, 1, 60, 1)) + rng.normal(size=(2, 5, 60, 1))
        cells = [1.0 + effect[0], effect[1]]
        found = bootstrap_interval(cells, [1.0, -1.0], lambda s: s[..., 0] / 60, draws=300, seed=study)
        covered += found.low <= 1.0 <= found.high
    assert 0.90 <= covered / 200 <= 0.99


@pytest.mark.parametrize("seeds", [1, 3])
def test_permutation_equals_all_exchanges(seeds: int) -> None:
    """All 2^8 exchanges of 8 items, of all seeds together, with a score that is not linear."""
    rng = np.random.default_rng(seeds)
    first, second = rng.normal(0.6, 1.0, (seeds, 8, 1)), rng.normal(size=(seeds, 8, 1))

    def score(sums: Array) -> Array:
        return np.exp(sums[..., 0] / 8)

    reached, observed = 0, abs(np.mean(score(first.sum(1)) - score(second.sum(1))))
    for swap in itertools.product([False, True], repeat=8):
        mask = np.array(swap)[None, :, None]
        a, b = np.where(mask, second, first).sum(1), np.where(mask, first, second).sum(1)
        reached += abs(np.mean(score(a) - score(b))) >= observed - 1e-12
    assert 0.02 < reached / 2**8 < 0.5
    assert item_permutation_test(first, second, score, draws=20_000) == pytest.approx(reached / 2**8, abs=0.015)


def test_permutation_of_what_differs_and_of_what_does_not() -> None:
    right = np.ones((2, 100, 1))
    assert item_permutation_test(right, 0 * right, mean_of(100), draws=999) == 1 / 1000
    assert item_permutation_test(right, right, mean_of(100), draws=99) == 1.0


def test_permutation_has_its_level() -> None:
    """300 pairs of equally good systems: p <= .1 in a tenth, within 4 standard errors of .017."""
    rng = np.random.default_rng(0)
    p_values = []
    for study in range(300):
        first, second = rng.random((2, 3, 200, 1)) < rng.random((200, 1))
        p_values.append(item_permutation_test(first, second, mean_of(200), draws=99, seed=study))
    assert np.mean(np.array(p_values) <= 0.1) == pytest.approx(0.1, abs=0.07)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.07)


def test_permutation_invariances() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 2, (2, 2, 80, 1))
    score = mean_of(80)
    p = item_permutation_test(first, second, score, draws=500)
    assert 0.01 < p < 1.0
    assert item_permutation_test(second, first, score, draws=500) == p
    assert item_permutation_test(first[::-1], second[::-1], score, draws=500) == p
    assert item_permutation_test(first, second, lambda sums: 3.0 * score(sums) - 1.0, draws=500) == p


def test_scores_that_differ_by_rounding_are_equal() -> None:
    """Sums of whole numbers are exact, sevenths and thirds of them are not; the draws are the same."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = rng.integers(0, 2, (2, 3, 7, 1))
        exact = item_permutation_test(first, second, lambda sums: sums[..., 0], draws=200)
        assert item_permutation_test(first, second, mean_of(7), draws=200) == exact


def test_bleu_of_sentences() -> None:
    """A hypothesis with a word wrong in every third sentence against the reference itself: 100 less the BLEU of it."""
    references = [f"word{i} of the sentence number {i} here" for i in range(60)]
    worse = [text.replace("the", "a") if i % 3 == 0 else text for i, text in enumerate(references)]
    metric = pytest.importorskip("sacrebleu.metrics").BLEU()
    outcomes = [np.array([metric._extract_corpus_statistics(texts, [references])]) for texts in (references, worse)]
    gap = 100.0 - metric.corpus_score(worse, [references]).score
    found = bootstrap_interval(outcomes, [1.0, -1.0], corpus_bleu, draws=500)
    assert 0.0 < found.low < gap < found.high < 2 * gap
    assert item_permutation_test(outcomes[0], outcomes[1], corpus_bleu, draws=499) == 1 / 500


CELL = np.zeros((2, 5, 1))


@pytest.mark.parametrize(
    ("cells", "weights", "message"),
    [
        ([CELL, CELL[:1]], [1.0, -1.0], "one shape"),
        ([CELL[0]], [1.0], "one shape"),
        ([CELL[:, :0]], [1.0], "one shape"),
        ([], [], "one shape"),
        ([CELL], [1.0, -1.0], "1 weights"),
    ],
)
def test_cells_that_do_not_fit_are_refused(cells: list[Array], weights: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(cells, weights, mean_of(5))


def test_what_makes_no_interval_or_p_value_is_refused() -> None:
    with pytest.raises(ValueError, match="level"):
        bootstrap_interval([CELL], [1.0], mean_of(5), level=1.0)
    with pytest.raises(ValueError, match="draws"):
        bootstrap_interval([CELL], [1.0], mean_of(5), draws=0)
    with pytest.raises(ValueError, match="draws"):
        item_permutation_test(CELL, CELL, mean_of(5), draws=0)
    with pytest.raises(ValueError, match="finite score"):
        item_permutation_test(CELL, CELL, lambda sums: sums[..., 0] * np.nan)
    with pytest.raises(ValueError, match="finite score"):
        bootstrap_interval([CELL], [1.0], lambda sums: sums / 5)
