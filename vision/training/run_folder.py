"""The output folder of a training run: whose it is, whether it is finished, where it can resume."""

import dataclasses
import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from shared.errors import UserError
from shared.files import write_text
from shared.locks import lock_folder
from shared.results import FILE_NAME
from shared.tensors import claims_too_much
from shared.unpickling import load_torch
from vision.plain_yaml import read_config
from vision.settings import TrainSettings

# What Lightning reads of a checkpoint, and this project of its callbacks.
_ENTRIES = {
    **{"callbacks": dict, "state_dict": dict, "loops": dict},
    **{"optimizer_states": list, "epoch": int, "global_step": int},
}
# In its config.yaml; others have files of that name.
_KEYS = ("alpha", "data", "model", "recipe")
# What `fresh` removes of an earlier run, beside its logs.
_LEFT = (FILE_NAME, "*.ckpt", "last.*", "best.*")
# How and where to run, not what: a run may resume with other values of these. Teacher and data are known by sha256.
# The class sets and the projection's classes are for the other commands; training does not read them.
_FREE = (
    *(
        "output",
        "name",
        "required",
        "fresh",
        "threads",
        "accelerator",
        "devices",
        "nodes",
        "tensorboard",
        "wandb",
        "teacher",
    ),
    *("model.weights", "loader.workers", "loader.prefetch", "loader.device", "checkpoint_steps", "log_steps"),
    "deterministic",
    *("data.data_dir", "data.test_dir", "data.download", "data.sets", "data.projection"),
)


class RunFolder:
    """Of one run: `config.yaml`, `{last,best}.ckpt`, `{last,best}.{safetensors,json}`, `logs/` and `result.json`."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.resume_from = self.path / "last.ckpt"
        self.best_checkpoint = self.path / "best.ckpt"
        self._config = self.path / "config.yaml"

    @property
    def finished(self) -> bool:
        """Whether the run has ended in its record."""
        return (self.path / FILE_NAME).is_file()

    @property
    def is_run(self) -> bool:
        """Whether a run was begun here: its config.yaml says so, however damaged, or where that does not, last.ckpt."""
        try:
            text = self._config.read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        if all(re.search(f"^{key}:", text, re.MULTILINE) for key in _KEYS):
            return True
        try:
            return any(name.startswith("BestAndLast{") for name in _callbacks(self.resume_from))
        except UserError:
            return False

    def check(self, settings: TrainSettings, inputs: dict[str, Any]) -> None:
        """Raise UserError where the folder holds another run than `settings` describe (unless `fresh`), or files of no
        run of this project that `claim` would remove or replace.

        `inputs` holds the sha256 of what the run reads; they are compared, and written, beside the settings.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"output={self.path} is a file; name a folder")
        if settings.fresh:
            self._check_not_read(settings)
        if settings.fresh or not (self.resume_from.exists() or self.finished):
            self._check_own((*_LEFT, "config.yaml", "logs") if settings.fresh else ("config.yaml",))
            return
        there, here = self._read_config(), _flat(dataclasses.asdict(settings) | inputs)
        differing = sorted(key for key in there.keys() | here.keys() if there.get(key) != here.get(key))
        if differing := [key for key in differing if not _is_free(key)]:
            shown = "; ".join(f"{key}: {there.get(key)} there, {here.get(key)} here" for key in differing[:3])
            raise UserError(f"output={self.path} holds another run ({shown}); name another folder, or fresh=true")
        if not self.finished:
            self._check_checkpoints()

    def _check_not_read(self, settings: TrainSettings) -> None:
        """Raise UserError where `claim` would remove a network that the run learns from or starts from."""
        removed = {file.resolve() for pattern in _LEFT for file in self.path.glob(pattern)}
        for path in (*settings.teachers, settings.model.weights or ""):
            if Path(path).resolve() in removed:
                raise UserError(
                    f"output={self.path} holds {path}, which this run reads and fresh=true would remove; name another "
                    "folder"
                )

    def _check_own(self, patterns: Sequence[str]) -> None:
        """Raise UserError where there is something of these names that no run has left."""
        found = sorted(path.name for pattern in patterns for path in self.path.glob(pattern))
        if found and not self.is_run:
            names = ", ".join(dict.fromkeys(found))
            raise UserError(f"output={self.path} holds {names} of no run of vision.train; name another folder")

    def _check_checkpoints(self) -> None:
        """Raise UserError unless the run can go on from its checkpoints: the best may be missing in the first epoch."""
        last = _callbacks(self.resume_from)
        if self.best_checkpoint.is_file():
            _callbacks(self.best_checkpoint)
        elif any(isinstance(state, dict) and state.get("best_model_path") for state in last.values()):
            raise UserError(f"output={self.path} has last.ckpt but no best.ckpt; copy the whole folder, or fresh=true")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from training in the folder. Raises UserError where one does, or nobody can."""
        handle = lock_folder(self.path, "training in")
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)  # for loaders' processes too, which have copies of the handle
            os.close(handle)

    def claim(self, settings: TrainSettings, inputs: dict[str, Any]) -> None:
        """Write the resolved config; with `fresh`, first remove what an earlier run left.

        Its config stays until it is replaced: where this is killed, what is left is known for a run's by it.
        """
        if settings.fresh:
            for pattern in _LEFT:
                for file in self.path.glob(pattern):
                    file.unlink()
            shutil.rmtree(self.path / "logs", ignore_errors=True)
        write_text(self._config, OmegaConf.to_yaml(dataclasses.asdict(settings) | inputs))

    def _read_config(self) -> dict[str, Any]:
        try:
            return _flat(read_config(self._config)) if self._config.exists() else {}
        except UserError as error:
            raise UserError(f"{self._config} is damaged ({error}); name another folder, or fresh=true") from None


def _callbacks(checkpoint: Path) -> dict[str, Any]:
    """The states of Lightning's callbacks in a checkpoint. Raises UserError where it is damaged or of other form."""
    try:
        found: Any = load_torch(checkpoint)
        whole = all(isinstance(found[entry], kind) for entry, kind in _ENTRIES.items())
        whole = whole and not any(map(claims_too_much, found["state_dict"].values()))
    except Exception:  # whatever the restricted unpickler stumbles over in a file of any kind
        whole = False
    if not whole:
        raise UserError(f"{checkpoint} is damaged; copy it again, name another folder, or fresh=true")
    states: dict[str, Any] = found["callbacks"]
    return states


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in _FREE)


def _flat(config: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(config, dict):
        return {prefix: config}
    return {
        key: leaf
        for name, value in config.items()
        for key, leaf in _flat(value, f"{prefix}.{name}".lstrip(".")).items()
    }
