"""`python -m nmt_plugin.diffusion` on hand-made corpora and tiny models; the oracle is eta's definition in numpy."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nmt_plugin import diffusion as command
from nmt_plugin import project as projection
from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.decoder_states.reader import StateReader
from shared.results import Result, read_result

FLOOR = 12


def frequent(study: ModuleType, reader: StateReader) -> list[int]:
    """Entries that are no specials (0 to 3), with FLOOR states in each split."""
    counted = [study.states_one_by_one(reader, split) for split in study.PAIR]
    return [k for k in range(4, 20) if all(len(of.get(k, [])) >= FLOOR for of in counted)]


def eta_by_definition(low: np.ndarray, high: np.ndarray, target: int, members: list[int]) -> float:
    def normalized(centroids: np.ndarray, k: int) -> float:
        pairs = [np.linalg.norm(a - b) for i, a in enumerate(centroids) for b in centroids[:i]]
        return np.linalg.norm(centroids[target] - centroids[k]) / np.mean(pairs)

    return float(np.mean([normalized(high, k) / normalized(low, k) - 1 for k in members]))


def run(models: dict[str, Path], corpus: Path, output: Path, *flags: object) -> Result:
    words = ["--low", models["low"], "--high", models["high"], "--corpus", corpus, "--output", output]
    words += [] if "--sets" in flags else ["--teacher", models["teacher"]]
    command.main([str(word) for word in [*words, "--min-count", FLOOR, *flags]])
    return read_result(output / "result.json")


def test_eta_of_the_command_is_the_definition(
    study: ModuleType, models: dict[str, Path], corpus: Path, tmp_path: Path
) -> None:
    result = run(models, corpus, tmp_path / "out", "--s1-size", 2)
    low, high, teacher = (StateReader(models[name], read_corpus(corpus)) for name in ("low", "high", "teacher"))
    kept = frequent(study, low)
    assert 5 <= len(kept) < 16
    names = [dictionary_name(low, entry) for entry in kept]

    def centroids(reader: StateReader, split: str) -> np.ndarray:
        found = study.states_one_by_one(reader, split)
        return np.stack([np.mean(found[entry], axis=0) for entry in kept])

    of_teacher = centroids(teacher, "train")
    assert {row.target for row in result.eta} == {"\u2581eins", "\u2581zwei", "\u2581drei"}
    assert len(result.eta) == 2 * 3 * 2
    for split in study.PAIR:
        before, after = centroids(low, split), centroids(high, split)
        for row in (row for row in result.eta if row.split == split):
            target = names.index(row.target)
            near = np.argsort(np.linalg.norm(of_teacher - of_teacher[target], axis=1))[1:3].tolist()
            others = [k for k in range(len(kept)) if k not in (target, *near)]
            members = near if row.set_name == "S1" else others
            assert sorted(row.members) == sorted(names[k] for k in members)
            assert row.value == pytest.approx(eta_by_definition(before, after, target, members), rel=1e-4, abs=1e-6)
    assert result.notes[0] == "train: 60 of 60 sentences"
    assert f"{len(kept)} tokens occur at least {FLOOR} times in train and in valid; the other" in result.notes[2]


def test_several_teachers_choose_the_sets_together(
    study: ModuleType, models: dict[str, Path], corpus: Path, tmp_path: Path
) -> None:
    """By the mean of their distances, each over its mean pairwise distance; the record says who chose."""
    flags = ("--s1-size", 2, "--splits", "train", "--teacher", models["low"], models["teacher"])
    result = run(models, corpus, tmp_path / "out", *flags)
    readers = [StateReader(models[name], read_corpus(corpus)) for name in ("low", "teacher")]
    kept = frequent(study, readers[0])
    names = [dictionary_name(readers[0], entry) for entry in kept]
    distances = np.zeros((len(kept), len(kept)))
    for reader in readers:
        found = study.states_one_by_one(reader, "train")
        centroids = np.stack([np.mean(found[entry], axis=0) for entry in kept])
        own = np.linalg.norm(centroids[:, None] - centroids[None], axis=2)
        distances += own / own[np.triu_indices(len(kept), 1)].mean()
    for row in (row for row in result.eta if row.set_name == "S1"):
        near = np.argsort(distances[names.index(row.target)])[1:3]
        assert sorted(row.members) == sorted(names[k] for k in near)
    assert [note.split(" (")[1].split(",")[0] for note in result.notes[2:4]] == ["student", "teacher"]
    line = f"\u2581eins (nearest centroids): S1 {' '.join(result.eta[0].members)}; S2 every other class"
    assert line in result.notes


def dictionary_name(reader: StateReader, entry: int) -> str:
    return reader.task.target_dictionary[entry]


def test_sets_of_a_file_and_of_an_earlier_record(models: dict[str, Path], corpus: Path, tmp_path: Path) -> None:
    sets = tmp_path / "sets.json"
    sets.write_text(json.dumps({"\u2581zwei": {"s1": ["\u2581eins"], "s2": ["\u2581vier", "\u2581ab"]}}))
    first = run(models, corpus, tmp_path / "a", "--sets", sets)
    assert [(row.split, row.set_name, row.members) for row in first.eta] == [
        (split, name, members)
        for split in ("train", "valid")
        for name, members in (("S1", ["\u2581eins"]), ("S2", ["\u2581vier", "\u2581ab"]))
    ]
    again = run(models, corpus, tmp_path / "b", "--sets", tmp_path / "a" / "result.json", "--normalization", "none")
    assert [row.members for row in again.eta] == [row.members for row in first.eta]
    assert [row.value for row in again.eta] != [row.value for row in first.eta]
    assert again.name != first.name


def test_s2_may_be_a_seeded_sample(models: dict[str, Path], corpus: Path, tmp_path: Path) -> None:
    flags = ("--targets", "\u2581drei", "--s1-size", 1, "--s2-size", 2, "--splits", "train")
    one, again, other = (run(models, corpus, tmp_path / str(k), *flags, "--seed", (1, 1, 3)[k]) for k in range(3))
    assert [row.set_name for row in one.eta] == ["S1", "S2"]
    assert [len(row.members) for row in one.eta] == [1, 2]
    assert not set(one.eta[0].members) & set(one.eta[1].members)
    assert one.eta == again.eta
    assert one.eta[0].members == other.eta[0].members
    assert one.eta[1].members != other.eta[1].members
    assert one.eta[1].chosen_by == "nearest centroids, S2 a sample of 2 (seed 1)"


def test_all_normalizations_by_their_definition(
    study: ModuleType, models: dict[str, Path], corpus: Path, tmp_path: Path
) -> None:
    """none: a plain ratio; target_mean: both sides over the mean distance to S1 and S2, so that its mean is 1."""
    sets = tmp_path / "sets.json"
    sets.write_text(json.dumps({"\u2581zwei": {"s1": ["\u2581eins"], "s2": ["\u2581vier", "\u2581ab"]}}))
    found = {
        n: run(models, corpus, tmp_path / n, "--sets", sets, "--splits", "valid", "--normalization", n).eta[0].value
        for n in ("none", "target_mean")
    }
    distances = []
    for name in ("low", "high"):
        states = study.states_one_by_one(StateReader(models[name], read_corpus(corpus)), "valid")
        centroids = {entry: np.mean(states[entry], axis=0) for entry in (4, 5, 7, 8)}
        distances.append([np.linalg.norm(centroids[5] - centroids[k]) for k in (4, 7, 8)])
    low, high = distances
    assert found["none"] == pytest.approx(high[0] / low[0] - 1, rel=1e-4, abs=1e-6)
    assert found["target_mean"] == pytest.approx(
        (high[0] / np.mean(high)) / (low[0] / np.mean(low)) - 1, rel=1e-4, abs=1e-6
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--targets", "\u2581zwei", "\u2581zwei"), "names a token twice"),
        (("--targets", "zwei"), "did you mean \u2581zwei"),
        (("--s1-size", 12), "leaves no class for S2"),
        (("--min-count", 5000), "lower --min-count"),
        (("--sets", "missing.json"), "missing.json: cannot be read"),
        (("--sets", "LIST"), 'LIST: want {"TARGET"'),
        (("--sets", "SETS", "--s1-size", 2), "--sets names S1 itself"),
        (("--sets", "SETS", "--s2-size", 2), "names S2 of \u2581zwei itself"),
        (("--sets", "SETS", "--targets", "\u2581eins"), "has no sets of \u2581eins"),
        (("--sets", "OVERLAP"), "share \u2581ab"),
        (("--sets", "UNKNOWN"), "'w99' is not in the target dictionary"),
        (("--sets", "EMPTY"), "names no target"),
    ],
)
def test_wrong_settings_are_refused_before_any_pass(
    study: ModuleType,
    models: dict[str, Path],
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[object, ...],
    message: str,
) -> None:
    sets: dict[str, Any] = {
        "LIST": ["\u2581zwei"],
        "SETS": {"\u2581zwei": {"s1": ["\u2581eins"], "s2": ["\u2581ab"]}},
        "OVERLAP": {"\u2581zwei": {"s1": ["\u2581ab"], "s2": ["\u2581ab"]}},
        "UNKNOWN": {"\u2581zwei": {"s1": ["w99"]}},
        "EMPTY": {},
    }
    for name, content in sets.items():
        (tmp_path / name).write_text(json.dumps(content))
    words = [tmp_path / str(flag) if flag in sets else flag for flag in flags]
    assert message in study.refused(capsys, lambda: run(models, corpus, tmp_path / "out", *words))
    assert not (tmp_path / "out" / "result.json").exists()


def test_models_that_may_not_be_compared_are_refused(
    study: ModuleType,
    models: dict[str, Path],
    save: Callable[..., Path],
    corpus: Path,
    tmp_path: Path,
    tiny: ModuleType,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def said(**changed: Path) -> str:
        return study.refused(capsys, lambda: run(models | changed, corpus, tmp_path / "out"))

    assert "the temperature must rise from low to high" in said(low=models["high"], high=models["low"])
    assert "is a teacher; eta compares two students" in said(low=models["teacher"])
    other = save("other", 9, **study.TEACHER)
    assert "is not the teacher of" in said(teacher=other)
    distilled = {"_name": "word_kd", "kd_weight": 1.0, "label_smoothing": 0.0, "temperature": 3.0}
    assert "different teachers" in said(high=save("else", 3, **distilled, teacher=str(other)))
    mixed = save("mixed", 3, **distilled | {"kd_weight": 0.9}, teacher=str(models["teacher"]))
    assert "differ in alpha too (None; 0.0), not in T alone" in said(high=mixed)
    prefixed = save("prefixed", 3, **distilled, teacher=str(models["teacher"]), ignore_prefix_size=1)
    assert "differ in criterion.ignore_prefix_size too (0; 1)" in said(high=prefixed)
    assert "no such checkpoint" in said(high=tmp_path / "none.pt")
    (tmp_path / "away").mkdir()
    tiny.dictionary().save(str(tmp_path / "away" / "dict.en.txt"))
    away = (tmp_path / "away" / "high.pt").absolute()
    away.write_bytes(models["high"].read_bytes())
    assert "was trained with another dict.en.txt" in said(high=away)


def test_a_record_of_another_kind_is_not_replaced(
    study: ModuleType, models: dict[str, Path], corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(models, corpus, tmp_path / "out", "--s1-size", 2)
    words = ["--students", models["low"], "--corpus", corpus, "--tokens", "\u2581eins", "\u2581zwei", ","]
    line = study.refused(capsys, lambda: projection.main([*map(str, words), "--output", str(tmp_path / "out")]))
    assert "is a record of kind diffusion; choose another --output" in line


def test_the_last_checkpoint_is_not_compared_with_the_best(
    study: ModuleType,
    models: dict[str, Path],
    save: Callable[..., Path],
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    word = {"_name": "word_kd", "teacher": str(models["teacher"]), "kd_weight": 1.0, "label_smoothing": 0.0}
    low, high = (save(f"checkpoint_{kept}", 2, **word, temperature=t) for kept, t in (("last", 1.0), ("best", 3.0)))
    said = study.refused(capsys, lambda: run(models | {"low": low, "high": high}, corpus, tmp_path / "out"))
    assert "differ in checkpoint (last or best) too (checkpoint_last; checkpoint_best)" in said
