"""A mistyped data folder, language or split ends in one line; without languages, those of the files are taken."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fairseq import tasks
from omegaconf import OmegaConf

import nmt_plugin
from nmt_plugin.data_folder import check_data_folder, split_names
from shared.errors import UserError


def test_a_data_folder_that_is_none_is_refused(data: Path, tmp_path: Path) -> None:
    check_data_folder(str(data))
    check_data_folder(f"{data}:{tmp_path}")
    with pytest.raises(UserError, match="none: not a data folder"):
        check_data_folder(str(tmp_path / "none"))
    with pytest.raises(UserError, match="not a data folder"):
        check_data_folder(f"{data}:{tmp_path / 'none'}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no dict"):
        check_data_folder(str(tmp_path / "empty"))


def settings(data: Path, **others: Any) -> Any:
    """The task's part of conf/word_kd.yaml with these values."""
    path = Path(nmt_plugin.__file__).parent / "conf" / "word_kd.yaml"
    return OmegaConf.merge(OmegaConf.load(path).task, {"data": str(data), **others})


def refused(capsys: pytest.CaptureFixture[str], call: Any) -> str:
    with pytest.raises(SystemExit) as stopped:
        call()
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_the_languages_are_those_of_the_files(data_bin: Path) -> None:
    """A configuration that is used for every pair names none."""
    given = settings(data_bin)
    assert (given.source_lang, given.target_lang) == (None, None)
    of = tasks.setup_task(given)
    assert (of.cfg.source_lang, of.cfg.target_lang) == ("en", "de")


def test_a_language_that_the_data_has_not_is_refused(data_bin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, lambda: tasks.setup_task(settings(data_bin, source_lang="en", target_lang="fr")))
    assert said == (
        f"error: {data_bin}: holds no dict.fr.txt, but dict.de.txt, dict.en.txt; name its languages (-s, -t)\n"
    )


@pytest.mark.parametrize("split", ["dev", "training"])
def test_a_split_that_the_data_has_not_is_refused(
    tiny: ModuleType, data_bin: Path, capsys: pytest.CaptureFixture[str], split: str
) -> None:
    of = tiny.task(data_bin)
    said = refused(capsys, lambda: of.load_dataset(split, epoch=1, combine=False))
    assert said == f"error: {data_bin}: holds no split {split} of en-de; its splits are: train, valid\n"
    of.load_dataset("valid")
    assert len(of.dataset("valid")) == 5


def test_splits_by_name(tiny: ModuleType, data_bin: Path, data: Path) -> None:
    tiny.write_split(data_bin, "train1", tiny.sentences(2, seed=3))
    assert split_names(str(data_bin)) == ["train", "train1", "valid"]
