"""Optimizers and learning rates, by timm's own factories."""

from typing import Any

from timm.optim import OptimInfo, create_optimizer_v2, get_optimizer_info
from timm.scheduler import create_scheduler_v2
from torch import nn
from torch.optim import Optimizer

from shared.errors import UserError
from vision.settings import RecipeSettings

DECAY_RATE = 0.1
WARMUP_START = 25.0  # the first learning rate of a warm-up is this much below the peak


def build_optimizer(model: nn.Module, recipe: RecipeSettings) -> Optimizer:
    """timm's optimizer of that name. Raises UserError where timm has none, or it has not what the recipe gives it."""
    try:
        optimizer: Optimizer = create_optimizer_v2(
            model,
            recipe.optimizer,
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            momentum=recipe.momentum,
            filter_bias_and_bn=not recipe.decay_all,
            **_epsilon(recipe),
        )
        if _info(recipe).second_order:
            raise ValueError("it needs second derivatives, which a training here does not have; choose another")
    except (AssertionError, ValueError) as error:
        raise UserError(f"recipe.optimizer={recipe.optimizer}: {error}") from None
    for group in optimizer.param_groups:
        if "betas" in group:  # Adam's family: timm passes `momentum` to optimizers of that argument only
            group["betas"] = (recipe.momentum, *group["betas"][1:])
    return optimizer


def _info(recipe: RecipeSettings) -> OptimInfo:
    """Raises ValueError where timm does not know the optimizer."""
    return get_optimizer_info(recipe.optimizer.lower().rpartition("_")[2])  # "lookahead_sgd" is a kind of sgd


def _epsilon(recipe: RecipeSettings) -> dict[str, Any]:
    """Raises ValueError where timm would leave the epsilon out without a word, or does not know the optimizer."""
    if recipe.optimizer_eps is None:
        return {}
    if not _info(recipe).has_eps:
        raise ValueError("it has no epsilon; leave recipe.optimizer_eps out")
    return {"eps": recipe.optimizer_eps}


def build_schedule(optimizer: Optimizer, recipe: RecipeSettings, updates_per_epoch: int) -> Any:
    """timm's schedule over the recipe's epochs, moved on after every update: linear warm-up, then cosine or steps."""
    cosine = recipe.schedule == "cosine"
    schedule, _ = create_scheduler_v2(
        optimizer,
        sched=recipe.schedule,
        # The cosine begins after the warm-up; steps count from the start, as in the paper's recipes.
        num_epochs=recipe.epochs - (recipe.warmup_epochs if cosine else 0),  # type: ignore[arg-type]
        warmup_prefix=cosine,
        decay_epochs=recipe.decay_epochs or recipe.epochs,  # the others have none
        # Half an update later than said, for timm's milestones fall one update early.
        decay_milestones=[epoch + 0.5 / updates_per_epoch for epoch in recipe.milestones or []],  # type: ignore[misc]
        decay_rate=recipe.decay_rate or DECAY_RATE,
        warmup_epochs=recipe.warmup_epochs,  # type: ignore[arg-type]  # timm takes parts of an epoch too
        warmup_lr=recipe.lr / WARMUP_START,
        step_on_epochs=False,
        updates_per_epoch=updates_per_epoch,
    )
    return schedule
