"""What the report says of image records: calibration, models of unknown seed, projections on one basis."""

import dataclasses
from pathlib import Path
from types import ModuleType

from shared.report.__main__ import read_document, write_document
from shared.results import Metric, Result


def markdown(sample: ModuleType, folder: Path, records: list[Result]) -> str:
    sample.write_records(folder, records)
    return write_document(read_document(folder), folder)[1].read_text(encoding="utf-8")


def test_the_calibration_error_has_its_name_and_its_bins(sample: ModuleType, tmp_path: Path) -> None:
    metrics = {"test/ece": Metric(3.25, "%", 10000, "15 equal-width bins of the top-1 confidence")}
    text = markdown(sample, tmp_path, [sample.model_record("t", sample.teacher(0.1), metrics)])
    assert "Expected calibration error, test set, lower is better" in text
    assert "15 equal-width bins of the top-1 confidence" in text
    assert "3.25" in text


def test_a_teacher_of_unknown_seed_stands_beside_known_ones(sample: ModuleType, tmp_path: Path) -> None:
    """Others' models say no seed: they are shown, and no pair of seeds is made of them."""
    records = []
    for seed in (None, 2, 1):
        of = dataclasses.replace(sample.teacher(0.1), seed=seed, sha256=f"{seed}" * 16)
        records.append(sample.model_record(f"teacher {seed}", of, sample.image_metrics(90.0)))
        low, high = (dataclasses.replace(sample.student(of, t), seed=seed) for t in (1.0, 3.0))
        records.append(sample.model_record(f"student {seed}", low, sample.image_metrics(88.0), of))
        values = {("val", "coat", "S1"): -0.01, ("val", "coat", "S2"): 0.02}
        records.append(dataclasses.replace(sample.diffusion_record(f"eta {seed}", of, values), models=[low, high]))
    records.append(sample.model_record("plain", sample.teacher(0.0), sample.image_metrics(89.0)))
    text = markdown(sample, tmp_path, records)
    assert "teacher seeds 1, 2 and not recorded" in text.replace("\N{NO-BREAK SPACE}", " ")


def test_the_caption_says_whose_axes(sample: ModuleType, tmp_path: Path) -> None:
    own = sample.projection_record("own")
    panels = [dataclasses.replace(panel, basis="0" * 64) for panel in own.panels]
    shared = dataclasses.replace(own, name="shared", panels=panels)
    assert "each column has its own projection" in markdown(sample, tmp_path / "own", [own])
    text = markdown(sample, tmp_path / "shared", [shared])
    assert "all columns share the axes of one model" in text
    assert "each column has its own projection" not in text
