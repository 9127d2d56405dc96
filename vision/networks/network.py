"""An opened network: the module, and what is known of it."""

from dataclasses import dataclass, field

import torch
from torch import nn

from shared.errors import UserError
from shared.results import Model
from vision.data.image_data import ImageData
from vision.models import classifier, penultimate
from vision.networks.renormalize import renormalize
from vision.networks.weights import check_fit, name_of
from vision.settings.data import USUAL_RESIZING


@dataclass(frozen=True)
class TrainedOn:
    """What one of this project's runs was trained on: files (their sha256, by name), less the images held out."""

    sha256: dict[str, str]
    validation_size: int


@dataclass(frozen=True)
class Network:
    """A trained classifier in eval mode on the CPU. `spec` is how the user named it, `card` what records say of it."""

    spec: str
    model: nn.Module
    arch: str  # timm's name
    num_classes: int
    channels: int
    card: Model
    image_size: tuple[int, int] | None = None  # H, W of the images that it was trained on; None: not known
    mean: list[float] | None = None  # input normalization: (pixel / 255 - mean) / std; None: not known
    std: list[float] | None = None
    class_names: list[str] | None = None  # None: not known
    trained_on: TrainedOn | None = None  # None: not known
    notes: list[str] = field(default_factory=list)  # what was assumed or left out: for the terminal and the record

    def check_weights(self) -> None:
        """Raise UserError where a weight is NaN or infinite, or where the normalization is of other channels."""
        if self.mean is not None and len(self.mean) != self.channels:
            raise UserError(
                f"{self.spec} reads {self.channels} channel(s), its mean {self.mean} is of {len(self.mean)}"
            )
        for name, tensor in self.model.state_dict().items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise UserError(f"{self.spec}: {name} holds NaN or infinite weights: its training diverged")

    def check_classes(self, class_names: list[str]) -> None:
        """Raise UserError where the network cannot tell apart the classes of the data, in the data's order.

        Other names for as many classes are let pass (ImageNet's folders are named by WordNet ids, torchvision's
        classes in English): then the orders cannot be compared.
        """
        if len(class_names) != self.num_classes:
            raise UserError(f"{self.spec} knows {self.num_classes} classes, the data has {len(class_names)}")
        theirs = self.class_names
        if theirs is not None and theirs != class_names and sorted(theirs) == sorted(class_names):
            place = next(k for k, (one, other) in enumerate(zip(theirs, class_names, strict=True)) if one != other)
            raise UserError(
                f"{self.spec} has the data's classes in another order: class {place} is {theirs[place]!r} there and "
                f"{class_names[place]!r} in the data"
            )

    def check_images(self, image_shape: tuple[int, int, int]) -> None:
        """Raise UserError where the network cannot read images [C, H, W] = `image_shape`; one forward pass tells."""
        if image_shape[0] != self.channels:
            raise UserError(
                f"{self.spec} reads images of {self.channels} channel(s), the data's images have {image_shape[0]}"
            )
        try:
            with torch.no_grad():
                penultimate(self.model, torch.zeros(1, *image_shape))
        except (TypeError, ValueError, RuntimeError, AssertionError) as error:
            shape, reason = "x".join(map(str, image_shape)), (str(error).splitlines() or [repr(error)])[0]
            raise UserError(f"{self.spec} does not work on {shape} images: {reason}") from None

    def check_held_out(self, data: ImageData) -> None:
        """Raise UserError where it is known to have seen other files than those of `data`, or to have held out others.

        A smaller validation part would have shown it some of the images that `data` holds out.
        """
        if self.trained_on is None:
            return
        for what, theirs, ours in (
            ("class names", self.class_names or data.class_names, data.class_names),
            ("validation_size", self.trained_on.validation_size, len(data.splits["val"])),
            ("sha256 of the files", self.trained_on.sha256, data.sha256),
        ):
            if theirs != ours:
                raise UserError(f"{what} of {self.spec} and of {data.name} differ: {theirs} and {ours}")

    def check_resizing(self, data: ImageData) -> None:
        """Raise UserError where it is known that its images on disk were resized otherwise than those of `data` are."""
        if self.trained_on is None or not data.on_disk:
            return
        for name, usual in USUAL_RESIZING.items():
            theirs, ours = self.card.recipe.get(name, usual), getattr(data, name)
            if theirs != ours:
                raise UserError(
                    f"{self.spec} was trained with data.{name}={theirs}, {data.name} is read with {ours}; set it so"
                )

    def reading(self, mean: list[float], std: list[float]) -> nn.Module:
        """The network for images normalized by the data's `mean` and `std`: logits [n, K] of images [n, C, H, W].

        A normalization that is not known is taken to be the data's.
        """
        if self.mean is None or self.std is None:
            return self.model
        first = renormalize(mean, std, self.mean, self.std)
        return self.model if first is None else nn.Sequential(first, self.model).eval()


def start_from(model: nn.Module, network: Network) -> None:
    """Copy all weights of `network` but its classifier's into `model`.

    Raises UserError where the two are of different architectures or read images of different channels.
    """
    head = name_of(model, classifier(model))
    ours, theirs = (
        {name: tensor for name, tensor in part.state_dict().items() if not name.startswith(f"{head}.")}
        for part in (model, network.model)
    )
    check_fit(network.spec, "the model that is to start from them", ours, theirs)
    model.load_state_dict(theirs, strict=False)
