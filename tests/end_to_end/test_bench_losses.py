"""scripts/bench/losses.py as a person runs it, at a size that says nothing of speed."""

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess

import pytest

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]
BENCH = (sys.executable, "scripts/bench/losses.py")
TINY = ("--tokens", "8", "16", "--classes", "64", "--rounds", "2", "--threads", "1", "--without", "compile")
SIZES = [(8, 64), (16, 64)]
KEEPING = "glibc.malloc.trim_threshold=17179869184"
NO_LOSSES = ("bound", "zeros in new memory, as a gradient's")


def test_every_loss_has_a_row_and_the_true_gradient(run: Command, tmp_path: Path) -> None:
    output = tmp_path / "new" / "losses.json"
    done = run("env", f"GLIBC_TUNABLES={KEEPING}", *BENCH, *TINY, "--output", output)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["environment"].items() >= {"GLIBC_TUNABLES": KEEPING}.items()
    rows = {(row["task"], row["loss"], row["tokens"], row["classes"]): row for row in found["rows"]}
    losses = {(task, loss) for task, loss, *_ in rows}
    assert {
        ("kd", "F.kl_div"),
        ("ls+kd", "lskd fused, chunked, over the teacher's logits"),
        ("dist", "lskd dist_loss"),
    } <= losses
    assert set(rows) == {(*loss, *size) for loss in losses for size in SIZES}
    for (task, loss, *_), row in rows.items():
        assert len(row["seconds"]["rounds"]) == 2
        if loss in NO_LOSSES:
            assert row["gradient_error"] is None
        else:
            assert row["gradient_error"] < 1e-5, (task, loss)
        assert f"| {loss} |" in done.stdout
    assert all(row["ratio"]["median"] == 1.0 for (_, loss, *_), row in rows.items() if loss == "bound")
    assert "ns per logit" in done.stdout
    assert "torch.compile" not in done.stdout
    absent = find_spec("torchdistill") is None
    assert done.stdout.count("torchdistill is left out: not installed (pip install torchdistill)") == absent


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--rounds", "1"), "--rounds 1"),
        (("--temperature", "0"), "temperature"),
        (("--output", "."), "--output ."),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(
    run: Command, tmp_path: Path, arguments: tuple[str, ...], named: str
) -> None:
    done = run(*BENCH, "--output", tmp_path / "losses.json", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert named in done.stderr
    assert done.stderr.count("\n") == 1
