"""Writing a cache: interrupted, damaged, crowded out, asked for twice."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nmt_plugin.criterions import WordKDCriterion
from nmt_plugin.teachers.cached import CachedTeacher
from nmt_plugin.teachers.live import LiveTeacher
from nmt_plugin.teachers.store import DONE, SENTENCE, read_manifest
from nmt_plugin.teachers.writer import Writer
from shared.errors import UserError
from shared.files import sha256

MakeCache = Callable[..., Path]
TRAIN = ("--topk", "4", "--split", "train")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(make_cache: MakeCache, capsys: pytest.CaptureFixture[str], *flags: str, output: str = "cache") -> str:
    """The error line of a run that ends with status 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        make_cache(*flags, output=output)
    assert stopped.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    return line


@contextmanager
def interruption_after(sentences: int) -> Iterator[None]:
    """A run in this block is interrupted before it writes one sentence more than these."""
    put, written = Writer.put, []

    def put_some(writer: Writer, *sentence: Any) -> None:
        if len(written) == sentences:
            raise KeyboardInterrupt
        written.append(sentence[0])
        put(writer, *sentence)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "put", put_some)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of the sentences that the teacher was asked for, in order."""
    ids: list[int] = []
    logits = LiveTeacher.logits

    def counting(teacher: LiveTeacher, sample: dict[str, Any]) -> Any:
        ids.extend(sample["id"].tolist())
        return logits(teacher, sample)

    monkeypatch.setattr(LiveTeacher, "logits", counting)
    return ids


@pytest.mark.parametrize("topk", ["4", "all"])
def test_an_interrupted_cache_goes_on_to_the_same_bytes(
    make_cache: MakeCache, tmp_path: Path, computed: list[int], topk: str
) -> None:
    """Also where a sentence that was marked as written did not reach the disk before the power went."""
    flags = ("--topk", topk, "--split", "train", "--dtype", "fp32")
    whole = content(make_cache(*flags, output="whole"))
    every = sorted(computed)
    with interruption_after(7):
        make_cache(*flags)
    part = tmp_path / "cache" / "train.part"
    sentences = np.fromfile(part / "sentences.bin", SENTENCE)
    done = np.flatnonzero(sentences["state"] == DONE)
    assert len(done) == 7
    tokens = bytearray((part / "tokens.bin").read_bytes())
    record = len(tokens) // int(sentences["length"].sum())
    first = int(sentences["start"][done[0]]) * record
    tokens[first : first + record] = bytes(record)
    (part / "tokens.bin").write_bytes(tokens)
    computed.clear()
    assert content(make_cache(*flags)) == whole
    assert done[0] in computed
    assert every == list(range(12))
    assert not part.exists()


def test_what_is_written_is_not_computed_again(make_cache: MakeCache, computed: list[int]) -> None:
    make_cache(*TRAIN, output="whole")
    order = list(computed)
    with interruption_after(11):
        make_cache(*TRAIN)
    computed.clear()
    make_cache(*TRAIN)
    assert 0 < len(computed) < 12
    assert computed == order[-len(computed) :]


def test_a_run_that_dies_while_it_names_its_cache_has_nothing_left_to_compute(
    tiny: ModuleType, make_cache: MakeCache, data_bin: Path, monkeypatch: pytest.MonkeyPatch, computed: list[int]
) -> None:
    folder = make_cache("--topk", "4")
    whole = content(folder)

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", power_cut)
        with pytest.raises(KeyboardInterrupt):
            make_cache("--topk", "4", "--split", "valid", output="other")
    (folder.parent / "other" / "valid.part").replace(folder / "valid.part")
    assert set(CachedTeacher(str(folder), tiny.task(data_bin)).stores) == {"train", "valid"}
    shutil.rmtree(folder / "valid")
    computed.clear()
    make_cache("--topk", "4", "--split", "valid")
    assert computed == []
    assert content(folder) == whole


def test_records_that_did_not_reach_the_disk_are_computed_again(
    make_cache: MakeCache, tmp_path: Path, computed: list[int]
) -> None:
    """Those of a batch that was finished, which nothing else would compute again."""
    whole = content(make_cache(*TRAIN, output="whole"))
    lost = computed[0]
    with interruption_after(11):
        make_cache(*TRAIN)
    part = tmp_path / "cache" / "train.part"
    sentences = np.fromfile(part / "sentences.bin", SENTENCE)
    tokens = bytearray((part / "tokens.bin").read_bytes())
    record = len(tokens) // int(sentences["length"].sum())
    first = int(sentences[lost]["start"]) * record
    tokens[first : first + record] = bytes(record)
    (part / "tokens.bin").write_bytes(tokens)
    computed.clear()
    assert content(make_cache(*TRAIN)) == whole
    assert lost in computed


def test_a_cache_of_another_teacher_is_not_gone_on_with(make_cache: MakeCache, teachers: list[Path]) -> None:
    """Its records are whole: only the request tells whose they are."""
    with interruption_after(11):
        make_cache(*TRAIN, "--teacher", str(teachers[1]))
    assert content(make_cache(*TRAIN)) == content(make_cache(*TRAIN, output="whole"))


def test_a_request_goes_before_the_files_that_it_speaks_of(
    make_cache: MakeCache, tmp_path: Path, teachers: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with interruption_after(11):
        make_cache(*TRAIN, "--teacher", str(teachers[1]))

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", power_cut)
        with pytest.raises(KeyboardInterrupt):
            make_cache(*TRAIN)
    assert not (tmp_path / "cache" / "train.part" / "request.json").exists()


def test_a_finished_cache_is_three_files(make_cache: MakeCache) -> None:
    assert {path.name for path in (make_cache(*TRAIN) / "train").iterdir()} == {
        "manifest.json",
        "sentences.bin",
        "tokens.bin",
    }


def test_fresh_forgets_what_an_interrupted_run_wrote(make_cache: MakeCache, computed: list[int]) -> None:
    with interruption_after(11):
        make_cache(*TRAIN)
    computed.clear()
    make_cache(*TRAIN, "--fresh")
    assert sorted(computed) == list(range(12))


def test_an_unfinished_cache_of_another_request_is_replaced(make_cache: MakeCache) -> None:
    with interruption_after(7):
        make_cache("--topk", "5", "--split", "train")
    assert content(make_cache(*TRAIN)) == content(make_cache(*TRAIN, output="whole"))


def test_two_writers_at_once_are_refused(
    make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put, errors = Writer.put, []

    def meet_another(writer: Writer, *sentence: Any) -> None:
        if not errors:
            errors.append("")
            errors[0] = refused(make_cache, capsys, *TRAIN)
        put(writer, *sentence)

    monkeypatch.setattr(Writer, "put", meet_another)
    folder = make_cache(*TRAIN)
    assert "another process is writing" in errors[0]
    assert "train.part" in errors[0]
    assert (folder / "train" / "manifest.json").is_file()


def test_a_full_disk_is_one_line(
    make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    line = refused(make_cache, capsys, *TRAIN)
    assert "no room for" in line
    assert "No space left on device" in line
    assert "a smaller --topk needs less" in line


def test_a_finished_cache_is_left_alone_until_it_is_wanted_fresh(
    make_cache: MakeCache, computed: list[int], teachers: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_cache(*TRAIN)
    before = content(folder)
    assert "12 sentences" in capsys.readouterr().out
    computed.clear()
    make_cache(*TRAIN)
    assert "already there; --fresh makes it again" in capsys.readouterr().out
    for flags, name in (
        (("--topk", "5"), "k"),
        (("--dtype", "fp32"), "dtype"),
        (("--teacher", str(teachers[1])), "teacher"),
        (("--teacher-dtype", "bf16"), "teacher_dtype"),
    ):
        line = refused(make_cache, capsys, *TRAIN, *flags)
        assert f"holds another cache ({name}); choose another --output, or --fresh" in line
    assert computed == []
    assert content(folder) == before
    make_cache(*TRAIN, "--topk", "5", "--fresh")
    assert sorted(computed) == list(range(12))
    assert content(folder) != before


def test_a_damaged_cache_is_not_taken_for_a_finished_one(
    make_cache: MakeCache, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_cache(*TRAIN)
    whole = content(folder)
    tokens = folder / "train" / "tokens.bin"
    tokens.write_bytes(tokens.read_bytes()[:-8])
    assert "the cache is damaged; make it again" in refused(make_cache, capsys, *TRAIN)
    make_cache(*TRAIN, "--fresh")
    assert content(folder) == whole


def test_a_sentence_longer_than_a_batch_has_one_of_its_own(make_cache: MakeCache, computed: list[int]) -> None:
    make_cache(*TRAIN, "--max-tokens", "2")
    assert sorted(computed) == list(range(12))


def test_a_cache_holds_all_parts_of_the_training_data(
    tiny: ModuleType, make_cache: MakeCache, data_bin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """train, train1, ..., as fairseq-train reads them; and the first alone, as in validation."""
    folder = make_cache(*TRAIN, output="first")
    one = read_manifest(folder / "train")
    for number, count in ((1, 7), (2, 3), (4, 5)):  # nothing follows a gap
        tiny.write_split(data_bin, f"train{number}", tiny.sentences(count, seed=3 + number))
    assert "holds another cache (sentences, tokens, data)" in refused(make_cache, capsys, *TRAIN, output="first")
    folder = make_cache(*TRAIN)
    manifest = read_manifest(folder / "train")
    assert manifest.sentences == 22
    assert manifest.data == one.data | {path.name: sha256(path) for path in data_bin.glob("train[12].*.??.???")}
    for combine in (True, False):
        task = tiny.task(data_bin)
        task.cfg.upsample_primary = 1
        task.load_dataset("train", combine=combine)
        criterion = WordKDCriterion(task, 0.0, teacher_cache=str(folder))
        criterion(tiny.model(task), tiny.loaded_batch(task, range(22 if combine else 12)))
    tiny.write_split(data_bin, "train2", tiny.sentences(3, seed=9))
    with pytest.raises(UserError, match=r"a cache of other data: train2\.en-de\.\S+ in"):
        CachedTeacher(str(folder), tiny.task(data_bin))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--topk", "0"), "argument --topk: 0 is neither a number above 0 nor `all`"),
        (("--topk", "some"), "argument --topk: some is neither a number above 0 nor `all`"),
        (("--max-tokens", "-1"), "argument --max-tokens: -1 is not above 0"),
        (("--split", "train", "dev"), "holds no split dev"),
        (("--data", "no/such"), "no/such: not a data folder"),
        (("--data", "one:two"), "one:two: a teacher cache is of one data folder"),
        (("--teacher", "none.pt"), "none.pt: no such checkpoint"),
        (("--teacher", ""), "no such checkpoint"),
        (("--target-lang", "fr"), "holds no dict.fr.txt"),
        (("--topk", "5000"), "--topk 5000 is more than the"),
    ],
)
def test_what_cannot_be_cached_is_refused(
    make_cache: MakeCache, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], message: str
) -> None:
    assert message in refused(make_cache, capsys, *flags)


@pytest.mark.parametrize("fresh", [(), ("--fresh",)])
def test_a_folder_that_is_no_cache_is_left_alone(
    make_cache: MakeCache, capsys: pytest.CaptureFixture[str], tmp_path: Path, computed: list[int], fresh: tuple[str]
) -> None:
    thesis = tmp_path / "cache" / "train" / "thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("precious", encoding="utf-8")
    assert "holds something that is not a teacher cache" in refused(make_cache, capsys, *TRAIN, *fresh)
    assert thesis.read_text(encoding="utf-8") == "precious"
    assert computed == []


def test_data_of_another_language_is_refused(
    make_cache: MakeCache, capsys: pytest.CaptureFixture[str], tmp_path: Path, data_bin: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "dict.en.txt").write_bytes((data_bin / "dict.en.txt").read_bytes())
    line = refused(make_cache, capsys, *TRAIN, "--data", str(other), "--source-lang", "en", "--target-lang", "ru")
    assert "holds no dict.ru.txt" in line
