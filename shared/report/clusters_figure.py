"""Spread and distance of similar classes: a panel for each and for each split, one colour and marker per alpha."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.report.document import Picture
from shared.report.metrics import Key
from shared.report.palette import CYCLE, MARKERS, STYLE
from shared.report.scores import TEACHER, Row, Scores
from shared.report.text import CONFIDENCE, alpha_label, number
from shared.stats import MeanInterval, mean_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DRAWN = {"spread": "spread", "similar": "distance of similar classes"}
_OFFSET = 0.14  # between the alphas of one model, where models are 1 apart


def clusters_picture(scores: Scores, keys: Sequence[Key], name: str) -> Picture:
    """The figure of one group; `keys` of other measures are not drawn."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    splits = list(dict.fromkeys(key.split for key in keys))
    drawn = [measure for measure in _DRAWN if any(key.name == measure for key in keys)] or [keys[0].name]
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.9 + 2.1 * len(splits)), layout="constrained")
        axes = figure.subplots(len(splits), len(drawn), sharex=True, squeeze=False)
        for i, split in enumerate(splits):
            for j, measure in enumerate(drawn):
                _draw_panel(axes[i, j], scores, Key.parse(f"{split}/{measure}"))
                axes[0, j].set_title(_DRAWN.get(measure, measure))
            axes[i, 0].set_ylabel(f"ratio, {split}")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return Picture(name, _caption(scores), _alt(scores, splits, drawn), figure)


def _draw_panel(axes: Axes, scores: Scores, key: Key) -> None:
    for k, alpha in enumerate(scores.alphas):
        points = [(x, shown) for x, row in enumerate(scores.rows) if (shown := _mean(scores, row, alpha, key))]
        shift = (k - (len(scores.alphas) - 1) / 2) * _OFFSET
        axes.errorbar(
            [x + shift for x, _ in points],
            [shown.mean for _, shown in points],
            yerr=[shown.half_width or 0.0 for _, shown in points] if any(s.n > 1 for _, s in points) else None,
            color=CYCLE[k % len(CYCLE)],
            marker=MARKERS[k % len(MARKERS)],
            linestyle="none",
            capsize=3,
            label=f"teacher {alpha_label(alpha)}",
        )
    axes.set_xticks(range(len(scores.rows)), [_tick(row) for row in scores.rows])
    axes.set_xlim(-0.5, len(scores.rows) - 0.5)


def _mean(scores: Scores, row: Row, alpha: float | None, key: Key) -> MeanInterval | None:
    observed = scores.observed(row, alpha, key)
    return mean_interval([value for _, value in observed.values()]) if observed else None


def _tick(row: Row) -> str:
    if isinstance(row, str):
        return row
    return "no T" if row is None else f"T = {row:g}"


def _caption(scores: Scores) -> str:
    several = any(len(cell) > 1 for cell in scores.cells.values())
    spread = f"Bars are {CONFIDENCE} intervals over seeds." if several else "n = 1 seed: no error bars."
    return (
        f"Clusters of {scores.title}. Compare the marks of one model: the paper expects a smaller spread of a teacher "
        f"with label smoothing, and a larger distance of similar classes in it and in its student at the lowest T. "
        f"{TEACHER.capitalize()} and students are other networks, so compare alphas, not models. {spread}"
    )


def _alt(scores: Scores, splits: Sequence[str], drawn: Sequence[str]) -> str:
    parts = [
        f"{_tick(row)}, {alpha_label(alpha)}: {number(shown.mean, 4)}"
        for row in scores.rows
        for alpha in scores.alphas
        if (shown := _mean(scores, row, alpha, Key.parse(f"{splits[-1]}/{drawn[0]}")))
    ]
    measures, where = " and ".join(_DRAWN.get(name, name) for name in drawn), " and ".join(splits)
    return f"Dots of {measures} by model, on {where}. {drawn[0]} on {splits[-1]}: {'; '.join(parts)}."
