import pytest

from shared.errors import UserError
from vision.class_sets import ClassNames, resolve

CLOTHES = ["T-shirt/top", "ankle boot", "coat", "Coat"]
BIRDS = ["001.Black_footed_Albatross", "111.Loggerhead_Shrike", "112.Great_Grey_Shrike"]


@pytest.mark.parametrize(
    ("reference", "names", "index"),
    [
        ("coat", CLOTHES, 2),
        ("Coat", CLOTHES, 3),
        ("t shirt/top", CLOTHES, 0),
        ("Ankle_Boot", CLOTHES, 1),
        ("1", CLOTHES, 1),
        ("Black-footed Albatross", BIRDS, 0),
        ("great_grey_shrike", BIRDS, 2),
        ("112.Great_Grey_Shrike", BIRDS, 2),
        ("10", ["0", "1", "10", "2"], 2),  # a name goes before an index
        ("3", ["0", "1", "10", "2"], 3),
        ("n02123045", ["boat", "tabby cat"], 1),  # a wnid in names of another kind: tabby, tabby cat
    ],
)
def test_a_class_by_name_wnid_or_index(reference: str, names: list[str], index: int) -> None:
    assert resolve(reference, names) == index


@pytest.mark.parametrize(
    ("reference", "index"),
    [("n02099601", 207), ("golden retriever", 207), ("Golden_Retriever", 207), ("207", 207), ("pigboat", 833)],
)
def test_folders_that_are_named_by_wnid(reference: str, index: int, wnids: list[str]) -> None:
    assert resolve(reference, wnids) == index


def test_imagenet_by_its_readable_names(wnids: list[str], readable: list[str]) -> None:
    """Each by its wnid and by its name; a synonym only where it is nobody's name: "projectile" is a "missile" too."""
    names = ClassNames(readable)
    assert [names.resolve(wnid) for wnid in wnids] == list(range(1000))
    assert [names.resolve(name.upper()) for name in readable] == list(range(1000))
    assert [names.resolve(name) for name in ("pigboat", "missile", "Missile", "yellow_lady_slipper")] == [
        833,
        657,
        657,
        986,
    ]
    with pytest.raises(UserError, match=r"'crane'.*134 \(crane n02012849\), 517 \(crane n03126707\)"):
        names.resolve("crane")


def test_a_name_of_several_classes_is_refused_with_the_candidates(wnids: list[str]) -> None:
    with pytest.raises(UserError, match=r"2 classes are called 'Crane'.*134 \(n02012849 crane\), 517 \(n03126707 cr"):
        resolve("Crane", wnids)
    with pytest.raises(UserError, match=r"'COAT'.*2 \(coat\), 3 \(Coat\)"):
        resolve("COAT", CLOTHES)
    with pytest.raises(UserError, match=r"'crane'.*0 \(crane\), 2 \(crane\)"):
        resolve("crane", ["crane", "dog", "crane"])


@pytest.mark.parametrize(
    ("reference", "names", "message"),
    [
        ("great gray shrike", BIRDS, r"did you mean 112.Great_Grey_Shrike \(index 2\)"),
        ("ankel boot", CLOTHES, r"did you mean ankle boot \(index 1\)"),
        ("fox", BIRDS, "below 3 or one of: 001.Black_footed_Albatross, 111.Loggerhead_Shrike, 112.Great_Grey_Shrike$"),
        ("3", BIRDS, "unknown class '3'; choose an index below 3"),
        ("-1", BIRDS, "unknown class '-1'"),
        ("", BIRDS, "unknown class ''"),
        ("x", [str(k) for k in range(30)], "18, 19, ...$"),
    ],
)
def test_an_unknown_class_is_refused(reference: str, names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve(reference, names)


def test_a_misspelt_name_of_a_folder_named_by_wnid(wnids: list[str]) -> None:
    with pytest.raises(UserError, match=r"did you mean n02099601 golden retriever \(index 207\)"):
        resolve("goldn retriever", wnids)
