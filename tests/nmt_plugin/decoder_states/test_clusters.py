"""`python -m nmt_plugin.clusters` on hand-made corpora and tiny models; the oracle is the definitions in numpy."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from nmt_plugin import clusters as command
from nmt_plugin import diffusion
from nmt_plugin.checkpoints import read_checkpoint
from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.decoder_states.reader import StateReader
from shared.results import Result, read_result

FLOOR = 12


def run(model: Path, corpus: Path, output: Path, *flags: object) -> Result:
    words = ["--model", model, "--corpus", corpus, "--output", output, "--min-count", FLOOR, *flags]
    command.main([str(word) for word in words])
    return read_result(output / "result.json")


def by_definition(
    reader: StateReader, states: dict[int, np.ndarray], s1: dict[int, list[int]], s2: dict[int, list[int]]
) -> dict[str, float]:
    centroid = {k: of.mean(axis=0) for k, of in states.items()}

    def distance(i: int, k: int) -> float:
        return float(np.linalg.norm(centroid[i] - centroid[k]))

    def apart(sets: dict[int, list[int]]) -> float:
        return float(np.mean([np.mean([distance(target, k) for k in members]) for target, members in sets.items()]))

    within = math.sqrt(np.mean([((of - centroid[k]) ** 2).sum(axis=1).mean() for k, of in states.items()]))
    between = np.mean([distance(i, k) for i in states for k in states if i < k])
    matrix = reader.model.decoder.output_projection.weight.double().numpy()
    p = {}
    for k in {k for target, members in s1.items() for k in (target, *members)}:
        exponentials = np.exp(states[k] @ matrix.T)
        p[k] = exponentials / exponentials.sum(axis=1, keepdims=True)
    unsteady = [((of - of.mean(axis=0)) ** 2).sum(axis=1).mean() for of in p.values()]
    return {
        "spread": within / between,
        "within": within,
        "between": between,
        "similar": apart(s1) / between,
        "dissimilar": apart(s2) / between,
        "separation": apart(s1) / within,
        "stability": 1 - np.mean(unsteady),
        "confidence": np.concatenate([of.max(axis=1) for of in p.values()]).mean(),
    }


def test_a_student_without_a_temperature_is_not_called_a_teacher(
    save: Callable[..., Path], models: dict[str, Path], corpus: Path, tmp_path: Path
) -> None:
    alone = {"_name": "word_kd", "teacher": str(models["teacher"]), "kd_weight": 0.0, "label_smoothing": 0.1}
    path = save("alone", 2, **alone, temperature=1.0)
    flags = ("--teacher", models["teacher"], "--s1-size", 2, "--targets", "\u2581drei")
    assert "-student-nearest-" in run(path, corpus, tmp_path / "out", *flags).name


def test_every_metric_is_its_definition(
    study: ModuleType,
    models: dict[str, Path],
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = run(models["teacher"], corpus, tmp_path / "out", "--s1-size", 2, "--targets", "\u2581zwei", "\u2581eins")
    reader = StateReader(models["teacher"], read_corpus(corpus))
    found = {
        split: {k: np.stack(of) for k, of in study.states_one_by_one(reader, split).items() if k > 3}
        for split in study.PAIR
    }
    kept = [k for k in range(4, 20) if all(len(of.get(k, [])) >= FLOOR for of in found.values())]
    on_train = {k: found["train"][k].mean(axis=0) for k in kept}
    s1, s2 = {}, {}
    for target in (5, 4):  # zwei, eins
        order = sorted(kept, key=lambda k: np.linalg.norm(on_train[k] - on_train[target]))
        s1[target], s2[target] = order[1:3], order[3:]
    for split in study.PAIR:
        states = {k: found[split][k] for k in kept}
        expected = by_definition(reader, states, s1, s2)
        shown = {name: result.metrics[f"{split}/{name}"] for name in expected}
        assert {name: metric.value for name, metric in shown.items()} == pytest.approx(expected, rel=1e-4)
        asked = {k for target, members in s1.items() for k in (target, *members)}
        assert shown["spread"].count == sum(map(len, states.values()))
        assert shown["stability"].count == shown["confidence"].count == sum(len(states[k]) for k in asked)
    assert len(result.metrics) == 16
    assert (result.kind, result.task, result.teacher) == ("clusters", "translation", None)
    assert f"stability and confidence are over the {len(asked)} tokens that are targets or in S1" in result.notes
    assert "2 targets, sets: nearest centroids" in capsys.readouterr().out


def test_students_have_the_sets_of_the_teacher_or_of_an_earlier_record(
    models: dict[str, Path], corpus: Path, tmp_path: Path
) -> None:
    near = ("--s1-size", 2, "--targets", "\u2581drei")
    [own] = [n for n in run(models["teacher"], corpus, tmp_path / "a", *near).notes if "S1 " in n and "S2" in n]
    first = run(models["low"], corpus, tmp_path / "b", "--teacher", models["teacher"], *near)
    assert own == first.notes[-1]
    assert own.endswith("; S2 every other class")
    assert f"sha256 {first.teacher.sha256[:12] if first.teacher else None})" in first.notes[-2]
    words = ["--low", models["low"], "--high", models["high"], "--teacher", models["teacher"], "--corpus", corpus]
    words += ["--output", tmp_path / "eta", "--min-count", FLOOR, *near]
    diffusion.main([str(word) for word in words])
    eta = read_result(tmp_path / "eta" / "result.json").eta
    again = run(models["low"], corpus, tmp_path / "c", "--sets", tmp_path / "eta" / "result.json")
    assert {name: m.value for name, m in again.metrics.items()} == pytest.approx(
        {name: m.value for name, m in first.metrics.items()}
    )
    assert again.name != first.name
    others = len(eta[0].members) + len(eta[1].members)
    for row in eta:
        assert row.null is not None
        assert (row.null.draws, row.null.exact) == (math.comb(others, len(row.members)), True)


@pytest.mark.parametrize(
    ("model", "flags", "message"),
    [
        ("low", (), "is a student; name --teacher, whose centroids choose S1, or sets by --sets"),
        ("teacher", ("--sets", "SETS", "--teacher", "low"), "--teacher chooses S1 by its centroids; --sets names"),
        ("teacher", ("--s1-size", 12), "leaves no class for S2"),
        ("teacher", ("--targets", "zwei"), "did you mean \u2581zwei"),
        ("none", (), "no such checkpoint"),
    ],
)
def test_wrong_settings_are_refused_before_any_pass(
    study: ModuleType,
    models: dict[str, Path],
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    model: str,
    flags: tuple[object, ...],
    message: str,
) -> None:
    (tmp_path / "SETS").write_text(json.dumps({"\u2581zwei": {"s1": ["\u2581eins"]}}))
    paths = {"SETS": tmp_path / "SETS", "low": models["low"], "none": tmp_path / "none.pt", **models}
    words = [paths.get(str(flag), flag) for flag in flags]
    assert message in study.refused(capsys, lambda: run(paths[model], corpus, tmp_path / "out", *words))
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_model_that_has_diverged_gets_one_line(
    study: ModuleType,
    save: Callable[..., Path],
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = save("gone", 1, **study.TEACHER)
    state = read_checkpoint(str(path))
    for name, tensor in state["model"].items():
        if name.startswith("decoder.layers.0.fc2"):
            state["model"][name] = torch.full_like(tensor, math.nan)
    gone = path.with_name("none.pt")  # what was read is mapped from its file
    torch.save(state, gone)
    with pytest.raises(SystemExit):
        run(gone, corpus, tmp_path / "out", "--s1-size", 2)
    assert "diverged" in capsys.readouterr().err.strip().splitlines()[-1]
