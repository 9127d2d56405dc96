"""Any text as segments, scores and fairseq's output; any counts as BLEU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF, TER

from nmt_plugin.scores.generation import read_hypotheses
from nmt_plugin.scores.scoring import Scoring, bleu_outcomes, score
from nmt_plugin.scores.segments import read_segments
from shared.bleu import corpus_bleu
from shared.errors import UserError
from tests.hostile.properties import PROPERTY


@PROPERTY
@given(
    st.binary(max_size=40)
    | st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\0", b"\xff", b"\xe2\x80\xa8"]), max_size=20).map(b"".join)
)
def test_segments_are_the_lines_of_the_file_or_one_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "text"
    path.write_bytes(data)
    try:
        found = read_segments(path).lines
    except UserError as error:
        bad = [line for line in data.split(b"\n") if b"\0" in line or not _is_utf8(line)]
        assert bad or not data or data.startswith(b"\xef\xbb\xbf")
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert "\n".join(found).encode() in (data, data.removesuffix(b"\n"))
        assert len(found) == data.count(b"\n") + (not data.endswith(b"\n"))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


TEXTS = st.lists(
    st.tuples(*[st.text(st.sampled_from("ab .\u2028\r\u202e\u00e9,") | st.characters(codec="utf-8"), max_size=12)] * 2),
    min_size=1,
    max_size=6,
)


@PROPERTY
@given(TEXTS, st.booleans(), st.sampled_from(["13a", "intl", "char", "zh", "none"]))
def test_scores_are_sacrebleu_s_and_add_up(texts: list[tuple[str, str]], lowercase: bool, tokenize: Any) -> None:
    hypotheses, references = ([pair[side] for pair in texts] for side in (0, 1))
    scoring = Scoring(lowercase, tokenize)
    found = score(hypotheses, references, scoring)
    theirs = {
        "bleu": BLEU(lowercase=lowercase, tokenize=tokenize),
        "chrf": CHRF(lowercase=lowercase),
        "ter": TER(),
    }
    for name, scorer in theirs.items():
        assert found[name].value == scorer.corpus_score(hypotheses, [references]).score
        assert (found[name].count, found[name].unit is not None) == (len(texts), True)
    assert scoring.agrees_with(found["bleu"].signature or "")
    assert not Scoring(not lowercase, tokenize).agrees_with(found["bleu"].signature or "")
    sums = bleu_outcomes(hypotheses, references, scoring).sum(axis=0)
    assert float(corpus_bleu(sums)) == pytest.approx(found["bleu"].value, abs=1e-9)


@PROPERTY
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12), max_size=8),
    st.randoms(use_true_random=False),
)
def test_hypotheses_come_back_by_their_number(tmp_path: Path, texts: list[str], random: Any) -> None:
    path = tmp_path / "generate-test.txt"
    rows = [f"S-{n}\tsource\nH-{n}\t-0.5\tpieces\nD-{n}\t-0.5\t{text}\n" for n, text in enumerate(texts)]
    random.shuffle(rows)
    path.write_bytes("".join(rows).encode())
    assert read_hypotheses(path) == texts


@pytest.mark.parametrize(
    "line", ["D-", "D-0", "D-0\tx", "D-x\t0\ttext", "D-\u00b2\t0\ttext", "D-9\t0\ttext", "D--1\t0\tx"]
)
def test_a_damaged_line_of_fairseq_s_is_told(line: str, tmp_path: Path) -> None:
    path = tmp_path / "generate-test.txt"
    path.write_text(f"D-0\t0\tfirst\n{line}\n")
    with pytest.raises(UserError, match=r"remove it and evaluate again"):
        read_hypotheses(path)


@PROPERTY
@given(st.lists(st.integers(0, 50), min_size=10, max_size=10))
def test_bleu_of_any_counts_is_a_percentage(counts: list[int]) -> None:
    totals = [correct + more for correct, more in zip(counts[2:6], counts[6:], strict=True)]
    found = corpus_bleu(np.array([*counts[:6], *totals]))
    assert 0.0 <= float(found) <= 100.0 + 1e-9
