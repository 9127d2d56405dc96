"""imagenet.yaml against timm (classes, order, words) and facts of WordNet that anybody can look up."""

from timm.data import ImageNetInfo

from vision.class_sets.synsets import TABLE, ancestors, breadth, imagenet_classes

DOG, SNAKE, BIRD, CANINE, DOMESTIC_ANIMAL = "n02084071", "n01726692", "n01503061", "n02083346", "n01317541"
COLUBRID_SNAKE, WHOLE, ENTITY = "n01727646", "n00003553", "n00001740"


def below(ancestor: str) -> list[int]:
    return [index for index, wnid in enumerate(imagenet_classes()) if ancestor in ancestors(wnid)]


def test_classes_order_and_words_are_timms() -> None:
    info = ImageNetInfo("imagenet-1k")
    ours = {wnid: ", ".join(synset.words) for wnid, synset in imagenet_classes().items()}
    assert list(ours.items()) == [(wnid, info.label_name_to_description(wnid)) for wnid in info.label_names()]


def test_well_known_kinds() -> None:
    assert below(DOG) == list(range(151, 269))  # Chihuahua to Mexican hairless
    assert below(SNAKE) == list(range(52, 69))
    assert below(COLUBRID_SNAKE) == list(range(52, 61))
    assert [breadth(DOG), breadth(SNAKE), breadth(BIRD), breadth(ENTITY)] == [118, 17, 59, 1000]


def test_a_synset_may_have_several_parents() -> None:
    assert {CANINE, DOMESTIC_ANIMAL} <= ancestors(DOG)
    assert ancestors(ENTITY) == frozenset()
    assert "n02099601" not in ancestors("n02099601")


def test_every_class_ends_at_entity_and_none_is_an_ancestor() -> None:
    above = frozenset().union(*map(ancestors, imagenet_classes()))
    assert all(ENTITY in ancestors(wnid) for wnid in imagenet_classes())
    assert not above & imagenet_classes().keys()
    assert len(above) == 860


def test_the_license_goes_with_the_table() -> None:
    text = TABLE.read_text(encoding="utf-8")
    assert "# WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved.\n" in text
    assert 'THIS SOFTWARE AND DATABASE IS PROVIDED "AS IS"' in text
