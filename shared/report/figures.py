"""Figures of scores against temperature and of the diffusion index, drawn from the same cells as the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.report.cells import Observations
from shared.report.document import Picture
from shared.report.metrics import Key, unit_label
from shared.report.palette import CYCLE, MARKERS, STYLE
from shared.report.scores import TEACHER, Scores
from shared.report.text import CONFIDENCE, alpha_label, capitalized, listing, number
from shared.stats import mean_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def score_picture(scores: Scores, key: Key, name: str) -> Picture | None:
    """Score against T, one line per alpha, the teachers as dashed lines; None below two temperatures."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    temperatures = [t for t in scores.temperatures if t is not None]
    if len(temperatures) < 2:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.9), layout="constrained")
        axes = figure.subplots()
        for k, alpha in enumerate(scores.alphas):
            _draw_line(axes, scores, key, alpha, temperatures, k)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator(temperatures))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel("distillation temperature T (log scale)")
        axes.set_ylabel(f"{key.scale.label}{_unit(scores, key)}")
        axes.margins(x=0.08, y=0.12)
        figure.legend(loc="outside lower center", ncols=2)
    return Picture(name, _score_caption(scores, key), _score_alt(scores, key, temperatures), figure)


def _draw_line(axes: Axes, scores: Scores, key: Key, alpha: float | None, temperatures: list[float], k: int) -> None:
    colour, marker = CYCLE[k % len(CYCLE)], MARKERS[k % len(MARKERS)]
    aside = 1.06 ** (k - (len(scores.alphas) - 1) / 2)  # so that the bars of one T stand side by side
    cells = [(t * aside, scores.observed(t, alpha, key)) for t in temperatures]
    shown = [(t, mean_interval(_values(observed))) for t, observed in cells if observed]
    if shown:
        axes.errorbar(
            [t for t, _ in shown],
            [m.mean for _, m in shown],
            yerr=[m.half_width or 0.0 for _, m in shown] if any(m.n > 1 for _, m in shown) else None,
            color=colour,
            marker=marker,
            capsize=3,
            linewidth=1.8,
            label=f"student, teacher {alpha_label(alpha)}",
        )
    for t, observed in cells:
        if len(observed) > 1:
            axes.scatter([t] * len(observed), _values(observed), s=10, color=colour, alpha=0.5, linewidths=0)
    if teacher := scores.observed(TEACHER, alpha, key):
        level = mean_interval(_values(teacher)).mean
        axes.axhline(level, color=colour, linestyle=(0, (4, 3)), linewidth=1.2, label=f"teacher, {alpha_label(alpha)}")


def _values(observed: Observations) -> list[float]:
    return [value for _, value in observed.values()]


def _unit(scores: Scores, key: Key) -> str:
    metrics = scores.metrics(key)
    return unit_label(metrics[0], key) if metrics else ""


def _score_caption(scores: Scores, key: Key) -> str:
    several = any(len(cell) > 1 for cell in scores.cells.values())
    spread = (
        f"Bars are {CONFIDENCE} intervals over seeds, small dots the single seeds."
        if several
        else "Each mark is one run (n = 1 seed), so it has no error bar."
    )
    return (
        f"{capitalized(key.label)}, against the temperature of distillation. {scores.title}. Look at how "
        f"steeply each line moves with T, and whether the line of the smoothed teacher moves more. {spread}"
    )


def _score_alt(scores: Scores, key: Key, temperatures: list[float]) -> str:
    lines = []
    for alpha in scores.alphas:
        cells = [(t, scores.observed(t, alpha, key)) for t in temperatures]
        points = [f"{number(mean_interval(_values(o)).mean, key.scale.digits)} at T = {t:g}" for t, o in cells if o]
        if points:
            lines.append(f"{alpha_label(alpha)}: {listing(points)}")
    return f"Line chart of {key.label} by temperature. {'. '.join(lines)}."
