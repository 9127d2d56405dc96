"""scripts/bench/centroids.py and head.py as a person runs them, at sizes that say nothing of speed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]
CENTROIDS = (sys.executable, "scripts/bench/centroids.py")
HEAD = (sys.executable, "scripts/bench/head.py")


def test_centroids_of_both_sizes_of_batch_have_a_speed_and_the_true_means(run: Command, tmp_path: Path) -> None:
    output = tmp_path / "new" / "centroids.json"
    sizes = ("--images", "2500", "--dim", "33", "--classes", "40", "--batch-size", "100", "400")
    done = run(*CENTROIDS, *sizes, "--pool", "3", "--passes", "2", "--checked", "7", "--output", output)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["settings"]["batch_size"] == [100, 400]
    for by_size in found["speed in multiples of reading's"].values():
        for row in (by_size["100"], by_size["400"]):
            assert len(row["passes"]) == 2
            assert row["speed"] > 0
    assert set(found["largest relative error"]) == {"100", "400"}
    assert max(found["largest relative error"].values()) < 1e-6
    assert "centroids, batches of 400: " in done.stdout


def test_the_head_without_logits_has_a_row_for_every_number_of_tokens(run: Command, tmp_path: Path) -> None:
    output = tmp_path / "head.json"
    sizes = ("--tokens", "8", "24", "--classes", "64", "--dim", "16", "--rounds", "2")
    done = run(*HEAD, *sizes, "--output", output)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text(encoding="utf-8"))
    assert [row["tokens"] for row in found["rows"]] == [8, 24]


@pytest.mark.parametrize(
    ("command", "arguments", "named"),
    [
        (CENTROIDS, ("--pool", "1"), "--pool"),
        (CENTROIDS, ("--batch-size", "0", "5"), "1 or more"),
        (HEAD, ("--rounds", "0"), "--rounds"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(
    run: Command, tmp_path: Path, command: tuple[str, ...], arguments: tuple[str, ...], named: str
) -> None:
    done = run(*command, "--output", tmp_path / "bench.json", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert named in done.stderr
    assert done.stderr.count("\n") == 1
