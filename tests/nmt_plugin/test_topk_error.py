"""scripts/bench/topk_error.py on a tiny model; the oracle is numpy, with the gradients of both policies written out."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from fairseq.data.indexed_dataset import make_builder
from torch import Tensor

from shared.errors import UserError

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "bench" / "topk_error.py"
KS, TEMPERATURES = [1, 2, 4, 8, 16, 20], [1.0, 2.0, 3.0, 64.0]
CRITERION = {"_name": "smoothed_cross_entropy", "label_smoothing": 0.1}
Array = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """The script, imported from its file."""
    spec = importlib.util.spec_from_file_location("topk_error", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)
        patch.setitem(sys.modules, "topk_error", module)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture
def logits(tiny: ModuleType) -> tuple[Tensor, Tensor]:
    """A teacher's and a student's logits [n, 20], sharpened: an untrained model's are nearly uniform."""
    task = tiny.task()
    sample = tiny.batch(task, lengths=(9, 7, 4, 1))
    counted = sample["target"] != task.target_dictionary.pad()
    teacher, student = (
        2 * tiny.model(task, seed).eval()(**sample["net_input"])[0][counted].detach().double() for seed in (0, 1)
    )
    return teacher, student


def softmax(z: Array) -> Array:
    exps = np.exp(z - z.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def by_row(rows: list[Any]) -> dict[tuple[float, int], Any]:
    return {(row.temperature, row.k): row for row in rows}


def test_equals_the_definitions(script: ModuleType, logits: tuple[Tensor, Tensor]) -> None:
    """T = 1, K = 4. d/dz of KL over all classes is q - p; grouped, the tail's share follows the student; with the
    teacher renormalized, the tail's is q."""
    (row,) = script.measure([logits], [4], [1.0])
    p, q = (softmax(z.numpy()) for z in logits)
    inside = np.zeros_like(p, dtype=bool)
    np.put_along_axis(inside, np.argsort(-p, axis=-1)[:, :4], True, axis=-1)
    p_in, q_in = (np.where(inside, x, 0.0).sum(axis=-1, keepdims=True) for x in (p, q))
    whole = float((p * np.log(p / q)).sum())
    top = float(np.where(inside, p * np.log(p / q), 0.0).sum())
    losses = {
        "tail": top + float(((1 - p_in) * np.log((1 - p_in) / (1 - q_in))).sum()),
        "renormalize": float(np.where(inside, p / p_in * np.log(p / p_in / q), 0.0).sum()),
    }
    gradients = {
        "tail": np.where(inside, q - p, q - (1 - p_in) * q / (1 - q_in)),
        "renormalize": np.where(inside, q - p / p_in, q),
    }
    assert row.mass == pytest.approx(p_in.mean(), rel=1e-9)
    assert row.tail < 1e-12
    for policy, error in row.policies.items():
        own, all_classes = gradients[policy].ravel(), (q - p).ravel()
        assert error.loss == pytest.approx(losses[policy] / whole - 1, rel=1e-8)
        assert error.gradient == pytest.approx(np.linalg.norm(own - all_classes) / np.linalg.norm(all_classes))
        assert error.cosine == pytest.approx(own @ all_classes / np.linalg.norm(own) / np.linalg.norm(all_classes))


def test_mass_and_tail_at_a_higher_temperature(script: ModuleType, logits: tuple[Tensor, Tensor]) -> None:
    (row,) = script.measure([logits], [4], [3.0])
    log_p = np.sort(np.log(softmax(logits[0].numpy())), axis=-1)[:, ::-1]
    rest, n = log_p[:, 4:], 16
    true = np.log(np.exp(rest / 3).sum(axis=-1))
    # The cubic in b = 1/3 that is log n at 0, has slope mean and curvature variance there, and the true value at 1.
    base = np.log(n) + rest.mean(axis=-1) / 3 + rest.var(axis=-1) / 18
    last = np.log(np.exp(rest).sum(axis=-1)) - np.log(n) - rest.mean(axis=-1) - rest.var(axis=-1) / 2
    assert row.tail == pytest.approx(np.abs(base + last / 27 - true).mean(), rel=1e-6)
    assert row.mass == pytest.approx(softmax(log_p / 3)[:, :4].sum(axis=-1).mean(), rel=1e-9)


def test_errors_fall_with_k_to_nothing_at_all_classes(script: ModuleType, logits: tuple[Tensor, Tensor]) -> None:
    found = by_row(script.measure([logits], KS, TEMPERATURES))
    for temperature in TEMPERATURES:
        rows = [found[temperature, k] for k in KS]
        masses = [row.mass for row in rows]
        assert masses == sorted(masses)
        for policy in ("tail", "renormalize"):
            losses = [abs(row.policies[policy].loss) for row in rows]
            gradients = [row.policies[policy].gradient for row in rows]
            assert all(later <= earlier + 1e-9 for earlier, later in pairwise(losses))
            assert all(later <= earlier + 1e-9 for earlier, later in pairwise(gradients))
            assert losses[0] > 0.1
            assert max(losses[-1], gradients[-1]) < 1e-9
            assert rows[-1].policies[policy].cosine == pytest.approx(1.0)
        assert (rows[-1].mass, rows[-1].tail) == (pytest.approx(1.0), 0.0)


@pytest.mark.parametrize(("temperature", "bound"), [(1.0, 1e-12), (2.0, 0.03), (3.0, 0.01), (64.0, 2e-6)])
def test_the_tail_mass_is_within_bounds(
    script: ModuleType, logits: tuple[Tensor, Tensor], temperature: float, bound: float
) -> None:
    assert all(row.tail < bound for row in script.measure([logits], KS, [temperature]))


def test_tail_policy_only_loses_value_at_temperature_one(script: ModuleType, logits: tuple[Tensor, Tensor]) -> None:
    """Grouping outcomes never raises a divergence."""
    losses = [row.policies["tail"].loss for row in script.measure([logits], KS, [1.0])]
    assert all(-1.0 < loss < 1e-12 for loss in losses)


def test_batches_are_pooled(script: ModuleType, logits: tuple[Tensor, Tensor]) -> None:
    whole = script.measure([logits], [2, 20], TEMPERATURES)
    parts = script.measure([tuple(z[:5] for z in logits), tuple(z[5:] for z in logits)], [2, 20], TEMPERATURES)
    for one, other in zip(whole, parts, strict=True):
        assert one[:4] == pytest.approx(other[:4])
        assert one.policies["tail"] == pytest.approx(other.policies["tail"])


def test_storage_in_half_precision_is_the_only_error_of_all_classes(
    script: ModuleType, logits: tuple[Tensor, Tensor]
) -> None:
    (row,) = script.measure([logits], [20], [1.0], torch.float16)
    assert 1e-7 < row.policies["tail"].gradient < 1e-2


def test_a_student_that_is_the_teacher_is_refused(script: ModuleType, logits: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(UserError, match="agree everywhere"):
        script.measure([(logits[0], logits[0])], [2], [1.0])


@pytest.fixture
def arguments(tiny: ModuleType, data: Path) -> list[str]:
    """A data-bin of 30 sentences, and two untrained models."""
    generator = np.random.default_rng(0)
    for language in ("en", "de"):
        builder = make_builder(str(data / f"valid.en-de.{language}.bin"), impl="mmap", vocab_size=tiny.ENTRIES)
        for _ in range(30):
            builder.add_item(torch.tensor([*generator.integers(4, tiny.ENTRIES, generator.integers(1, 10)), 2]))
        builder.finalize(str(data / f"valid.en-de.{language}.idx"))
    flags = ["--data", str(data), "--output", str(data.parent / "out" / "errors.json")]
    for seed, role in enumerate(("teacher", "student")):
        path = tiny.save_checkpoint(data.parent / f"{role}.pt", tiny.model(tiny.task(), seed), CRITERION, data)
        state = torch.load(path, weights_only=True)
        # As fairseq-train leaves them; load_dataset reads them.
        state["cfg"]["dataset"] |= {"train_subset": "train", "dataset_impl": None, "required_seq_len_multiple": 1}
        torch.save(state, path)
        flags += [f"--{role}", str(path)]
    return flags


def test_command(script: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    script.main([*arguments, "--tokens", "40", "--ks", "1", "4", "--temperatures", "1", "64"])
    printed = capsys.readouterr().out
    facts = json.loads(Path(arguments[3]).read_text(encoding="utf-8"))
    assert [(row["temperature"], row["k"]) for row in facts["rows"]] == [(t, k) for t in (1, 64) for k in (1, 4, 20)]
    assert facts["rows"][2]["policies"]["tail"]["gradient"] < 1e-9
    assert 40 <= facts["data"]["tokens"] < 50  # whole sentences of at most 10
    assert sum(line.startswith("| 64 |") for line in printed.splitlines()) == 3
    script.main([*arguments, "--tokens", "40", "--ks", "1", "4", "--temperatures", "1", "64"])
    assert json.loads(Path(arguments[3]).read_text(encoding="utf-8"))["rows"] == facts["rows"]  # the same sentences
    script.main([*arguments, "--tokens", "100000", "--ks", "20", "--dtype", "fp16"])
    assert json.loads(Path(arguments[3]).read_text(encoding="utf-8"))["data"]["sentences"] == 30


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (["--ks", "0"], "--ks 0: it must be at least 1"),
        (["--ks", "4", "21"], "--ks 21 is more than the 20 classes"),
        (["--temperatures", "0.5"], "a top-K teacher serves 1 and above"),
        (["--split", "train"], "holds no split train"),
        (["--tokens", "0"], "--tokens 0: it must be at least 1"),
        (["--output", "."], "is a folder; name a file"),
        (["--student", "missing.pt"], "missing.pt: no such checkpoint"),
    ],
)
def test_wrong_input_is_refused_in_one_line(
    script: ModuleType, arguments: list[str], wrong: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        script.main([*arguments, *wrong])
    assert stopped.value.code == 2
    assert reason in capsys.readouterr().err.splitlines()[-1]
    assert not Path(arguments[3]).exists()
