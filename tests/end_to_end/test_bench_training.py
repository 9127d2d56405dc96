"""The benches of training steps and loaders as a person runs them, at sizes that say nothing of speed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def word_kd(run: Command, corpus: Path, tmp_path: Path) -> Command:
    """`word_kd(teacher, flag, ...)`: the bench of a translation step on a few batches."""

    def bench(teacher: Path, *flags: object) -> "CompletedProcess[str]":
        return run(
            *(sys.executable, "scripts/bench/word_kd.py", "--teacher", teacher / "checkpoint_last.pt"),
            *("--data", corpus / "data-bin", "--batches", "3", "--temperatures", "2"),
            *("--output", tmp_path / "bench.json", *flags),
        )

    return bench


def test_a_translation_step_has_a_row_for_every_kind_of_teacher(
    fork: Command, word_kd: Command, corpus: Path, teacher: Path, tmp_path: Path
) -> None:
    cached = fork(
        *(sys.executable, "-m", "nmt_plugin.cache", "--teacher", teacher / "checkpoint_last.pt"),
        *("--data", corpus / "data-bin", "--topk", "8", "--output", tmp_path / "cache"),
    )
    assert cached.returncode == 0, cached.stderr
    done = word_kd(teacher, "--cache", tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    live = {"live teacher, T = 2", "live teacher, fused head, T = 2"}
    alone = {"label smoothing alone", "the teacher's forward pass alone"}
    assert set(found["ratios"]) == live | alone | {"cache, T = 2"}
    assert found["ratios"]["label smoothing alone"]["median"] == 1.0
    assert set(found["ratios of live teachers to a plain step and the teacher's forward pass"]) == live


def test_a_teacher_without_a_plain_last_layer_has_no_row_for_the_fused_head(
    fork: Command, word_kd: Command, corpus: Path, tmp_path: Path
) -> None:
    trained = fork(
        *("fairseq-train", corpus / "data-bin", "--user-dir", "nmt_plugin", "--save-dir", tmp_path / "lstm"),
        *("--criterion", "smoothed_cross_entropy", "--optimizer", "adam", "--max-tokens", "1000", "--max-update", "1"),
        *("--arch", "lstm", "--encoder-embed-dim", "16", "--decoder-embed-dim", "16", "--decoder-out-embed-dim", "16"),
    )
    assert trained.returncode == 0, trained.stderr
    done = word_kd(tmp_path / "lstm")
    assert done.returncode == 0, done.stderr
    assert "left out: --fused-head" in done.stdout
    found = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert set(found["ratios"]) == {
        *("label smoothing alone", "live teacher, T = 2", "the teacher's forward pass alone")
    }


def test_an_image_step_has_the_loss_of_timms(run: Command, tmp_path: Path) -> None:
    output = tmp_path / "distillation.json"
    models = ("--teacher", "resnet18", "--student", "resnet18", "--image-size", "32", "--classes", "10")
    sizes = ("--batch-size", "8", "--batches", "2")
    done = run(sys.executable, "scripts/bench/distillation.py", *models, *sizes, "--output", output)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text(encoding="utf-8"))
    assert set(found["ratios"]) == {"kd / timm", "dist / kd"}
    assert found["largest relative difference of the losses"] < 1e-3


def test_every_loader_has_a_speed_in_training_and_evaluation(run: Command, tmp_path: Path) -> None:
    output = tmp_path / "loaders.json"
    sizes = ("--images", "6", "--batch-size", "4", "--epochs", "2", "--workers", "1")
    done = run(sys.executable, "scripts/bench/loaders.py", *sizes, "--output", output)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text(encoding="utf-8"))
    assert set(found["loaders"]) == {"training", "evaluation"}
    for rows in found["loaders"].values():
        assert set(rows) == {"torchvision", "dali", "dali, its operators alone"}
        assert all(row["images_per_second"] > 0 for row in rows.values())
