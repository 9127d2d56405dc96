"""Sequence-level distillation: which target a pair gets, shards that survive a kill, and what is refused."""

import fcntl
import json
import os
from pathlib import Path
from types import ModuleType

import pytest
import torch

from nmt_plugin.beam_search import BeamSearch, Hypothesis
from nmt_plugin.scores.generation import Search
from nmt_plugin.sequence_kd import TRANSLATION, choose_targets, main
from nmt_plugin.shards import kept_shards
from nmt_plugin.teachers.live import LiveTeacher
from shared.errors import UserError

SETTINGS = {"teacher_sha256": "a" * 64, "beam": 5}


def test_every_pair_keeps_its_place_and_says_what_its_target_is() -> None:
    hypotheses = {
        0: Hypothesis(0, "▁ein ▁Satz", -1.5, ended=True),
        1: Hypothesis(1, "▁und ▁und ▁und", -9.0, ended=False),
        3: Hypothesis(3, "▁ ▁", -0.5, ended=True),
    }
    targets, kinds = choose_targets(hypotheses, ["▁a", "▁b", "▁c", "▁d"])
    assert targets == ["▁ein ▁Satz", "▁b", "▁c", "▁d"]
    assert kinds == [
        TRANSLATION,
        "reference: translation at the length limit",
        "reference: source too long",
        "reference: translation empty",
    ]


def interrupted_after(folder: Path, written: dict[int, list[str]], count: int) -> None:
    """Leave `folder` as a job leaves it that was interrupted when these shards were made."""

    def job() -> None:
        with kept_shards(folder, SETTINGS, count, fresh=False) as shards:
            assert shards.missing() == list(range(count))
            for number, lines in written.items():
                shards.write(number, lines)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job()


def test_a_finished_shard_survives_and_a_whole_job_leaves_none(tmp_path: Path) -> None:
    folder = tmp_path / "corpus.shards"
    interrupted_after(folder, {1: ["a\u2028b", "c\td"]}, count=3)
    with kept_shards(folder, SETTINGS, 3, fresh=False) as shards:
        assert shards.missing() == [0, 2]
        assert shards.read(1) == ["a\u2028b", "c\td"]
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"beam": 4}, r"with beam 5 \(asked: 4\)"),
        ({"teacher_sha256": "b" * 64}, r"with teacher_sha256 aaaaaaaaaaaa\.\.\. \(asked: bbbbbbbbbbbb\.\.\.\)"),
    ],
)
def test_work_of_another_teacher_or_search_is_refused_by_name(
    tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    folder = tmp_path / "corpus.shards"
    interrupted_after(folder, {0: ["x"]}, count=1)
    with pytest.raises(UserError, match=message), kept_shards(folder, SETTINGS | changed, 1, fresh=False):
        pass
    with kept_shards(folder, SETTINGS | changed, 1, fresh=True) as shards:
        assert shards.missing() == [0]


def test_a_folder_of_something_else_or_of_a_running_job_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(UserError, match="holds something else"), kept_shards(tmp_path, SETTINGS, 1, fresh=False):
        pass
    assert (tmp_path / "mine").read_text() == "precious"
    running = tmp_path / "running"
    running.mkdir()
    handle = os.open(running, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(UserError, match="another process"), kept_shards(running, SETTINGS, 1, fresh=False):
        pass
    os.close(handle)


@pytest.mark.parametrize("name", ["notes", "data/file", "shard-00001-of-00001.tsv"])
def test_fresh_removes_no_file_of_the_user(tmp_path: Path, name: str) -> None:
    """A file, a folder, and shards of someone else: without our settings beside them."""
    path = tmp_path / "corpus.shards" / name
    path.parent.mkdir(parents=True)
    path.write_text("precious")
    told = rf"corpus\.shards holds something else, {name.partition('/')[0]}; choose another --output"
    with pytest.raises(UserError, match=told), kept_shards(tmp_path / "corpus.shards", SETTINGS, 1, fresh=True):
        pass
    assert path.read_text() == "precious"


def test_a_file_beside_the_shards_is_refused_before_and_stays_after(tmp_path: Path) -> None:
    folder = tmp_path / "corpus.shards"
    interrupted_after(folder, {0: ["x"]}, count=1)
    (folder / "below").mkdir()
    with pytest.raises(UserError, match="something else, below"), kept_shards(folder, SETTINGS, 1, fresh=True):
        pass
    assert (folder / "shard-00001-of-00001.tsv").read_text() == "x\n"
    (folder / "below").rmdir()
    with kept_shards(folder, SETTINGS, 1, fresh=False):
        (folder / "notes").write_text("precious")
    assert [path.name for path in folder.iterdir()] == ["notes"]


@pytest.mark.parametrize("text", ['{"beam": 5', "[5]", "\udcff"])
def test_damaged_settings_are_refused_and_fresh_starts_again(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "corpus.shards"
    interrupted_after(folder, {0: ["x"]}, count=1)
    (folder / "settings.json").write_bytes(text.encode(errors="surrogateescape"))
    (folder / ".shard-00001-of-00001.tsv.77.part").touch()  # killed while it wrote
    with pytest.raises(UserError, match=r"settings\.json is damaged; --fresh starts again"):
        kept_shards(folder, SETTINGS, 1, fresh=False).__enter__()
    with kept_shards(folder, SETTINGS, 1, fresh=True) as shards:
        assert shards.missing() == [0]
    assert not folder.exists()


def test_a_job_killed_before_it_had_settings_starts_again(tmp_path: Path) -> None:
    (tmp_path / ".settings.json.77.part").touch()
    with kept_shards(tmp_path, SETTINGS, 1, fresh=False) as shards:
        assert shards.missing() == [0]
    assert not tmp_path.exists()


def test_the_best_hypothesis_is_the_most_probable_of_all(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    """With a beam as wide as the dictionary and two tokens at most, the search is exhaustive."""
    task = _task_with_train(tiny, data)
    model = tiny.model(task)
    checkpoint = tiny.save_checkpoint(tmp_path / "teacher.pt", model, {"_name": "cross_entropy"}, data)
    search = Search(beam=tiny.ENTRIES, lenpen=0.0, max_len=1, max_tokens=100)
    beam_search = BeamSearch(LiveTeacher(str(checkpoint), task), task, search)
    found = {h.index: h for batch in beam_search(beam_search.fitting) for h in batch}
    assert sorted(found) == [0, 1]
    model.eval()
    dictionary = task.target_dictionary
    for index, hypothesis in found.items():
        source = task.dataset("train").src[index].unsqueeze(0)
        best = max(
            (_log_probability(model, source, [token, dictionary.eos()], dictionary.eos()), token)
            for token in range(4, len(dictionary))
        )
        assert hypothesis.pieces == dictionary[best[1]]
        assert hypothesis.log_probability == pytest.approx(best[0], abs=1e-5)
        assert not hypothesis.ended  # one token was all that it was allowed


def test_the_length_penalty_reaches_the_search(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    task = _task_with_train(tiny, data)
    checkpoint = tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(task), {"_name": "cross_entropy"}, data)
    search = BeamSearch(LiveTeacher(str(checkpoint), task), task, Search(lenpen=0.6))
    assert search._generator.len_penalty == 0.6


def test_sources_that_the_teacher_cannot_read_are_left_out(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    task = _task_with_train(tiny, data, lengths=(3, 9))
    checkpoint = tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(task), {"_name": "cross_entropy"}, data)
    teacher = LiveTeacher(str(checkpoint), task)
    assert list(BeamSearch(teacher, task, Search(max_tokens=5)).fitting) == [0]
    with pytest.raises(UserError, match="every source has more than 2 tokens; raise --max-tokens"):
        _ = BeamSearch(teacher, task, Search(max_tokens=2)).fitting


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_teacher_that_diverged_is_refused(tiny: ModuleType, data: Path, tmp_path: Path, value: float) -> None:
    """fairseq's search would end in an assertion of its own."""
    task = _task_with_train(tiny, data)
    model = tiny.model(task)
    model.decoder.layers[0].fc1.weight.data[0, 0] = value
    checkpoint = tiny.save_checkpoint(tmp_path / "t.pt", model, {"_name": "cross_entropy"}, data)
    said = r"the teacher's weights decoder\.layers\.0\.fc1.weight are not all finite numbers: its training diverged"
    with pytest.raises(UserError, match=said):
        BeamSearch(LiveTeacher(str(checkpoint), task), task, Search())


@pytest.mark.parametrize("flags", [("--beam", "0"), ("--lenpen", "nan"), ("--shard-size", "0")])
def test_settings_out_of_range_are_refused(flags: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--teacher", "t", "--corpus", "c", "--output", "o", *flags])
    assert stopped.value.code == 2
    assert "is not" in capsys.readouterr().err


def test_a_corpus_that_is_none_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--teacher", "t", "--corpus", str(tmp_path / "none"), "--output", str(tmp_path / "new")])
    assert stopped.value.code == 2
    assert "no such folder; build it with python -m nmt_plugin.corpora" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("output", ["corpus", "link", "corpus/raw/new", "."])
def test_the_corpus_that_it_is_made_from_is_not_replaced(
    tmp_path: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (tmp_path / "link").symlink_to(corpus)
    card = {"request": {}, "files": {}, "source_language": "en", "target_language": "de", "splits": {}}
    (corpus / "card.json").write_text(json.dumps(card))
    with pytest.raises(SystemExit) as stopped:
        main(["--teacher", "t", "--corpus", str(corpus), "--output", str(tmp_path / output), "--fresh"])
    assert stopped.value.code == 2
    assert "is, holds or is inside --corpus" in capsys.readouterr().err
    assert json.loads((corpus / "card.json").read_text()) == card


def _task_with_train(tiny: ModuleType, data: Path, lengths: tuple[int, ...] = (3, 4)) -> object:
    """The tiny task with a training set of random sources of `lengths` tokens, end of sentence included."""
    from fairseq.data import LanguagePairDataset, ListDataset

    task = tiny.task(data)
    generator = torch.Generator().manual_seed(1)
    eos = torch.tensor([task.source_dictionary.eos()])
    sentences = [torch.cat([torch.randint(4, tiny.ENTRIES, (n - 1,), generator=generator), eos]) for n in lengths]
    made = ListDataset(sentences, list(lengths))
    task.datasets["train"] = LanguagePairDataset(
        made, made.sizes, task.source_dictionary, made, made.sizes, task.target_dictionary
    )
    task.load_dataset = lambda split: None
    return task


def _log_probability(model: torch.nn.Module, source: torch.Tensor, tokens: list[int], start: int) -> float:
    previous = torch.tensor([[start, *tokens[:-1]]])
    with torch.no_grad():
        logits, _ = model(source, torch.tensor([source.shape[1]]), previous)
    log_probs = torch.log_softmax(logits[0].double(), dim=-1)
    return float(sum(log_probs[step, token] for step, token in enumerate(tokens)))
