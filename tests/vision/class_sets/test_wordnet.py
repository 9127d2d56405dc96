from collections.abc import Sequence

import pytest

from shared.errors import UserError
from vision.class_sets.references import ClassNames
from vision.class_sets.synsets import imagenet_classes
from vision.class_sets.wordnet import BROADEST, FEWEST, wordnet_sets

# Imagenette: tench, springer, cassette player, chain saw, church, horn, garbage truck, gas pump, golf ball, parachute
IMAGENETTE = ["n01440764", "n02102040", "n02979186", "n03000684", "n03028079"]
IMAGENETTE += ["n03394916", "n03417042", "n03425413", "n03445777", "n03888257"]


def first_words(indices: Sequence[int]) -> list[str]:
    return [synset.words[0] for index, synset in enumerate(imagenet_classes().values()) if index in indices]


def test_a_retriever(wnids: list[str]) -> None:
    (sets,) = wordnet_sets(ClassNames(wnids), [207])
    assert (sets.target, sets.s1) == (207, [205, 206, 208, 209])
    assert {"thunder snake", "tench", "hen", "daisy"}.isdisjoint(first_words(sets.s2))  # living things
    assert {"submarine", "teapot", "pizza", "volcano"} <= set(first_words(sets.s2))
    assert sets.chosen_by.startswith("WordNet (S1: nearest ancestor of 3 to 130 classes")


def test_a_snake_and_a_ship(wnids: list[str]) -> None:
    snake, submarine = wordnet_sets(ClassNames(wnids), [52, 833])
    assert snake.s1 == list(range(53, 61))  # the colubrid snakes
    assert first_words(submarine.s1) == ["aircraft carrier", "half track", "tank", "warplane"]  # military vehicles
    assert {"standard poodle", "tench"} <= set(first_words(submarine.s2))
    assert "teapot" not in first_words(submarine.s2)  # an artifact too


def test_every_class_with_both(wnids: list[str]) -> None:
    found = list(wordnet_sets(ClassNames(wnids), None))
    assert len(found) == 981
    for sets in found:
        assert FEWEST <= len(sets.s1) + 1 <= BROADEST
        assert sets.s2
        assert not {sets.target, *sets.s1} & set(sets.s2)
        assert sets.target not in sets.s1
    without = set(range(1000)) - {sets.target for sets in found}
    assert {"giant panda", "chain", "armadillo"} <= set(first_words(sorted(without)))


def test_readable_names_give_the_same_sets(wnids: list[str], readable: list[str]) -> None:
    assert list(wordnet_sets(ClassNames(readable), None)) == list(wordnet_sets(ClassNames(wnids), None))


def test_a_class_in_too_broad_a_kind_is_refused(wnids: list[str]) -> None:
    panda = wnids.index("n02510455")
    with pytest.raises(UserError, match="no class similar to n02510455 giant panda"):
        list(wordnet_sets(ClassNames(wnids), [panda]))


def test_only_the_classes_of_the_data_set_count(wnids: list[str]) -> None:
    """With two retrievers, the nearest ancestor with three classes is the next one up: sporting dog."""
    few = [wnids[207], wnids[208], wnids[219], wnids[151], wnids[833]]  # cocker spaniel, Chihuahua, submarine
    (sets,) = wordnet_sets(ClassNames(few), [0])
    assert (sets.s1, sets.s2) == ([1, 2], [4])


def test_classes_by_name(wnids: list[str]) -> None:
    names = ["Golden_Retriever", "flat-coated retriever", "labrador retriever", "teapot"]
    (sets,) = wordnet_sets(ClassNames(names), [0])
    assert (sets.s1, sets.s2) == ([1, 2], [3])


def test_a_subset_of_unlike_classes() -> None:
    """WordNet calls three of Imagenette's things equipment and three devices; the other four are like nothing there."""
    found = {sets.target: sets for sets in wordnet_sets(ClassNames(IMAGENETTE), None)}
    assert {target: sets.s1 for target, sets in found.items()} == {
        **{2: [8, 9], 8: [2, 9], 9: [2, 8]},
        **{3: [5, 7], 5: [3, 7], 7: [3, 5]},
    }
    assert all(sets.s2 == [0, 1] for sets in found.values())  # the fish and the dog


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["golden retriever", "coat of arms"], "'coat of arms' is none of them; name classes by wnid"),
        (["3", "8"], "'3' is none of them"),
        (["crane"], "'crane' is the name of several of them"),
        (["n02099601", "n02099712", "n02099267"], "similar and dissimilar classes to none of these"),
    ],
)
def test_other_data_sets_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(wordnet_sets(ClassNames(names), None))
