"""The studies in results/: reports come from their records, and verdicts are those of scipy on the files."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from scipy import stats

from shared.report.build import read_study
from shared.report.claims import claim_sets
from shared.results import read_results_by_path
from tests.end_to_end.conftest import ROOT

pytestmark = pytest.mark.e2e

STUDIES = sorted(path.parent for path in ROOT.glob("results/*/study.json"))
Command = Callable[..., "CompletedProcess[str]"]
Cell = tuple[float, float | None, int]  # (alpha of the teacher, T or None for the teacher, seed)


def test_there_are_studies() -> None:
    assert STUDIES


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_the_report_is_that_of_the_records(run: Command, study: Path, tmp_path: Path) -> None:
    made = run("python", "-m", "shared.report", study, "--output", tmp_path)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "report.md").read_text() == (study / "report.md").read_text()


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_nothing_of_the_machine_is_published(study: Path) -> None:
    for path in (*study.rglob("result.json"), *study.rglob("sets.json")):
        command = json.loads(path.read_text())["provenance"]["command"]
        assert command[0] in ("python", "fairseq-train"), path
        assert not [word for word in command if word.startswith("/") or "=/" in word], path


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_verdicts_are_those_of_scipy(study: Path) -> None:
    read = read_results_by_path(study)
    design = json.loads((study / "study.json").read_text())["design"]
    sets = claim_sets(read, list(read.values()), read_study(study).design)
    by_data = recompute(study, design)
    assert len(sets) == len(by_data)
    for one in sets:
        [wanted] = [verdicts for name, verdicts in by_data.items() if one.title.startswith(name)]
        for verdict in one.verdicts:
            groups = wanted[verdict.claim]
            assert sorted(len(c.values) for c in verdict.required) == sorted(len(group) for _, group in groups)
            told = sorted((c.mean.mean, c.mean.half_width, c.p, c.adjusted_p) for c in verdict.required)
            for found, wanted_of in zip(told, sorted(numbers(groups)), strict=True):
                assert found == pytest.approx(wanted_of, rel=1e-6, abs=1e-12), verdict.claim
            assert verdict.status == status(groups), (one.title, verdict.claim)


def recompute(study: Path, design: dict[str, Any]) -> dict[str, dict[str, list[tuple[int, list[float]]]]]:
    """By the name of the data, for each claim its required comparisons: the predicted sign and the differences."""
    by_data: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in study.rglob("result.json"):
        record = json.loads(path.read_text())
        by_data[record["data"]["name"]].append(record)
    return {name: of_data(records, design) for name, records in by_data.items()}


def of_data(records: list[dict[str, Any]], design: dict[str, Any]) -> dict[str, list[tuple[int, list[float]]]]:
    seeds, (low, *highs) = design["seeds"], sorted(design["temperatures"])
    key = "last/test/top1" if records[0]["task"] == "image-classification" else "last/test/bleu"
    scores = {cell(r): r["metrics"][key]["value"] for r in records if r["kind"] == "model"}
    shape = {cell(r): {k: m["value"] for k, m in r["metrics"].items()} for r in records if r["kind"] == "clusters"}
    splits = sorted({k.partition("/")[0] for k in next(iter(shape.values()))})

    def gap(t: float | None, measure: str) -> list[float]:
        return [shape[0.1, t, s][measure] - shape[0.0, t, s][measure] for s in seeds]

    def moved(alpha: float, high: float, s: int) -> float:
        return float(scores[alpha, high, s] - scores[alpha, low, s])

    others = [(a, t) for a in (0.0, 0.1) for t in (low, *highs) if (a, t) != (0.1, low)]
    return {
        "C1": [(-1, gap(None, f"{split}/spread")) for split in splits],
        "C2": [(+1, gap(t, f"{split}/similar")) for split in splits for t in (None, low)],
        "C3": list(signs_of_eta(records, seeds, highs, splits)),
        "C4": [(-1, [moved(0.1, t, s) - moved(0.0, t, s) for s in seeds]) for t in highs],
        "C5": [(+1, [scores[0.1, low, s] - scores[a, t, s] for s in seeds]) for a, t in others],
    }


def signs_of_eta(
    records: list[dict[str, Any]], seeds: list[int], highs: list[float], splits: list[str]
) -> Iterator[tuple[int, list[float]]]:
    """In percent, the mean over the targets, of the students of the smoothed teacher."""
    found: dict[tuple[float, str, str, int], list[float]] = defaultdict(list)
    for record in (r for r in records if r["kind"] == "diffusion" and r["teacher"]["alpha"] == 0.1):
        high = record["models"][1]
        for eta in record["eta"]:
            found[high["temperature"], eta["split"], eta["set_name"], high["seed"]].append(100 * eta["value"])
    for t in highs:
        for split in splits:
            for name, sign in (("S1", -1), ("S2", +1)):
                yield sign, [sum(found[t, split, name, s]) / len(found[t, split, name, s]) for s in seeds]


def cell(record: dict[str, Any]) -> Cell:
    model = record["models"][0]
    alpha = (record["teacher"] or model)["alpha"]
    return alpha, model["temperature"], model["seed"]


def numbers(groups: list[tuple[int, list[float]]]) -> Iterator[tuple[float, ...]]:
    """Of each comparison the mean, the half-width of its t interval, p, and p after Holm."""
    tests = [stats.ttest_1samp(values, 0.0) for _, values in groups]
    for (_, values), test in zip(groups, tests, strict=True):
        below = sorted(float(other.pvalue) for other in tests if other.pvalue <= test.pvalue)
        holm = max((len(tests) - rank) * p for rank, p in enumerate(below))
        width = test.confidence_interval(0.95)
        yield sum(values) / len(values), float(width.high - width.low) / 2, float(test.pvalue), min(1.0, holm)


def status(groups: list[tuple[int, list[float]]]) -> str:
    """Holm's step-down: the smallest p against .05 / m, the next against .05 / (m - 1), until one fails."""
    ordered = sorted(groups, key=lambda group: float(stats.ttest_1samp(group[1], 0.0).pvalue))
    beyond = []
    for rank, (sign, values) in enumerate(ordered):
        if float(stats.ttest_1samp(values, 0.0).pvalue) >= 0.05 / (len(ordered) - rank):
            break
        beyond.append(sign * sum(values) > 0)
    if not all(beyond):
        return "refuted"
    return "confirmed" if len(beyond) == len(groups) else "undecided"
