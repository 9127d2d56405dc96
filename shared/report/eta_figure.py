"""Bars of the diffusion index: S1 beside S2, train above validation, one colour per alpha."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.report.document import Picture
from shared.report.eta import EXPECTED_SIGN, MEANING, Column, EtaGroup
from shared.report.palette import CYCLE, INK, STYLE
from shared.report.text import CONFIDENCE, ETA, SMOOTHED, alpha_label, number, plain
from shared.stats import mean_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TINT = "#e3f1ea"
_HATCHES = ("", "///", "...")  # a second cue beside colour


def eta_picture(group: EtaGroup, name: str) -> Picture:
    """The figure of one group; the tinted side of zero is where systematic diffusion puts the bars."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    sets = sorted({line.set_name for line in group.lines})
    splits = list(dict.fromkeys(split for _, split in group.columns))
    targets = list(dict.fromkeys(line.target for line in group.lines))
    with rc_context(STYLE):
        size = (max(6.4, 1.2 + 0.9 * len(targets) * len(sets)), 0.9 + 2.0 * len(splits))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(splits), len(sets), sharex=True, sharey=True, squeeze=False)
        for i, split in enumerate(splits):
            for j, set_name in enumerate(sets):
                _draw_panel(axes[i, j], group, split, set_name, targets)
            axes[i, 0].set_ylabel(f"{ETA} (%), {split}")
        for j, set_name in enumerate(sets):
            axes[0, j].set_title(f"{set_name}: {MEANING.get(set_name, 'set')} classes")
            _tint(axes[:, j].tolist(), set_name)
        shown = [a.get_legend_handles_labels() for a in axes.flat]
        legend = {label: handle for handles, labels in shown for handle, label in zip(handles, labels, strict=True)}
        figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=len(legend))
    return Picture(name, _caption(group), _alt(group), figure)


def _draw_panel(axes: Axes, group: EtaGroup, split: str, set_name: str, targets: list[str]) -> None:
    width = 0.8 / len(group.alphas)
    for k, alpha in enumerate(group.alphas):
        colour, hatch = CYCLE[k % len(CYCLE)], _HATCHES[k % len(_HATCHES)]
        label = f"teacher {alpha_label(alpha)}"
        for position, target in enumerate(targets):
            values = _values(group, target, set_name, (alpha, split))
            if not values:
                continue
            shown = mean_interval(values)
            x = position + (k - (len(group.alphas) - 1) / 2) * width
            axes.bar(
                x, shown.mean, 0.92 * width, color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=label
            )
            if shown.half_width is not None:
                axes.errorbar(x, shown.mean, yerr=shown.half_width, color=INK, capsize=3, linewidth=1)
            label = "_repeated"  # one entry per colour in the legend
    axes.axhline(0, color=INK, linewidth=0.9)
    axes.set_xticks(range(len(targets)), [plain(target) for target in targets], rotation=20 if len(targets) > 3 else 0)
    axes.grid(visible=False, axis="x")


def _values(group: EtaGroup, target: str, set_name: str, column: Column) -> list[float]:
    """Over seeds; seeds whose sets differ stand in several lines of the table and in one bar."""
    lines = [line for line in group.lines if (line.target, line.set_name) == (target, set_name)]
    return [value for line in lines for _, value in group.observed(line, column).values()]


def _tint(column: list[Axes], set_name: str) -> None:
    """Shade the side of zero that systematic diffusion predicts, without changing the limits."""
    for axes in column:
        limits = axes.get_ylim()
        axes.axhspan(
            0, limits[0] if EXPECTED_SIGN.get(set_name, 1) < 0 else limits[1], color=_TINT, zorder=-1, linewidth=0
        )
        axes.set_ylim(limits)


def _caption(group: EtaGroup) -> str:
    spread = f"Bars carry a {CONFIDENCE} interval." if group.most_seeds > 1 else "n = 1 seed: no error bars."
    return (
        f"Diffusion index of {group.title} (normalization {group.normalization}). The tinted side of zero is where "
        f"systematic diffusion puts a student of a teacher with {SMOOTHED}: similar classes (S1) draw near, "
        f"dissimilar ones (S2) move away. {spread}"
    )


def _alt(group: EtaGroup) -> str:
    parts = []
    for line in group.lines:
        for column in group.columns:
            if observed := group.observed(line, column):
                mean = mean_interval([value for _, value in observed.values()]).mean
                parts.append(
                    f"{line.target} {line.set_name}, {alpha_label(column[0])}, {column[1]}: {number(mean, 2)} %"
                )
    return f"Bar chart of the diffusion index. {'; '.join(parts)}."
