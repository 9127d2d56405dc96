"""What a run's settings of the data say in the recipe of its model."""

import pytest
import yaml

from vision.cli import CONF
from vision.networks.run_config import describe_run
from vision.settings.data import USUAL_RESIZING, unusual_resizing


def recipe(**data):
    return describe_run({"model": {"name": "resnet18"}, "data": data, "recipe": {"epochs": 1}}).recipe


@pytest.mark.parametrize("path", sorted((CONF / "data").glob("*.yaml")), ids=lambda path: path.stem)
def test_no_data_set_resizes_otherwise_than_usual(path):
    """Else the recipes of its ordinary runs would change, and no longer be those of records already published."""
    said = yaml.safe_load(path.read_text())
    assert unusual_resizing(said) == {}
    if said.get("image_size"):
        assert USUAL_RESIZING.items() <= said.items()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"image_size": 224, "resize": 256, "interpolation": "bilinear"}, {"image_size": 224}),
        ({"image_size": 32}, {"image_size": 32}),
        (
            {"image_size": 224, "resize": 232, "interpolation": "bicubic"},
            {"image_size": 224, "resize": 232, "interpolation": "bicubic"},
        ),
        ({"image_size": 224, "resize": None, "interpolation": "bilinear"}, {"image_size": 224, "resize": None}),
        ({"image_size": None, "resize": None, "interpolation": "bilinear"}, {"image_size": None}),
    ],
    ids=["usual", "of an earlier version", "both", "to image_size", "in memory"],
)
def test_a_recipe_says_how_images_were_resized_where_that_is_not_as_usual(data, told):
    model = {"model.name": "resnet18", "model.kwargs": None}
    assert recipe(**data) == {"epochs": 1, **told, **model}
