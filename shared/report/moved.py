"""How far a higher T moved the student's score: in a study, and in the paper's tables."""

from __future__ import annotations

from shared.report.cells import contrast, contrast_cell, difference_cell
from shared.report.document import Block, Cell, Heading, Table, Tables
from shared.report.grouping import Sorting
from shared.report.metrics import Key, unit_label
from shared.report.published import PAPER_ALPHAS, published_scores
from shared.report.score_tables import headline_key
from shared.report.scores import Scores
from shared.report.text import ALPHA, ARROW, MINUS, capitalized, signed


def moved_blocks(models: Sorting, task: str) -> list[Block]:
    """A table for each group that has both of the paper's alphas, its lowest T and another of its T; else none."""
    tables = []
    for group in (group for group in models.groups if group.items[0].record.task == task):
        scores = Scores.of(group)
        key = headline_key(scores)
        if key and key.scale.rank == 0 and set(PAPER_ALPHAS) <= set(scores.alphas):
            tables += [table] if (table := _table(scores, key, task)) else []
    return [Heading("How far it moved, beside the paper"), Tables(tables)] if tables else []


def _table(scores: Scores, key: Key, task: str) -> Table | None:
    """For each step from T_low: a row of the study, then one of each student of the paper."""
    paper = published_scores(task)
    known = {t for _, cells in paper for _, t in cells}
    low, *higher = [t for t in scores.temperatures if t is not None] or [0.0]
    steps = [high for high in higher if {low, high} <= known]
    if not steps:
        return None
    rows = []
    for high in steps:
        rows.append([Cell(f"T {low:g} {ARROW} {high:g}, here"), *_here(scores, key, low, high)])
        rows += [[Cell(f"T {low:g} {ARROW} {high:g}, {name}"), *_there(cells, low, high)] for name, cells in paper]
    plain, smoothed = PAPER_ALPHAS
    header = ["", f"{ALPHA} {plain:g}", f"{ALPHA} {smoothed:g}", f"{ALPHA} {smoothed:g} {MINUS} {plain:g}"]
    unit = "points" if unit_label(scores.metrics(key)[0], key) == " (%)" else key.scale.label
    note = (
        f"Changes in {unit}, of the mean over paired seeds. Here: {scores.title}. Others: Chandrasegaran et al. 2022, "
        "one seed, by their own recipes: compare signs and sizes of a change, loosely."
    )
    return Table(f"Change of {key.scale.label} with T ({capitalized(key.label)})", header, rows, note)


def _here(scores: Scores, key: Key, low: float, high: float) -> list[Cell]:
    cells = [(scores.observed(high, alpha, key), scores.observed(low, alpha, key)) for alpha in PAPER_ALPHAS]
    (plain_high, plain_low), (smooth_high, smooth_low) = cells
    gap = contrast([(1.0, smooth_high), (-1.0, smooth_low), (-1.0, plain_high), (1.0, plain_low)])
    return [
        *(difference_cell(after, before, key.scale.digits) for after, before in cells),
        contrast_cell(gap, key.scale.digits),
    ]


def _there(cells: dict[tuple[float, float], float], low: float, high: float) -> list[Cell]:
    changes = [cells[alpha, high] - cells[alpha, low] for alpha in PAPER_ALPHAS]
    return [Cell(signed(change, 2)) for change in (*changes, changes[1] - changes[0])]
