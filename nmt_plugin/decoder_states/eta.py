"""The diffusion indices of two students on one text, and which tokens they are of."""

from collections.abc import Iterator, Sequence

from nmt_plugin.decoder_states.reader import StateReader
from nmt_plugin.decoder_states.sentences import Sentences
from nmt_plugin.decoder_states.token_classes import TokenClasses
from shared.diffusion import ClassSets, diffusion_index, on_one_scale
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
    if normalization == "mean_pairwise":  # once, not for every target: there are millions of pairs
        before, after = on_one_scale(before, after)
    rest = "none" if normalization == "mean_pairwise" else normalization
    for chosen in sets:
        both = [*chosen.s1, *chosen.s2]
        for set_name, members in (("S1", chosen.s1), ("S2", chosen.s2)):
            value = diffusion_index(before, after, chosen.target, members, normalization=rest, normalize_over=both)
            names, target = [classes.names[k] for k in members], classes.names[chosen.target]
            yield Eta(text.split, target, set_name, names, value, normalization, chosen.chosen_by)


def similar_tokens(eta: Sequence[Eta]) -> Iterator[str]:
    """Lines that tell which tokens are S1 of each target."""
    for row in eta:
        if row.set_name == "S1" and row.split == eta[0].split:
            yield f"S1 of {row.target}: {' '.join(row.members)}"
