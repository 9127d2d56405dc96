"""Scores, the reading of fairseq-generate's output, and what is refused."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from nmt_plugin.corpora.corpus import Corpus
from nmt_plugin.evaluate import main
from nmt_plugin.scores import generation, model_scores
from nmt_plugin.scores.generation import Search, read_hypotheses
from nmt_plugin.scores.model_scores import Request, default_output, find_checkpoints, score_model
from nmt_plugin.scores.scoring import Scoring, score
from shared.errors import UserError
from shared.files import sha256
from shared.results import Data, Result, RunClock, write_result


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
    with pytest.raises(UserError, match="no sentences"):
        score([], [])


@pytest.mark.parametrize(
    ("hypotheses", "references", "edits_over_words"),
    [
        (["a b c d"], ["a b x d"], 1 / 4),  # one substitution
        (["c a b"], ["a b c"], 1 / 3),  # one block moved
        (["A B"], ["a b"], 0.0),  # case is no edit
        (["x y z", "a b c d"], ["x", "a b x d"], 3 / 5),  # two deletions and a substitution, over all sentences
    ],
)
def test_ter_worked_by_hand(hypotheses: list[str], references: list[str], edits_over_words: float) -> None:
    metric = score(hypotheses, references)["ter"]
    assert metric.value == pytest.approx(100 * edits_over_words)
    assert metric.unit == "TER"
    assert metric.signature is not None
    assert metric.signature.startswith("TER|nrefs:1|case:lc|tok:tercom|")


def test_case_counts_unless_asked_and_the_signature_says_it() -> None:
    upper, lower = ["THE CAT SAT DOWN"], ["the cat sat down"]
    assert score(upper, lower)["bleu"].value == 0.0
    regardless = score(upper, lower, Scoring(lowercase=True))
    assert [regardless[name].value for name in ("bleu", "chrf", "ter")] == pytest.approx([100, 100, 0])
    for name in ("bleu", "chrf"):
        assert "|case:lc|" in (regardless[name].signature or "")


def test_a_tokenization_stands_in_the_signature() -> None:
    """By characters, four of four are right; by words the single one is wrong."""
    metric = score(["abcd e"], ["abcde"], Scoring(tokenize="char"))["bleu"]
    assert metric.value == pytest.approx(100)
    assert "|tok:char|" in (metric.signature or "")


def test_the_sacrebleu_command_names_every_setting() -> None:
    command = Scoring(lowercase=True, tokenize="intl").command(Path("a b/ref.de"), Path("hyp.de"))
    assert command == (
        "sacrebleu 'a b/ref.de' -i hyp.de -m bleu chrf ter -w 2 --lowercase --chrf-lowercase --tokenize intl"
    )


def test_checkpoints_of_a_folder_and_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"neither a checkpoint nor a folder with checkpoint_last\.pt"):
        find_checkpoints(tmp_path)
    for name in ("last", "best", "12"):
        (tmp_path / f"checkpoint_{name}.pt").touch()
    assert list(find_checkpoints(tmp_path)) == ["last", "best"]
    assert list(find_checkpoints(tmp_path / "checkpoint_12.pt")) == ["12"]
    with pytest.raises(UserError, match="is not a folder"):
        find_checkpoints(tmp_path / "checkpoint_12.pt", average=2)


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
    assert default_output(tmp_path, "test", Scoring(lowercase=True)) == tmp_path / "scores-test-lowercase"


@pytest.fixture
def corpus(data: Path, tmp_path: Path) -> Path:
    """A corpus of one sentence with the tiny task's dictionaries, as far as scoring reads it before it translates."""
    (tmp_path / "raw").mkdir()
    for language in ("en", "de"):
        (tmp_path / "raw" / f"test.{language}").write_text("w1 w2\n", encoding="utf-8")
    files = [*(tmp_path / "raw").iterdir(), *data.glob("dict.*.txt")]
    card = {
        "request": {},
        "source_language": "en",
        "target_language": "de",
        "splits": {"test": {"pairs": 1}},
        "files": {path.relative_to(tmp_path).as_posix(): sha256(path) for path in files},
    }
    (tmp_path / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return tmp_path


def test_what_cannot_be_recorded_is_refused_before_the_translation(
    tiny: ModuleType, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TranslatedError(Exception):
        """Raised in place of a translation."""

    def translate(*_: object) -> None:
        raise TranslatedError

    monkeypatch.setattr(model_scores, "translate", translate)
    checkpoint, data = corpus / "t.pt", corpus / "data-bin"
    request = Request(checkpoint, corpus, "test", Search(), Scoring(), output=corpus / "scores")
    tiny.save_checkpoint(checkpoint, tiny.model(tiny.task()), {"_name": "ctc"}, data)
    with pytest.raises(UserError, match="criterion 'ctc'"):
        score_model(request)
    tiny.save_checkpoint(checkpoint, tiny.model(tiny.task()), {"_name": "cross_entropy"}, data)
    with pytest.raises(TranslatedError):
        score_model(request)
    lines = (data / "dict.en.txt").read_text().splitlines(keepends=True)
    (data / "dict.en.txt").write_text("".join(reversed(lines)))
    with pytest.raises(UserError, match=r"dict\.en\.txt is missing or changed since the corpus was built"):
        score_model(request)


def test_other_scores_of_a_run_use_its_own_translations(
    tiny: ModuleType, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the same search alone, and another search of other scores leaves the run's own translations as they are."""
    asked: list[Path] = []

    def generate(checkpoint: Path, corpus: Corpus, subset: str, search: Search, folder: Path) -> None:
        asked.append(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"generate-{subset}.txt").write_text(f"D-0\t-0.1\tw1 w2 {search.beam}\n")

    monkeypatch.setattr(generation, "_generate", generate)
    run = corpus / "run"
    run.mkdir()
    model = tiny.model(tiny.task())
    last = tiny.save_checkpoint(run / "checkpoint_last.pt", model, {"_name": "cross_entropy"}, corpus / "data-bin")
    for path, own in ((run, run), (last, run / "scores-checkpoint_last-test")):
        asked.clear()
        for scoring in (Scoring(), Scoring(lowercase=True), Scoring(tokenize="intl")):
            score_model(Request(path, corpus, "test", Search(), scoring))
        assert asked == [own / "generate" / "last"]
        score_model(Request(path, corpus, "test", Search(beam=2), Scoring(lowercase=True)))
        assert len(asked) == 2
        assert (asked[0] / "generate-test.txt").read_text() == "D-0\t-0.1\tw1 w2 5\n"
    score_model(Request(run, corpus, "test", Search(), Scoring(), output=corpus / "elsewhere"))
    assert asked[2:] == [corpus / "elsewhere" / "generate" / "last"]


def test_a_record_of_another_kind_is_not_replaced(tiny: ModuleType, corpus: Path) -> None:
    """It has no scores that could be others."""
    output = corpus / "projection"
    output.mkdir()
    provenance = RunClock(["command"]).provenance("cpu")
    write_result(output, Result("projection", "translation", "drawn", Data("corpus"), [], provenance))
    checkpoint = tiny.save_checkpoint(
        corpus / "t.pt", tiny.model(tiny.task()), {"_name": "cross_entropy"}, corpus / "data-bin"
    )
    with pytest.raises(UserError, match=r"result\.json is a record of another kind \(projection\); choose another"):
        score_model(Request(checkpoint, corpus, "test", Search(), Scoring(), output=output))


def test_records_of_two_runs_have_two_names(tmp_path: Path) -> None:
    """A report refuses two of one name, and `scores-valid` is the folder's name in every run."""
    names = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        for subset in ("test", "valid"):
            names.append(Request(tmp_path / run, tmp_path, subset, Search(), Scoring()).record_name)
    assert names == ["a", "a scores-valid", "b", "b scores-valid"]
    given = Request(tmp_path / "a", tmp_path, "valid", Search(), Scoring(), output=tmp_path / "elsewhere")
    assert given.record_name == "elsewhere"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--beam", "0"), "is not above 0"),
        (("--max-tokens", "-5"), "is not above 0"),
        (("--lenpen", "nan"), "not a finite number"),
        (("--average", "1"), "give 2 or more"),
        (("--hypotheses", "h"), "not allowed with argument --model"),
        (("--references", "r"), "--references is for --hypotheses"),
        (("--tokenize", "words"), "invalid choice: 'words'"),
    ],
)
def test_settings_out_of_range_are_refused(
    flags: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--model", "m", "--corpus", "c", *flags])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_a_corpus_that_is_none_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--model", str(tmp_path), "--corpus", str(tmp_path / "none")])
    assert stopped.value.code == 2
    assert "no such folder; build it with python -m nmt_plugin.corpora" in capsys.readouterr().err
