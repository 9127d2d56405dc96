"""Several trained models that answer together: test-time ensembling (Kaplun et al., NeurIPS 2022, section 5)."""

from collections.abc import Iterator, Sequence
from typing import cast

import torch

from shared.errors import UserError
from shared.losses.pseudo_labels import Combination, ensemble
from vision.data import ImageData, evaluation_batches
from vision.features import FeatureReader
from vision.networks.weights import find_twins
from vision.reading import with_progress
from vision.scores import Outcomes
from vision.settings import LoaderSettings

OF_VOTES = (
    "by votes, top-1 and top-5 are meaningful; nll and ece are of shares of votes, which are no member's probabilities"
)


def check_members(readers: Sequence[FeatureReader]) -> None:
    """Raise UserError where one network is there twice: it would only weigh double."""
    if twins := find_twins([(reader.spec, reader.network) for reader in readers]):
        raise UserError(f"checkpoint: {' and '.join(twins)} are the same network; an ensemble is of different ones")


@torch.inference_mode()
def answers(
    readers: Sequence[FeatureReader], data: ImageData, split: str, loader: LoaderSettings, by: str
) -> Iterator[Outcomes]:
    """What the models say together of every image of a split, in order; one model answers alone.

    `by` is how `shared.losses.ensemble` combines them. A batch is read once and goes through one model after another,
    each with its own input normalization; nothing but the batch's logits is kept.
    """
    what = f"{readers[0].spec if len(readers) == 1 else f'{len(readers)} models'} on {split}"
    batches = evaluation_batches(data, split, loader)
    for images, labels in with_progress(batches, len(data.splits[split]), what):
        logits = [reader.logits(images) for reader in readers]
        together = logits[0] if len(logits) == 1 else ensemble(logits, cast(Combination, by))
        yield Outcomes.of(together, labels.to(together.device))
