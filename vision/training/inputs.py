"""What a run reads besides the data: the teacher's network, and weights to start from."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from shared.errors import UserError
from vision.data import ImageData
from vision.networks.network import Network, start_from
from vision.networks.open import open_network
from vision.networks.settings import NetworkSettings
from vision.networks.weights import find_twins
from vision.settings import TrainSettings


@dataclass(frozen=True)
class Inputs:
    """`teachers`: none for a run on hard labels. `weights`: of which all but the classifier are the model's start.

    `digests` are the sha256 of all that the run reads, by what it is.
    """

    teachers: list[Network]
    weights: Network | None
    digests: dict[str, Any]

    @property
    def notes(self) -> list[str]:
        """What was assumed of the teachers and the weights, for the terminal and the record."""
        named = [("teacher", teacher) for teacher in self.teachers]
        named += [("model.weights", self.weights)] if self.weights else []
        return [f"{role} {network.spec}: {note}" for role, network in named for note in network.notes]

    def check(self, settings: TrainSettings, data: ImageData) -> None:
        """Raise UserError where a teacher is known to have seen images that `data` holds out, or other files, or, for a
        student on unlabelled images, some of these.
        """
        for teacher in self.teachers:
            teacher.check_held_out(data)
            if settings.data.part == "unlabelled" and teacher.trained_on is not None:
                learned = [teacher.card.recipe.get(key) for key in ("part", "labelled_size")]
                if learned != ["labelled", settings.data.labelled_size]:
                    raise UserError(
                        f"{teacher.spec} learned from data.part={learned[0]} of data.labelled_size={learned[1]}: this "
                        f"student's unlabelled images (data.labelled_size={settings.data.labelled_size}) are others "
                        "only for teachers of the labelled ones; other_data=true trains it all the same"
                    )

    def initialize(self, model: nn.Module) -> None:
        """Copy the weights to start from into `model`."""
        if self.weights is not None:
            start_from(model, self.weights)


def open_inputs(settings: TrainSettings, data: ImageData) -> Inputs:
    """Raises UserError for a teacher or weights that cannot be read, or do not fit the data."""
    fit = {"class_names": data.class_names, "image_shape": data.image_shape}
    teachers = [open_network(spec, settings.network, **fit) for spec in settings.teachers]  # type: ignore[arg-type]
    if twins := find_twins([(teacher.spec, teacher.model) for teacher in teachers]):  # it would have two votes
        raise UserError(f"teacher: {' and '.join(twins)} are the same network")
    weights = None
    if settings.model.weights is not None:
        known = NetworkSettings(arch=settings.model.name, kwargs=settings.model.kwargs)
        try:
            weights = open_network(settings.model.weights, known, image_shape=data.image_shape)
        except UserError as error:
            own = str(error).replace("network.arch", "model.name").replace("network.", "model.")  # the keys of `known`
            raise UserError(f"model.weights: {own}") from None
    hashes = [teacher.card.sha256 for teacher in teachers]
    digests = {
        "teacher_sha256": hashes if len(hashes) > 1 else next(iter(hashes), None),
        "weights_sha256": weights.card.sha256 if weights else None,
        "data_sha256": data.sha256,
    }
    return Inputs(teachers, weights, digests)
