import dataclasses
import gzip
import itertools
import shlex
import struct
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hydra
import numpy as np
import pytest
import torch

from vision.cli import CONF, typed
from vision.settings import (
    AdviseSettings,
    ClustersSettings,
    DiffusionSettings,
    EvaluateSettings,
    ProjectSettings,
    TrainSettings,
)

KINDS = {
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
    "diffusion": DiffusionSettings,
    "clusters": ClustersSettings,
    "project": ProjectSettings,
    "advise": AdviseSettings,
}


def compose_settings(command: str, overrides: list[str]) -> Any:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        settings = typed(hydra.compose(command, overrides), KINDS[command])
    settings.check()
    return settings


def commands_at_head(path: Path) -> tuple[str, list[list[str]]]:
    """The command that a file of conf names first, and the words of every point of its sweep, less -m."""
    lines = [line for line in path.read_text().splitlines() if line != "# @package _global_"]
    last = next(number for number, line in enumerate(lines) if not line.endswith("\\"))
    text = " ".join(line.removeprefix("#").rstrip("\\") for line in lines[: last + 1])
    program, words = shlex.split(text)[:3], [word for word in shlex.split(text)[3:] if word != "-m"]
    assert program[:2] == ["python", "-m"]
    swept = [word.partition("=") for word in words]
    choices = [
        [f"{key}={choice}" for choice in ([value] if "[" in value else value.split(","))] for key, _, value in swept
    ]
    return program[2].removeprefix("vision."), [list(point) for point in itertools.product(*choices)]


def settings_classes() -> set[type]:
    """The classes of every key that a command knows."""
    found, left = set(), list(KINDS.values())
    while left:
        kind = left.pop()
        if dataclasses.is_dataclass(kind):
            found.add(kind)
            left += typing.get_type_hints(kind).values()
        else:
            left += typing.get_args(kind)
    return found


def write_idx(path: Path, values: np.ndarray) -> None:
    """The idx format, written from its description: 0 0 8 axes, big-endian sizes, bytes."""
    header = struct.pack(">BBBB", 0, 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


def write_fashion_mnist(folder: Path, train: int = 300, test: int = 60) -> Path:
    """Ten learnable classes in exactly Fashion-MNIST's format: a bright block whose place tells the class."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(5)
    for prefix, count in (("train", train), ("t10k", test)):
        labels = np.arange(count) % 10
        images = numbers.integers(0, 120, (count, 28, 28))
        for image, label in zip(images, labels, strict=True):
            row, column = 5 * (label // 4), 7 * (label % 4)
            image[row : row + 7, column : column + 7] += 130
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", labels)
    return folder


@pytest.fixture(scope="session")
def compose() -> Callable[[str, list[str]], Any]:
    return compose_settings


@pytest.fixture(scope="session")
def settings_kinds() -> set[type]:
    return settings_classes()


@pytest.fixture(scope="session")
def idx_writer() -> Callable[[Path, np.ndarray], None]:
    return write_idx


@pytest.fixture(scope="session")
def make_fashion_mnist() -> Callable[..., Path]:
    return write_fashion_mnist


@pytest.fixture(scope="session")
def keys_read() -> Iterator[set[tuple[str, str]]]:
    """(settings class, key) of every key that the package's code reads, outside its own checks, while tests run."""
    seen: set[tuple[str, str]] = set()

    def spy(self: Any, name: str) -> Any:
        code = sys._getframe(1).f_code
        caller = Path(code.co_filename)
        checks = CONF.parent / "settings" in caller.parents and code.co_name.lstrip("_").split("_")[0] == "check"
        if caller.is_relative_to(CONF.parent) and not checks and not name.startswith("_"):
            seen.add((type(self).__name__, name))
        return object.__getattribute__(self, name)

    with pytest.MonkeyPatch.context() as patch:
        for kind in settings_classes():
            patch.setattr(kind, "__getattribute__", spy, raising=False)
        yield seen


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory, keys_read: set[tuple[str, str]]) -> SimpleNamespace:
    """A teacher and its students at T = 1 and 3, trained for real on tiny generated data, in this process."""
    from vision.train import train

    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("study")
    data = write_fashion_mnist(root / "data")
    common = [
        f"data.data_dir={data}",
        *("data.validation_size=60", "model=tiny_resnet", "recipe=quick"),
        *("recipe.train_size=200", "recipe.warmup_epochs=2"),
        *("recipe.batch_size=32", "recipe.epochs=16", "recipe.augmentation.flip=false", "accelerator=cpu"),
    ]
    train(compose_settings("train", [*common, "alpha=0.1", f"output={root}/teacher"]))
    teacher = root / "teacher" / "last.safetensors"
    for temperature in (1, 3):
        student = [f"teacher={teacher}", f"temperature={temperature}", f"output={root}/student-T{temperature}"]
        train(compose_settings("train", [*common, *student]))
    low, high = (root / f"student-T{t}" / "last.safetensors" for t in (1, 3))
    return SimpleNamespace(root=root, data=data, common=common, teacher=teacher, low=low, high=high)
