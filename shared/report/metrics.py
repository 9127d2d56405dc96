"""Names, order and precision of metrics: `last/test/top1` is the last checkpoint's top-1 accuracy on the test split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.report.text import count
from shared.results import Metric, Result


@dataclass(frozen=True)
class Scale:
    """How one metric is shown. Metrics without one are shown by their own name with four significant decimals."""

    label: str
    digits: int
    rank: int
    lower_is_better: bool = False


_SCALES = {
    "bleu": Scale("BLEU", 2, 0),
    "top1": Scale("top-1 accuracy", 2, 0),
    "chrf": Scale("chrF", 2, 1),
    "top5": Scale("top-5 accuracy", 2, 1),
    "ter": Scale("TER", 2, 2, lower_is_better=True),
    "nll": Scale("negative log-likelihood", 4, 2, lower_is_better=True),
    "ece": Scale("expected calibration error", 2, 3, lower_is_better=True),
    "tv_to_noise_law": Scale("total-variation distance to the law of the noisy labels", 3, 4),
    "spread": Scale("spread of the clusters (within / between)", 4, 3),
    "similar": Scale("distance between similar classes", 4, 3),
    "dissimilar": Scale("distance between dissimilar classes", 4, 3),
    "separation": Scale("separation of similar classes", 4, 3),
    "stability": Scale("stability of the outputs", 4, 3),
    "within": Scale("distance within a class", 4, 3),
    "between": Scale("distance between classes", 4, 3),
    "confidence": Scale("confidence", 4, 3),
}
_CHECKPOINTS = {"": "", "last": "last epoch", "best": "best epoch on validation"}
_SPLITS = {"test": "test set", "val": "validation set", "valid": "validation set", "train": "training set"}


@dataclass(frozen=True)
class Key:
    """A metric's key in its parts: `checkpoint` is "", "last", "best" or e.g. "avg5"; `split` may be empty."""

    text: str
    checkpoint: str
    split: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Key:
        *front, name = text.split("/")
        checkpoint = front.pop(0) if len(front) > 1 or front[:1] in (["last"], ["best"]) else ""
        return cls(text, checkpoint, "/".join(front), name)

    @property
    def scale(self) -> Scale:
        return _SCALES.get(self.name, Scale(self.name, 4, 3))

    @property
    def label(self) -> str:
        """`top-1 accuracy, test set, last epoch`."""
        where = [_SPLITS.get(self.split, self.split), _checkpoint_label(self.checkpoint)]
        better = "lower is better" if self.scale.lower_is_better else ""
        return ", ".join([self.scale.label, *(part for part in (*where, better) if part)])


def metric_keys(records: Iterable[Result]) -> list[Key]:
    """Every metric that any record has: test before other splits, headline scores first, last before best."""
    keys = {text: Key.parse(text) for record in records for text in record.metrics}
    order = {"last": 0, "": 0, "best": 1}
    return sorted(
        keys.values(),
        key=lambda k: (k.split != "test", k.split, k.scale.rank, k.name, order.get(k.checkpoint, 2), k.text),
    )


def _checkpoint_label(checkpoint: str) -> str:
    if checkpoint.startswith("avg") and checkpoint[3:].isdecimal():
        return f"mean of the last {checkpoint[3:]} checkpoints"
    return _CHECKPOINTS.get(checkpoint, f"checkpoint {checkpoint}")


def unit_label(metric: Metric, key: Key) -> str:
    """The unit where the label does not say it already: ` (%)`, ` (nats)`."""
    unit = "%" if metric.unit in ("percent", "%") else metric.unit
    return "" if not unit or unit.lower().startswith(key.scale.label.lower()) else f" ({unit})"


def items_label(metric: Metric, task: str, key: Key) -> str:
    """`2,004 sentences`: what the score was taken over."""
    noun = "item"
    if key.name in ("bleu", "chrf", "ter"):
        noun = "sentence"
    elif task == "image-classification":
        noun = "image"
    return count(metric.count, noun)
