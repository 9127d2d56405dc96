"""BLEU from summed counts against sacreBLEU itself and by hand."""

import math

import numpy as np
import pytest

from shared.bleu import corpus_bleu

BLEU = pytest.importorskip("sacrebleu.metrics").BLEU

REFERENCES = ["the cat sat on the mat today", "a dog ran over there , quite fast", "yes it is"]
SYSTEMS = {
    "perfect": REFERENCES,
    "close": ["the cat sat on a mat today", "a dog ran over there fast", "yes it was"],
    "long": [f"{text} and then some more words" for text in REFERENCES],
    "no 4-gram right": ["the cat is on the mat", "over there a dog runs", "it is"],
    "no 3- or 4-gram right": ["cat the on sat mat the", "ran dog a there over", "is yes it"],
    "only a unigram right": ["the x y z w v", "u v w x y", "q"],
    "nothing right": ["x y z w v", "u v w x y", "q"],
    "one empty": ["", "a dog ran over there , quite fast", "yes it is"],
    "all empty": ["", "", ""],
    "too short for 4-grams": ["the cat", "a dog", "yes it is"],
}


def sums_of(hypotheses: list[str]) -> list[int]:
    return np.sum(BLEU()._extract_corpus_statistics(hypotheses, [REFERENCES]), axis=0).tolist()


@pytest.mark.parametrize("name", SYSTEMS)
def test_equals_sacrebleu_on_sentences(name: str) -> None:
    expected = BLEU().corpus_score(SYSTEMS[name], [REFERENCES]).score
    assert float(corpus_bleu(sums_of(SYSTEMS[name]))) == pytest.approx(expected, abs=1e-9)


def test_the_cases_are_what_they_are_called() -> None:
    assert sums_of(SYSTEMS["no 4-gram right"])[2:6].count(0) == 1
    assert sums_of(SYSTEMS["no 3- or 4-gram right"])[2:6].count(0) >= 2
    assert sums_of(SYSTEMS["only a unigram right"])[2:6] == [1, 0, 0, 0]
    assert sums_of(SYSTEMS["too short for 4-grams"])[-1] == 0


def test_equals_sacrebleu_on_random_sums_in_any_shape() -> None:
    """Totals of short and long corpora, zero among them; matches from none to all."""
    rng = np.random.default_rng(0)
    total = np.sort(rng.integers(0, [[[3]], [[60]], [[10_000]]], (3, 50, 4)), axis=-1)[..., ::-1]
    correct = rng.integers(0, total + 1) * rng.integers(0, 2, total.shape)
    reference = rng.integers(0, 2 * total[..., :1] + 9)
    sums = np.concatenate([total[..., :1], reference, correct, total], axis=-1)
    found = corpus_bleu(sums)
    assert found.shape == (3, 50)
    assert found.dtype == np.float64
    expected = [BLEU()._compute_score_from_stats(row.tolist()).score for row in sums.reshape(-1, 10)]
    np.testing.assert_allclose(found.ravel(), expected, rtol=0, atol=1e-9)
    assert (found > 0).mean() > 0.2
    assert (found == 0).mean() > 0.2


def test_by_hand() -> None:
    """Precisions 8/10, 4/9, 2/8 and, for no match, 1/(2 * 7); the reference a fifth longer: brevity exp(1 - 12/10)."""
    expected = 100 * math.exp(-0.2) * (0.8 * 4 / 9 * 0.25 / 14) ** 0.25
    assert float(corpus_bleu([10, 12, 8, 4, 2, 0, 10, 9, 8, 7])) == pytest.approx(expected, rel=1e-12)


def test_a_perfect_corpus_is_100() -> None:
    assert float(corpus_bleu([20, 20, 20, 18, 16, 14, 20, 18, 16, 14])) == pytest.approx(100.0, rel=1e-14)


def test_another_number_of_counts_is_refused() -> None:
    with pytest.raises(ValueError, match="10 counts"):
        corpus_bleu(np.zeros((5, 8)))
