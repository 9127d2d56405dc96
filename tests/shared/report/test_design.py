"""Which cells of a study's design have no record: models, their clusters, and diffusion indices."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its Greek letters

import dataclasses
from types import ModuleType

import pytest

from shared.report.design import Design, missing_cells
from shared.results import Result
from tests.shared.report.claims_records import cluster_records, eta_records, model_records

SEEDS = (1, 2, 3)
DESIGN = Design([0.0, 0.1], [1.0, 3.0, 64.0], list(SEEDS))
WHERE = "fashion-mnist, teacher resnet18, student cnn: missing of the study's design: "


def models(sample: ModuleType) -> list[Result]:
    return model_records(sample, lambda a, t, s: 90.0, (1.0, 3.0, 64.0), SEEDS, (0.0, 0.1))


def measured(sample: ModuleType) -> list[Result]:
    """Clusters of every model, and eta of every step."""
    clusters = cluster_records(sample, {"spread": lambda a, t, s: 0.4}, (None, 1.0, 3.0, 64.0), SEEDS)
    return [*clusters, *eta_records(sample, lambda a, n, s, t: 0.1, SEEDS, steps=((1.0, 3.0), (1.0, 64.0)))]


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ({"student-0-3-2", "student-0-3-3"}, "student, α 0, T 3, seeds 2 and 3"),
        ({"clusters-0.1-teacher-2"}, "clusters of teacher, α 0.1, seed 2"),
        (
            {"clusters-0.1-3-2", "clusters-0.1-64-2", "clusters-0-1-2"},
            "clusters of student, α 0, T 1, seed 2; clusters of student, α 0.1, T 3 and 64, seed 2",
        ),
        ({"eta-0-1-64-1", "eta-0-1-64-3"}, "diffusion index of student, α 0, T 1 → 64, seeds 1 and 3"),
        (
            {"teacher-0-1", "clusters-0-teacher-1", "eta-0.1-1-3-1", "eta-0.1-1-64-1"},
            "teacher, α 0, seed 1; clusters of teacher, α 0, seed 1; "
            "diffusion index of student, α 0.1, T 1 → 3 and 1 → 64, seed 1",
        ),
    ],
)
def test_what_is_missing_of_each_kind_is_told_in_one_caution(sample: ModuleType, gone: set[str], told: str) -> None:
    records = [*models(sample), *measured(sample)]
    assert missing_cells(DESIGN, records) == []
    left = [record for record in records if record.name not in gone]
    assert len(records) - len(left) == len(gone)
    assert missing_cells(DESIGN, left) == [f"{WHERE}{told}."]


def test_data_without_any_record_is_missed(sample: ModuleType) -> None:
    design = dataclasses.replace(DESIGN, data=["fashion-mnist", "cifar10"])
    assert missing_cells(design, models(sample)) == [
        "cifar10: missing of the study's design: all that was to be run on it."
    ]


@pytest.mark.parametrize("kind", ["clusters", "diffusion"])
def test_a_study_that_never_measured_a_kind_hears_nothing_of_it(sample: ModuleType, kind: str) -> None:
    records = [*models(sample), *(record for record in measured(sample) if record.kind != kind)]
    assert missing_cells(DESIGN, records) == []


def test_what_one_student_architecture_lacks_is_told_of_it_alone(sample: ModuleType) -> None:
    """A second architecture has all its models and clusters, and a single index."""

    def wider(record: Result) -> Result:
        changed = [dataclasses.replace(m, arch="wide", sha256=f"w{m.sha256[1:]}") for m in record.models]
        return dataclasses.replace(record, name=f"wide {record.name}", models=changed)

    first = [*models(sample), *measured(sample)]
    second = [wider(r) for r in first if r.teacher and (r.kind != "diffusion" or r.name == "eta-0.1-1-3-1")]
    index = "diffusion index of student"
    assert missing_cells(DESIGN, [*first, *second]) == [
        "fashion-mnist, teacher resnet18, student wide: missing of the study's design: "
        f"{index}, α 0, T 1 → 3 and 1 → 64, seeds 1, 2 and 3; {index}, α 0.1, T 1 → 3, seeds 2 and 3; "
        f"{index}, α 0.1, T 1 → 64, seeds 1, 2 and 3."
    ]
    assert missing_cells(DESIGN, [*first, *(r for r in second if r.kind != "diffusion")]) == []


def test_what_was_measured_of_a_student_by_dist_is_not_that_of_kd(sample: ModuleType) -> None:
    records = [*models(sample), *measured(sample)]
    name = "clusters-0.1-3-2"
    changed = [
        dataclasses.replace(r, models=[dataclasses.replace(r.models[0], loss="dist")]) if r.name == name else r
        for r in records
    ]
    assert missing_cells(DESIGN, changed) == [f"{WHERE}clusters of student, α 0.1, T 3, seed 2."]
