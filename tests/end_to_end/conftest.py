"""Fixtures for whole commands: real help pages, real corpora, real trainings, in tiny form."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.forks import run_in_fork

ROOT = Path(__file__).parent.parent.parent
Run = Callable[..., "subprocess.CompletedProcess[str]"]
TINY_MODEL = [
    *("--arch", "transformer_iwslt_de_en", "--share-all-embeddings"),
    *("--encoder-layers", "1", "--encoder-embed-dim", "32", "--encoder-ffn-embed-dim", "64"),
    *("--decoder-layers", "1", "--decoder-embed-dim", "32", "--decoder-ffn-embed-dim", "64"),
    *("--encoder-attention-heads", "2", "--decoder-attention-heads", "2"),
]
TINY_TRAINING = [
    *("--optimizer", "adam", "--lr", "5e-3", "--max-tokens", "1000", "--max-update", "12", "--seed", "1"),
    *("--log-format", "json", "--log-interval", "1", "--num-workers", "0", "--no-epoch-checkpoints"),
]
# Files of minutes. Two workers take whole files in turn (scripts/test.sh): with these first, both end at the same time.
LONG = (
    *("test_demo", "test_presets", "test_study_nmt", "test_study", "test_experiments", "test_readme"),
    *("test_vision_scripts", "test_vision_studies", "test_vision_sweeps", "test_dist_experiments"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """One thread, this environment's commands, and no unrestricted torch.load."""
    os.environ["OMP_NUM_THREADS"] = "1"  # here too: forks have the threads of the process that started first
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1", "PATH": path}


@pytest.fixture(scope="session")
def run(environment: dict[str, str]) -> Run:
    """Run a command of this environment from the repository's root."""

    def run_command(
        *command: object, stdin: str | None = None, cwd: Path = ROOT, timeout: float = 3600
    ) -> "subprocess.CompletedProcess[str]":
        words = [str(word) for word in command]
        return subprocess.run(
            words, input=stdin, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    return run_command


@pytest.fixture(scope="session")
def fork(environment: dict[str, str]) -> Run:
    """As `run`, for a Python command in a fork (forks.py): where many short ones, or their mistakes, are tried.

    Every command is also run as a process of its own: by scripts/, and README.md's in test_readme.py.
    """

    def fork_command(*command: object, timeout: float = 3600) -> "subprocess.CompletedProcess[str]":
        return run_in_fork([str(word) for word in command], ROOT, environment, timeout)

    return fork_command


@pytest.fixture(scope="session")
def interrupt() -> Run:
    """`interrupt(command, output, step, timeout)`: a study that gets Ctrl-C once it has noted `step` in `output` as
    done (or after `timeout` seconds); what it printed, errors too, is in `stdout`.
    """

    def interrupt_command(
        command: list[str], output: Path, step: str, timeout: float
    ) -> "subprocess.CompletedProcess[str]":
        # A test run that was itself started in the background ignores SIGINT, and hands that on.
        job = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        done = output / "state" / "done"
        deadline = time.monotonic() + timeout
        while not (done.is_file() and step in done.read_text()) and time.monotonic() < deadline:
            time.sleep(0.2)
        job.send_signal(signal.SIGINT)
        said, _ = job.communicate(timeout=60)
        return subprocess.CompletedProcess(command, job.returncode, said)

    return interrupt_command


@pytest.fixture(scope="session")
def corpus(fork: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An En-De corpus built from a few of the real help pages (scripts/setup.sh fetches them)."""
    pages = ROOT / "data" / "libreoffice-help"
    assert pages.is_dir(), "run scripts/setup.sh first: it fetches the help pages"
    folder = tmp_path_factory.mktemp("help")
    for language in ("en-US", "de"):
        shutil.copytree(
            pages / language / "text" / "swriter" / "guide", folder / language / "text" / "swriter" / "guide"
        )
    corpus = folder / "tiny.en-de"
    built = fork(
        *(sys.executable, "-m", "nmt_plugin.corpora", "libreoffice", "--pair", "en-de", "--source", folder),
        *("--output", corpus, "--vocab-size", "500", "--valid-size", "40", "--test-size", "40"),
    )
    assert built.returncode == 0, built.stderr
    return corpus


@pytest.fixture(scope="session")
def train(fork: Run, corpus: Path) -> Run:
    """`train(save_dir, flag, ...)`: a tiny `fairseq-train` with the plugin."""

    def train_model(save_dir: Path, *flags: object) -> "subprocess.CompletedProcess[str]":
        return fork(
            *("fairseq-train", corpus / "data-bin", "--user-dir", "nmt_plugin", "--save-dir", save_dir),
            *(*TINY_MODEL, *TINY_TRAINING, *flags),
        )

    return train_model


@pytest.fixture(scope="session")
def teacher(train: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a teacher trained with alpha = .1."""
    folder = tmp_path_factory.mktemp("nmt") / "teacher"
    trained = train(folder, "--criterion", "smoothed_cross_entropy", "--label-smoothing", "0.1")
    assert trained.returncode == 0, trained.stderr
    return folder


@pytest.fixture(scope="session")
def student(train: Run, teacher: Path) -> Path:
    """Folder of a student distilled from it at T = 3."""
    folder = teacher.parent / "student"
    flags = ("--criterion", "word_kd", "--teacher", teacher / "checkpoint_last.pt", "--temperature", "3")
    trained = train(folder, *flags)
    assert trained.returncode == 0, trained.stderr
    return folder
