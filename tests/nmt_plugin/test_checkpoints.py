"""Reading checkpoints: what is refused, and that nothing in them runs."""

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.checkpoint_utils import load_checkpoint_to_cpu
from fairseq.data import Dictionary, encoders

from nmt_plugin.checkpoints import check_same_dictionary, read_checkpoint
from nmt_plugin.teachers.live import LiveTeacher
from shared.errors import UserError


class Hostile:
    """Unpickled without restriction, it makes the folder it names."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def teacher(tiny: ModuleType, data: Path, tmp_path: Path) -> Path:
    criterion = {"_name": "smoothed_cross_entropy", "label_smoothing": 0.1}
    return tiny.save_checkpoint(tmp_path / "teacher.pt", tiny.model(tiny.task()), criterion, data)


def test_a_checkpoint_that_runs_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    torch.save({"model": {}, "cfg": Hostile(tmp_path / "ran")}, tmp_path / "hostile.pt")
    with pytest.raises(UserError, match=r"not a checkpoint that can be read safely \(.* It holds \w+\.mkdir\.\)"):
        read_checkpoint(str(tmp_path / "hostile.pt"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("module", ["numpy._core.multiarray", "numpy.core.multiarray"])
def test_the_counts_of_a_bleu_in_training_are_read(teacher: Path, module: str) -> None:
    """As --eval-bleu leaves them, with numpy 2 and before."""
    state = torch.load(teacher, weights_only=True)
    state["extra_state"]["metrics"] = {"valid": [np.arange(4), np.ones(2)]}
    torch.save(state, teacher, _use_new_zipfile_serialization=False)
    teacher.write_bytes(teacher.read_bytes().replace(b"numpy._core.multiarray", module.encode()))
    counts, totals = read_checkpoint(str(teacher))["extra_state"]["metrics"]["valid"]
    assert counts.tolist() == [0, 1, 2, 3]
    assert totals.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", b"teacher = x", b"how", b"Quit", b"PK\x03\x04 half a zip"]
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.pt: not a checkpoint"):
        read_checkpoint(str(tmp_path / "x.pt"))


def test_a_truncated_checkpoint_is_refused(teacher: Path) -> None:
    teacher.write_bytes(teacher.read_bytes()[:-2000])
    with pytest.raises(UserError, match="not a checkpoint"):
        read_checkpoint(str(teacher))


def test_a_missing_file_and_a_foreign_state_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such checkpoint"):
        read_checkpoint(str(tmp_path / "none.pt"))
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="not a fairseq checkpoint"):
        read_checkpoint(str(tmp_path / "other.pt"))


@pytest.mark.parametrize(
    "settings",
    [
        {"args": Namespace(lr=0.1, arch="resnet50")},
        {"args": Namespace(lr=0.1, arch="resnet50", criterion="none")},
        {"args": ["--arch", "transformer"]},
        {"cfg": {"lr": 0.1}},
        {"cfg": "lr: 0.1"},
        {"cfg": {"task": {"_name": "x"}, "model": {"_name": "x"}, "criterion": {}, "common": {}}},
    ],
)
def test_a_checkpoint_of_another_program_is_refused(settings: dict[str, Any], tmp_path: Path) -> None:
    torch.save({"model": {}, **settings}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"other\.pt: not a fairseq checkpoint"):
        read_checkpoint(str(tmp_path / "other.pt"))


@pytest.mark.parametrize("entry", ["optimizer_history", "extra_state"])
def test_a_checkpoint_stripped_of_what_fairseq_needs_is_refused(
    tiny: ModuleType, teacher: Path, data: Path, entry: str
) -> None:
    state = torch.load(teacher, weights_only=True)
    del state[entry]
    torch.save(state, teacher)
    with pytest.raises(KeyError):
        load_checkpoint_to_cpu(str(teacher))
    with pytest.raises(UserError, match=rf"teacher\.pt: it has no `{entry}`"):
        LiveTeacher(str(teacher), tiny.task())


def test_layers_that_run_code_are_refused_and_run_nothing(
    tiny: ModuleType, teacher: Path, data: Path, tmp_path: Path
) -> None:
    """fairseq's fconv gives its layers to `eval`; so does fairseq's own reading, from either form."""
    code = f"__import__('pathlib').Path({str(tmp_path / 'ran')!r}).write_text('x') and [(16, 3)]"
    state = torch.load(teacher, weights_only=True)
    state["cfg"]["model"] = Namespace(_name="fconv", arch="fconv", encoder_layers=code, decoder_layers="[(16, 3)]")
    torch.save(state, teacher)
    with pytest.raises(UserError, match=r"teacher\.pt: cfg\.model\.encoder_layers is .*run as Python"):
        LiveTeacher(str(teacher), tiny.task())
    hidden = state["cfg"]["model"]
    state["cfg"]["model"] = tiny.arguments()
    torch.save({**state, "args": hidden}, teacher)
    with pytest.raises(UserError, match=r"args\.encoder_layers"):
        read_checkpoint(str(teacher))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("[(512, 10, 5)] + [(512, 3, 2)] * 4", True),
        ("(0.9, 0.98)", True),
        ('{"beam": 5, "lenpen": -1.0}', True),
        ("True", True),
        ("data/my runs (1)/data-bin", True),
        ("runs/a__b/checkpoint_last.pt", True),
        ("", True),
        ("print()", False),
        (" \t[print()]", False),
        (b"print()", False),
        ("[0 for x.__class_getitem__ in [y]]", False),  # binds a name without any call
        ("x['code']", False),
        ("f'{x}'", False),
        ("lambda: 0", False),
        ("${common.user_dir}", False),
    ],
)
def test_only_strings_that_do_something_are_refused(teacher: Path, text: str | bytes, read: bool) -> None:
    state = torch.load(teacher, weights_only=True)
    state["cfg"]["task"]["settings"] = [{"inner": text}]
    torch.save(state, teacher)
    if read:
        assert read_checkpoint(str(teacher))["cfg"] == state["cfg"]
    else:
        with pytest.raises(UserError, match=r"settings\.inner is .*run as Python|not a checkpoint that can be read"):
            read_checkpoint(str(teacher))


def test_a_training_time_summed_over_processes_is_a_number(teacher: Path) -> None:
    """As fairseq writes it there: a tensor of one."""
    state = torch.load(teacher, weights_only=True)
    state["extra_state"]["previous_training_time"] = torch.tensor(34.5)
    torch.save(state, teacher)
    assert read_checkpoint(str(teacher))["extra_state"]["previous_training_time"] == 34.5
    state["extra_state"]["previous_training_time"] = torch.ones(2)
    torch.save(state, teacher)
    with pytest.raises(UserError, match="are numbers, not Tensor"):
        read_checkpoint(str(teacher))


@pytest.mark.parametrize(("given", "forced"), [({}, True), ({"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "0"}, False)])
def test_fairseqs_own_reading_is_restricted(given: dict[str, str], forced: bool, tmp_path: Path) -> None:
    """By the plugin alone, also for a caller that asks torch for the opposite; whoever set it otherwise is obeyed."""
    torch.save(Hostile(tmp_path / "ran"), tmp_path / "hostile.pt")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TORCH_FORCE")} | given
    code = "import sys, nmt_plugin, torch; torch.load(sys.argv[1], **{'weights_only': False})"
    command = [sys.executable, "-c", code, str(tmp_path / "hostile.pt")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == forced == ("weights_only" in done.stderr.lower())
    assert (tmp_path / "ran").exists() != forced


def test_dictionaries_must_agree_entry_by_entry(tiny: ModuleType) -> None:
    check_same_dictionary("source", tiny.dictionary(), tiny.dictionary())
    check_same_dictionary("source", None, None)
    swapped = Dictionary()
    for symbol in ("w1", "w0"):
        swapped.add_symbol(symbol)
    with pytest.raises(UserError, match="target dictionary differs from the data's: entry 4 is 'w1', not 'w0'"):
        check_same_dictionary("target", swapped, tiny.dictionary(6))
    with pytest.raises(UserError, match="has 12 entries and the data's 10"):
        check_same_dictionary("target", tiny.dictionary(12), tiny.dictionary(10))
    with pytest.raises(UserError, match="only one"):
        check_same_dictionary("target", None, tiny.dictionary(10))


def test_dictionaries_are_found_in_the_data_folder_or_beside_the_checkpoint(
    tiny: ModuleType, teacher: Path, data: Path, tmp_path: Path
) -> None:
    LiveTeacher(str(teacher), tiny.task())
    moved = tmp_path / "elsewhere"
    data.rename(moved)
    with pytest.raises(UserError, match="neither beside it"):
        LiveTeacher(str(teacher), tiny.task())
    for path in moved.iterdir():
        path.rename(tmp_path / path.name)
    LiveTeacher(str(teacher), tiny.task())
    with pytest.raises(UserError, match="source dictionary"):
        LiveTeacher(str(teacher), tiny.task(entries=30))


def test_a_teacher_of_the_other_direction_is_refused(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    """With a joined dictionary the dictionaries would agree."""
    checkpoint = tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(tiny.task()), {"_name": "cross_entropy"}, data)
    state = torch.load(checkpoint, weights_only=True)
    state["cfg"]["task"] |= {"source_lang": "de", "target_lang": "en"}
    torch.save(state, checkpoint)
    with pytest.raises(UserError, match="source_lang is 'de', the data's 'en'"):
        LiveTeacher(str(checkpoint), tiny.task())


@pytest.fixture
def of_task(teacher: Path) -> Callable[..., str]:
    """`of_task(name=value, ...)`: the teacher's path, once its task has these settings."""

    def change(**settings: Any) -> str:
        state = torch.load(teacher, weights_only=True)
        state["cfg"]["task"] |= settings
        torch.save(state, teacher)
        return str(teacher)

    return change


def test_a_teacher_needs_nothing_that_its_own_validation_needed(
    tiny: ModuleType, of_task: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--eval-bleu has fairseq build a tokenizer with the model, of a package that need not be here."""

    def build_tokenizer(*_: Any) -> None:
        raise ImportError("Please install Moses tokenizer with: pip install sacremoses")

    monkeypatch.setattr(encoders, "build_tokenizer", build_tokenizer)
    path = of_task(eval_bleu=True, eval_bleu_detok="moses", eval_bleu_detok_args="{}", eval_bleu_args="{}")
    [model] = LiveTeacher(path, tiny.task()).models
    assert model.decoder is not None


def test_a_teacher_of_a_task_that_fairseq_does_not_know_is_refused(
    tiny: ModuleType, of_task: Callable[..., str]
) -> None:
    with pytest.raises(UserError, match=r"teacher\.pt: fairseq knows no task 'of_a_plugin'; it needs the plugin"):
        LiveTeacher(of_task(_name="of_a_plugin"), tiny.task())
