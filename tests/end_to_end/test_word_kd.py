"""word_kd in fairseq's own commands: from a cache, in two processes, in half precision, in a Hydra sweep."""

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch

from nmt_plugin.checkpoints import read_checkpoint
from nmt_plugin.teachers.store import DONE, SENTENCE
from shared.results import read_result

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]
CACHE = (sys.executable, "-m", "nmt_plugin.cache", "--topk", "16", "--max-tokens", "500", "--cpu")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    model: dict[str, torch.Tensor] = read_checkpoint(str(folder / "checkpoint_last.pt"))["model"]
    return model


def assert_same_weights(one: Path, other: Path) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def trained(done: "CompletedProcess[str]") -> "CompletedProcess[str]":
    assert done.returncode == 0, done.stderr
    return done


def updates(done: "CompletedProcess[str]") -> list[dict[str, float]]:
    """What the log says of every update, in order."""
    return [
        {key: float(value) for key, value in json.loads(line[line.index("{") :]).items()}
        for line in (done.stdout + done.stderr).splitlines()
        if "| train_inner | {" in line
    ]


def valid(done: "CompletedProcess[str]") -> dict[str, float]:
    lines = [line for line in (done.stdout + done.stderr).splitlines() if '"valid_kd_loss"' in line]
    return {key: float(value) for key, value in json.loads(lines[-1][lines[-1].index("{") :]).items()}


def last_line(done: "CompletedProcess[str]") -> str:
    """The one line of a refusal."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


@contextmanager
def away(*folders: Path) -> Iterator[None]:
    """Folders that are not there for a while."""
    for folder in folders:
        folder.rename(folder.with_name(f"{folder.name}-away"))
    try:
        yield
    finally:
        for folder in folders:
            folder.with_name(f"{folder.name}-away").rename(folder)


@pytest.fixture(scope="module")
def cache_command(corpus: Path, teacher: Path) -> tuple[object, ...]:
    return (*CACHE, "--teacher", teacher / "checkpoint_last.pt", "--data", corpus / "data-bin", "--output")


@pytest.fixture(scope="module")
def cache(run: Command, cache_command: tuple[object, ...], teacher: Path) -> Path:
    """The teacher's 16 most probable classes, by an undisturbed run."""
    folder = teacher.parent / "cache"
    trained(run(*cache_command, folder))
    return folder


@pytest.fixture(scope="module")
def cached_student(train: Command, cache: Path) -> Path:
    """Folder of a student distilled from the cache at T = 2 in 8 updates, with dropout."""
    folder = cache.parent / "cached-student"
    flags = ("--criterion", "word_kd", "--teacher-cache", cache, "--temperature", "2", "--max-update", "8")
    done = trained(train(folder, *flags))
    first, last = updates(done)[0], updates(done)[-1]
    assert last["kd_loss"] < first["kd_loss"]
    assert 0 < first["retained"] < 1
    assert {"valid_teacher_nll", "valid_teacher_entropy", "valid_agreement", "valid_retained"} <= valid(done).keys()
    return folder


def test_a_killed_cache_goes_on_to_the_same_bytes(
    run: Command, cache_command: tuple[object, ...], cache: Path, tmp_path: Path
) -> None:
    command = [str(word) for word in (*cache_command, tmp_path / "again")]
    state = tmp_path / "again" / "train.part" / "sentences.bin"
    deadline, written = time.monotonic() + 120, 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while written < 100 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
            if state.is_file():
                bytes_there = state.read_bytes()
                whole = bytes_there[: len(bytes_there) // SENTENCE.itemsize * SENTENCE.itemsize]
                written = int((np.frombuffer(whole, SENTENCE)["state"] == DONE).sum())
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it was not killed on its way"
    assert written >= 100
    assert not (tmp_path / "again" / "train").exists()
    done = trained(run(*command))
    assert " 0/" not in done.stderr.partition("cache valid")[0]  # it does not start from the first sentence
    for path in cache.rglob("*.*"):
        assert (tmp_path / "again" / path.relative_to(cache)).read_bytes() == path.read_bytes()


def test_a_student_of_a_cache_needs_neither_teacher_nor_cache(
    run: Command, corpus: Path, teacher: Path, cache: Path, cached_student: Path
) -> None:
    """Its checkpoint holds no teacher; fairseq-generate, with teacher and cache away, finds all it wants."""
    state = read_checkpoint(str(cached_student / "checkpoint_last.pt"))
    assert state["model"].keys() == weights(teacher).keys()
    assert not state.get("criterion")
    with away(teacher, cache):
        generated = run(
            *("fairseq-generate", corpus / "data-bin", "--user-dir", "nmt_plugin", "--required-batch-size-multiple"),
            *("1", "--path", cached_student / "checkpoint_last.pt", "--beam", "1", "--max-len-b", "9", "--cpu"),
        )
    assert generated.returncode == 0, generated.stderr
    sentences = (corpus / "raw" / "test.en").read_text().count("\n")
    assert sum(line.startswith("H-") for line in generated.stdout.splitlines()) == sentences


def test_validation_and_the_record_read_a_cache_whose_teacher_is_gone(
    run: Command, corpus: Path, teacher: Path, cache: Path, cached_student: Path
) -> None:
    with away(teacher):
        checked = run(
            *("fairseq-validate", corpus / "data-bin", "--user-dir", "nmt_plugin", "--task", "translation"),
            *("--path", cached_student / "checkpoint_last.pt", "--max-tokens", "1000", "--log-format", "json"),
        )
        scored = run(
            *(sys.executable, "-m", "nmt_plugin.evaluate", "--model", cached_student, "--corpus", corpus),
            *("--beam", "1"),
        )
    assert valid(trained(checked))["valid_retained"] > 0
    assert scored.returncode == 0, scored.stderr
    result = read_result(cached_student / "result.json")
    assert result.teacher is not None
    assert (result.teacher.alpha, result.models[0].recipe["criterion.topk"]) == (0.1, 16)


def test_validation_finds_a_teacher_that_has_moved(run: Command, corpus: Path, teacher: Path, student: Path) -> None:
    validate = (
        *("fairseq-validate", corpus / "data-bin", "--user-dir", "nmt_plugin", "--task", "translation"),
        *("--path", student / "checkpoint_last.pt", "--max-tokens", "1000", "--log-format", "json"),
    )
    with away(teacher):
        assert "no such checkpoint" in last_line(run(*validate))
        moved = teacher.with_name(f"{teacher.name}-away") / "checkpoint_last.pt"
        checked = run(*validate, "--model-overrides", f"{{'teacher': '{moved}'}}")
    assert valid(trained(checked))["valid_kd_loss"] > 0


def test_a_student_that_starts_as_its_teacher_stays_it(train: Command, teacher: Path, tmp_path: Path) -> None:
    """kd_weight 1, T = 1: the loss is 0 in every update, and no weight moves."""
    checkpoint = teacher / "checkpoint_last.pt"
    flags = ("--criterion", "word_kd", "--teacher", checkpoint, "--kd-weight", "1", "--temperature", "1")
    done = trained(train(tmp_path, *flags, "--finetune-from-model", checkpoint, "--dropout", "0", "--max-update", "6"))
    assert [update["loss"] for update in updates(done)] == [0.0] * 6
    assert valid(done)["valid_kd_loss"] == 0.0
    assert_same_weights(tmp_path, teacher)


def test_weight_zero_trains_to_the_bits_of_smoothed_cross_entropy(
    train: Command, teacher: Path, tmp_path: Path
) -> None:
    """The teacher's own training, over again with a teacher that has no say."""
    flags = ("--criterion", "word_kd", "--teacher", teacher / "checkpoint_last.pt", "--kd-weight", "0")
    trained(train(tmp_path, *flags, "--label-smoothing", "0.1", "--temperature", "3"))
    assert_same_weights(tmp_path, teacher)


def test_smoothed_cross_entropy_trains_as_fairseqs_criterion_at_the_stated_epsilon(
    train: Command, teacher: Path, tmp_path: Path
) -> None:
    """alpha of the teacher's training is 0.1; V entries."""
    ours = weights(teacher)
    entries = len(ours["decoder.embed_tokens.weight"])
    flags = ("--criterion", "label_smoothed_cross_entropy", "--label-smoothing", 0.1 * (entries - 1) / entries)
    trained(train(tmp_path, *flags))
    for name, weight in weights(tmp_path).items():
        torch.testing.assert_close(weight, ours[name], rtol=0, atol=1e-4)


def test_training_goes_on_from_a_checkpoint_with_the_cache(
    train: Command, cache: Path, cached_student: Path, tmp_path: Path
) -> None:
    """4 updates, then 4 more in another process, with dropout: the weights of the 8 at once."""
    flags = ("--criterion", "word_kd", "--teacher-cache", cache, "--temperature", "2")
    for count in ("4", "8"):
        trained(train(tmp_path, *flags, "--max-update", count))
    assert_same_weights(tmp_path, cached_student)


def test_two_processes_train_as_one_with_twice_the_update_frequency(
    train: Command, corpus: Path, cache: Path, tmp_path: Path
) -> None:
    """Over gloo, without dropout (each process has its own): the same log and the same weights.

    Under `torchrun` without a GPU, fairseq 0.12 divides by the number of GPUs; so each process is told its rank.
    """
    flags = ("--criterion", "word_kd", "--teacher-cache", cache, "--temperature", "2", "--dropout", "0", "--cpu")
    flags += ("--required-batch-size-multiple", "1", "--max-update", "4")
    alone = trained(train(tmp_path / "one", *flags, "--update-freq", "2"))
    flags += ("--distributed-world-size", "2", "--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp")
    flags += ("--distributed-no-spawn", "--distributed-init-method", f"file://{tmp_path}/rendezvous")
    with ThreadPoolExecutor() as pool:
        ranks = [pool.submit(train, tmp_path / "two", *flags, "--distributed-rank", rank) for rank in ("0", "1")]
        first, _ = [trained(rank.result()) for rank in ranks]
    speed = {"wps", "ups", "train_wall", "wall"}
    logs = [[{k: v for k, v in update.items() if k not in speed} for update in updates(run)] for run in (alone, first)]
    assert len(logs[0]) == 4
    assert logs[0] == logs[1]
    for key in ("valid_loss", "valid_nll_loss", "valid_kd_loss", "valid_agreement", "valid_retained"):
        assert valid(first)[key] == pytest.approx(valid(alone)[key], abs=1e-3)
    assert_same_weights(tmp_path / "one", tmp_path / "two")


def test_sentence_average_divides_the_loss_by_sentences(train: Command, cache: Path, tmp_path: Path) -> None:
    flags = ("--criterion", "word_kd", "--teacher-cache", cache, "--kd-weight", "1", "--sentence-avg")
    for update in updates(trained(train(tmp_path, *flags, "--max-update", "3"))):
        assert update["loss"] * update["bsz"] == pytest.approx(update["kd_loss"] * update["wpb"], rel=2e-3)


def test_half_precision_logs_what_full_precision_logs(train: Command, cache: Path, tmp_path: Path) -> None:
    """Without a GPU, fairseq's --fp16 wants --fp16-no-flatten-grads."""
    flags = ("--criterion", "word_kd", "--teacher-cache", cache, "--temperature", "2", "--dropout", "0", "--cpu")
    flags += ("--max-update", "3", "--lr", "1e-3", "--fp16-no-flatten-grads", "--fp16-init-scale", "4")
    full = updates(trained(train(tmp_path / "full", *flags)))
    for precision in ("--fp16", "--memory-efficient-fp16"):
        half = updates(trained(train(tmp_path / precision.strip("-"), *flags, precision)))
        assert len(half) == 3
        for ours, theirs in zip(half, full, strict=True):
            for key in ("loss", "nll_loss", "kd_loss", "teacher_nll", "retained"):
                assert ours[key] == pytest.approx(theirs[key], rel=5e-3, abs=2e-3), key


def test_a_hydra_sweep_trains_a_student_for_each_temperature(
    run: Command, corpus: Path, teacher: Path, tmp_path: Path
) -> None:
    """Whole numbers, as one types them, and the folders that the head of the file promises."""
    trained(
        run(
            *("fairseq-hydra-train", "--config-dir", "nmt_plugin/conf", "--config-name", "word_kd", "-m"),
            *("criterion.temperature=1,2,3,64", f"task.data={corpus / 'data-bin'}"),
            *(f"criterion.teacher={teacher / 'checkpoint_last.pt'}", "optimization.max_update=2"),
            *(f"checkpoint.save_dir={tmp_path}/${{hydra:job.override_dirname}}", f"hydra.sweep.dir={tmp_path}/logs"),
        )
    )
    folders = [tmp_path / f"criterion.temperature={t},optimization.max_update=2" for t in (1, 2, 3, 64)]
    assert {path for path in tmp_path.iterdir() if path.name != "logs"} == set(folders)
    states = [read_checkpoint(str(folder / "checkpoint_last.pt")) for folder in folders]
    assert [state["cfg"]["criterion"]["temperature"] for state in states] == [1, 2, 3, 64]
    assert [state["optimizer_history"][-1]["num_updates"] for state in states] == [2] * 4
    tables = [state["model"]["decoder.embed_tokens.weight"] for state in states]
    assert not any(torch.equal(tables[0], table) for table in tables[1:])


def test_bf16_and_a_cache_through_hydra(run: Command, corpus: Path, cache: Path, tmp_path: Path) -> None:
    """On fairseq 0.12's command line --bf16 means a TPU; through Hydra it does not."""
    done = trained(
        run(
            *("fairseq-hydra-train", "--config-dir", "nmt_plugin/conf", "--config-name", "word_kd"),
            *(
                f"task.data={corpus / 'data-bin'}",
                f"criterion.teacher_cache={cache}",
                f"checkpoint.save_dir={tmp_path}",
            ),
            *("criterion.topk_policy=renormalize", "common.bf16=true", "common.cpu=true", "common.log_format=json"),
            *("common.fp16_no_flatten_grads=true", "common.log_interval=1", "optimization.max_update=3"),
        )
    )
    log = [json.loads(line[line.index("{") :]) for line in done.stdout.splitlines() if '"retained"' in line]
    assert len(log) >= 3
    assert all(math.isfinite(float(update["loss"])) for update in log)
    state = read_checkpoint(str(tmp_path / "checkpoint_last.pt"))
    table = state["model"]["decoder.embed_tokens.weight"]
    assert torch.equal(table, table.bfloat16().float())  # it was trained in bf16, whatever fairseq saves it as
    assert state["cfg"]["criterion"]["topk_policy"] == "renormalize"


def test_a_cache_that_cannot_serve_is_refused_before_training(train: Command, cache: Path, tmp_path: Path) -> None:
    done = train(tmp_path, "--criterion", "word_kd", "--teacher-cache", cache, "--kd-loss", "dist")
    assert "--kd-loss dist needs every class" in last_line(done)
    assert not any(tmp_path.iterdir())
