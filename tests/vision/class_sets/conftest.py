import pytest
from timm.data import ImageNetInfo

from vision.class_sets.imagenet_names import imagenet_names


@pytest.fixture(scope="session")
def wnids() -> list[str]:
    """The class names of a data set in ImageNet's folder layout, from timm."""
    return ImageNetInfo("imagenet-1k").label_names()


@pytest.fixture(scope="session")
def readable(wnids: list[str]) -> list[str]:
    """The same classes as the folder reader names them: "golden retriever", "crane n02012849"."""
    return [imagenet_names()[wnid] for wnid in wnids]
