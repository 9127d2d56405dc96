"""Which T is recommended; quantiles of Student's t are from a printed table."""

import pytest

from shared.advice.temperature import choose_temperature

MEASURE = ("BLEU", 2)
# 97.5 %, 4 degrees of freedom
T4 = 2.776


def choice(scores):
    """Of {T: [score of seed 1, 2, ...]}."""
    observed = {
        t: {(seed, seed): (f"T{t:g}-{seed}", value) for seed, value in enumerate(values, 1)}
        for t, values in scores.items()
    }
    return choose_temperature("study", 0.1, MEASURE, observed, lambda name: f"runs/{name}/result.json")


def test_a_higher_temperature_that_is_better_beyond_chance_is_recommended():
    found = choice({3.0: [12, 13, 14, 15, 16.5], 1.0: [10, 11, 12, 13, 14], 2.0: [11, 12, 13, 14, 15.1]})
    assert (found.recommended, found.best) == (3.0, 3.0)
    low, middle, high = found.students
    assert (low.temperature, low.gain, low.p) == (1.0, None, None)
    assert low.score.mean == 12
    assert middle.better
    assert high.better
    # gains 2, 2, 2, 2, 2.5: mean 2.1, s = 0.2236
    assert high.gain.mean == pytest.approx(2.1)
    assert high.gain.half_width == pytest.approx(T4 * 0.22360680 / 5**0.5, rel=1e-3)
    assert high.seeds == [(seed, seed) for seed in range(1, 6)]
    assert high.records[0] == "runs/T3-1/result.json"


def test_one_that_chance_explains_is_not():
    found = choice({1.0: [10, 11, 12, 13, 14], 2.0: [13, 10, 15, 12, 15], 3.0: [9, 8, 9, 9, 12]})
    assert (found.recommended, found.best) == (1.0, 2.0)  # 2: mean gain 1, s = 2
    assert not any(one.better for one in found.students)


def test_worse_beyond_chance_is_no_reason_to_recommend():
    found = choice({1.0: [10, 11, 12, 13, 14], 2.0: [8, 9, 10, 11, 12.1]})
    assert (found.recommended, found.best) == (1.0, 1.0)
    assert found.students[1].adjusted_p < 0.001


def test_what_passes_alone_need_not_pass_among_several():
    """Gains -1, 1, 3, 4, 5 (x 0.9): t = 2.50, p = 0.067; and 0, 1, 2, 2, 3: t = 3.14, p = 0.035, twice that by Holm."""
    base = [10, 11, 12, 13, 14]
    passing = [b + g for b, g in zip(base, [0, 1, 2, 2, 3], strict=True)]
    alone = choice({1.0: base, 2.0: passing})
    assert alone.recommended == 2.0
    assert alone.students[1].p == pytest.approx(0.035, abs=5e-4)
    among = choice({1.0: base, 2.0: passing, 3.0: [b + g for b, g in zip(base, [-1, 1, 0.5, -1, 0], strict=True)]})
    assert among.students[1].adjusted_p == pytest.approx(2 * alone.students[1].p)
    assert (among.recommended, among.best) == (1.0, 2.0)


def test_only_seeds_that_both_have_are_compared():
    observed = {
        1.0: {(1, 1): ("a", 10.0), (2, 2): ("b", 20.0)},
        2.0: {(2, 2): ("c", 21.0), (3, 3): ("d", 99.0)},
        3.0: {(4, 4): ("e", 99.0)},
    }
    found = choose_temperature("study", 0.0, MEASURE, observed, str)
    assert (found.students[1].gain.mean, found.students[1].gain.n) == (1.0, 1)
    assert found.students[2].gain is None
    assert (found.recommended, found.best) == (1.0, 2.0)


def test_one_seed_has_no_test_and_no_students_no_choice():
    found = choice({1.0: [10], 2.0: [30]})
    assert (found.recommended, found.best, found.students[1].p) == (1.0, 2.0, None)
    with pytest.raises(ValueError, match=r"study has no student of alpha 0\.1"):
        choice({1.0: []})
