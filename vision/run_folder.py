"""The output folder of a training run: whose it is, whether it is finished, where it can resume."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from shared.errors import UserError
from shared.files import write_text
from shared.results import FILE_NAME
from vision.settings import TrainSettings

# How and where to run, not what: a run may resume with other values of these. A teacher is known by its sha256.
_FREE = {"output", "name", "fresh", "threads", "accelerator", "tensorboard", "teacher", "data.data_dir"}


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

    def check(self, settings: TrainSettings, teacher_sha256: str | None) -> None:
        """Raise UserError where the folder holds another run than `settings` describe (unless `fresh`)."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"output={self.path} is a file; name a folder")
        if settings.fresh or not (self.resume_from.exists() or self.finished):
            return
        there = _flat(OmegaConf.to_container(OmegaConf.load(self._config))) if self._config.exists() else {}
        here = _flat(_as_config(settings, teacher_sha256))
        differing = sorted(key for key in there.keys() | here.keys() if there.get(key) != here.get(key))
        if differing := [key for key in differing if key not in _FREE]:
            shown = "; ".join(f"{key}: {there.get(key)} there, {here.get(key)} here" for key in differing[:3])
            raise UserError(f"output={self.path} holds another run ({shown}); name another folder, or fresh=true")

    def claim(self, settings: TrainSettings, teacher_sha256: str | None) -> None:
        """Write the resolved config; with `fresh`, first remove what an earlier run left."""
        if settings.fresh:
            for pattern in (FILE_NAME, "config.yaml", "*.ckpt", "last.*", "best.*"):
                for file in self.path.glob(pattern):
                    file.unlink()
            shutil.rmtree(self.path / "logs", ignore_errors=True)
        write_text(self._config, OmegaConf.to_yaml(_as_config(settings, teacher_sha256)))


def _as_config(settings: TrainSettings, teacher_sha256: str | None) -> dict[str, Any]:
    return dataclasses.asdict(settings) | {"teacher_sha256": teacher_sha256}


def _flat(config: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(config, dict):
        return {prefix: config}
    return {
        key: leaf
        for name, value in config.items()
        for key, leaf in _flat(value, f"{prefix}.{name}".lstrip(".")).items()
    }
