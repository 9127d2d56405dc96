"""How tight the clusters of features are, and how far apart similar classes: tables and a figure for each group."""

from __future__ import annotations

from shared.report.clusters_figure import clusters_picture
from shared.report.document import Block, Caution, Heading, Paragraph, Tables
from shared.report.grouping import Sorting
from shared.report.metrics import Key, metric_keys
from shared.report.score_tables import score_table
from shared.report.scores import Scores
from shared.report.text import ETA

SHOWN = ("spread", "similar", "separation", "stability")
_MEANING = (
    "A cluster is what the penultimate features of one class form. Spread is the distance within a class (root mean "
    "square to its centroid) over the mean distance between the centroids of two classes: the smaller, the tighter. "
    "The distance between similar classes is that of the targets' centroids to those of their sets S1, over the same "
    f"mean (as {ETA} normalizes by mean_pairwise); their separation is the same over the distance within a class. "
    "Stability (Shen et al., ICLR 2021) is 1 less the mean squared distance of the outputs' probabilities to their "
    "class's mean. All are ratios, which no change of the features' scale moves."
)


def cluster_blocks(sorting: Sorting) -> list[Block]:
    """What is measured, once; then for each group its cautions, tables and figure."""
    blocks: list[Block] = [Paragraph(_MEANING), *(Caution(text) for _, text in sorting.cautions)]
    told: set[str] = set()
    for index, group in enumerate(sorting.groups, start=1):
        scores = Scores.of(group)
        blocks.append(Heading(scores.title))
        cautions = [*group.cautions, *scores.cautions]
        blocks += [Caution(text) for text in cautions if text not in told]
        told.update(cautions)
        keys = _ordered(scores)
        shown = [key for key in keys if key.name in SHOWN]
        if shown:
            blocks += [Tables([score_table(scores, key) for key in shown])]
            blocks += [clusters_picture(scores, shown, f"clusters-{index}")]
        if others := [key for key in keys if key.name not in SHOWN]:
            blocks.append(Tables([score_table(scores, key) for key in others], folded="Other measures of the clusters"))
    return blocks


def _ordered(scores: Scores) -> list[Key]:
    """By what is measured, then train before validation."""
    names, splits = [*SHOWN, "dissimilar", "within", "between", "confidence"], ["train", "val", "valid"]
    keys = metric_keys(item.record for item in scores.group.items)

    def rank(key: Key) -> tuple[int, int, str]:
        known = names.index(key.name) if key.name in names else len(names)
        return known, splits.index(key.split) if key.split in splits else len(splits), key.text

    return sorted(keys, key=rank)
