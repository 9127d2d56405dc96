"""`python -m nmt_plugin.project` on hand-made corpora and tiny models; the oracle is brute force in numpy."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from nmt_plugin import project
from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.decoder_states.reader import StateReader
from shared.results import read_result


def test_the_projection_shows_states_on_the_plane_of_their_output_rows(
    study: ModuleType, models: dict[str, Path], corpus: Path, tmp_path: Path
) -> None:
    """All points of a class are shown, so their distances can be had by brute force: on the span of three rows."""
    tokens, entries = ["\u2581eins", "\u2581zwei", ","], [4, 5, 9]
    words = ["--students", models["low"], models["teacher"], "--corpus", corpus, "--tokens", *tokens]
    words += ["--output", tmp_path / "p", "--train-states", 1000, "--valid-states", 1000]
    project.main([str(word) for word in words])
    result = read_result(tmp_path / "p" / "result.json")
    assert (tmp_path / "p" / "projection.png").read_bytes().startswith(b"\x89PNG")
    places = [(panel.split, panel.teacher_alpha, panel.temperature) for panel in result.panels]
    assert places == [("train", 0.1, 1.0), ("train", 0.1, None), ("valid", 0.1, 1.0), ("valid", 0.1, None)]
    reader = StateReader(models["low"], read_corpus(corpus))
    rows = reader.model.decoder.output_projection.weight[entries].double().numpy()
    basis = np.linalg.qr(rows.T)[0]
    train = study.states_one_by_one(reader, "train")
    stars = np.stack([np.mean(train[entry], axis=0) for entry in entries])
    fitted = np.concatenate([*(train[entry] for entry in entries), stars]) @ basis
    axes = np.linalg.svd(fitted - fitted.mean(axis=0), full_matrices=False)[2][:2]
    for panel, split in zip(result.panels[::2], study.PAIR, strict=True):
        states = study.states_one_by_one(reader, split)
        for token, entry in zip(tokens, entries, strict=True):
            expected = np.abs((np.stack(states[entry]) @ basis - fitted.mean(axis=0)) @ axes.T)
            found = np.abs(np.array(panel.points[token]))  # the sign of an axis is free
            assert found.shape == expected.shape
            np.testing.assert_allclose(np.sort(found.sum(axis=1)), np.sort(expected.sum(axis=1)), atol=3e-4)
            centre = np.abs((np.mean(states[entry], axis=0) @ basis - fitted.mean(axis=0)) @ axes.T)
            np.testing.assert_allclose(np.abs(panel.centroids[token]), centre, atol=2e-4)


def test_tokens_of_class_sets(models: dict[str, Path], corpus: Path, tmp_path: Path) -> None:
    """The first target with the first of either set."""
    sets = tmp_path / "sets.json"
    sets.write_text('{"\u2581eins": {"s1": ["\u2581zwei"], "s2": [","]}, "\u2581zwei": {"s1": ["\u2581eins"]}}')
    words = ["--students", models["low"], "--corpus", corpus, "--sets", sets, "--output", tmp_path / "p"]
    project.main([str(word) for word in words])
    assert list(read_result(tmp_path / "p" / "result.json").panels[0].points) == ["\u2581eins", "\u2581zwei", ","]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ('{"s1": ["\u2581eins"]}', "names no S2 of \u2581zwei, the third token; name three by --tokens"),
        ('{"s1": ["\u2581eins"], "s2": []}', "names no S2 of \u2581zwei, the third token"),
        ('{"s1": [], "s2": [","]}', "names no S1 of \u2581zwei, the second token"),
        ('{"s1": []}', "names no S1 of \u2581zwei, the second token"),
    ],
)
def test_class_sets_without_three_tokens_are_refused(
    study: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], named: str, said: str
) -> None:
    sets = tmp_path / "sets.json"
    sets.write_text(f'{{"\u2581zwei": {named}}}')
    words = ["--students", "none.pt", "--corpus", "none", "--sets", sets, "--output", tmp_path / "p"]
    assert said in study.refused(capsys, lambda: project.main([str(word) for word in words]))


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (("\u2581eins", "\u2581eins", ","), "three different tokens"),
        (("\u2581eins", "eins", ","), "did you mean \u2581eins"),
        (("\u2581eins", "</s>", ","), "specials are no classes"),
    ],
)
def test_wrong_tokens_of_a_projection_are_refused(
    study: ModuleType,
    models: dict[str, Path],
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tokens: tuple[str, ...],
    message: str,
) -> None:
    words = ["--students", models["low"], "--corpus", corpus, "--output", tmp_path / "p", "--tokens", *tokens]
    assert message in study.refused(capsys, lambda: project.main([str(word) for word in words]))


def test_a_student_without_a_temperature_is_refused(
    study: ModuleType,
    save: Callable[..., Path],
    models: dict[str, Path],
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The figure would call it the teacher itself."""
    alone = {"_name": "word_kd", "teacher": str(models["teacher"]), "kd_weight": 0.0, "label_smoothing": 0.1}
    path = save("alone", 2, **alone, temperature=1.0)
    words = ["--students", path, "--corpus", corpus, "--output", tmp_path / "p", "--tokens", "\u2581eins"]
    words += ["\u2581zwei", ","]
    said = study.refused(capsys, lambda: project.main([str(word) for word in words]))
    assert "alone.pt is a student of weight 0, which used no temperature" in said


def test_two_columns_of_one_place_are_refused(
    study: ModuleType, models: dict[str, Path], corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--students", models["low"], models["low"], "--corpus", corpus, "--output", tmp_path / "p"]
    words += ["--tokens", "\u2581eins", "\u2581zwei", ","]
    assert "same alpha and temperature" in study.refused(capsys, lambda: project.main([str(word) for word in words]))
