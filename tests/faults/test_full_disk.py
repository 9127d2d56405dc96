"""No room: one line that names the file, status 2, and what was there before is there still.

A limit on the size of files stands for the full disk: any user may set one, and a write beyond it fails in the same
place, with EFBIG for ENOSPC. Python ignores the signal that comes with it.
"""

import errno
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from nmt_plugin.corpora.folder import whole_folder
from shared.errors import UserError, exit_on_user_error, no_room
from shared.files import write_text
from shared.outcomes import write_outcomes
from tests.faults.inputs import DIGITS, PYTHON, Inputs, corpus_command, translation_command
from tests.faults.kills import ROOT
from vision.training.saving import WholeCheckpoints

NOISE = np.random.default_rng(1)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def write_record(path: Path) -> None:
    write_text(path, "x" * 100_000)


def write_arrays(path: Path) -> None:
    write_outcomes(path.parent, {"last/test/top1": NOISE.integers(0, 2**60, (20_000, 1))})


def write_checkpoint(path: Path) -> None:
    WholeCheckpoints().save_checkpoint({"weights": torch.randn(50_000)}, path)


WRITERS = {"result.json": write_record, "outcomes.npz": write_arrays, "last.ckpt": write_checkpoint}


@pytest.mark.parametrize(("name", "write"), WRITERS.items(), ids=WRITERS.keys())
@pytest.mark.parametrize("room", [0, 1_000, 60_000])
def test_a_write_without_room_names_the_file_and_keeps_the_earlier(
    tmp_path: Path, name: str, write: Callable[[Path], None], room: int
) -> None:
    path = tmp_path / name
    path.write_bytes(b"the earlier version")
    with largest_file(room), pytest.raises(UserError) as told:
        write(path)
    assert str(told.value) == f"{path} cannot be written (File too large); make room and start it again"
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {name: b"the earlier version"}
    write(path)
    assert path.stat().st_size > 60_000


def test_a_folder_without_room_is_not_made(tmp_path: Path) -> None:
    no_room_for = pytest.raises(UserError, match=r"corpus cannot be written \(File too large\)")
    with largest_file(10), no_room_for, whole_folder(tmp_path / "corpus") as folder:
        (folder / "train.en").write_text("more than ten letters")
    assert list(tmp_path.iterdir()) == []


def test_any_other_write_without_room_ends_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped, exit_on_user_error():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "metrics.csv")
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        "error: metrics.csv cannot be written (No space left on device); make room and start it again\n"
    )
    with pytest.raises(PermissionError), exit_on_user_error():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_only_a_full_disk_is_told_as_one() -> None:
    hidden = RuntimeError("unexpected pos 768 vs 662")
    assert no_room("a.ckpt", hidden) is None
    hidden.__context__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert "a.ckpt cannot be written (Disk quota exceeded)" in str(no_room("a.ckpt", hidden))


def run_without_room(command: list[str], size: int) -> "subprocess.CompletedProcess[str]":
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, preexec_fn=limit
    )


@pytest.mark.e2e
@pytest.mark.parametrize("subject", ["vision.train", "fairseq-train", "corpus"])
def test_a_command_without_room_says_so_in_its_last_line(inputs: Inputs, tmp_path: Path, subject: str) -> None:
    """20,000 bytes are room for settings, logs and records, and for no checkpoint."""
    output = tmp_path / "out"
    command, unwritten = {
        "vision.train": ([*PYTHON, "vision.train", *DIGITS, "recipe.epochs=1", f"output={output}"], "best.ckpt"),
        "fairseq-train": (translation_command(inputs, output, "2"), "checkpoint_1_2.pt"),
        "corpus": (corpus_command(inputs, output), ""),
    }[subject]
    done = run_without_room(command, 20_000)
    assert done.returncode == 2, done.stderr[-3000:]
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "File too large" in last
    assert f"{output}/{unwritten}".rstrip("/") in last
    assert "Traceback" not in done.stderr
    assert not [path.name for path in tmp_path.rglob("*") if path.suffix in (".ckpt", ".pt", ".part", ".tmp")]
