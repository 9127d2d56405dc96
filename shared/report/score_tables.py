"""Score tables in the paper's layout: rows are the teacher and its students by T, columns the teacher's alpha."""

from __future__ import annotations

from shared.report.cells import difference_cell, score_cell, seed_counts
from shared.report.document import Block, Caution, Cell, Heading, Table, Tables
from shared.report.figures import score_picture
from shared.report.grouping import Sorting
from shared.report.metrics import Key, items_label, metric_keys, unit_label
from shared.report.scores import Scores, row_label
from shared.report.text import CONFIDENCE, MINUS, PLUS_MINUS, alpha_label, capitalized, listing


def score_blocks(sorting: Sorting, task: str) -> list[Block]:
    """Cautions, tables and one figure for each group of `task`."""
    all_scores = [Scores.of(group) for group in sorting.groups if group.items[0].record.task == task]
    blocks: list[Block] = []
    told: set[str] = set()
    for index, scores in enumerate(all_scores, start=1):
        keys = metric_keys(item.record for item in scores.group.items)
        blocks.append(Heading(scores.title))
        cautions = [*scores.group.cautions, *scores.cautions, *_unequal(scores, keys)]
        blocks += [Caution(text) for text in cautions if text not in told]
        told.update(cautions)
        shown = [key for key in keys if key.split == "test"] or keys
        blocks.append(Tables([score_table(scores, key) for key in shown]))
        if headline := headline_key(scores):
            picture = score_picture(scores, headline, f"score-{task}-{index}")
            blocks += [picture] if picture else []
        if others := [key for key in keys if key not in shown]:
            blocks.append(Tables([score_table(scores, key) for key in others], folded="Scores on other splits"))
    return blocks


def headline_key(scores: Scores) -> Key | None:
    """The metric of summaries and figures: the first test score, of the last epoch where there are two."""
    keys = metric_keys(item.record for item in scores.group.items)
    return next((key for key in keys if key.scale.rank == 0), keys[0] if keys else None)


def score_table(scores: Scores, key: Key) -> Table:
    """One metric. Beside the scores: the contrast of alpha (last columns) and the effect of T (last rows)."""
    alphas, digits = scores.alphas, key.scale.digits
    base = alphas[0]
    pairs = [(row_label(row), [scores.observed(row, alpha, key) for alpha in alphas]) for row in scores.rows]
    _, most = seed_counts([o for _, observed in pairs for o in observed])
    rows = []
    for label, observed in pairs:
        contrast = [difference_cell(other, observed[0], digits) for other in observed[1:]]
        rows.append([Cell(label), *(score_cell(o, digits, expected=most) for o in observed), *contrast])
    temperatures = [t for t in scores.temperatures if t is not None]
    for high in temperatures[1:]:
        cells = [
            difference_cell(scores.observed(high, a, key), scores.observed(temperatures[0], a, key), digits)
            for a in alphas
        ]
        rows.append([Cell(f"T {high:g} {MINUS} T {temperatures[0]:g}"), *cells, *(Cell("") for _ in alphas[1:])])
    contrasts = [f"{alpha_label(a)} {MINUS} {'none' if base is None else format(base, 'g')}" for a in alphas[1:]]
    header = ["", *(alpha_label(alpha) for alpha in alphas), *contrasts]
    metrics = scores.metrics(key)
    unit = unit_label(metrics[0], key) if metrics else ""
    return Table(capitalized(key.label) + unit, header, rows, note=_note(scores, key))


def _note(scores: Scores, key: Key) -> str:
    metrics = scores.metrics(key)
    task = scores.group.items[0].record.task
    counted = [items_label(metric, task, key) for metric in {m.count: m for m in metrics}.values()]
    fewest, most = seed_counts([scores.observed(row, a, key) for row in scores.rows for a in scores.alphas])
    seeds = f"n = {most if fewest == most else f'{fewest} to {most}'} seed{'s' if most > 1 else ''} per cell"
    spread = (
        f", mean {PLUS_MINUS} half-width of the {CONFIDENCE} interval, differences paired by seed"
        if most > 1
        else ", so no interval"
    )
    signatures = sorted({metric.signature for metric in metrics if metric.signature})
    signed = f" Signature: {listing(signatures)}." if signatures else ""
    return f"{listing(counted)}; {seeds}{spread}.{signed}"


def _unequal(scores: Scores, keys: list[Key]) -> list[str]:
    """Scores of one table must be taken by one scorer, in one unit, over one set of items."""
    cautions = []
    for key in keys:
        metrics = scores.metrics(key)
        facts: dict[str, set[object]] = {
            "scorer signature": {m.signature for m in metrics},
            "unit": {m.unit for m in metrics},
            "number of items": {m.count for m in metrics},
        }
        if differing := [name for name, values in facts.items() if len(values) > 1]:
            cautions.append(f"{key.label}: the scores differ in {listing(differing)}; do not compare them.")
    # nmt_plugin.evaluate notes `beam 5, length penalty 1, ...`, which no scorer's signature has
    searches = {note for item in scores.group.items for note in item.record.notes if note.startswith("beam ")}
    if len(searches) > 1:
        told = "; ".join(sorted(searches))
        cautions.append(f"Not all hypotheses were searched for alike ({told}); do not compare their scores.")
    return cautions
