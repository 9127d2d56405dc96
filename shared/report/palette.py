"""Colours and line styles of every figure: Okabe and Ito's set, told apart also by colour-blind readers."""

from typing import Any

BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, YELLOW = (
    *("#0072B2", "#D55E00", "#009E73", "#E69F00"),
    *("#56B4E9", "#CC79A7", "#F0E442"),
)
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")  # a second cue beside colour, for print in grey
INK, FAINT = "#222222", "#9a9a9a"

# Text stays text in an SVG (searchable, sharp) and looks alike on every machine in a PNG.
STYLE: Any = {  # a plain dict; matplotlib types its keys one by one
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
}
