"""The section on the paper's claims: a table of verdicts, then the comparisons of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.report.cells import contrast_cell
from shared.report.claims.comparison import Comparison, Verdict
from shared.report.claims.verdicts import ClaimSet
from shared.report.claims.words import FURTHER, RULE, in_numbers, outcome, predicted, remarks, seeds_of, sentence
from shared.report.document import Block, Caution, Cell, Heading, Paragraph, Table, Tables
from shared.report.grouping import gather
from shared.report.text import CONFIDENCE, NO_BREAK, PLUS_MINUS, alpha_label, count, listing, number, p_text, signed

_LONG = 8  # comparisons; a longer table is folded


def claim_blocks(sets: Sequence[ClaimSet]) -> list[Block]:
    """The rule once, then for each group its cautions, verdicts and comparisons."""
    blocks: list[Block] = [Paragraph(RULE)]
    told: set[str] = set()
    for one in sets:
        blocks.append(Heading(title(one)))
        blocks += [Caution(text) for text in one.cautions if text not in told]
        told.update(one.cautions)
        blocks.append(_verdict_table(one))
        blocks += [tables for verdict in one.verdicts for tables in _comparisons(verdict)]
    return [*blocks, Paragraph(FURTHER)]


def claim_headlines(sets: Sequence[ClaimSet]) -> list[tuple[str, list[str]]]:
    """Lead and one sentence for each verdict of each group; what has nothing to compare shares one."""
    return [(f"The paper's claims; {title(one)}", [*_sentences(one)]) for one in sets]


def _sentences(one: ClaimSet) -> Iterator[str]:
    yield from (sentence(verdict) for verdict in one.verdicts if verdict.comparisons)
    for verdicts in gather((v for v in one.verdicts if not v.comparisons), remarks):
        yield f"{listing([v.claim for v in verdicts])} {verdicts[0].status}: nothing to compare. {remarks(verdicts[0])}"


def title(one: ClaimSet) -> str:
    return f"{one.title}, {alpha_label(one.alpha)} against 0"


def _verdict_table(one: ClaimSet) -> Table:
    rows = [
        [Cell(f"{v.claim}. {v.statement}"), Cell(v.status), Cell(in_numbers(v)), Cell(seeds_of(v)), Cell(remarks(v))]
        for v in one.verdicts
    ]
    header = ["Claim", "Verdict", "Comparisons", "Seeds", "Remarks"]
    return Table("Verdicts", header, rows, numeric=False)


def _comparisons(verdict: Verdict) -> Iterator[Tables]:
    """What the claim requires, then behind a fold what is shown beside it."""
    if required := verdict.required:
        table = _table(f"{verdict.claim}, {verdict.status}: what it requires", required, verdict.measure)
        yield Tables([table], folded=f"{verdict.claim}: {_number(required)}" if len(required) > _LONG else "")
    if beside := [c for c in verdict.comparisons if not c.required]:
        table = _table(f"{verdict.claim}: not required, so not in Holm's correction", beside, verdict.measure)
        yield Tables([table], folded=f"{verdict.claim}: {_number(beside)} beside, not required")


def _number(comparisons: Sequence[Comparison]) -> str:
    return count(len(comparisons), "comparison")


def _table(caption: str, comparisons: Sequence[Comparison], measure: str) -> Table:
    items = any(c.items for c in comparisons)
    items_p = any(c.items_p is not None for c in comparisons)
    header = ["", "Predicted", "Mean difference", "Found", "n", "p (Holm)", "g", "Sign-flip p"]
    header += [f"95{NO_BREAK}% over items and seeds{' (p over items alone)' * items_p}"] * items
    rows = [_row(c, items) for c in comparisons]
    units = listing(list(dict.fromkeys(c.unit for c in comparisons)))
    note = f"{measure} Unit: {units}. Mean {PLUS_MINUS} half-width of the {CONFIDENCE} interval.".strip()
    return Table(caption, header, rows, note)


def _row(comparison: Comparison, items: bool) -> list[Cell]:
    effect = comparison.effect_size
    row = [
        Cell(comparison.label),
        Cell(predicted(comparison)),
        contrast_cell(comparison.values, comparison.digits),
        Cell(outcome(comparison)),
        Cell(f"{comparison.mean.n}"),
        _p_cell(comparison.p, comparison.adjusted_p),
        Cell("\N{EN DASH}" if effect is None else number(effect, 2)),
        _p_cell(comparison.sign_flip_p),
    ]
    return row + [_interval_cell(comparison)] * items


def _p_cell(p: float | None, adjusted: float | None = None) -> Cell:
    text = p_text(p) if adjusted is None else f"{p_text(p)} ({p_text(adjusted)})"
    return Cell(text, title=", ".join(repr(value) for value in (p, adjusted) if value is not None))


def _interval_cell(comparison: Comparison) -> Cell:
    if comparison.items is None:
        return Cell("\N{EN DASH}", title="not every record has outcomes")
    low, high = comparison.items.low, comparison.items.high
    p = "" if comparison.items_p is None else f" ({p_text(comparison.items_p)})"
    text = f"{signed(low, comparison.digits)} to {signed(high, comparison.digits)}{p}"
    return Cell(text, title=f"{low!r}, {high!r}")
