"""The commands that are killed: how each is started, and what it has to have left in the end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.files import sha256
from tests.faults.inputs import DIGITS, PYTHON, Inputs, corpus_command, translation_command
from tests.faults.outcomes import of_fairseq, of_files, of_lightning, of_records, renamed


@dataclass(frozen=True)
class Subject:
    """`command` writes into the folder that it is given; `outcome` is what must be equal."""

    name: str
    command: Callable[[Inputs, Path], list[str]]
    outcome: Callable[[Path], dict[str, Any]]


def _vision_train(inputs: Inputs, output: Path) -> list[str]:
    recipe = ["recipe.epochs=4", "recipe.train_size=400", "checkpoint_steps=2", "recipe.ema=0.9", "recipe.clip=1"]
    return [*PYTHON, "vision.train", *DIGITS, *recipe, "+model.kwargs.drop_rate=0.2", "alpha=0.1", f"output={output}"]


def _of_vision_train(folder: Path) -> dict[str, Any]:
    checkpoints = {name: of_lightning(folder / name) for name in ("last.ckpt", "best.ckpt")}
    return of_records(folder) | checkpoints | of_files(folder, "*.safetensors", "outcomes.npz")


def _vision_evaluate(inputs: Inputs, output: Path) -> list[str]:
    checkpoint = f"checkpoint={inputs.image_teacher()}/last.safetensors"
    return [*PYTHON, "vision.evaluate", "data=digits", checkpoint, "threads=1", "keep=true", f"output={output}"]


def _word_kd(inputs: Inputs, output: Path) -> list[str]:
    teacher = str(inputs.translation_teacher() / "checkpoint_last.pt")
    flags = ("--criterion", "word_kd", "--teacher", teacher, "--temperature", "2", "--label-smoothing", "0.1")
    return translation_command(inputs, output, "12", *flags, "--keep-interval-updates", "2")


def _of_word_kd(folder: Path) -> dict[str, Any]:
    return {path.name: of_fairseq(path) for path in sorted(folder.glob("checkpoint*.pt"))}


def _cache(inputs: Inputs, output: Path) -> list[str]:
    teacher, data = inputs.translation_teacher() / "checkpoint_last.pt", inputs.corpus() / "data-bin"
    words = ["nmt_plugin.cache", "--teacher", str(teacher), "--data", str(data), "--topk", "8"]
    return [*PYTHON, *words, "--max-tokens", "50", "--cpu", "--output", str(output)]


def _of_all_files(folder: Path) -> dict[str, Any]:
    return of_files(folder, "*")


def _nmt_evaluate(inputs: Inputs, output: Path) -> list[str]:
    words = ["--model", str(inputs.translation_teacher()), "--corpus", str(inputs.corpus())]
    return [*PYTHON, "nmt_plugin.evaluate", *words, "--beam", "2", "--max-len", "20", "--output", str(output)]


def _study(which: str, output: Path) -> list[str]:
    few = ["--seeds", "1", "--alphas", "0.1", "--temperatures", "1 2", "--workers", "2"]
    return ["bash", "scripts/study.sh", which, "--quick", *few, "--output", str(output)]


def _of_nmt_study(folder: Path) -> dict[str, Any]:
    paths = sorted(folder.rglob("checkpoint_*.pt"))
    names = {sha256(path): str(path.relative_to(folder)) for path in paths}
    checkpoints = {str(path.relative_to(folder)): of_fairseq(path, names) for path in paths}
    sets = of_records(folder, "sets.json")
    for record in sets.values():
        del record["name"]  # it ends in a digest of what it was made of
    short = {digest[:12]: name for digest, name in names.items()}  # as notes name a model
    records = renamed(of_records(folder) | sets, names | short)
    return records | checkpoints | of_files(folder, "outcomes.npz", "study.json")


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("vision.train", _vision_train, _of_vision_train),
        Subject(
            "vision.evaluate",
            _vision_evaluate,
            lambda folder: of_records(folder) | of_files(folder, "predictions.npz", "classes.csv"),
        ),
        Subject("word_kd", _word_kd, _of_word_kd),
        Subject("cache", _cache, _of_all_files),
        Subject("corpus", corpus_command, _of_all_files),
        Subject(
            "nmt.evaluate",
            _nmt_evaluate,
            lambda folder: of_records(folder) | of_files(folder, "outcomes.npz", "*.test.yy"),
        ),
        Subject(
            "study",
            lambda _, output: _study("vision", output),
            lambda folder: of_records(folder) | of_files(folder, "*.safetensors", "outcomes.npz", "study.json"),
        ),
        Subject("nmt.study", lambda _, output: _study("nmt", output), _of_nmt_study),
    )
}
