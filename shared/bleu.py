"""Corpus BLEU from summed counts, many corpora at once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

ORDERS = 4


def corpus_bleu(sums: ArrayLike) -> NDArray[np.float64]:
    """BLEU in 0 to 100 [...], float64, of sums over sentences [..., 10] (Papineni et al. 2002).

    The 10 are in sacreBLEU's order, that of `BLEU._extract_corpus_statistics` and `_compute_segment_statistics`:
    length of hypothesis and of reference, correct 1- to 4-grams, all 1- to 4-grams of the hypothesis. Smoothing is
    sacreBLEU's default "exp" (Chen and Cherry 2014, method 3): the precision of the i-th order without a match is
    `1 / (2^i * total)`. With no match at all, or no n-gram of some order, BLEU is 0. Raises ValueError for another
    number of counts.
    """
    sums = np.asarray(sums, dtype=np.float64)
    if sums.shape[-1:] != (2 + 2 * ORDERS,):
        raise ValueError(f"want {2 + 2 * ORDERS} counts along the last axis, got shape {sums.shape}")
    length, reference_length = sums[..., 0], sums[..., 1]
    correct, total = sums[..., 2 : 2 + ORDERS], sums[..., 2 + ORDERS :]
    defined = (correct > 0).any(axis=-1) & (total > 0).all(axis=-1)
    missed = correct == 0
    matches = np.where(missed, 0.5 ** np.cumsum(missed, axis=-1), correct)
    log_precision = np.log(matches / np.where(total > 0, total, 1.0)).mean(axis=-1)
    log_brevity = np.minimum(0.0, 1.0 - reference_length / np.where(length > 0, length, 1.0))
    return np.where(defined, 100.0 * np.exp(log_precision + log_brevity), 0.0)
