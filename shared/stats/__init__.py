"""Statistics over seeds and test items: intervals, paired tests, effect size, multiplicity."""

from shared.stats.items import Interval, bootstrap_interval, item_permutation_test
from shared.stats.multiplicity import holm
from shared.stats.paired import effect_size, sign_flip_test, t_test
from shared.stats.student import MeanInterval, mean_interval, t_quantile

__all__ = [
    "Interval",
    "MeanInterval",
    "bootstrap_interval",
    "effect_size",
    "holm",
    "item_permutation_test",
    "mean_interval",
    "sign_flip_test",
    "t_quantile",
    "t_test",
]
