"""The section on the paper's claims: a table of verdicts, then the comparisons of each."""

from __future__ import annotations

from collections.abc import Sequence

from shared.report.cells import contrast_cell
from shared.report.claims.comparison import Comparison, Verdict
from shared.report.claims.verdicts import ClaimSet
from shared.report.claims.words import FURTHER, RULE, in_numbers, outcome, predicted, remarks, seeds_of, sentence
from shared.report.document import Block, Caution, Cell, Heading, Paragraph, Table, Tables
from shared.report.text import CONFIDENCE, alpha_label, count, number, p_text, signed

_LONG = 4  # comparisons; a longer table is folded


def claim_blocks(sets: Sequence[ClaimSet]) -> list[Block]:
    """The rule once, then for each group its cautions, verdicts and comparisons."""
    blocks: list[Block] = [Paragraph(RULE)]
    told: set[str] = set()
    for one in sets:
        blocks.append(Heading(title(one)))
        blocks += [Caution(text) for text in one.cautions if text not in told]
        told.update(one.cautions)
        blocks.append(_verdict_table(one))
        blocks += [_comparisons(verdict) for verdict in one.verdicts if verdict.comparisons]
    return [*blocks, Paragraph(FURTHER)]


def claim_headlines(sets: Sequence[ClaimSet]) -> list[tuple[str, list[str]]]:
    """Lead and one sentence for each verdict of each group."""
    return [(f"The paper's claims; {title(one)}", [sentence(verdict) for verdict in one.verdicts]) for one in sets]


def title(one: ClaimSet) -> str:
    return f"{one.title}, {alpha_label(one.alpha)} against 0"


def _verdict_table(one: ClaimSet) -> Table:
    rows = [
        [Cell(v.claim), Cell(v.statement), Cell(v.status), Cell(in_numbers(v)), Cell(seeds_of(v)), Cell(remarks(v))]
        for v in one.verdicts
    ]
    header = ["Claim", "In words", "Verdict", "Comparisons", "Seeds", "Remarks"]
    return Table("Verdicts", header, rows, numeric=False)


def _comparisons(verdict: Verdict) -> Tables:
    items = any(c.items for c in verdict.comparisons)
    items_p = any(c.items_p is not None for c in verdict.comparisons)
    units = list(dict.fromkeys(c.unit for c in verdict.comparisons))
    header = ["", "Predicted", "Mean difference", "Found", "n", "p", "Holm p", "g", "Sign-flip p"]
    header += ["95 % over items"] * items + ["p over items"] * items_p
    rows = [_row(c, items, items_p) for c in verdict.comparisons]
    further = [c for c in verdict.comparisons if not c.required]
    note = f"{verdict.measure} Mean with the half-width of its {CONFIDENCE} interval, in {' or '.join(units)}.".strip()
    note += (
        " Not required by the claim, so without a Holm p: the last " + count(len(further), "row") + "."
        if further
        else ""
    )
    table = Table(f"{verdict.claim}, {verdict.status}: the comparisons", header, rows, note)
    folded = f"{verdict.claim}: {count(len(rows), 'comparison')}" if len(rows) > _LONG else ""
    return Tables([table], folded=folded)


def _row(comparison: Comparison, items: bool, items_p: bool) -> list[Cell]:
    effect = comparison.effect_size
    row = [
        Cell(comparison.label if comparison.required else f"{comparison.label}\nshown beside, not required"),
        Cell(predicted(comparison)),
        contrast_cell(comparison.values, comparison.digits),
        Cell(outcome(comparison)),
        Cell(f"{comparison.mean.n}"),
        _p_cell(comparison.p),
        _p_cell(comparison.adjusted_p),
        Cell("\N{EN DASH}" if effect is None else number(effect, 2)),
        _p_cell(comparison.sign_flip_p),
    ]
    return row + [_interval_cell(comparison)] * items + [_p_cell(comparison.items_p)] * items_p


def _p_cell(p: float | None) -> Cell:
    return Cell(p_text(p), title="" if p is None else repr(p))


def _interval_cell(comparison: Comparison) -> Cell:
    if comparison.items is None:
        return Cell("\N{EN DASH}", title="not every record has outcomes")
    low, high = comparison.items.low, comparison.items.high
    return Cell(f"{signed(low, comparison.digits)} to {signed(high, comparison.digits)}", title=f"{low!r}, {high!r}")
