from pathlib import Path
from typing import Any

import pytest

from shared.diffusion import ClassSets
from shared.errors import UserError
from vision.class_sets import WAYS, check_way, class_sets
from vision.settings import ClassSetSettings

NAMES = ["coat", "shirt", "bag", "ankle boot"]
EXPLICIT = {"coat": ClassSetSettings(["shirt"], ["bag"]), "Shirt": ClassSetSettings(["0"])}


def chosen(way: str, targets: list[str] | None = None, names: list[str] = NAMES) -> dict[int, ClassSets]:
    return class_sets(way, names, targets, explicit=EXPLICIT, nearest=nearest)


def nearest(target: int) -> ClassSets:
    return ClassSets(target, [target ^ 1], [target ^ 2], "nearest centroids")


def test_explicit_sets() -> None:
    assert chosen("explicit") == {0: ClassSets(0, [1], [2], "explicit"), 1: ClassSets(1, [0], [2, 3], "explicit")}
    assert list(chosen("explicit", ["SHIRT", "0"])) == [1, 0]


def test_nearest_sets_come_from_the_caller() -> None:
    assert chosen("nearest", ["bag"]) == {2: ClassSets(2, [3], [0], "nearest centroids")}
    assert list(chosen("nearest")) == [0, 1, 2, 3]


def test_a_file_of_sets(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("bag: {s1: [Ankle_Boot], s2: [coat, '1']}", encoding="utf-8")
    assert chosen(str(path)) == {2: ClassSets(2, [3], [0, 1], "explicit")}


def test_classes_that_share_a_name(tmp_path: Path) -> None:
    """By index; in ImageNet's own names there are two of "crane"."""
    path = tmp_path / "mine.yaml"
    path.write_text("dog: {s1: ['2'], s2: ['0']}", encoding="utf-8")
    assert chosen(str(path), names=["crane", "dog", "crane"]) == {1: ClassSets(1, [2], [0], "explicit")}


@pytest.mark.parametrize(
    ("way", "targets", "count"),
    [("wordnet", ["tabby", "207"], 2), ("retrievers", None, 5), ("snakes", ["king snake"], 1)],
)
def test_imagenet(way: str, targets: list[str] | None, count: int, wnids: list[str]) -> None:
    assert len(chosen(way, targets, wnids)) == count


def test_families() -> None:
    birds = ["063.Ivory_Gull", "064.Ring_billed_Gull", "013.Bobolink"]
    assert [(sets.s1, sets.s2) for sets in chosen("families", ["ivory gull"], birds).values()] == [([1], [2])]


@pytest.mark.parametrize(
    ("way", "targets", "message"),
    [
        ("explicit", ["bag"], r"data\.sets: no S1 and S2 for \['bag'\]; it knows coat, Shirt"),
        ("explicit", ["coat", "0"], "targets names a class twice: 'coat' and '0' are both coat"),
        ("explicit", ["cot"], r"unknown class 'cot'; did you mean coat \(index 0\)"),
        ("wordnet", None, "sets=wordnet is for ImageNet's classes"),
        ("snakes", None, "need ImageNet's Chesapeake Bay retriever"),
        ("similar", None, "sets is 'similar'; choose one of explicit, nearest, .*snakes, or a YAML file"),
        ("none.yaml", None, "sets=none.yaml: no such file"),
    ],
)
def test_what_is_refused(way: str, targets: list[str] | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        chosen(way, targets)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bag: {s1: [cot]}", r"mine\.yaml: unknown class 'cot'"),
        ("bag: {s1: [coat], s2: [coat]}", r"mine\.yaml: S1 and S2 of bag \(index 2\) share coat"),
        ("bag: {s1: [BAG]}", "holds bag .* itself"),
        ("bag: {s1: [coat]}\nBag: {s1: [shirt]}", r"mine\.yaml: it names a class twice: 'bag' and 'Bag' are both bag"),
    ],
)
def test_a_file_of_wrong_sets(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        chosen(str(path))


def test_no_sets_at_all() -> None:
    with pytest.raises(
        UserError, match=r"no sets of their own \(data\.sets\); choose sets=nearest, wordnet, families, ret"
    ):
        class_sets("explicit", NAMES, None, explicit={}, nearest=nearest)


def test_ways_are_checked_without_data(tmp_path: Path, monkeypatch: Any) -> None:
    for way in WAYS:
        check_way(way)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sets.yml").touch()
    check_way("sets.yml")
