import pytest

from shared.errors import UserError
from vision.class_sets import families
from vision.class_sets.families import family_sets
from vision.class_sets.references import ClassNames

BIRDS = [  # CUB-200-2011's own names, some of them
    "001.Black_footed_Albatross",
    "003.Sooty_Albatross",
    "013.Bobolink",
    "034.Gray_crowned_Rosy_Finch",
    "035.Purple_Finch",
    "047.American_Goldfinch",
    "063.Ivory_Gull",
    "064.Ring_billed_Gull",
    "066.Western_Gull",
    "105.Whip_poor_Will",
    "160.Black_throated_Blue_Warbler",
    "182.Yellow_Warbler",
    "184.Louisiana_Waterthrush",
]


def test_families_share_the_last_word() -> None:
    assert families(BIRDS) == {"Albatross": [0, 1], "Finch": [3, 4], "Gull": [6, 7, 8], "Warbler": [10, 11]}


def test_names_with_spaces() -> None:
    assert families(["king snake", "golden retriever", "water snake"]) == {"snake": [0, 2]}


def test_sets_of_a_gull() -> None:
    (sets,) = family_sets(ClassNames(BIRDS), [7])
    assert (sets.target, sets.s1) == (7, [6, 8])
    assert sets.s2 == [0, 1, 2, 3, 4, 5, 9, 10, 11, 12]
    assert sets.chosen_by.startswith("family")


def test_every_class_of_a_family_by_default() -> None:
    assert [sets.target for sets in family_sets(ClassNames(BIRDS), None)] == [0, 1, 3, 4, 6, 7, 8, 10, 11]


@pytest.mark.parametrize(
    ("names", "targets", "message"),
    [
        (BIRDS, [2], "013.Bobolink is the only class.*Albatross, Finch, Gull, Warbler"),
        (["cat", "dog"], None, "no two class names end in the same word"),
        (["063.Ivory_Gull", "066.Western_Gull"], None, "every class is a Gull"),
    ],
)
def test_what_is_refused(names: list[str], targets: list[int] | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(family_sets(ClassNames(names), targets))
