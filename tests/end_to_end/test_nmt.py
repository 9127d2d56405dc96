"""fairseq's own commands with the plugin, then our evaluation, on real text in tiny form."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch

import nmt_plugin  # noqa: F401
from shared.results import read_result

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]


def state_of(checkpoint: Path) -> dict[str, Any]:
    return torch.load(checkpoint, weights_only=True)  # nmt_plugin has allow-listed what it holds


def size_without_text(state: dict[str, Any]) -> int:
    """Bytes of a checkpoint but for what fairseq and the plugin note beside weights and optimizer state."""
    written = io.BytesIO()
    torch.save({key: value for key, value in state.items() if key not in ("cfg", "task_state", "extra_state")}, written)
    return written.tell()


def logged(trained: "CompletedProcess[str]", key: str) -> list[float]:
    """Values of `key` in the JSON lines of a fairseq log, in order."""
    output = (trained.stdout + trained.stderr).splitlines()
    lines = [line[line.index("{") :] for line in output if f'"{key}"' in line]
    return [float(json.loads(line)[key]) for line in lines]


def assert_refused(done: "CompletedProcess[str]", *words: str) -> None:
    """Exit status 2 with one clear `error:` line as the last thing said, and no traceback."""
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: "), done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in last


def test_training_logs_bits_and_learns(train: Command, teacher: Path, tmp_path: Path) -> None:
    """A fresh student starts near the uniform distribution: log2(K) bits; its KD loss falls."""
    flags = ("--criterion", "word_kd", "--teacher", teacher / "checkpoint_last.pt", "--kd-weight", "1")
    trained = train(tmp_path / "s", *flags)
    assert trained.returncode == 0, trained.stderr
    nll, kd = logged(trained, "nll_loss"), logged(trained, "kd_loss")
    entries = state_of(teacher / "checkpoint_last.pt")["model"]["decoder.embed_tokens.weight"].shape[0]
    assert abs(nll[0] - torch.log2(torch.tensor(float(entries)))) < 1.5
    assert kd[-1] < kd[0]
    assert logged(trained, "valid_kd_loss")
    assert logged(trained, "ppl")[0] == pytest.approx(2 ** nll[0], rel=0.01)


def test_student_checkpoint_holds_no_teacher(teacher: Path, student: Path) -> None:
    """The same architecture has the same entries and the same size, optimizer state included.

    But for settings, metrics and the card of the teacher, which are text.
    """
    ours, theirs = state_of(student / "checkpoint_last.pt"), state_of(teacher / "checkpoint_last.pt")
    assert list(ours["model"]) == list(theirs["model"])
    assert not ours.get("criterion")
    sizes = [size_without_text(state) for state in (ours, theirs)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)


def test_generate_and_interactive_need_no_teacher(run: Command, corpus: Path, student: Path, teacher: Path) -> None:
    common = ("--user-dir", "nmt_plugin", "--path", student / "checkpoint_last.pt", "--beam", "2", "--max-len-b", "20")
    away = teacher.rename(teacher.with_name("teacher-away"))
    try:
        generated = run(
            *("fairseq-generate", corpus / "data-bin", "--gen-subset", "test", "--required-batch-size-multiple", "1"),
            *common,
        )
        asked = run("fairseq-interactive", corpus / "data-bin", *common, stdin="Open the document\n")
    finally:
        away.rename(teacher)
    assert generated.returncode == 0, generated.stderr
    sentences = (corpus / "raw" / "test.en").read_text().count("\n")
    assert sum(line.startswith("H-") for line in generated.stdout.splitlines()) == sentences
    assert asked.returncode == 0, asked.stderr
    assert "H-0" in asked.stdout


def test_validate_logs_the_kd_loss(fork: Command, corpus: Path, student: Path) -> None:
    checked = fork(
        *("fairseq-validate", corpus / "data-bin", "--user-dir", "nmt_plugin", "--task", "translation"),
        *("--path", student / "checkpoint_last.pt", "--max-tokens", "1000", "--log-format", "json"),
    )
    assert checked.returncode == 0, checked.stderr
    assert logged(checked, "valid_kd_loss")


def test_an_interrupted_training_continues_to_the_same_weights(
    train: Command, teacher: Path, student: Path, tmp_path: Path
) -> None:
    """Stopped after 6 of 12 updates and taken up again, with dropout: to the bit what 12 updates give."""
    flags = ("--criterion", "word_kd", "--teacher", teacher / "checkpoint_last.pt", "--temperature", "3")
    for updates in (6, 12):
        trained = train(tmp_path, *flags, "--max-update", updates)
        assert trained.returncode == 0, trained.stderr
    whole, parts = (state_of(folder / "checkpoint_last.pt")["model"] for folder in (student, tmp_path))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_evaluation_ends_in_a_record(fork: Command, corpus: Path, student: Path, teacher: Path) -> None:
    scored = fork(sys.executable, "-m", "nmt_plugin.evaluate", "--model", student, "--corpus", corpus, "--beam", "2")
    assert scored.returncode == 0, scored.stderr
    result = read_result(student / "result.json")
    (model,) = result.models
    assert (model.role, model.temperature, model.kd_weight) == ("student", 3.0, 0.9)
    assert result.teacher is not None
    assert result.teacher.alpha == 0.1
    assert result.data.name == "tiny.en-de"
    metric = result.metrics["last/test/bleu"]
    assert metric.count == (corpus / "raw" / "test.de").read_text().count("\n")
    by_sacrebleu = fork("sacrebleu", corpus / "raw" / "test.de", "-i", student / "last.test.de", "-b", "-w", "6")
    assert float(by_sacrebleu.stdout) == pytest.approx(metric.value, abs=1e-5)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--criterion", "smoothed_cross_entropy", "--label-smoothing", "1.0"), ("alpha", "[0, 1)")),
        (("--criterion", "word_kd"), ("needs a teacher", "--teacher")),
        (("--criterion", "word_kd", "--teacher", "README.md"), ("README.md", "not a checkpoint")),
        (("--criterion", "word_kd", "--teacher", "TEACHER", "--temperature", "0"), ("temperature", "above 0")),
    ],
)
def test_bad_settings_are_refused_before_training(
    train: Command, teacher: Path, tmp_path: Path, flags: tuple[str, ...], words: tuple[str, ...]
) -> None:
    known = {"TEACHER": str(teacher / "checkpoint_last.pt")}
    done = train(tmp_path / "never", *(known.get(flag, flag) for flag in flags))
    assert_refused(done, *words)
    assert not (tmp_path / "never" / "checkpoint_last.pt").exists()


@pytest.mark.parametrize("command", ["fairseq-train", "fairseq-generate"])
def test_a_data_folder_that_is_none_is_refused(run: Command, teacher: Path, tmp_path: Path, command: str) -> None:
    languages = ("--source-lang", "en", "--target-lang", "de")
    more = {
        "fairseq-train": (
            "--arch",
            "transformer",
            "--criterion",
            "smoothed_cross_entropy",
            "--max-tokens",
            "9",
            "--save-dir",
            tmp_path,
            *languages,
        ),
        "fairseq-generate": ("--path", teacher / "checkpoint_last.pt", *languages),
    }
    assert_refused(run(command, "no/such/folder", "--user-dir", "nmt_plugin", *more[command]), "not a data folder")


def test_an_unknown_architecture_is_refused(train: Command, tmp_path: Path) -> None:
    done = train(tmp_path / "never", "--criterion", "smoothed_cross_entropy", "--arch", "transfromer")
    assert done.returncode == 2
    assert "invalid choice: 'transfromer'" in done.stderr.strip().splitlines()[-1]


def test_dictionaries_that_differ_are_refused(
    fork: Command, train: Command, corpus: Path, teacher: Path, tmp_path: Path
) -> None:
    """The teacher's dictionary, found beside its checkpoint, has two entries swapped."""
    shutil.copy(teacher / "checkpoint_last.pt", tmp_path / "other.pt")
    for language in ("en", "de"):
        lines = (corpus / "data-bin" / f"dict.{language}.txt").read_text().splitlines(keepends=True)
        lines[5], lines[6] = lines[6], lines[5]
        (tmp_path / f"dict.{language}.txt").write_text("".join(lines))
    done = train(tmp_path / "never", "--criterion", "word_kd", "--teacher", tmp_path / "other.pt")
    assert_refused(done, "source dictionary differs", "entry 9")


def test_evaluating_what_is_not_there_is_refused(fork: Command, corpus: Path, teacher: Path, tmp_path: Path) -> None:
    evaluate = (sys.executable, "-m", "nmt_plugin.evaluate")
    assert_refused(fork(*evaluate, "--model", tmp_path, "--corpus", corpus), "checkpoint_last.pt")
    assert_refused(fork(*evaluate, "--model", teacher, "--corpus", tmp_path), "card.json")
    assert_refused(fork(*evaluate, "--model", teacher, "--corpus", tmp_path / "none"), "no such folder")


def test_a_record_is_not_replaced_by_other_scores(fork: Command, corpus: Path, student: Path) -> None:
    """The folder holds last and best on test; a score on valid must not take its place."""
    assert (student / "result.json").is_file()
    done = fork(
        *(sys.executable, "-m", "nmt_plugin.evaluate", "--model", student, "--corpus", corpus),
        *("--subset", "valid", "--output", student),
    )
    assert_refused(done, "holds other scores", "last/test")
