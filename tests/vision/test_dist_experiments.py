"""The experiment files of Huang et al. 2022 (DIST) and Kaplun et al. 2022 against the papers' tables."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import timm
import torchvision

from shared.errors import UserError
from tests.vision.conftest import commands_at_head, compose_settings
from vision.cli import CONF

FOLDER = CONF / "experiment"
EXPERIMENTS = sorted(path.stem for study in ("dist", "noisy") for path in FOLDER.glob(f"{study}_*.yaml"))
# Those of students at a temperature that is to be given: of any loss that has one.
LEFT_OPEN = sorted(
    path.stem for path in FOLDER.glob("*.yaml") if "required: [teacher, temperature]" in path.read_text()
)
# Strategy: data, epochs, batch, rate, optimizer (timm's names), weight decay, label smoothing, averaging of weights.
STRATEGIES = {
    "dist_a1": ("cifar100", 240, 64, 0.05, "momentum", 5e-4, 0.0, None),
    "dist_b1": ("folder", 100, 256, 0.1, "sgd", 1e-4, 0.0, None),
    "dist_b2": ("folder", 450, 768, 0.048, "rmsproptf", 1e-5, 0.1, 0.9999),
    "dist_b3": ("folder", 300, 1024, 5e-4, "adamw", 0.05, 0.1, None),
}
# Teacher and student of every row, and its strategy.
ROWS = {
    **{f"dist_{t}_resnet18": (t, "resnet18", "dist_b1") for t in ("resnet34", "resnet50", "resnet101", "resnet152")},
    **{f"dist_{t}_resnet34": (t, "resnet34", "dist_b1") for t in ("resnet50", "resnet101", "resnet152")},
    "dist_resnet50_mobilenetv1": ("resnet50", "mobilenetv1_100", "dist_b1"),
    "dist_resnet50sb_resnet18": ("resnet50", "resnet18", "dist_b2"),
    "dist_resnet50sb_resnet34": ("resnet50", "resnet34", "dist_b2"),
    "dist_resnet50sb_mobilenetv2": ("resnet50", "mobilenetv2_100", "dist_b2"),
    "dist_resnet50sb_efficientnet_b0": ("resnet50", "efficientnet_b0", "dist_b2"),
    "dist_swin_large_resnet50": ("swin_large_patch4_window7_224", "resnet50", "dist_b2"),
    "dist_swin_large_swin_tiny": ("swin_large_patch4_window7_224", "swin_tiny_patch4_window7_224", "dist_b3"),
    "dist_cifar100_resnet20": ("cifar_resnet56", "cifar_resnet20", "dist_a1"),
    "dist_cifar100_resnet8x4": ("cifar_resnet32x4", "cifar_resnet8x4", "dist_a1"),
    "dist_cifar100_wrn_40_1": ("cifar_wrn_40_2", "cifar_wrn_40_1", "dist_a1"),
    "dist_cifar100_mobilenetv2": ("cifar_resnet50", "mobilenetv2_050", "dist_a1"),
    "dist_cifar100_shufflenetv2": ("cifar_resnet32x4", "cifar_shufflenetv2", "dist_a1"),
    "dist_cifar100_teacher": (None, "cifar_resnet56", "dist_a1"),
}


def commands(name: str) -> list[list[str]]:
    """What the file's head says to run: the words of every point of its sweep, less the program and -m."""
    command, points = commands_at_head(FOLDER / f"{name}.yaml")
    assert command == "train"
    return points


@cache
def settings_of(name: str) -> list[Any]:
    """At every point of the sweep."""
    return [compose_settings("train", words) for words in commands(name)]


@cache
def recipe_of(name: str) -> Any:
    return compose_settings("train", ["output=x", f"recipe={name}"]).recipe


def architecture(teacher: str) -> str:
    """Of `timm:NAME.TAG`, `torchvision:NAME:TAG` or an export in a folder called like it."""
    path = Path(teacher)
    return path.parent.name if path.suffix == ".safetensors" else re.split("[:.]", teacher)[1]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_command_at_its_head_is_right(name):
    points = settings_of(name)
    assert all(f"experiment={name}" in words for words in commands(name))
    assert len({settings.output for settings in points}) == len(points)  # no point of a sweep overwrites another


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_its_teacher_student_and_strategy(name):
    teacher, student, strategy = ROWS[name]
    settings = settings_of(name)[0]
    recipe = settings.recipe
    assert settings.model.name == student
    if teacher is not None:
        assert architecture(settings.teacher) == teacher
    assert recipe == recipe_of(strategy)
    found = (
        *(settings.data.name, recipe.epochs, recipe.batch_size, recipe.lr, recipe.optimizer, recipe.weight_decay),
        *(settings.alpha, recipe.ema),
    )
    assert found == STRATEGIES[strategy]
    assert settings.model.kwargs.get("drop_rate", 0.0) == (0.2 if strategy == "dist_b2" else 0.0)


def test_one_command_trains_the_teachers_of_every_cifar_row():
    points = settings_of("dist_cifar100_teacher")
    trained = {f"{settings.output}/last.safetensors": settings.model for settings in points}
    rows = [name for name in ROWS if "cifar" in name and name != "dist_cifar100_teacher"]
    asked = {settings.teacher for name in rows for settings in settings_of(name)}
    assert asked == trained.keys()
    assert all(model.name == architecture(path) for path, model in trained.items())


def test_every_file_is_a_row():
    assert {name for name in EXPERIMENTS if name.startswith("dist_")} == set(ROWS)


@pytest.mark.parametrize("name", [name for name in ROWS if name != "dist_cifar100_teacher"])
def test_the_baseline_stands_beside_dist(name):
    """CE + 2 DIST (tau 1, on CIFAR 4), and 0.9 CE + KD (T = 4)."""
    dist, kd = settings_of(name)
    tau = 4.0 if "cifar" in name else 1.0
    assert (dist.distill.loss, dist.temperature, dist.kd_weight, dist.hard_weight) == ("dist", tau, 2.0, 1.0)
    assert (dist.distill.beta, dist.distill.gamma) == (1.0, 1.0)
    assert (kd.distill.loss, kd.temperature, kd.kd_weight, kd.hard_weight) == ("kd", 4.0, 1.0, 0.9)


@pytest.mark.parametrize("name", LEFT_OPEN)
def test_any_other_student_learns_by_dist_with_its_weights_too(name):
    settings = compose_settings("train", [f"experiment={name}", "distill=dist", "teacher=t", "output=x"])
    assert (settings.distill.loss, settings.temperature, settings.kd_weight) == ("dist", 1.0, 2.0)
    assert settings.hard_weight == 1.0


@pytest.mark.parametrize(("name", "tau"), [("dist_resnet34_resnet18", 1.0), ("dist_cifar100_resnet20", 4.0)])
def test_dist_is_what_an_experiment_takes_by_itself(name, tau):
    settings = compose_settings("train", [f"experiment={name}", "output=x", "teacher=t"])
    assert (settings.distill.loss, settings.temperature) == ("dist", tau)


def test_a_student_alone_has_the_same_recipe():
    words = ["experiment=dist_resnet50sb_resnet18", "output=x"]
    alone = compose_settings("train", [*words, "distill=none", "teacher=null"])
    taught = compose_settings("train", words)
    assert (alone.teachers, alone.hard_weight, alone.temperature) == ([], 1.0, None)
    assert (alone.recipe, alone.alpha, alone.model) == (taught.recipe, taught.alpha, taught.model)
    with pytest.raises(UserError, match="are for students"):
        compose_settings("train", [*words, "teacher=null"])


def test_published_weights_exist():
    text = "".join((FOLDER / f"{name}.yaml").read_text() for name in EXPERIMENTS)
    named = set(re.findall(r"^teacher: (timm|torchvision):([^:.\s]+)[:.](\S+)$", text, re.M))
    assert len(named) == 6
    for library, name, tag in named:
        if library == "timm":
            assert f"{name}.{tag}" in timm.list_pretrained()
        else:
            assert tag in torchvision.models.get_model_weights(name).__members__


def test_the_augmentation_of_the_strategies():
    """Crop and flip for all; B2 adds RandAugment (m 9, std 0.5) and erasing (0.2); B3 jitter, mixup and cutmix."""
    asked = {name: recipe_of(name) for name in STRATEGIES}
    crops = {name: (recipe.augmentation.crop, recipe.augmentation.padding) for name, recipe in asked.items()}
    resized = ("resized", 0)
    assert crops == {"dist_a1": ("padded", 4), "dist_b1": resized, "dist_b2": resized, "dist_b3": resized}
    assert all(recipe.augmentation.flip for recipe in asked.values())
    added = {name: (recipe.augmentation.randaugment, recipe.augmentation.erasing) for name, recipe in asked.items()}
    strong = ("rand-m9-mstd0.5", 0.2)
    assert added == {"dist_a1": (None, 0.0), "dist_b1": (None, 0.0), "dist_b2": strong, "dist_b3": strong}
    mixed = {name: (recipe.mixup, recipe.cutmix, any(recipe.augmentation.jitter)) for name, recipe in asked.items()}
    plain = (0.0, 0.0, False)
    assert mixed == {"dist_a1": plain, "dist_b1": plain, "dist_b2": plain, "dist_b3": (0.8, 1.0, True)}


def test_noisy_teachers_and_their_students():
    """Kaplun et al. 2022: 20 % noise, 200 epochs, 0.1 for 256 images, batch 128; labels by the teachers alone."""
    teachers = settings_of("noisy_teacher")
    assert len({settings.seed for settings in teachers}) == len(teachers) == 5
    for settings in teachers:
        recipe = settings.recipe
        assert (settings.data.name, settings.data.label_noise, settings.model.name) == (
            "cifar10",
            0.2,
            "cifar_resnet18",
        )
        assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.weight_decay) == (200, 128, 0.1 * 128 / 256, 5e-4)
        assert (recipe.optimizer, recipe.momentum, recipe.milestones) == ("momentum", 0.9, [100, 150])
    for loss in ("epl", "rpl"):
        (settings,) = settings_of(f"noisy_student_{loss}")
        assert (settings.data.name, settings.recipe.epochs, settings.model.name) == ("cifar5m", 1, "cifar_resnet18")
        assert (settings.distill.loss, settings.kd_weight, settings.hard_weight) == (loss, 1.0, 0.0)
        assert settings.other_data
        assert len(settings.teachers) > 1
