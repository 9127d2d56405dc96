"""What the subjects read, made once: a corpus of an invented language, a translation teacher, an image teacher."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.faults.kills import ROOT

Run = Callable[[list[str]], "subprocess.CompletedProcess[str]"]
PYTHON = [sys.executable, "-m"]
FAIRSEQ_TRAIN = [str(Path(sys.executable).parent / "fairseq-train")]
TINY_MODEL = [
    *("--arch", "transformer_iwslt_de_en", "--share-all-embeddings"),
    *("--encoder-layers", "1", "--encoder-embed-dim", "32", "--encoder-ffn-embed-dim", "64"),
    *("--decoder-layers", "1", "--decoder-embed-dim", "32", "--decoder-ffn-embed-dim", "64"),
    *("--encoder-attention-heads", "2", "--decoder-attention-heads", "2"),
]
TINY_TRAINING = [
    *("--optimizer", "adam", "--lr", "5e-3", "--max-tokens", "400", "--seed", "1", "--num-workers", "0"),
    *("--log-format", "json", "--log-interval", "1", "--save-interval-updates", "2", "--cpu"),
]
DIGITS = ["data=digits", "model=tiny_resnet", "recipe=tiny", "accelerator=cpu", "threads=1", "recipe.warmup_epochs=0"]


def run_process(command: list[str]) -> "subprocess.CompletedProcess[str]":
    """The command as a process of its own, with one thread."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


class Inputs:
    """Folders below one; each is made, by `run`, when it is first asked for."""

    def __init__(self, folder: Path, run: Run = run_process) -> None:
        self._folder, self._run = folder, run

    def text(self) -> dict[str, Path]:
        """Files `train.xx` and so on: every word of the target is its source's with other letters, in reverse order."""
        folder = self._folder / "text"
        names = [f"{split}.{language}" for split in ("train", "valid", "test") for language in ("xx", "yy")]
        if not folder.is_dir():
            _write_text(folder)
        return {name: folder / name for name in names}

    def corpus(self) -> Path:
        return self._made("corpus", corpus_command(self, self._folder / "corpus"), "card.json")

    def translation_teacher(self) -> Path:
        """Folder of a model of 6 updates, and what `fairseq-train` writes after every second one."""
        folder = self._folder / "teacher"
        return self._made("teacher", translation_command(self, folder, "6"), "checkpoint_last.pt")

    def image_teacher(self) -> Path:
        folder = self._folder / "images"
        command = [*PYTHON, "vision.train", *DIGITS, "recipe.epochs=1", f"output={folder}"]
        return self._made("images", command, "result.json")

    def _made(self, name: str, command: list[str], last: str) -> Path:
        folder = self._folder / name
        if not (folder / last).is_file():
            done = self._run(command)
            assert done.returncode == 0, done.stderr[-3000:]
        return folder


def corpus_command(inputs: Inputs, output: Path) -> list[str]:
    text = inputs.text()
    files = [f for split in ("train", "valid", "test") for f in (f"--{split}", *_pair(text, split))]
    words = ["nmt_plugin.corpora", "text", "--source-lang", "xx", "--target-lang", "yy", "--vocab-size", "120"]
    return [*PYTHON, *words, *files, "--workers", "1", "--output", str(output)]


def translation_command(inputs: Inputs, output: Path, updates: str, *flags: str) -> list[str]:
    """fairseq-train; of the criterion `smoothed_cross_entropy` unless the flags name another."""
    criterion = () if "--criterion" in flags else ("--criterion", "smoothed_cross_entropy", "--label-smoothing", "0.1")
    words = [str(inputs.corpus() / "data-bin"), "--user-dir", "nmt_plugin", "--save-dir", str(output)]
    return [*FAIRSEQ_TRAIN, *words, *TINY_MODEL, *TINY_TRAINING, "--max-update", updates, *criterion, *flags]


def _pair(text: dict[str, Path], split: str) -> tuple[str, str]:
    return str(text[f"{split}.xx"]), str(text[f"{split}.yy"])


def _write_text(folder: Path) -> None:
    chance = random.Random(1)
    syllables = [a + b for a in "bdgklmnprst" for b in "aeiou"]
    words = ["".join(chance.choices(syllables, k=chance.randint(1, 3))) for _ in range(80)]
    other = {word: word.translate(str.maketrans("aeiou", "eioua")) for word in words}
    folder.mkdir(parents=True)
    for split, count in (("train", 400), ("valid", 30), ("test", 30)):
        sources = [chance.choices(words, k=chance.randint(3, 9)) for _ in range(count)]
        targets = [[other[word] for word in reversed(line)] for line in sources]
        for language, lines in (("xx", sources), ("yy", targets)):
            text = "".join(" ".join(line) + "\n" for line in lines)
            (folder / f"{split}.{language}").write_text(text, encoding="utf-8")
