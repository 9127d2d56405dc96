"""What became of every item of a test set: a round trip, the scores it adds up to, and what is no such file."""

from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

from shared.errors import UserError
from shared.outcomes import FILE_NAME, read_outcomes, score_function, write_outcomes

HITS = np.array([[1], [0], [1], [1]])
SENTENCE = np.arange(10).reshape(1, 10) * 100  # above 255, so that a byte does not hold it


def test_a_round_trip(tmp_path: Path) -> None:
    path = write_outcomes(tmp_path / "run", {"last/test/top1": HITS, "last/test/bleu": SENTENCE})
    assert path == tmp_path / "run" / FILE_NAME
    found = read_outcomes(tmp_path / "run")
    assert found.keys() == {"last/test/top1", "last/test/bleu"}
    np.testing.assert_array_equal(found["last/test/top1"], HITS)
    np.testing.assert_array_equal(found["last/test/bleu"], SENTENCE)
    assert [one.name for one in path.parent.iterdir()] == [FILE_NAME]


def test_ten_thousand_images_take_a_few_kilobytes(tmp_path: Path) -> None:
    hits = np.random.default_rng(0).random((10_000, 1)) < 0.9
    assert write_outcomes(tmp_path, {"test/top1": hits.astype(np.int64)}).stat().st_size < 5_000


def test_a_folder_without_outcomes_has_none(tmp_path: Path) -> None:
    assert read_outcomes(tmp_path) == {}


def test_scores_are_those_of_the_metrics() -> None:
    assert score_function("last/test/top1", 4)(HITS.sum(axis=0).astype(float)) == pytest.approx(75.0)
    hypotheses, references = ["a b c d e", "a b c d f g"], ["a b c d e", "a b c d e g"]
    scorer = BLEU(effective_order=True)
    sentences = [scorer.sentence_score(h, [r]) for h, r in zip(hypotheses, references, strict=True)]
    sums = np.array([[s.sys_len, s.ref_len, *s.counts, *s.totals] for s in sentences], dtype=float).sum(axis=0)
    whole = BLEU().corpus_score(hypotheses, [references]).score
    assert score_function("best/test/bleu", 2)(sums) == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize(
    ("key", "rows", "message"),
    [
        ("test/nll", HITS, "test/nll has no outcomes; only top1, bleu have"),
        ("test/top1", HITS[:, 0], r"want test/top1 as integers \[N, 1\]"),
        ("test/bleu", HITS, r"want test/bleu as integers \[N, 10\]"),
        ("test/top1", HITS / 2, "integers"),
        ("test/top1", -HITS, "negative"),
    ],
)
def test_what_is_no_outcome(tmp_path: Path, key: str, rows: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_outcomes(tmp_path, {key: rows})
    np.savez(tmp_path / FILE_NAME, **{key: rows})
    with pytest.raises(UserError, match=f"{FILE_NAME}: .*{message}"):
        read_outcomes(tmp_path)


def test_damaged_and_pickled_files_are_refused(tmp_path: Path) -> None:
    path = write_outcomes(tmp_path, {"test/top1": HITS})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match="not an archive of outcomes"):
        read_outcomes(tmp_path)
    np.savez(path, **{"test/top1": np.array([{}], dtype=object)})
    with pytest.raises(UserError, match=r"not an archive of outcomes .*allow_pickle"):
        read_outcomes(tmp_path)
