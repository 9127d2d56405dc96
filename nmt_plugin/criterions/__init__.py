"""Importing this package registers the criteria `smoothed_cross_entropy` and `word_kd` with fairseq."""

from nmt_plugin.criterions.smoothed_cross_entropy import SmoothedCrossEntropyCriterion
from nmt_plugin.criterions.word_kd import WordKDCriterion

__all__ = ["SmoothedCrossEntropyCriterion", "WordKDCriterion"]
