"""How a terminal shows diffusion indices."""

from collections.abc import Iterator, Sequence

from shared.results import Eta


def table_in_percent(eta: Sequence[Eta]) -> Iterator[str]:
    """Lines of a table of `eta`, ratios, in percent: a row for each target, a column for each split and set.

    All are of one normalization, at least one is given, and every target has each split and set (else KeyError).
    """
    yield f"eta in percent, normalization {eta[0].normalization}; sets: {eta[0].chosen_by}"
    columns = list(dict.fromkeys((row.split, row.set_name) for row in eta))
    width = max(len(name) for name in ("target", *(row.target for row in eta))) + 2
    yield f"{'target':<{width}}" + "".join(f"{f'{split} {name}':>12}" for split, name in columns)
    for target in dict.fromkeys(row.target for row in eta):
        values = {(row.split, row.set_name): row.value for row in eta if row.target == target}
        yield f"{target:<{width}}" + "".join(f"{100 * values[column]:>12.2f}" for column in columns)
