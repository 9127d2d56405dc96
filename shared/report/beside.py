"""A study's BLEU in the layout of the paper's translation table, with the paper's own columns beside it."""

from __future__ import annotations

import re
from collections import defaultdict

from shared.report.cells import score_cell, seed_counts
from shared.report.document import Block, Cell, Heading, Table, Tables
from shared.report.grouping import Sorting
from shared.report.metrics import Key
from shared.report.published import IWSLT_ALPHAS, IWSLT_PAIRS, IWSLT_ROWS, iwslt_score
from shared.report.score_tables import headline_key
from shared.report.scores import TEACHER, Row, Scores
from shared.report.text import ALPHA, capitalized, listing

_NAME = re.compile(rf"(?P<corpus>.+)\.(?P<pair>{'|'.join(IWSLT_PAIRS)})")


def beside_blocks(models: Sorting) -> list[Block]:
    """One table for each corpus and recipe that has both of the paper's alphas; none where nothing has."""
    studies: dict[tuple[str, str], dict[str, Scores]] = defaultdict(dict)
    for group in models.groups:
        scores, record = Scores.of(group), group.items[0].record
        named = _NAME.fullmatch(record.data.name)
        key = headline_key(scores)
        if record.task != "translation" or named is None or key is None or key.name != "bleu":
            continue
        if set(IWSLT_ALPHAS) <= set(scores.alphas) and scores.temperatures:
            title = scores.title.replace(record.data.name, named["corpus"], 1)
            studies[named["corpus"], title].setdefault(named["pair"], scores)
    tables = [_table(corpus, title, found) for (corpus, title), found in studies.items()]
    return [Heading("Beside the paper's table"), Tables(tables)] if tables else []


def _table(corpus: str, title: str, found: dict[str, Scores]) -> Table:
    """Rows are the paper's (those that the study has), columns the pair and the teacher's alpha, study then paper."""
    columns = [(pair, alpha) for pair in IWSLT_PAIRS if pair in found for alpha in IWSLT_ALPHAS]
    keys = {pair: key for pair, scores in found.items() if (key := headline_key(scores))}
    rows = [row for row in IWSLT_ROWS if any(row in scores.rows for scores in found.values())]
    observed = {
        (row, pair, alpha): found[pair].observed(row, alpha, keys[pair]) for row in rows for pair, alpha in columns
    }
    _, most = seed_counts(list(observed.values()))
    digits = next(iter(keys.values())).scale.digits
    same = corpus.lower().startswith("iwslt14")
    heads = [f"{IWSLT_PAIRS[pair]}, {ALPHA} {alpha:g}" for pair, alpha in columns]
    return Table(
        caption=f"{_where(keys)}: {corpus} (here), and the paper's IWSLT14, "
        + ("prepared by others" if same else "a different corpus"),
        header=["", *(f"here: {head}" for head in heads), *(f"paper: {head}" for head in heads)],
        rows=[
            [
                Cell(_label(row)),
                *(score_cell(observed[row, pair, alpha], digits, expected=most) for pair, alpha in columns),
                *(Cell(iwslt_score(row, pair, alpha)) for pair, alpha in columns),
            ]
            for row in rows
        ],
        note=_note(title, same),
    )


def _note(title: str, same: bool) -> str:
    return (
        f"Here: {title}. Paper: Chandrasegaran et al. 2022, IWSLT14, Transformer to Transformer, one seed. "
        + ("The same talks, " if same else "Another text, ")
        + "other sizes and another scorer: compare how BLEU moves down a column and between the columns of one half, "
        "never a number of one half with one of the other."
    )


def _where(keys: dict[str, Key]) -> str:
    return capitalized(listing(list(dict.fromkeys(key.label for key in keys.values()))))


def _label(row: Row) -> str:
    return TEACHER if row == TEACHER else f"T = {row:g}"
