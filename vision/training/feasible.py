"""What a training cannot be done with, found out before it starts."""

from torch import nn

from shared.errors import UserError
from vision.settings import TrainSettings


def check_trainable(model: nn.Module, settings: TrainSettings, images: int) -> None:
    """Raise UserError where `images` training images make batches that training cannot use."""
    recipe = settings.recipe
    parts = settings.devices * settings.nodes * settings.accumulate
    if parts > 1 and images < recipe.batch_size:
        raise UserError(
            f"recipe.batch_size={recipe.batch_size} is more than the {images} training images, which cannot be dealt "
            f"out evenly to {parts} parts; take a smaller recipe.batch_size"
        )
    batch_size = min(recipe.batch_size, images) // parts
    if (recipe.mixup or recipe.cutmix) and batch_size % 2:
        raise UserError(
            f"recipe.batch_size={recipe.batch_size} of {images} training images makes batches of {batch_size}, which "
            "mixup and cutmix cannot pair; take an even number"
        )
    normalized = batch_size * (settings.devices * settings.nodes if settings.sync_batchnorm else 1)
    if normalized == 1 and any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules()):
        raise UserError(
            f"recipe.batch_size={recipe.batch_size} of {images} training images makes batches of one, on which batch "
            "normalization cannot train; take at least 2 of each"
        )
