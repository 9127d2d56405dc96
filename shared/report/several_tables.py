"""Tables of several teachers: every method's score, and the differences that the paper's order is about, by k."""

from __future__ import annotations

from collections.abc import Sequence

from shared.report.cells import interval_text, score_cell
from shared.report.document import Block, Caution, Cell, Heading, Table, Tables
from shared.report.published import SEVERAL_TEACHERS
from shared.report.several import BEST, LAW, SINGLE, SeveralTeachers
from shared.report.several_figure import several_picture
from shared.report.several_words import AGAINST, EQUAL, OPEN, PUBLISHED_ORDER, SHOWN, UNTOLD, Gap, gaps, order
from shared.report.text import CONFIDENCE, NO_BREAK, PLUS_MINUS, count, signed


def several_blocks(studies: Sequence[SeveralTeachers]) -> list[Block]:
    """Cautions, two tables and one figure for each study."""
    blocks: list[Block] = []
    told: set[str] = set()
    for index, study in enumerate(studies, start=1):
        blocks.append(Heading(study.title))
        blocks += [Caution(text) for text in study.cautions if text not in told]
        told.update(study.cautions)
        compared = {k: found for k in study.sizes if (found := gaps(study, k))}
        picture = several_picture(study, f"several-teachers-{index}")
        scores = _scores(study, footnote=picture is None)
        blocks.append(Tables([scores, *([_differences(compared)] if compared else [])]))
        blocks += [picture] if picture else []
    return blocks


def _scores(study: SeveralTeachers, *, footnote: bool) -> Table:
    with_best, with_law = (any(study.observed(method, keys) for method in study.methods) for keys in (BEST, LAW))
    rows = []
    for method in study.methods:
        observed = study.observed(method)
        best = [score_cell(study.observed(method, BEST), 2)] if with_best else []
        law = [score_cell(study.observed(method, LAW), 3)] if with_law else []
        rows.append([Cell(method.label), score_cell(observed, 2), *best, Cell(str(len(observed))), *law])
    header = [study.epoch or "top-1 (%)", *(["best epoch on validation"] if with_best else []), "n"]
    header += ["distance to the noise law"] if with_law else []
    return Table(
        "Top-1 accuracy, test set (%)", ["", *header], rows, " ".join(_notes(study, with_best, with_law, footnote))
    )


def _notes(study: SeveralTeachers, with_best: bool, with_law: bool, footnote: bool) -> list[str]:
    sets = {teachers for cell in study.cells.values() for teachers, _ in cell}
    largest = [one for one in sets if not any(one < other for other in sets)]
    nested = ", of which a smaller k uses a part" if len(largest) < len(sets) else ""
    notes = [
        f"Mean {PLUS_MINUS} half-width of the {CONFIDENCE} interval over n replicates: sets of teachers "
        f"({count(len(largest), 'set')}{nested}), for students with a seed of their own."
    ]
    if study.singles:
        notes.append(f"The row {SINGLE} is over single teachers instead, those of all sets together.")
    if with_best:
        noisy = ", whose labels are noisy too" if study.noise else ""
        notes.append(f"Best epoch: chosen by top-1 on the validation images{noisy}. All else is of the last epoch.")
    if with_law and study.noise:
        notes.append(
            "Distance: total variation between the answers given the true class and the law of the noisy labels, 0 to "
            f"1; 0 for a sampler of them, {study.noise:g} for a model that is always right."
        )
    return notes + ([SEVERAL_TEACHERS] if footnote and study.is_cifar10 else [])


def _differences(compared: dict[int, list[Gap]]) -> Table:
    """A row for each difference, a column for each k."""
    labels = list(dict.fromkeys(gap.label for found in compared.values() for gap in found))
    rows = []
    for label in labels:
        here = {k: next((gap for gap in found if gap.label == label), None) for k, found in compared.items()}
        rows.append([Cell(label), *(_cell(gap) for gap in here.values())])
    rows.append([Cell("the published order"), *(Cell(order(found) or "\N{EN DASH}") for found in compared.values())])
    return Table(
        "Differences in top-1 (points)",
        ["", *(f"k{NO_BREAK}={NO_BREAK}{k}" for k in compared)],
        rows,
        _legend(compared),
    )


def _legend(compared: dict[int, list[Gap]]) -> str:
    told = (
        f"Paired by replicate; mean {PLUS_MINUS} half-width of the {CONFIDENCE} interval. Below each, what it says of "
        f"the published order ({PUBLISHED_ORDER}): {SHOWN} where the whole interval agrees, {AGAINST} where none of it "
        f"does, else {OPEN}. One replicate {UNTOLD}, and neither can equal differences, whose interval has no width."
    )
    if any(gap.claim == EQUAL for found in compared.values() for gap in found):
        told += (
            " The paper finds RPL as good as EPL: an interval that includes 0 agrees, but cannot see differences below "
            "its half-width."
        )
    return told


def _cell(gap: Gap | None) -> Cell:
    if gap is None:
        return Cell("\N{EN DASH}", title="no replicates in common")
    text = signed(gap.found.mean, 2) + interval_text(gap.found, 2)
    return Cell(f"{text}\n{gap.remark}", gap.difference.records, title=repr(gap.found.mean))
