"""Learning rates by hand, and what timm's factories are given."""

import math

import pytest
from torch import nn

from shared.errors import UserError
from vision.settings import RecipeSettings
from vision.training.schedule import build_optimizer, build_schedule


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def recipe(compose, name, *overrides):
    return compose("train", ["output=x", f"recipe={name}", *overrides]).recipe


def rates(recipe: RecipeSettings, updates: int):
    """The learning rate of update n, as a function: n counts from 0."""
    optimizer = build_optimizer(network(), recipe)
    schedule = build_schedule(optimizer, recipe, updates)

    def at(update: int) -> float:
        if update:
            schedule.step_update(update)
        return optimizer.param_groups[0]["lr"]

    return at


@pytest.mark.parametrize("updates", [1, 7, 703])
def test_a1_falls_at_the_first_update_of_its_three_epochs(compose, updates):
    at = rates(recipe(compose, "dist_a1"), updates)
    wanted = {0: 0.05, 149: 0.05, 150: 0.005, 179: 0.005, 180: 5e-4, 209: 5e-4, 210: 5e-5, 239: 5e-5}
    for epoch, rate in wanted.items():
        assert at(epoch * updates) == pytest.approx(rate)
        assert at((epoch + 1) * updates - 1) == pytest.approx(rate)


def test_b1_falls_every_thirty_epochs(compose):
    at = rates(recipe(compose, "dist_b1"), 5)
    assert [at(5 * epoch) for epoch in (0, 29, 30, 60, 90, 99)] == pytest.approx([0.1, 0.1, 0.01, 1e-3, 1e-4, 1e-4])


def test_b2_warms_up_for_three_epochs_and_falls_every_two_point_four(compose):
    """10 updates an epoch: warm-up for 30; the rate falls at 24 (within it), 48, 72, ..., 4488, its 187th time."""
    at = rates(recipe(compose, "dist_b2"), 10)
    start = 0.048 / 25
    assert [at(n) for n in (0, 10, 15, 29)] == pytest.approx(
        [start + (0.048 - start) * n / 30 for n in (0, 10, 15, 29)]
    )
    times = {30: 1, 47: 1, 48: 2, 71: 2, 72: 3, 4487: 186, 4488: 187, 4499: 187}
    for update, fallen in times.items():
        assert at(update) == pytest.approx(0.048 * 0.97**fallen)


def test_b3_is_a_cosine_after_its_warm_up(compose):
    at = rates(recipe(compose, "dist_b3"), 2)
    wanted = {40: 5e-4, 180: 2.5e-4 * (1 + math.cos(math.pi / 4)), 320: 2.5e-4}
    assert [at(n) for n in wanted] == pytest.approx(list(wanted.values()))
    assert 0 < at(599) < 1e-8


def test_the_optimizers_of_the_strategies(compose):
    built = {
        name: build_optimizer(network(), recipe(compose, name)) for name in ("dist_a1", "dist_b1", "dist_b2", "dist_b3")
    }
    assert {name: type(optimizer).__name__ for name, optimizer in built.items()} == {
        "dist_a1": "SGD", "dist_b1": "SGD", "dist_b2": "RMSpropTF", "dist_b3": "AdamW",
    }  # fmt: skip
    assert [built[name].defaults["nesterov"] for name in ("dist_a1", "dist_b1")] == [False, True]
    assert built["dist_b2"].defaults["eps"] == 1e-3
    assert built["dist_b2"].defaults["momentum"] == 0.9
    assert built["dist_b3"].param_groups[0]["betas"] == (0.9, 0.999)


def test_biases_and_norms_decay_only_where_the_recipe_says_so(compose):
    decays = {}
    for name in ("dist_a1", "dist_b1", "dist_b2", "dist_b3"):
        groups = build_optimizer(network(), recipe(compose, name)).param_groups
        decays[name] = {parameter.ndim: group["weight_decay"] for group in groups for parameter in group["params"]}
    assert decays == {
        "dist_a1": {4: 5e-4, 1: 5e-4, 2: 5e-4},
        "dist_b1": {4: 1e-4, 1: 0.0, 2: 1e-4},
        "dist_b2": {4: 1e-5, 1: 0.0, 2: 1e-5},
        "dist_b3": {4: 0.05, 1: 0.0, 2: 0.05},
    }


@pytest.mark.parametrize("optimizer", ["adahessian", "lookahead_adahessian"])
def test_an_optimizer_that_needs_second_derivatives_is_refused(compose, optimizer):
    with pytest.raises(UserError, match=rf"recipe\.optimizer={optimizer}: it needs second derivatives"):
        build_optimizer(network(), recipe(compose, "base", f"recipe.optimizer={optimizer}"))


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop", "rmsproptf", "lamb", "lookahead_adam"])
def test_an_epsilon_reaches_the_optimizer(compose, optimizer):
    asked = recipe(compose, "base", f"recipe.optimizer={optimizer}", "recipe.optimizer_eps=0.25")
    assert {group["eps"] for group in build_optimizer(network(), asked).param_groups} == {0.25}


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "lion", "lookahead_sgd"])
def test_an_epsilon_is_refused_where_timm_would_leave_it_out(compose, optimizer):
    asked = recipe(compose, "base", f"recipe.optimizer={optimizer}", "recipe.optimizer_eps=0.001")
    with pytest.raises(
        UserError, match=rf"recipe\.optimizer={optimizer}: it has no epsilon; leave recipe\.optimizer_eps"
    ):
        build_optimizer(network(), asked)
