"""What a teacher cannot serve is refused before the first update, not in the middle of a training."""

import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nmt_plugin.criterions import WordKDCriterion
from nmt_plugin.teachers.cached import CachedTeacher
from nmt_plugin.teachers.live import LiveTeacher
from shared.errors import UserError

MakeCache = Callable[..., Path]


@pytest.fixture
def first_update(tiny: ModuleType, data_bin: Path) -> Callable[..., None]:
    """`first_update(task, teacher=... or teacher_cache=...)`: a student's first batch, without any long sentence."""

    def run(of: Any, **options: Any) -> None:
        criterion = WordKDCriterion(of, 0.0, **options)
        criterion(tiny.model(of), tiny.loaded_batch(of, [1, 3]))

    return run


def test_a_cache_must_hold_every_split_of_the_training(
    tiny: ModuleType,
    make_cache: MakeCache,
    data_bin: Path,
    first_update: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also those of an unusual --valid-subset; known before the first update, not at the first validation."""
    folder, task = make_cache("--topk", "4", "--split", "train"), tiny.task(data_bin)
    first_update(task, teacher_cache=str(folder))  # without validation
    task.load_dataset("valid")
    with pytest.raises(SystemExit) as stopped:
        first_update(task, teacher_cache=str(folder))
    assert stopped.value.code == 2
    assert "holds no valid split, which this training reads; cache it too" in capsys.readouterr().err
    first_update(task, teacher_cache=str(folder), kd_weight=0.0)  # asks no teacher


@pytest.mark.parametrize("where", ["live", "cache"])
def test_sentences_too_long_for_the_teacher_are_counted_before_the_first_update(
    tiny: ModuleType,
    make_cache: MakeCache,
    teachers: list[Path],
    data_bin: Path,
    first_update: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    where: str,
) -> None:
    """Teachers here read 64 tokens. Sentences that the student leaves out as well do no harm."""
    pairs = tiny.sentences(12, seed=1)
    pairs[2], pairs[7] = ([5] * 70, [6]), ([5], [6] * 70)
    tiny.write_split(data_bin, "train", pairs)
    options = {"teacher": str(teachers[0])} if where == "live" else {"teacher_cache": str(make_cache("--topk", "4"))}
    short = tiny.task(data_bin)
    short.cfg.max_source_positions = short.cfg.max_target_positions = 64
    first_update(short, **options)
    with pytest.raises(SystemExit) as stopped:
        wide_student(tiny, tiny.task(data_bin), options)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "2 sentences of the train data (the first: 2)" in said
    assert "--max-source-positions and --max-target-positions" in said


def wide_student(tiny: ModuleType, of: Any, options: dict[str, str]) -> None:
    """The first batch of a student that reads 128 tokens."""
    student = tiny.model(of)
    student.max_positions = lambda: (128, 128)
    WordKDCriterion(of, 0.0, **options)(student, tiny.loaded_batch(of, [1, 3]))


def test_each_part_of_sharded_data_is_checked(
    tiny: ModuleType, teachers: list[Path], data_bin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """fairseq reads another folder in each epoch; a cache is of one."""
    second = tmp_path / "second"
    shutil.copytree(data_bin, second)
    tiny.write_split(second, "train", [([5] * 70, [6]), *tiny.sentences(11, seed=3)])
    task = tiny.task(data_bin)
    task.cfg.data = f"{data_bin}:{second}"
    with pytest.raises(UserError, match="a teacher cache is of one data folder"):
        WordKDCriterion(task, 0.0, teacher_cache=str(tmp_path))
    criterion, student = WordKDCriterion(task, 0.0, teacher=str(teachers[0])), tiny.model(task)
    student.max_positions = lambda: (128, 128)
    criterion(student, tiny.loaded_batch(task, [1, 3]))
    task.load_dataset("train", epoch=2)
    with pytest.raises(SystemExit):
        criterion(student, tiny.loaded_batch(task, [1, 3]))
    assert "1 sentences of the train data (the first: 0)" in capsys.readouterr().err


def test_a_task_of_several_language_pairs_is_refused(
    tiny: ModuleType,
    make_cache: MakeCache,
    teachers: list[Path],
    data_bin: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The student's, and then the teacher's."""
    teacher, cache = str(teachers[0]), str(make_cache("--topk", "4"))
    pairs = Namespace(_name="multilingual_translation", data=str(data_bin), lang_pairs="en-de,de-en")
    student = SimpleNamespace(cfg=None, args=pairs)
    state = torch.load(teacher, weights_only=True)
    torch.save(state | {"cfg": state["cfg"] | {"task": pairs}}, tmp_path / "pairs.pt")
    for teach in (
        lambda: LiveTeacher(teacher, student),
        lambda: CachedTeacher(cache, student),
        lambda: LiveTeacher(str(tmp_path / "pairs.pt"), tiny.task(data_bin)),
    ):
        with pytest.raises(UserError, match="the task multilingual_translation is for several language pairs"):
            teach()
    with pytest.raises(SystemExit):
        make_cache("--teacher", str(tmp_path / "pairs.pt"), output="other")
    assert "error: the task multilingual_translation is for several language pairs" in capsys.readouterr().err


def test_a_task_of_the_older_kind_is_served(
    tiny: ModuleType, make_cache: MakeCache, teachers: list[Path], data_bin: Path
) -> None:
    """fairseq keeps its settings in a Namespace, and such a task may call them `args`."""
    state = torch.load(teachers[0], weights_only=True)
    state["cfg"]["task"] = Namespace(task="translation", **state["cfg"]["task"])
    torch.save(state, teachers[0])
    task = tiny.task(data_bin)
    task.args, task.cfg = Namespace(data=str(data_bin), source_lang="en", target_lang="de"), None
    assert LiveTeacher(str(teachers[0]), task).max_positions() == (64, 64)
    folder = make_cache("--topk", "4", "--source-lang", "en", "--target-lang", "de")
    assert CachedTeacher(str(folder), task).manifest.split == "train"
    state["cfg"]["task"].source_lang = "de"
    torch.save(state, teachers[0])
    with pytest.raises(UserError, match="the teacher's source_lang is 'de', the data's 'en'"):
        LiveTeacher(str(teachers[0]), task)


def test_each_split_of_a_cache_knows_its_own_long_sentences(
    tiny: ModuleType, make_cache: MakeCache, data_bin: Path
) -> None:
    pairs = tiny.sentences(5, seed=2)
    pairs[1] = ([5] * 70, [6])
    tiny.write_split(data_bin, "valid", pairs)
    task = tiny.task(data_bin)
    teacher = CachedTeacher(str(make_cache("--topk", "4")), task)
    for split in ("train", "valid"):
        task.load_dataset(split)
    teacher.check_split("train", task.dataset("train"), np.arange(12))
    with pytest.raises(UserError, match=r"1 sentences of the valid data \(the first: 1\)"):
        teacher.check_split("valid", task.dataset("valid"), np.arange(5))


def test_data_files_that_are_gone_are_not_compared(tiny: ModuleType, make_cache: MakeCache, data_bin: Path) -> None:
    """Each sentence is checked at use anyway."""
    folder = make_cache("--topk", "4")
    (data_bin / "train.en-de.de.idx").unlink()
    assert set(CachedTeacher(str(folder), tiny.task(data_bin)).stores) == {"train", "valid"}
