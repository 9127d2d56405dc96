"""A study's BLEU in the layout of the paper's translation table, with the paper's own columns beside it."""

from __future__ import annotations

import re

from shared.report.cells import score_cell, seed_counts
from shared.report.document import Block, Cell, Heading, Table, Tables
from shared.report.grouping import Sorting
from shared.report.published import IWSLT_PAIRS, IWSLT_ROWS, PAPER_ALPHAS, iwslt_score
from shared.report.score_tables import headline_key
from shared.report.scores import TEACHER, Row, Scores
from shared.report.text import ALPHA, capitalized

_NAME = re.compile(rf"(?P<corpus>.+)\.(?P<pair>{'|'.join(IWSLT_PAIRS)})")


def beside_blocks(models: Sorting) -> list[Block]:
    """One table for each corpus, pair and recipe that has both of the paper's alphas; none where nothing has."""
    studies: dict[tuple[str, str, str], Scores] = {}
    for group in models.groups:
        scores, record = Scores.of(group), group.items[0].record
        named = _NAME.fullmatch(record.data.name)
        key = headline_key(scores)
        if record.task != "translation" or named is None or key is None or key.name != "bleu":
            continue
        if set(PAPER_ALPHAS) <= set(scores.alphas) and scores.temperatures:
            title = scores.title.replace(record.data.name, named["corpus"], 1)
            studies.setdefault((named["corpus"], title, named["pair"]), scores)
    order = list(IWSLT_PAIRS)
    ordered = sorted(studies.items(), key=lambda item: (item[0][0], item[0][1], order.index(item[0][2])))
    tables = [_table(corpus, title, pair, scores) for (corpus, title, pair), scores in ordered]
    return [Heading("Beside the paper's table"), Tables(tables)] if tables else []


def _table(corpus: str, title: str, pair: str, scores: Scores) -> Table:
    """Rows are the paper's (those that the study has), columns the teacher's alpha: the study's, then the paper's."""
    key = headline_key(scores)
    assert key is not None  # beside_blocks asked
    rows = [row for row in IWSLT_ROWS if row in scores.rows]
    observed = {(row, alpha): scores.observed(row, alpha, key) for row in rows for alpha in PAPER_ALPHAS}
    _, most = seed_counts(list(observed.values()))
    same = corpus.lower().startswith("iwslt14")
    heads = [f"{ALPHA} {alpha:g}" for alpha in PAPER_ALPHAS]
    return Table(
        caption=f"{IWSLT_PAIRS[pair]}, {capitalized(key.label)}: {corpus} (here), and the paper's IWSLT14, "
        + ("prepared by others" if same else "a different corpus"),
        header=["", *(f"here: {head}" for head in heads), *(f"paper: {head}" for head in heads)],
        rows=[
            [
                Cell(_label(row)),
                *(score_cell(observed[row, alpha], key.scale.digits, expected=most) for alpha in PAPER_ALPHAS),
                *(Cell(iwslt_score(row, pair, alpha)) for alpha in PAPER_ALPHAS),
            ]
            for row in rows
        ],
        note=_note(title, most, same),
    )


def _note(title: str, seeds: int, same: bool) -> str:
    ours = "one seed" if seeds == 1 else f"{seeds} seeds"
    return (
        f"Here: {title}; {ours}. Paper: Chandrasegaran et al. 2022, IWSLT14, Transformer to Transformer, one seed. "
        + ("The same talks, prepared by others," if same else "A different corpus")
        + " and another scorer: compare how BLEU moves down a column and between the columns of one half, "
        "never a number of one half with one of the other."
    )


def _label(row: Row) -> str:
    return TEACHER if row == TEACHER else f"T = {row:g}"
