"""Whole advices on hand-made records: what is recommended, what is said of it, and what is left open."""

import dataclasses
import json

import pytest
import torch

from shared.advice import Teacher, advice_lines, advise, measure, read_evidence, write_advice
from shared.advice.evidence import check_evidence
from shared.errors import UserError
from shared.results import Metric, Result

CLASSES = ["a", "b", "c", "d"]
SEEDS = (1, 2, 3, 4, 5)
LOW = dict(zip(SEEDS, (80.0, 81.0, 80.5, 79.5, 80.2), strict=True))  # at T = 1, by seed
BETTER = dict(zip(SEEDS, (1.0, 1.2, 0.9, 1.1, 1.3), strict=True))
CHANCE = dict(zip(SEEDS, (1.0, -1.2, 2.9, -1.1, 0.3), strict=True))


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No results/ but those that a test makes."""
    monkeypatch.chdir(tmp_path)


def measured(alpha):
    """Predictions smoothed by exactly alpha on train; on val half of them wrong."""
    labels = torch.arange(40) % 4
    generator = torch.Generator().manual_seed(0)
    features = torch.eye(4)[labels] + 0.01 * torch.randn(40, 4, generator=generator)
    found = {}
    for split, shift in (("train", 0), ("val", 1)):
        shifted = torch.where(torch.arange(40) < 20, labels, (labels + shift) % 4)
        smoothed = (alpha / 4 + (1 - alpha) * torch.eye(4, dtype=torch.float64))[shifted]
        found[split] = measure([(features, labels)], lambda _, p=smoothed: p.clamp(min=1e-9).log(), 4)
    return found


def teacher(sample, alpha, task="image-classification", data=None):
    card = dataclasses.replace(sample.teacher(0.1), sha256="ff" * 32, alpha=alpha)
    return Teacher("mine/last.safetensors", task, data or sample.FASHION.name, card, CLASSES)


def records(sample, gains, clusters=None):
    """Teachers of alpha 0 and .1, students at T = 1 and each T of `gains[alpha]`, clusters by {alpha: confidence}."""
    made = []
    for alpha in (0.0, 0.1):
        for seed in SEEDS:
            of = sample.teacher(alpha, seed)
            made.append(sample.model_record(f"teacher {alpha} {seed}", of, sample.image_metrics(90.0)))
            for t, gain in ({1.0: dict.fromkeys(SEEDS, 0.0)} | gains.get(alpha, {})).items():
                metrics = sample.image_metrics(LOW[seed] + gain[seed])
                made.append(sample.model_record(f"student {alpha} {t:g} {seed}", sample.student(of, t), metrics, of))
            if clusters:
                metrics = {"train/confidence": Metric(clusters[alpha] + seed / 1e4, "ratio", 500)}
                name, where = f"clusters {alpha} {seed}", sample.provenance("clusters")
                made.append(
                    Result("clusters", "image-classification", name, sample.FASHION, [of], where, metrics=metrics)
                )
    return made


def advice_on(sample, tmp_path, made, card, alpha=0.1):
    evidence = read_evidence(sample.write_records(tmp_path / "runs", made), "image-classification")
    return advise(teacher(sample, card), measured(alpha), evidence)


CONFIDENCES = {0.0: 0.97, 0.1: 0.92}  # smoothed by .1, four classes: 0.925


def test_a_temperature_that_is_better_beyond_chance_is_recommended(sample, tmp_path):
    made = records(sample, {0.1: {2.0: BETTER, 3.0: CHANCE}, 0.0: {2.0: CHANCE}}, CONFIDENCES)
    advice = advice_on(sample, tmp_path, made, 0.1)
    assert (advice.temperature, advice.loss, advice.likeness.alphas) == (2.0, "kd", [0.1])
    text = "\n".join(advice_lines(advice))
    assert "implied alpha: 0.100; its card says 0.1" in text
    assert "confidence on train: 0.9250 here, 0.9203" in text
    assert "measure and card agree" in text
    assert "recommendation: T = 2, loss kd" in text
    assert "T = 2: 81.34" in text
    assert "better than T = 1 beyond chance" in text
    assert "seeds 1, 2, 3, 4, 5" in text
    assert "no study here compares DIST with KD" in text
    [choice] = advice.choices
    files = {json.loads((tmp_path / path).read_text())["name"] for path in choice.students[1].records}
    assert files == {f"student 0.1 2 {seed}" for seed in SEEDS}


def test_one_that_chance_explains_is_not(sample, tmp_path):
    made = records(sample, {0.1: {2.0: CHANCE}, 0.0: {2.0: BETTER}}, CONFIDENCES)
    advice = advice_on(sample, tmp_path, made, 0.1)
    assert advice.temperature == 1.0
    text = "\n".join(advice_lines(advice))
    assert "the lowest, as no other is better beyond chance; the best mean is that of T = 2, +0.38" in text


def test_measure_and_card_that_disagree_are_told_and_nothing_is_guessed(sample, tmp_path):
    made = records(sample, {0.1: {2.0: CHANCE}, 0.0: {2.0: BETTER}}, CONFIDENCES)
    advice = advice_on(sample, tmp_path, made, 0.0)
    assert advice.temperature is None  # alpha 0's students speak for T = 2, alpha .1's for T = 1
    text = "\n".join(advice_lines(advice))
    assert "alpha 0.1; its card says 0: measure and card disagree" in text
    assert "recommendation: no single T: the studies below speak for T = 1 and 2" in text
    alike = records(sample, {0.1: {2.0: CHANCE}, 0.0: {2.0: CHANCE}}, CONFIDENCES)
    assert advice_on(sample, tmp_path / "alike", alike, 0.0).temperature == 1.0  # whichever is right


def test_a_teacher_like_none_of_the_studies_gets_no_temperature(sample, tmp_path):
    made = records(sample, {0.1: {2.0: BETTER}}, CONFIDENCES)
    advice = advice_on(sample, tmp_path, made, 0.3, alpha=0.3)
    assert (advice.temperature, advice.choices) == (None, [])
    assert "recommendation: no T, as its alpha is in doubt" in advice_lines(advice)


def test_an_alpha_that_no_study_has_gets_no_temperature(sample, tmp_path):
    advice = advice_on(sample, tmp_path, records(sample, {0.1: {2.0: BETTER}}), 0.3, alpha=0.3)
    assert advice.temperature is None
    assert "no study has students of teachers of alpha 0.3" in advice.uncovered
    assert "no study here has clusters of teachers to compare this one's confidence with" in advice.uncovered
    assert "recommendation: no T, as no study has such teachers" in advice_lines(advice)


def test_this_very_teachers_study_goes_before_others(sample, tmp_path):
    made = records(sample, {0.1: {2.0: CHANCE}})
    own = dataclasses.replace(sample.teacher(0.1, 1, arch="resnet50"), sha256="ff" * 32)
    made.append(sample.model_record("own", own, sample.image_metrics(90.0)))
    made.append(sample.model_record("own 4", sample.student(own, 4.0), sample.image_metrics(70.0), own))
    advice = advice_on(sample, tmp_path, made, 0.1)
    assert advice.temperature == 4.0
    assert len(advice.choices) == 1


def test_dist_students_of_the_same_teachers_that_are_better_decide_the_loss(sample, tmp_path):
    made = records(sample, {0.1: {2.0: CHANCE}})
    for seed in SEEDS:
        of = sample.teacher(0.1, seed)
        dist = dataclasses.replace(sample.student(of, 4.0), loss="dist", sha256=sample.digest("dist", seed))
        metrics = sample.image_metrics(LOW[seed] + 3 + BETTER[seed])
        made.append(sample.model_record(f"dist {seed}", dist, metrics, of))
    advice = advice_on(sample, tmp_path, made, 0.1)
    assert (advice.temperature, advice.loss) == (4.0, "dist")
    assert [choice.recommended for choice in advice.choices] == [1.0]  # of KD
    [line] = [line for line in advice_lines(advice) if line.startswith("DIST, T = 4 less KD, T = 2")]
    assert "+3.72 \u00b1 " in line  # 3 + 1.1 less CHANCE's 0.38
    assert "n = 5), better beyond chance" in line
    assert "recommendation: T = 4, loss dist" in advice_lines(advice)


def test_the_folders_of_records_are_written_once(sample, tmp_path):
    advice = advice_on(sample, tmp_path, records(sample, {}), 0.1)
    [line] = [line for line in advice_lines(advice) if line.startswith(f"    {tmp_path}")]
    names = [f"student 0.1 1 {seed}" for seed in SEEDS]
    assert line == f"    {tmp_path}/runs/{{{','.join(sample.digest(name)[:8] for name in names)}}}/result.json"


@pytest.mark.parametrize(("task", "students"), [("image-classification", 5), ("translation", 2)])
def test_without_evidence_the_papers_numbers_speak(sample, task, students):
    assert read_evidence(None, task) is None
    advice = advise(teacher(sample, 0.1, task), measured(0.1), None)
    assert (advice.temperature, advice.evidence) == (1.0, None)
    assert len(advice.choices) == students
    text = "\n".join(advice_lines(advice))
    assert "no record below results/: the numbers are the paper's published ones, of one seed" in text
    best = {"translation": "T = 1: 25.09 (1 seed)", "image-classification": "T = 1: 71.67 (1 seed)"}
    assert best[task] in text
    assert "the lowest, as no test tells a gain from chance" in text
    unknown = advise(teacher(sample, None, task), measured(0.1), None)
    assert (unknown.temperature, len(unknown.choices)) == (1.0, 2 * students)  # both alphas of the paper


def test_evidence_behind_a_link_is_found_without_being_named(sample, tmp_path):
    made = records(sample, {0.1: {2.0: BETTER}})
    folder = sample.write_records(tmp_path / "elsewhere", made)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "study").symlink_to(folder)
    found, named = (read_evidence(one, "image-classification") for one in (None, "results"))
    assert found == named
    assert len(found.records) == len(made)


def test_evidence_of_another_task_or_other_data_is_told(sample, tmp_path):
    made = records(sample, {0.1: {2.0: BETTER}})
    folder = sample.write_records(tmp_path / "results", made)
    evidence = read_evidence(None, "translation")
    assert (folder.name, evidence.folder, evidence.records) == ("results", "results", [])
    advice = advise(teacher(sample, 0.1, "translation"), measured(0.1), evidence)
    assert advice.uncovered[0].startswith("results has no scores of KD students for translation: ")
    evidence = read_evidence(None, "image-classification")
    advice = advise(teacher(sample, 0.1, data="cub"), measured(0.1), evidence)
    assert (advice.temperature, advice.uncovered[0]) == (2.0, "the students are of fashion-mnist, not of cub")


def test_all_numbers_are_written_as_json(sample, tmp_path):
    advice = advice_on(sample, tmp_path, records(sample, {0.1: {2.0: BETTER}}, CONFIDENCES), 0.1)
    path = write_advice(tmp_path / "out", advice)
    assert path == tmp_path / "out" / "advice.json"
    told = json.loads(path.read_text())
    assert told["temperature"] == 2.0
    assert told["measures"]["train"]["smoothness"]["implied_alpha"] == pytest.approx(0.1)
    assert told["measures"]["val"]["smoothness"]["accuracy"] == 0.5
    assert told["teachers"][0]["theirs"]["mean"] == pytest.approx(0.9203)
    assert told["choices"][0]["students"][1]["gain"]["mean"] == pytest.approx(1.1)
    assert [one["temperature"] for one in told["choices"][0]["students"]] == [1.0, 2.0]


def test_a_folder_that_is_none_or_empty_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such folder of evidence; name one that holds"):
        check_evidence(str(tmp_path / "nowhere"))
    check_evidence(None)
    with pytest.raises(UserError, match=r"holds no result\.json"):
        read_evidence(tmp_path, "translation")
