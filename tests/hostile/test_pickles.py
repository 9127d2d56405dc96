"""Pickles that run code, in every place that reads a checkpoint, an array or a record: none runs."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq.checkpoint_utils import load_checkpoint_to_cpu

from tests.hostile import evil
from tests.hostile.outcomes import exit_status
from tests.hostile.pickle_places import ARRAYS, CHECKPOINTS, OTHERS, RECORDS
from tests.nmt_plugin import conftest as tiny

pytestmark = pytest.mark.usefixtures("bounded")
PLACES = CHECKPOINTS | ARRAYS | RECORDS


def unrestricted(path: Path) -> None:
    """What a careless program does with a file that it does not know."""
    for load in (
        lambda: torch.load(path, weights_only=False),
        lambda: pickle.loads(path.read_bytes()),
        lambda: pickle.loads(path.read_bytes()[16:]),
        lambda: dict(np.load(path, allow_pickle=True).items()),
    ):
        try:
            load()
        except Exception:
            continue


@pytest.mark.parametrize("kind", evil.FILES)
def test_the_files_are_malicious(kind: str, canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a test of what does not run would show nothing."""
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0")
    (tmp_path / "x.pt").write_bytes(evil.FILES[kind](canary))
    unrestricted(tmp_path / "x.pt")
    assert canary.exists()


@pytest.mark.parametrize("kind", evil.FILES)
@pytest.mark.parametrize("place", PLACES)
def test_none_runs_and_one_line_says_so(
    place: str, kind: str, canary: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """`refused` looks for the canary too."""
    folder = tmp_path / "here"
    folder.mkdir()
    message = refused(PLACES[place], folder, evil.FILES[kind](canary))
    assert message.startswith("torchvision:resnet18") or str(tmp_path) in message


@pytest.mark.parametrize("kind", evil.FILES)
@pytest.mark.parametrize("place", OTHERS)
def test_none_runs_where_another_program_reads(place: str, kind: str, canary: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011  (not this project's to word)
        OTHERS[place](tmp_path, evil.FILES[kind](canary))
    assert not canary.exists()


@pytest.mark.parametrize("kind", evil.FILES)
def test_none_runs_where_fairseq_reads_with_the_plugin(kind: str, canary: Path, tmp_path: Path) -> None:
    """As `fairseq-train --restore-file` and `fairseq-generate --path` do."""
    (tmp_path / "x.pt").write_bytes(evil.FILES[kind](canary))
    with pytest.raises(Exception):  # noqa: B017, PT011
        load_checkpoint_to_cpu(str(tmp_path / "x.pt"))
    assert not canary.exists()


@pytest.fixture
def data_bin(tmp_path: Path) -> Path:
    folder = tmp_path / "data-bin"
    folder.mkdir()
    for language in ("en", "de"):
        tiny.dictionary().save(str(folder / f"dict.{language}.txt"))
    tiny.write_split(folder, "train", tiny.sentences(12, seed=1))
    tiny.write_split(folder, "valid", tiny.sentences(5, seed=2))
    return folder


@pytest.mark.parametrize("command", ["cache", "evaluate"])
def test_the_commands_end_with_one_line(command: str, canary: Path, data_bin: Path, tmp_path: Path) -> None:
    from nmt_plugin.cache import main as cache
    from nmt_plugin.evaluate import main as evaluate

    (tmp_path / "x.pt").write_bytes(evil.FILES["checkpoint, os.system"](canary))
    teacher, output = str(tmp_path / "x.pt"), str(tmp_path / "cache")
    main, words = {
        "cache": (cache, ["--teacher", teacher, "--data", str(data_bin), "--output", output]),
        "evaluate": (evaluate, ["--model", teacher, "--corpus", str(data_bin)]),
    }[command]
    assert exit_status(main, words) == 2
    assert not canary.exists()


@pytest.mark.e2e
@pytest.mark.parametrize("kind", ["checkpoint, os.system", "checkpoint, data.pkl replaced", "legacy checkpoint"])
def test_fairseq_train_restores_none(kind: str, canary: Path, data_bin: Path, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(evil.FILES[kind](canary))
    plugin = Path(__file__).parent.parent.parent / "nmt_plugin"
    command = [
        *(sys.executable, "-m", "fairseq_cli.train", str(data_bin), "--user-dir", str(plugin), "--cpu"),
        *("--task", "translation", "--arch", "transformer_tiny", "--criterion", "smoothed_cross_entropy"),
        *("--optimizer", "adam", "--max-update", "1", "--max-tokens", "100", "--save-dir", str(tmp_path / "save")),
        *("--source-lang", "en", "--target-lang", "de", "--restore-file", str(tmp_path / "x.pt")),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode != 0
    assert "weights_only" in run.stderr or "Weights only" in run.stderr
    assert not canary.exists()
