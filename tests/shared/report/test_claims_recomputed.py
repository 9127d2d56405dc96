"""Verdicts computed once more from the JSON files, by scipy."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its Greek letters and minus signs

import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scipy import stats

from shared.report.claims import Verdict
from tests.shared.report.claims_records import (
    SEEDS,
    clusters,
    eta_records,
    judged,
    model_records,
    moved,
    noise,
    with_outcomes,
)


def raw(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in folder.rglob("result.json")]


def top1(records: list[dict[str, Any]], alpha: float, t: float, seed: int) -> float:
    [value] = [
        record["metrics"]["last/test/top1"]["value"]
        for record in records
        if record["kind"] == "model"
        and record["teacher"]
        and (record["teacher"]["alpha"], record["models"][0]["temperature"], record["models"][0]["seed"])
        == (alpha, t, seed)
    ]
    return float(value)


def holm_by_hand(p_values: list[float]) -> list[float]:
    ordered, adjusted, highest = sorted(p_values), {}, 0.0
    for rank, p in enumerate(ordered):
        highest = max(highest, min(1.0, (len(ordered) - rank) * p))
        adjusted[p] = highest
    return [adjusted[p] for p in p_values]


def check(found: Verdict, wanted: dict[str, list[float]]) -> None:
    assert {c.label for c in found.required} == set(wanted)
    p_values = [float(stats.ttest_1samp(wanted[c.label], 0.0).pvalue) for c in found.required]
    for c, p, adjusted in zip(found.required, p_values, holm_by_hand(p_values), strict=True):
        values = wanted[c.label]
        assert sorted(c.differences) == pytest.approx(sorted(values), abs=1e-9)
        assert c.p == pytest.approx(p, rel=1e-6)
        assert c.adjusted_p == pytest.approx(adjusted, rel=1e-6)
        low, high = stats.t.interval(0.95, len(values) - 1, math.fsum(values) / len(values), stats.sem(values))
        assert c.mean.half_width == pytest.approx((high - low) / 2, rel=1e-6)


def test_c4_and_c5_agree_with_scipy_on_the_files(sample: ModuleType, tmp_path: Path) -> None:
    records = model_records(sample, moved(0.4), (1.0, 3.0, 64.0), SEEDS, (0.0, 0.1))
    written = with_outcomes(tmp_path, records, 500)
    found = {v.claim: v for v in judged(written).verdicts}
    read = raw(tmp_path)

    def change(alpha: float, t: float, seed: int) -> float:
        return top1(read, alpha, t, seed) - top1(read, alpha, 1.0, seed)

    losses = {
        f"(T {t:g} − T 1) of α 0.1 minus that of α 0": [change(0.1, t, s) - change(0.0, t, s) for s in SEEDS]
        for t in (3.0, 64.0)
    }
    check(found["C4"], losses)
    others = [(0.1, 3.0), (0.1, 64.0), (0.0, 1.0), (0.0, 3.0), (0.0, 64.0)]
    gains = {
        f"T 1 with α 0.1 minus T {t:g} with α {alpha:g}": [
            top1(read, 0.1, 1.0, s) - top1(read, alpha, t, s) for s in SEEDS
        ]
        for alpha, t in others
    }
    check(found["C5"], gains)


def test_c1_c2_and_c3_agree_with_scipy_on_the_files(sample: ModuleType, tmp_path: Path) -> None:
    records = clusters(sample)
    records += eta_records(sample, lambda a, name, seed, target: 0.02 * noise(a, len(name + target), seed), SEEDS)
    with_outcomes(tmp_path, records, 1)
    found, read = {v.claim: v for v in judged(records).verdicts}, raw(tmp_path)

    def measure(alpha: float, t: float | None, seed: int, key: str) -> float:
        cards = [
            (r, (r["teacher"] or r["models"][0])["alpha"], r["models"][0]) for r in read if r["kind"] == "clusters"
        ]
        [value] = [
            r["metrics"][key]["value"] for r, a, m in cards if (a, m["temperature"], m["seed"]) == (alpha, t, seed)
        ]
        return float(value)

    def gap(t: float | None, key: str) -> list[float]:
        return [measure(0.1, t, s, key) - measure(0.0, t, s, key) for s in SEEDS]

    check(
        found["C1"], {f"spread of the teacher, {s}, α 0.1 minus 0": gap(None, f"{s}/spread") for s in ("train", "val")}
    )
    similar = "distance between similar classes of the"
    check(
        found["C2"],
        {
            f"{similar} {who}, {split}, α 0.1 minus 0": gap(t, f"{split}/similar")
            for t, who in ((None, "teacher"), (1.0, "student at T\xa0=\xa01"))
            for split in ("train", "val")
        },
    )

    def eta(seed: int, name: str, split: str) -> float:
        [record] = [
            r
            for r in read
            if r["kind"] == "diffusion" and r["teacher"]["alpha"] == 0.1 and r["models"][0]["seed"] == seed
        ]
        rows = [100 * row["value"] for row in record["eta"] if (row["set_name"], row["split"]) == (name, split)]
        return sum(rows) / len(rows)

    wanted = {
        f"η({name}), T 1 → 3, {split}": [eta(s, name, split) for s in SEEDS]
        for name in ("S1", "S2")
        for split in ("train", "val")
    }
    check(found["C3"], wanted)
