"""The diffusion indices of two students on one text, and which tokens they are of."""

from collections.abc import Iterator, Sequence

from nmt_plugin.decoder_states.reader import StateReader
from nmt_plugin.decoder_states.sentences import Sentences
from nmt_plugin.decoder_states.token_classes import TokenClasses
from shared.diffusion import ClassSets
from shared.diffusion.rows import eta_rows
from shared.results import Eta


def indices(
    normalization: str,
    text: Sentences,
    low: StateReader,
    high: StateReader,
    classes: TokenClasses,
    sets: Sequence[ClassSets],
) -> Iterator[Eta]:
    """eta of every target on S1 and on S2, after one pass of each student over `text`."""
    before, after = (reader.centroids(text, classes.entries) for reader in (low, high))
    return eta_rows(text.split, before, after, sets, classes.names, normalization=normalization)


def similar_tokens(eta: Sequence[Eta]) -> Iterator[str]:
    """Lines that tell which tokens are S1 of each target."""
    for row in eta:
        if row.set_name == "S1" and row.split == eta[0].split:
            yield f"S1 of {row.target}: {' '.join(row.members)}"
