"""KD beside DIST: one table a metric, a row for each teacher, the weakest first, and the gain of DIST in words."""

from __future__ import annotations

from collections.abc import Sequence

from shared.report.cells import Observations, difference, difference_cell, score_cell, seed_counts
from shared.report.document import Block, Caution, Cell, Heading, Table, Tables
from shared.report.losses import NAMES, Column, LossStudy
from shared.report.metrics import Key, items_label, unit_label
from shared.report.text import CONFIDENCE, MINUS, NO_BREAK, PLUS_MINUS, capitalized, listing, number, signed
from shared.results import Model
from shared.stats import mean_interval


def loss_blocks(studies: Sequence[LossStudy]) -> list[Block]:
    """Cautions and tables for each study: the headline score, and the other test scores behind it."""
    blocks: list[Block] = []
    told: set[str] = set()
    for study in studies:
        blocks.append(Heading(study.title))
        cautions = study.cautions
        blocks += [Caution(text) for text in cautions if text not in told]
        told.update(cautions)
        headline, *others = [key for key in study.keys if key.split == "test"] or study.keys
        blocks.append(Tables([loss_table(study, headline)]))
        if others:
            blocks.append(Tables([loss_table(study, key) for key in others], folded="Other test scores"))
    return blocks


def loss_table(study: LossStudy, key: Key) -> Table:
    """Teacher, its own score, the student without a teacher, by each loss; last, DIST minus each KD."""
    columns, rows, digits = study.columns, study.rows(key), key.scale.digits
    plain = study.plain_scores(key)
    observed = {(r, c): study.observed(teachers, c, key) for r, (_, teachers) in enumerate(rows) for c in columns}
    _, most = seed_counts([*observed.values(), plain])
    lines = []
    for r, (label, teachers) in enumerate(rows):
        cells = [score_cell(study.teacher_scores(teachers, key), digits)]
        cells += [score_cell(plain, digits, expected=most)] if plain else []
        cells += [score_cell(observed[r, column], digits, expected=most) for column in columns]
        cells += [difference_cell(observed[r, high], observed[r, low], digits) for high, low in _contrasts(columns)]
        lines.append([Cell(label), *cells])
    named = [column.label(columns) for column in columns]
    contrasts = [_contrast(high, low, columns) for high, low in _contrasts(columns)]
    header = ["teacher", "its own", *(["student alone"] if plain else []), *named, *contrasts]
    metrics = study.metrics(key)
    unit = unit_label(metrics[0], key) if metrics else ""
    return Table(capitalized(key.label) + unit, header, lines, _note(study, key, most))


def loss_headline(study: LossStudy) -> list[str]:
    """For each teacher what the student reached by each loss, and the difference."""
    key, columns = study.keys[0], study.columns
    sentences = []
    for label, teachers in study.rows(key):
        own = study.teacher_scores(teachers, key)
        level = f" ({_mean(study, own, key)})" if own else ""
        cells = [(column, study.observed(teachers, column, key)) for column in columns]
        reached = [f"{_mean(study, found, key)} by {c.label(columns)}" for c, found in cells if found]
        gains = [text for high, low in _contrasts(columns) if (text := _gain(study, teachers, high, low, key))]
        more = f"; {listing(gains)}" if gains else ""
        sentences.append(f"Teacher {label}{level}: {key.scale.label} {listing(reached)}{more}.")
    return sentences


def _gain(study: LossStudy, teachers: Sequence[Model], high: Column, low: Column, key: Key) -> str:
    gap = difference(study.observed(teachers, high, key), study.observed(teachers, low, key))
    if gap is None:
        return ""
    digits = key.scale.digits
    told = f"{_contrast(high, low, study.columns)} {signed(gap.mean, digits)}"
    if gap.half_width is None:
        return f"{told} (n{NO_BREAK}={NO_BREAK}1)"
    ends = (signed(gap.mean - gap.half_width, digits), signed(gap.mean + gap.half_width, digits))
    return f"{told} ({CONFIDENCE} interval {ends[0]} to {ends[1]}, n{NO_BREAK}={NO_BREAK}{gap.n} paired seeds)"


def _contrasts(columns: Sequence[Column]) -> list[tuple[Column, Column]]:
    kd = [column for column in columns if column.loss == "kd"]
    return [(column, low) for column in columns if column.loss == "dist" for low in kd]


def _contrast(high: Column, low: Column, columns: Sequence[Column]) -> str:
    """`DIST - KD`, with all that the columns' heads say where there are several of either."""
    many = len(_contrasts(columns)) > 1
    names = [column.label(columns) if many else NAMES[column.loss] for column in (high, low)]
    return f" {MINUS} ".join(f"({name})" if many else name for name in names)


def _note(study: LossStudy, key: Key, seeds: int) -> str:
    metrics = study.metrics(key)
    task = study.group.items[0].record.task
    counted = [items_label(metric, task, key) for metric in {m.count: m for m in metrics}.values()]
    spread = (
        f"up to {seeds} seeds per cell, mean {PLUS_MINUS} half-width of the {CONFIDENCE} interval, differences paired "
        "by seed"
        if seeds > 1
        else "n = 1 seed per cell, so no interval"
    )
    return f"{listing(counted)}; {spread}. Teachers of several strengths are rows of their own, the weakest first."


def _mean(study: LossStudy, observed: Observations, key: Key) -> str:
    unit = f"{NO_BREAK}%" if any(metric.unit == "%" for metric in study.metrics(key)) else ""
    return number(mean_interval([value for _, value in observed.values()]).mean, key.scale.digits) + unit
