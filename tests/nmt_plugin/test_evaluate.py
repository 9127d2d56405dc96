"""Scores, the reading of fairseq-generate's output, and what is refused."""

from pathlib import Path

import pytest

from nmt_plugin.corpora.corpus import Corpus
from nmt_plugin.evaluate import default_output, find_checkpoints, main
from nmt_plugin.generation import read_hypotheses
from nmt_plugin.scoring import score
from shared.errors import UserError
from shared.files import sha256


def test_hypotheses_are_ordered_by_sentence_and_only_a_line_feed_ends_one(tmp_path: Path) -> None:
    output = tmp_path / "generate-test.txt"
    output.write_text(
        "S-1\tsource\nH-1\t-0.5\t▁zwei\nD-1\t-0.5\tzwei\u2028drei\nP-1\t-0.5\nD-0\t-0.1\teins\ttab\n", encoding="utf-8"
    )
    assert read_hypotheses(output) == ["eins\ttab", "zwei\u2028drei"]


def test_a_missing_sentence_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text("D-0\t-0.1\teins\nD-2\t-0.1\tdrei\n", encoding="utf-8")
    with pytest.raises(UserError, match="sentences are missing"):
        read_hypotheses(tmp_path / "g.txt")


def test_bleu_worked_by_hand() -> None:
    """Five words against four, all four references matched: precisions 4/5, 3/4, 2/3, 1/2, no brevity penalty."""
    metrics = score(["the cat sat down now"], ["the cat sat down"])
    assert metrics["bleu"].value == pytest.approx(100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25, abs=1e-6)
    assert metrics["bleu"].signature is not None
    assert metrics["bleu"].signature.startswith("BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert metrics["chrf"].signature is not None
    assert metrics["chrf"].signature.startswith("chrF2|nrefs:1|")


def test_perfect_and_empty_hypotheses() -> None:
    references = ["Öffnen Sie das Dokument und speichern Sie es.", "Zweiter Satz mit genug Wörtern darin."]
    assert score(references, references)["bleu"].value == pytest.approx(100)
    assert score(["", ""], references)["chrf"].value == 0.0
    assert score(references, references)["bleu"].count == 2


def test_unequal_numbers_are_refused() -> None:
    with pytest.raises(UserError, match="2 hypotheses but 1 references"):
        score(["a", "b"], ["a"])


def test_checkpoints_of_a_folder_and_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"neither a checkpoint nor a folder with checkpoint_last\.pt"):
        find_checkpoints(tmp_path)
    for name in ("last", "best", "12"):
        (tmp_path / f"checkpoint_{name}.pt").touch()
    assert list(find_checkpoints(tmp_path)) == ["last", "best"]
    assert list(find_checkpoints(tmp_path / "checkpoint_12.pt")) == ["12"]


def test_raw_text_keeps_separators_that_are_no_line_feed(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "test.de").write_text("a\u2028b\nc\n", encoding="utf-8")
    digests = {"raw/test.de": sha256(tmp_path / "raw" / "test.de")}
    corpus = Corpus(tmp_path, "en", "de", {}, digests)
    assert corpus.raw_text("test", "de") == ["a\u2028b", "c"]
    (tmp_path / "raw" / "test.de").write_text("x\n", encoding="utf-8")
    with pytest.raises(UserError, match="missing or changed"):
        corpus.raw_text("test", "de")


def test_scores_of_one_file_or_another_split_go_to_a_folder_of_their_own(tmp_path: Path) -> None:
    """So that they never replace a run's record."""
    assert default_output(tmp_path, "test") == tmp_path
    assert default_output(tmp_path, "valid") == tmp_path / "scores-valid"
    (tmp_path / "checkpoint_best.pt").touch()
    assert default_output(tmp_path / "checkpoint_best.pt", "test") == tmp_path / "scores-checkpoint_best-test"


@pytest.mark.parametrize("flags", [("--beam", "0"), ("--max-tokens", "-5")])
def test_search_settings_out_of_range_are_refused(flags: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--model", "m", "--corpus", "c", *flags])
    assert stopped.value.code == 2
    assert "is not above 0" in capsys.readouterr().err


def test_a_corpus_that_is_none_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--model", str(tmp_path), "--corpus", str(tmp_path / "none")])
    assert stopped.value.code == 2
    assert "no such folder; build it with python -m nmt_plugin.corpora" in capsys.readouterr().err
