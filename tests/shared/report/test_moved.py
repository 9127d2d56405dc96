"""How far a higher T moved a study's score, beside the paper's own changes."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its minus signs

from collections.abc import Sequence
from types import ModuleType

import pytest

from shared.report.document import Table, Tables
from shared.report.grouping import comparable_groups
from shared.report.moved import moved_blocks
from shared.report.published import published_scores
from shared.results import Result


def study(sample: ModuleType, alphas: Sequence[float], temperatures: Sequence[float]) -> list[Result]:
    """BLEU falls by T / 10, and by T more with alpha 0.1; teachers are at 20."""
    records = []
    for alpha in alphas:
        for seed in (1, 2):
            of = sample.teacher(alpha, seed, arch="tiny")
            records.append(sample.model_record(f"t {alpha} {seed}", of, sample.text_metrics(20.0), data=sample.HELP))
            for t in temperatures:
                bleu, model = 19.0 + seed - t / 10 - 10 * alpha * t, sample.student(of, t, arch="tiny")
                name = f"s {alpha} {seed} {t}"
                records.append(sample.model_record(name, model, sample.text_metrics(bleu), of, data=sample.HELP))
    return records


def tables(records: list[Result], task: str = "translation") -> list[Table]:
    blocks = moved_blocks(comparable_groups(records, "model"), task)
    return [table for block in blocks if isinstance(block, Tables) for table in block.tables]


def test_steps_from_the_lowest_t_that_the_paper_has_too(sample: ModuleType) -> None:
    [table] = tables(study(sample, (0.0, 0.1), (1.0, 2.0, 3.0, 8.0)))
    rows = [[cell.text.replace("\xa0", " ") for cell in row] for row in table.rows]
    assert rows == [
        ["T 1 → 2, here", "−0.10 ± 0.00", "−1.10 ± 0.00", "−1.00 ± 0.00"],
        ["T 1 → 2, IWSLT14 En-De", "−1.81", "−1.66", "+0.15"],  # 23.103 - 24.914, 23.421 - 25.085
        ["T 1 → 2, IWSLT14 En-Ru", "−1.16", "−1.10", "+0.07"],  # 14.977 - 16.140, 15.100 - 16.197
        ["T 1 → 3, here", "−0.20 ± 0.00", "−2.20 ± 0.00", "−2.00 ± 0.00"],
        ["T 1 → 3, IWSLT14 En-De", "−2.92", "−3.01", "−0.09"],  # 21.999 - 24.914, 22.076 - 25.085
        ["T 1 → 3, IWSLT14 En-Ru", "−2.31", "−2.09", "+0.22"],  # 13.826 - 16.140, 14.106 - 16.197
    ]
    assert all(len(cell.records) in (4, 8) for row in table.rows[::3] for cell in row[1:])
    assert "Changes in BLEU" in table.note


@pytest.mark.parametrize(
    ("alphas", "temperatures"), [((0.1,), (1.0, 3.0)), ((0.0, 0.1), (1.0,)), ((0.0, 0.1), (1.5, 3.0)), ((0.0, 0.1), ())]
)
def test_without_both_alphas_and_a_step_of_the_paper_there_is_no_table(
    sample: ModuleType, alphas: Sequence[float], temperatures: Sequence[float]
) -> None:
    assert tables(study(sample, alphas, temperatures)) == []


def test_another_task_has_a_table_of_its_own(sample: ModuleType) -> None:
    assert tables(study(sample, (0.0, 0.1), (1.0, 3.0)), "image-classification") == []


def test_the_papers_scores_are_top1_of_its_students() -> None:
    found = dict(published_scores("image-classification"))
    assert list(found) == [
        "ImageNet-1K, ResNet-18",
        "ImageNet-1K, ResNet-50",
        "CUB-200-2011, ResNet-18",
        "CUB-200-2011, ResNet-50",
        "CUB-200-2011, MobileNetV2",
    ]
    assert found["ImageNet-1K, ResNet-50"][0.1, 64.0] == 74.566
    assert found["CUB-200-2011, ResNet-18"][0.0, 2.0] == 80.808
    assert found["CUB-200-2011, MobileNetV2"][0.1, 64.0] == 70.435
    assert len(found["CUB-200-2011, ResNet-18"]) == len(found["CUB-200-2011, MobileNetV2"]) == 8
