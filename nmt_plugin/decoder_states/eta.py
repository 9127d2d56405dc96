"""The diffusion indices of two students on one text, and which tokens they are of."""

from collections.abc import Iterator, Sequence

from nmt_plugin.decoder_states.reader import StateReader
from nmt_plugin.decoder_states.sentences import Sentences
from nmt_plugin.decoder_states.token_classes import TokenClasses
from shared.diffusion import ClassSets, diffusion_indices
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
    pairs = [(one, name, members) for one in sets for name, members in (("S1", one.s1), ("S2", one.s2))]
    targets, members_of = [one.target for one, _, _ in pairs], [members for _, _, members in pairs]
    both = [[*one.s1, *one.s2] for one, _, _ in pairs]
    values = diffusion_indices(before, after, targets, members_of, normalization=normalization, normalize_over=both)
    for (chosen, set_name, members), value in zip(pairs, values.tolist(), strict=True):
        names, target = [classes.names[k] for k in members], classes.names[chosen.target]
        yield Eta(text.split, target, set_name, names, value, normalization, chosen.chosen_by)


def similar_tokens(eta: Sequence[Eta]) -> Iterator[str]:
    """Lines that tell which tokens are S1 of each target."""
    for row in eta:
        if row.set_name == "S1" and row.split == eta[0].split:
            yield f"S1 of {row.target}: {' '.join(row.members)}"
