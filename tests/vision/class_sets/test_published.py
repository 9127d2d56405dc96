import pytest
from timm.data import ImageNetInfo

from shared.errors import UserError
from vision.class_sets.published import FIGURES, TARGETS, published_sets
from vision.class_sets.references import ClassNames

# Chandrasegaran et al. (2022): the rows of the two tables in their order, with ImageNet's indices.
RETRIEVERS = [209, 206, 205, 207, 208]
SNAKES = [52, 53, 54, 58, 56]


def test_names_and_indices_are_timms() -> None:
    info = ImageNetInfo("imagenet-1k")
    for rows, indices in (("retrievers", RETRIEVERS), ("snakes", SNAKES)):
        assert list(TARGETS[rows]) == [info.index_to_label_name(index) for index in indices]
        assert list(TARGETS[rows].values()) == [info.index_to_description(index).split(", ")[0] for index in indices]


@pytest.mark.parametrize(("rows", "own", "other"), [("retrievers", RETRIEVERS, SNAKES), ("snakes", SNAKES, RETRIEVERS)])
def test_the_published_targets(
    rows: str, own: list[int], other: list[int], wnids: list[str], readable: list[str]
) -> None:
    found = list(published_sets(rows, ClassNames(wnids), None))
    assert list(published_sets(rows, ClassNames(readable), None)) == found
    assert [sets.target for sets in found] == own
    for sets in found:
        assert sets.s1 == [index for index in own if index != sets.target]
        assert sets.s2 == other
        assert "the five of the other table" in sets.chosen_by


def test_they_are_found_by_name_too() -> None:
    words = [name.replace(" ", "_").upper() for rows in TARGETS.values() for name in rows.values()]
    (sets,) = published_sets("snakes", ClassNames(words), [7])
    assert (sets.target, sets.s1, sets.s2) == (7, [5, 6, 8, 9], [0, 1, 2, 3, 4])


def test_what_is_refused(wnids: list[str]) -> None:
    with pytest.raises(UserError, match=r"sets=snakes has no n02099601 golden retriever; its targets are .*king snake"):
        list(published_sets("snakes", ClassNames(wnids), [207]))
    with pytest.raises(UserError, match=r"need ImageNet's king snake \(n01734418\)"):
        list(published_sets("retrievers", ClassNames(wnids[:56] + wnids[57:]), None))


def test_the_classes_of_the_figures(wnids: list[str], readable: list[str]) -> None:
    for names in (ClassNames(wnids), ClassNames(readable)):
        assert [names.resolve(name) for name in FIGURES["imagenet"]] == [267, 266, 833]
    birds = ClassNames(["112.Great_Grey_Shrike", "001.Black_footed_Albatross", "111.Loggerhead_Shrike"])
    assert [birds.resolve(name) for name in FIGURES["cub"]] == [0, 2, 1]
