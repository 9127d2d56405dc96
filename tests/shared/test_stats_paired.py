"""Paired tests against published data and scipy, the effect size by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from shared.stats import effect_size, sign_flip_test, t_test
from shared.stats.student import t_tails

# Student 1908 (Cushny and Peebles: hours of sleep gained): t = 4.06, p = .0028.
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
# Fisher 1935 (Darwin's maize, eighths of an inch): t = 2.148, p = .0497; 863 of 2^15 flips reach 314, on either side.
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 29, 100, 10_000, 1_000_000])
@pytest.mark.parametrize("t", [0.0, 1e-3, 0.5, 1.0, 2.0, 3.0, 7.0, 10.0, 50.0, 1e3, 1e6])
def test_tails_equal_scipys_far_out_too(t: float, degrees: int) -> None:
    expected = 2.0 * stats.t.sf(t, degrees)
    assert t_tails(t, degrees) == pytest.approx(expected, rel=1e-8, abs=1e-15)
    assert t_tails(-t, degrees) == t_tails(t, degrees)


@pytest.mark.parametrize(("t", "degrees"), [(12.706, 1), (4.303, 2), (2.776, 4), (2.262, 9)])
def test_tails_of_the_printed_table(t: float, degrees: int) -> None:
    assert t_tails(t, degrees) == pytest.approx(0.05, abs=3e-5)


def test_small_tails_in_closed_form() -> None:
    """1 degree: 2 atan(1 / t) / pi. 2 degrees: 1 - t / sqrt(t^2 + 2), of which the digits survive."""
    assert t_tails(1e12, 1) == pytest.approx(2e-12 / math.pi, rel=1e-12)
    assert t_tails(1e6, 2) == pytest.approx(1e-12, rel=1e-10)


def test_t_test_of_published_data() -> None:
    assert t_test(SLEEP) == pytest.approx(0.002833, abs=5e-7)
    assert t_test(MAIZE) == pytest.approx(0.0497, abs=5e-5)


@pytest.mark.parametrize("n", [2, 3, 5, 17])
def test_t_test_equals_scipys(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.8, 1.0, n)
    assert t_test(differences.tolist()) == pytest.approx(stats.ttest_1samp(differences, 0.0).pvalue, rel=1e-9)


def test_t_test_of_equal_differences() -> None:
    assert t_test([0.1, 0.1, 0.1]) is None
    assert t_test([85.3 - 84.8, 84.6 - 84.1]) is None  # which rounding makes unlike
    assert effect_size([85.3 - 84.8, 84.6 - 84.1, 84.5 - 84.0]) is None
    assert t_test([0.0, 0.0]) == 1.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", [1e-300, 1e300, 1.7e308])
def test_the_unit_of_the_differences_does_not_matter(unit: float) -> None:
    for differences in ([0.99, 1.0, 0.98], [-1.0, 1.0, 0.5, -0.25], [1.0, 1.0, -1.0]):
        scaled = [unit * value for value in differences]
        assert t_test(scaled) == pytest.approx(t_test(differences), rel=1e-9)
        assert effect_size(scaled) == pytest.approx(effect_size(differences), rel=1e-9)
        assert sign_flip_test(scaled) == sign_flip_test(differences)
    assert t_test([unit] * 3) is None
    assert (t_test([0.0] * 3), effect_size([0.0] * 3), sign_flip_test([0.0] * 3)) == (1.0, None, 1.0)


def test_sign_flips_of_darwins_maize() -> None:
    assert sign_flip_test(MAIZE) == 2 * 863 / 2**15


@pytest.mark.parametrize("n", [3, 5, 8])
def test_sign_flips_equal_scipys(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.5, 1.0, n)
    exact = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_test(differences.tolist()) == exact.pvalue


def test_the_least_p_of_few_seeds() -> None:
    assert sign_flip_test([5.0, 6.0, 7.0, 8.0, 9.0]) == 2 / 2**5
    assert sign_flip_test([3.0]) == 1.0
    assert sign_flip_test([0.0, 0.0]) == 1.0


def test_sums_that_differ_by_rounding_are_equal() -> None:
    """In tenths 1, 2, -3, 3: |sum| is 3 or more in 12 of the 16 flips. 0.1 + 0.2 is not 0.3 in binary."""
    assert sign_flip_test([1.0, 2.0, -3.0, 3.0]) == 12 / 16
    assert sign_flip_test([0.1, 0.2, -0.3, 0.3]) == 12 / 16
    assert sign_flip_test([71.1 - 71.0, 60.2 - 60.0, 59.7 - 60.0, 70.3 - 70.0]) == 12 / 16


def test_drawn_flips_are_near_the_exact_share_and_never_0() -> None:
    """17 ones, 13 of them positive: |sum| >= 9 is 13 or more heads, or as many tails, of 17 coins."""
    exact = 2 * sum(math.comb(17, k) for k in range(13, 18)) / 2**17
    assert sign_flip_test([1.0] * 13 + [-1.0] * 4) == pytest.approx(exact, abs=4 * math.sqrt(exact / 100_000))
    assert sign_flip_test([1.0] * 50, draws=999) == 1 / 1000
    assert sign_flip_test([1.0] * 50 + [-1.0] * 40, seed=3) == sign_flip_test([1.0] * 50 + [-1.0] * 40, seed=3)


@pytest.mark.parametrize("test", [t_test, sign_flip_test])
def test_the_p_value_has_no_sign_order_or_unit(test) -> None:
    assert test([-value for value in SLEEP]) == pytest.approx(test(SLEEP), rel=1e-12)
    assert test(SLEEP[::-1]) == pytest.approx(test(SLEEP), rel=1e-12)
    assert test([1e-3 * value for value in SLEEP]) == pytest.approx(test(SLEEP), rel=1e-12)


def test_effect_size_by_hand() -> None:
    """1, 2, 3: d = 2, J(2) = Gamma(1) / Gamma(1/2) = 1 / sqrt(pi). 1 to 5: d = 3 / sqrt(5/2), J(4) = sqrt(2 / pi)."""
    assert effect_size([1.0, 2.0, 3.0]) == pytest.approx(2.0 / math.sqrt(math.pi))
    assert effect_size([-1.0, -2.0, -3.0, -4.0, -5.0]) == pytest.approx(-3.0 / math.sqrt(2.5) * math.sqrt(2 / math.pi))


def test_effect_size_is_unbiased() -> None:
    """Of 4,000 samples of 5 with true effect 1 the mean is 1 within 4 standard errors; without J it is 1.25."""
    sizes = [effect_size(row) for row in np.random.default_rng(0).normal(1.0, 1.0, (4_000, 5)).tolist()]
    assert np.mean(sizes) == pytest.approx(1.0, abs=4 * np.std(sizes) / math.sqrt(4_000))


@pytest.mark.parametrize("differences", [[1.0], [1.0, 2.0], [0.1, 0.1, 0.1], [0.0, 0.0, 0.0]])
def test_effect_size_is_undefined(differences: list[float]) -> None:
    assert effect_size(differences) is None


@pytest.mark.parametrize("test", [t_test, sign_flip_test, effect_size])
@pytest.mark.parametrize("differences", [[], [1.0, math.nan, 2.0], [1.0, math.inf]])
def test_what_is_no_sample_is_refused(test, differences: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        test(differences)


def test_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="2 or more"):
        t_test([1.0])
    with pytest.raises(ValueError, match="draws"):
        sign_flip_test([1.0] * 20, draws=0)
    with pytest.raises(ValueError, match="degrees"):
        t_tails(1.0, 0)
