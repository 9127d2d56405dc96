"""Tables of the diffusion index, with a check of the signs that systematic diffusion predicts."""

from __future__ import annotations

from dataclasses import replace

from shared.report.cells import score_cell
from shared.report.document import Block, Caution, Cell, Heading, Paragraph, Table
from shared.report.eta import EXPECTED_SIGN, MEANING, Column, EtaGroup, Line
from shared.report.eta_figure import eta_picture
from shared.report.text import (
    ALPHA,
    CONFIDENCE,
    ETA,
    NO_BREAK,
    PLUS_MINUS,
    SMOOTHED,
    alpha_label,
    listing,
    number,
    p_text,
)
from shared.results import Null
from shared.stats import mean_interval

_LISTED = 12  # classes of a set that its row names; a record holds them all
_QUOTED = "\N{LEFT DOUBLE QUOTATION MARK}{}\N{RIGHT DOUBLE QUOTATION MARK}"
_CHECK, _CROSS = "\N{CHECK MARK}", "\N{MULTIPLICATION X}"

_COUPLED = (
    "target_mean divides by the mean distance to its classes; where those are S1 and S2 together, that mean is 1 at "
    "every temperature, so when the distances to S1 shrink, those to S2 must grow. Opposite signs are nearly built "
    "in: judge by another normalization."
)
_COMPLEMENT = (
    f"S2 is every class that is not in S1, similar ones among them. Of a random S1, {ETA}(S2) then follows from "
    f"{ETA}(S1): their two comparisons with random sets are one, told twice."
)


def eta_blocks(groups: list[EtaGroup], cautions: list[str]) -> list[Block]:
    """What eta says, then for each group its cautions, agreement, table and figure."""
    blocks: list[Block] = [
        Paragraph(
            f"The diffusion index {ETA} is the mean relative change, in percent, of the normalized distance between "
            f"the centroid of a target class and those of a set of classes when the temperature rises from T1 to T2. "
            f"Systematic diffusion, which the paper predicts for students of a teacher with label smoothing "
            f"({SMOOTHED}), is {ETA}(S1) < 0 on semantically similar classes together with {ETA}(S2) > 0 on "
            f"dissimilar ones. No sign is predicted for {ALPHA} = 0."
        ),
        *(Caution(text) for text in cautions),
    ]
    if any(group.group.items[0].record.task == "translation" for group in groups):
        blocks.insert(1, Paragraph("In translation the classes are target tokens; their features, decoder states."))
    told: set[str] = set()
    for index, group in enumerate(groups, start=1):
        blocks.append(Heading(f"{group.title}; normalization {group.normalization}"))
        own = [*group.group.cautions, *group.cautions]
        blocks += [Caution(text) for text in own if text not in told]
        told.update(own)
        if group.normalization == "target_mean":
            blocks.append(Caution(_COUPLED))
        if all(any("S2 every other class" in note for note in item.record.notes) for item in group.group.items):
            blocks.append(Caution(_COMPLEMENT))
        if said := agreement_sentence(group):
            blocks.append(Paragraph(said))
        blocks += [eta_table(group), eta_picture(group, f"eta-{index}")]
    return blocks


def eta_table(group: EtaGroup) -> Table:
    """Rows: target and set with its classes; columns: alpha and split; values in percent, with the sign check."""
    rows = []
    for line in group.lines:
        members = _members(line)
        head = Cell(f"{line.target}, {line.set_name} ({MEANING.get(line.set_name, 'set')})\n{members}")
        rows.append([head, *(_cell(group, line, column) for column in group.columns)])
    header = ["Target and set", *(f"{alpha_label(alpha)}, {split}" for alpha, split in group.columns)]
    chosen = listing(sorted({line.chosen_by for line in group.lines}))
    note = (
        f"In percent; distances normalized by {group.normalization}; sets chosen by: {chosen}. {_CHECK} and {_CROSS}: "
        f"the sign does, or does not, agree with systematic diffusion (shown for {SMOOTHED} only). {_seeds(group)}"
    ) + (_random_note(group) if group.nulls else "")
    return Table(f"Diffusion index {ETA} (%)", header, rows, note=note)


def agreement_sentence(group: EtaGroup) -> str:
    """`With the LS teacher (alpha = 0.1), ... hold together for 3 of 3 targets on train and 2 of 3 targets on val.`"""
    what = "targets" if group.most_seeds == 1 else "pairs of target and seed"
    sentences = []
    for alpha in (a for a in group.alphas if a):
        counts = [(split, *group.agreement((a, split))) for a, split in group.columns if a == alpha]
        if said := [f"{agree} of {total} {what} on {split}" for split, agree, total in counts if total]:
            sentences.append(
                f"With the LS teacher ({alpha_label(alpha)}), {ETA}(S1) < 0 and {ETA}(S2) > 0 hold together for "
                f"{listing(said)}."
            )
        sentences += _beyond(group, alpha, what)
    return " ".join(sentences)


def _beyond(group: EtaGroup, alpha: float, what: str) -> list[str]:
    """How often an index lies beyond those of random sets: a sign alone may be that of any set."""
    said = []
    for name in EXPECTED_SIGN:
        counts = [(split, *group.beyond((a, split), name)) for a, split in group.columns if a == alpha]
        if shown := [f"{beyond} of {total} on {split}" for split, beyond, total in counts if total]:
            said.append(f"{ETA}({name}) for {listing(shown)}")
    return [f"Beyond the range of random sets of as many classes: {'; '.join(said)} ({what})."] if said else []


def _members(line: Line) -> str:
    """The first classes of a set; those without a letter or digit (a comma may be a target token) in quotes."""
    shown = [
        name if any(letter.isalnum() for letter in name) else _QUOTED.format(name) for name in line.members[:_LISTED]
    ]
    further = len(line.members) - _LISTED
    return ", ".join(shown) + (f" and {further:,} more" if further > 0 else "")


def _cell(group: EtaGroup, line: Line, column: Column) -> Cell:
    observed = group.observed(line, column)
    cell = score_cell(observed, 2, expected=group.most_seeds)
    random = _random(list(group.nulls.get((line, column), {}).values()))
    if not observed or not column[0] or line.set_name not in EXPECTED_SIGN:
        return replace(cell, text=cell.text + random)
    mean = mean_interval([value for _, value in observed.values()]).mean
    mark = _CHECK if mean * EXPECTED_SIGN[line.set_name] > 0 else _CROSS
    return replace(cell, text=f"{cell.text}{NO_BREAK}{mark}{random}")


def _random(nulls: list[Null]) -> str:
    """The second line of a cell: the range of random sets and p, over several seeds the mean range and every p."""
    if not nulls:
        return ""
    low, high = (100.0 * mean_interval(ends).mean for ends in ([n.low for n in nulls], [n.high for n in nulls]))
    ps = sorted(null.p_value for null in nulls)
    shown = " to ".join(dict.fromkeys([p_text(ps[0]), p_text(ps[-1])]))
    return f"\nrandom sets {number(low, 2)} to {number(high, 2)}; p {shown}"


def _random_note(group: EtaGroup) -> str:
    over = "" if group.most_seeds == 1 else ", the mean of the seeds' ranges, and p from the smallest to the largest"
    return (
        f" Random sets: the central 95{NO_BREAK}% of {ETA} for sets of as many classes of all but the target{over}; p: "
        "the share of them that lie at least as far on the side that systematic diffusion predicts."
    )


def _seeds(group: EtaGroup) -> str:
    most = group.most_seeds
    if most == 1:
        return "n = 1 seed, so no interval: read each number as one observation."
    apart = " Seeds that measured other classes stand in rows of their own."
    told = apart if max(len(cell) for cell in group.cells.values()) < most else ""
    return f"Mean over up to {most} seeds {PLUS_MINUS} half-width of the {CONFIDENCE} interval.{told}"
