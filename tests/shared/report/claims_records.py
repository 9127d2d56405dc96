"""Records of a whole study of C1 to C5, made from functions of alpha, T and seed."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from shared.outcomes import write_outcomes
from shared.report.claims import ClaimSet, Verdict, claim_sets
from shared.report.design import Design
from shared.results import Eta, Metric, Model, Null, Result, write_result

Effect = Callable[[float, float | None, int], float]  # of alpha, T (None: the teacher), seed

SEEDS = (1, 2, 3, 4, 5)
TARGETS = ("pullover", "coat")
MEMBERS = {"S1": ["shirt", "dress"], "S2": ["trouser", "bag", "ankle boot"]}
_WOBBLE = (0.3, -0.2, 0.1, -0.4, 0.2, -0.1, 0.35)


def wobble(seed: int) -> float:
    """What a seed does to everything alike."""
    return _WOBBLE[seed % len(_WOBBLE)]


def noise(alpha: float, t: float | None, seed: int) -> float:
    """Of its own for each cell and seed, within 1 of 0."""
    return float(np.random.default_rng([seed, round(100 * alpha), round(t or 0)]).uniform(-1, 1))


def model_records(
    sample: ModuleType, score: Effect, temperatures: Sequence[float], seeds: Sequence[int], alphas: Sequence[float]
) -> list[Result]:
    records = []
    for alpha in alphas:
        for seed in seeds:
            of = sample.teacher(alpha, seed)
            own = {"last/test/top1": Metric(score(alpha, None, seed), "%", 1000)}
            records.append(sample.model_record(f"teacher-{alpha:g}-{seed}", of, own))
            for t in temperatures:
                metrics = {"last/test/top1": Metric(score(alpha, t, seed), "%", 1000)}
                name = f"student-{alpha:g}-{t:g}-{seed}"
                records.append(sample.model_record(name, sample.student(of, t), metrics, of))
    return records


def clusters_record(sample: ModuleType, name: str, model: Model, of: Model | None, values: dict[str, float]) -> Result:
    made = {key: Metric(value, "ratio", 5000) for key, value in values.items()}
    notes = ["pullover (explicit): S1 shirt, dress; S2 trouser, bag, ankle boot"]
    data, where = sample.FASHION, sample.provenance(name)
    return Result("clusters", "image-classification", name, data, [model], where, of, metrics=made, notes=notes)


def cluster_records(
    sample: ModuleType, measures: dict[str, Effect], rows: Sequence[float | None], seeds: Sequence[int]
) -> list[Result]:
    """Validation is 10 % above train."""
    records = []
    for alpha in (0.0, 0.1):
        for seed in seeds:
            of = sample.teacher(alpha, seed)
            for t in rows:
                values = {
                    f"{split}/{name}": factor * effect(alpha, t, seed)
                    for name, effect in measures.items()
                    for split, factor in (("train", 1.0), ("val", 1.1))
                }
                name = f"clusters-{alpha:g}-{'teacher' if t is None else f'{t:g}'}-{seed}"
                student = None if t is None else sample.student(of, t)
                records.append(clusters_record(sample, name, student or of, of if student else None, values))
    return records


def eta_records(
    sample: ModuleType,
    eta: Callable[[float, str, int, str], float],
    seeds: Sequence[int],
    *,
    alphas: Sequence[float] = (0.0, 0.1),
    steps: Sequence[tuple[float, float]] = ((1.0, 3.0),),
    null: Null | None = None,
) -> list[Result]:
    """`eta` gives the ratio of (alpha, set, seed, target)."""
    records = []
    for alpha in alphas:
        for seed in seeds:
            of = sample.teacher(alpha, seed)
            rows = [
                Eta(split, target, s, MEMBERS[s], eta(alpha, s, seed, target), "mean_pairwise", "explicit", null)
                for split in ("train", "val")
                for target in TARGETS
                for s in ("S1", "S2")
            ]
            for low, high in steps:
                name = f"eta-{alpha:g}-{low:g}-{high:g}-{seed}"
                base = sample.diffusion_record(name, of, {})
                pair = [sample.student(of, low), sample.student(of, high)]
                records.append(dataclasses.replace(base, models=pair, eta=rows))
    return records


def with_outcomes(folder: Path, records: Sequence[Result], items: int) -> list[Result]:
    """Write each record with outcomes of its items; its top-1 becomes what they give. Records of no top-1 as are."""
    written = []
    for index, record in enumerate(records):
        where, key = folder / f"{index:03}", "last/test/top1"
        if key in record.metrics:
            hard = np.random.default_rng(0).permutation(items)
            right = (hard < round(items * record.metrics[key].value / 100)).astype(np.int64)
            flips = np.random.default_rng(index).random(items) < 0.05
            right = np.where(flips, 1 - right, right)
            record = dataclasses.replace(record, metrics={key: Metric(100.0 * right.mean(), "%", items)})
            where.mkdir(parents=True)
            write_outcomes(where, {key: right[:, None]})
        write_result(where, record)
        written.append(record)
    return written


def judged(records: Sequence[Result], design: Design | None = None) -> ClaimSet:
    """The one set of verdicts, of records without files."""
    [found] = claim_sets({Path(record.name) / "result.json": record for record in records}, records, design)
    return found


def verdict(records: Sequence[Result], claim: str, design: Design | None = None) -> Verdict:
    return next(v for v in judged(records, design).verdicts if v.claim == claim)


def students(sample: ModuleType, score: Effect, seeds: Sequence[int] = SEEDS) -> list[Result]:
    return model_records(sample, score, (1.0, 3.0), seeds, (0.0, 0.1))


def clusters(sample: ModuleType, **measures: Effect) -> list[Result]:
    flat: dict[str, Effect] = {"spread": lambda a, t, s: 0.4 + 0.01 * noise(a, t, s)}
    both = flat | {"similar": lambda a, t, s: 0.6 + 0.01 * noise(a, t, s)} | measures
    return cluster_records(sample, both, (None, 1.0, 3.0), SEEDS)


def moved(gap: float) -> Effect:
    """From T = 1 to 3 a student loses 1, and `gap` more with alpha = 0.1."""
    return lambda a, t, s: 90 + wobble(s) + 0.1 * noise(a, t, s) - (t == 3) * (1 + 10 * gap * a)


def systematic(alpha: float, name: str, seed: int, target: str) -> float:
    """Far beyond chance, as C3 predicts."""
    return {"S1": -0.04, "S2": 0.02}[name] + 0.002 * noise(alpha, len(name + target), seed)


def fulfilled(sample: ModuleType) -> list[Result]:
    """Records of C1 to C5 that confirm each, of seeds 1 to 5."""

    def score(a: float, t: float | None, s: int) -> float:
        return 90 + wobble(s) + 0.1 * noise(a, t, s) + 20 * a - (t == 3) * (1 + 20 * a)

    measures: dict[str, Effect] = {
        "spread": lambda a, t, s: 0.4 - a + 0.001 * noise(a, t, s),
        "similar": lambda a, t, s: 0.6 + a + 0.001 * noise(a, t, s),
    }
    return [*students(sample, score), *clusters(sample, **measures), *eta_records(sample, systematic, SEEDS)]
