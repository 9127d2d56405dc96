"""What the plugin puts in the place of fairseq's own: writing and copying checkpoints, and the ends of its loop."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from fairseq import checkpoint_utils
from fairseq.dataclass.configs import CheckpointConfig
from fairseq.file_io import PathManager
from fairseq_cli.train import should_stop_early

from nmt_plugin import fairseq_training  # the import of nmt_plugin takes their places
from nmt_plugin.fairseq_training import _Loop

LAST = "checkpoint_last.pt"


def test_a_copy_that_is_cut_off_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fairseq's own truncates it first, so that of two copies neither was left."""
    new, last = tmp_path / "checkpoint_best.pt", tmp_path / LAST
    new.write_bytes(b"new" * 1000)
    last.write_bytes(b"earlier")

    def half(source: str, target: str) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:1500])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", half)
        with pytest.raises(KeyboardInterrupt):
            PathManager.copy(str(new), str(last), overwrite=True)
    assert last.read_bytes() == b"earlier"
    assert PathManager.copy(str(new), str(last), overwrite=True)
    assert last.read_bytes() == new.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint_best.pt", LAST]


def test_a_checkpoint_is_written_as_torch_writes_it(tmp_path: Path) -> None:
    state = {"model": {"weight": torch.arange(5)}}
    checkpoint_utils.torch_persistent_save(state, str(tmp_path / LAST))
    assert torch.equal(torch.load(tmp_path / LAST, weights_only=True)["model"]["weight"], torch.arange(5))
    assert [path.name for path in tmp_path.iterdir()] == [LAST]


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_save_dir_that_cannot_be_written_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stopped:
        checkpoint_utils.verify_checkpoint_directory(str(tmp_path / name))
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: --save-dir {tmp_path / name} cannot be written (Not a directory); name a folder")
    assert said.count("\n") == 1
    checkpoint_utils.verify_checkpoint_directory(str(tmp_path / "new" / "folder"))
    assert (tmp_path / "new" / "folder").is_dir()


class FakeTraining:
    """fairseq_cli.train in small: `losses` of its `validate_and_save`, which writes a checkpoint where `saves`."""

    def __init__(self, folder: Path, *, saves: bool = False, stops: bool = False) -> None:
        self.module = ModuleType("fake")
        self.trained = 0
        self.cfg = SimpleNamespace(
            checkpoint=SimpleNamespace(save_dir=str(folder), no_save=False, no_last_checkpoints=False),
            optimization=SimpleNamespace(max_update=5),
        )
        self.trainer = SimpleNamespace(device=torch.device("cpu"), get_num_updates=lambda: self.trained)

        def train(*_: Any) -> tuple[list[float], bool]:
            self.trained += 1
            return [1.0], False

        def validate_and_save(*_: Any) -> tuple[list[float], bool]:
            if saves:
                (folder / LAST).write_bytes(b"its own")
            return [1.0], stops

        self.module.train, self.module.validate_and_save = train, validate_and_save  # type: ignore[attr-defined]
        self.loop = _Loop(self.module)

    def after_update(self) -> Any:
        return self.module.validate_and_save(self.cfg, self.trainer, None, "place", ["valid"], False)


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `save_checkpoint` was asked for: the place in the data, and the validation's loss."""
    calls: list[Any] = []
    monkeypatch.setattr(checkpoint_utils, "save_checkpoint", lambda cfg, trainer, *asked: calls.append(asked))
    return calls


@pytest.mark.parametrize("saves", [False, True])
def test_sigterm_saves_what_is_not_saved_and_exits(tmp_path: Path, saved: list[Any], saves: bool) -> None:
    fake = FakeTraining(tmp_path, saves=saves)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped:
        fake.after_update()
    assert stopped.value.code == 143
    assert saved == ([] if saves else [("place", None)])  # no loss: a checkpoint that is best by nothing


@pytest.mark.parametrize("flag", ["no_save", "no_last_checkpoints"])
def test_sigterm_promises_nothing_where_nothing_may_be_saved(
    tmp_path: Path, saved: list[Any], capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    fake = FakeTraining(tmp_path)
    setattr(fake.cfg.checkpoint, flag, True)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(SystemExit):
        fake.after_update()
    assert "another call begins anew" in capsys.readouterr().out


def test_without_sigterm_nothing_is_changed(tmp_path: Path, saved: list[Any]) -> None:
    assert FakeTraining(tmp_path).after_update() == ([1.0], False)
    assert saved == []


def test_a_training_that_ends_with_this_update_ends_well(tmp_path: Path, saved: list[Any]) -> None:
    fake = FakeTraining(tmp_path, saves=True, stops=True)
    os.kill(os.getpid(), signal.SIGTERM)
    assert fake.after_update() == ([1.0], True)


def test_a_training_that_is_finished_makes_no_further_update(tmp_path: Path) -> None:
    """fairseq's own looks at --max-update after an update only."""
    fake = FakeTraining(tmp_path)
    fake.trained = 5
    assert fake.module.train(fake.cfg, fake.trainer, None, None) == ([None], True)
    assert fake.trained == 5
    fake.trained = 4
    assert fake.module.train(fake.cfg, fake.trainer, None, None) == ([1.0], False)
    assert fake.trained == 5


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Callable[[float], bool]]]:
    """`begin(name, restored)`: a training in a folder of this name, from a checkpoint that says `restored`; what it
    gives takes a validation's loss, saves, and tells whether fairseq stops at its patience of 2. It is the first of
    `processes`.
    """
    module = FakeTraining(tmp_path).module
    module.should_stop_early = should_stop_early  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fairseq_cli.train", module)
    place = SimpleNamespace(epoch=1, end_of_epoch=lambda: True, state_dict=dict, load_state_dict=lambda state: None)

    def begin(name: str, restored: dict[str, Any] | None = None, processes: int = 1) -> Callable[[float], bool]:
        (tmp_path / name).mkdir(exist_ok=True)
        cfg = CheckpointConfig(save_dir=str(tmp_path / name), no_epoch_checkpoints=True, patience=2)
        trainer = SimpleNamespace(
            should_save_checkpoint_on_current_rank=True, data_parallel_world_size=processes, data_parallel_rank=0,
            cfg=SimpleNamespace(checkpoint=SimpleNamespace()),
            checkpoint_suffix="", task=None, consolidate_optimizer=lambda: None, get_num_updates=lambda: 1,
            load_checkpoint=lambda *_, **__: restored, get_train_iterator=lambda **_: place, lr_step=lambda epoch: None,
            save_checkpoint=lambda path, state: torch.save(state, path),
        )  # fmt: skip
        checkpoint_utils.load_checkpoint(cfg, trainer)

        def validated(loss: float) -> bool:
            stops: bool = should_stop_early(SimpleNamespace(checkpoint=cfg), loss)
            checkpoint_utils.save_checkpoint(cfg, trainer, place, loss)
            return stops

        return validated

    yield begin
    for function in (checkpoint_utils.save_checkpoint, should_stop_early):
        vars(function).clear()


def test_each_training_of_a_process_has_its_own_best(tmp_path: Path, begin: Callable[..., Any]) -> None:
    """As the jobs of a Hydra sweep: of two temperatures, the losses of one may all be above those of the other."""

    def best(name: str) -> Any:
        return torch.load(tmp_path / name / "checkpoint_best.pt", weights_only=True)["best"]

    first = begin("first")
    assert [first(loss) for loss in (2.0, 1.0, 3.0)] == [False, False, False]
    second = begin("second")
    assert [second(loss) for loss in (9.0, 8.0, 9.0, 9.0)] == [False, False, False, True]
    assert (best("first"), best("second")) == (1.0, 8.0)
    resumed = begin("resumed", {"best": 8.0, "train_iterator": {"epoch": 1}})
    resumed(8.5)
    assert not (tmp_path / "resumed" / "checkpoint_best.pt").exists()
    resumed(7.0)
    assert best("resumed") == 7.0


def test_several_processes_leave_their_group_at_the_end(
    begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[None] = []
    monkeypatch.setattr(fairseq_training, "leave_group_at_exit", lambda: left.append(None))
    begin("alone")
    assert left == []
    begin("of two", processes=2)
    assert left == [None]


def in_its_search_for_the_layer(error: Exception) -> Exception:
    """What fairseq's NanDetector raises while it handles `error`."""
    failed = StopIteration()
    failed.__context__ = error
    return failed


DIVERGED = FloatingPointError("gradients are Nan/Inf\nmore")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DIVERGED, "error: gradients are Nan/Inf: training has diverged"),
        (in_its_search_for_the_layer(DIVERGED), "error: gradients are Nan/Inf: training has diverged"),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
            "error: DataLoader worker (pid 7)",
        ),
    ],
)
def test_what_no_update_can_mend_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    fake = FakeTraining(tmp_path)

    def fail(*_: Any) -> None:
        raise error

    fake.loop._train = fail
    with pytest.raises(SystemExit) as stopped:
        fake.module.train(fake.cfg, fake.trainer, None, None)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(line)
    assert said.count("\n") == 1
