"""What a record and a terminal say of clusters."""

from collections.abc import Iterator, Mapping, Sequence

from shared.diffusion.class_sets import ClassSets
from shared.diffusion.clusters import Clusters, PredictionAccumulator
from shared.results import Metric, Model, finite

LENGTH, RATIO = "feature units", "ratio"


def cluster_metrics(
    split: str, clusters: Clusters, predictions: PredictionAccumulator, sets: Sequence[ClassSets]
) -> dict[str, Metric]:
    """`split/spread` and the rest of what is measured on one split, each with the number of examples it is over.

    Raises UserError where a class of the sets has no examples.
    """
    values = {
        "spread": (clusters.spread, RATIO, clusters.count),
        "within": (clusters.within, LENGTH, clusters.count),
        "between": (clusters.between, LENGTH, clusters.count),
        "similar": (clusters.similar(sets), RATIO, clusters.count),
        "dissimilar": (clusters.dissimilar(sets), RATIO, clusters.count),
        "separation": (clusters.separation(sets), RATIO, clusters.count),
        "stability": (predictions.stability, RATIO, predictions.count),
        "confidence": (predictions.confidence, RATIO, predictions.count),
    }
    named = {f"{split}/{name}": row for name, row in values.items()}
    return {name: Metric(finite(value, name), unit, count) for name, (value, unit, count) in named.items()}


def set_notes(sets: Sequence[ClassSets], class_names: Sequence[str], *, comma: str = ", ") -> Iterator[str]:
    """A line for each target: how its S1 and S2 were chosen, and the classes in them, with `comma` between."""
    for one in sets:
        rest = len(one.s1) + len(one.s2) + 1 == len(class_names)
        similar, dissimilar = (comma.join(class_names[k] for k in members) for members in (one.s1, one.s2))
        last = "every other class" if rest else dissimilar
        yield f"{class_names[one.target]} ({one.chosen_by}): S1 {similar}; S2 {last}"


def chooser_note(model: Model) -> str:
    """The model whose centroids chose the sets of another."""
    alpha = "unknown" if model.alpha is None else f"{model.alpha:g}"
    return f"sets by the centroids of a {model.arch} ({model.role}, alpha {alpha}, sha256 {model.sha256[:12]})"


def cluster_table(metrics: Mapping[str, Metric], sets: Sequence[ClassSets]) -> Iterator[str]:
    """Lines of a table of `cluster_metrics` of one or more splits: a row for each name, a column for each split."""
    targets = "1 target" if len(sets) == 1 else f"{len(sets)} targets"
    yield f"clusters; similar and dissimilar classes of {targets}, sets: {sets[0].chosen_by}"
    splits, names = (list(dict.fromkeys(key.split("/")[place] for key in metrics)) for place in (0, 1))
    yield f"{'':<12}" + "".join(f"{split:>12}" for split in splits)
    for name in names:
        row = [metrics[f"{split}/{name}"] for split in splits]
        yield f"{name:<12}" + "".join(f"{metric.value:>12.4f}" for metric in row) + f"  {row[0].unit}"
