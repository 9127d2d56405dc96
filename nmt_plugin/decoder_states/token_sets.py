"""S1 and S2 of target tokens, as a file names them or as a sample."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nmt_plugin.decoder_states.token_classes import TokenClasses
from shared.decoding import decode, read_json
from shared.diffusion import ClassSets, explicit_sets
from shared.errors import UserError
from shared.results import read_result


@dataclass(frozen=True)
class NamedSets:
    """One target's entry in a file of sets. `s2` may be left out: every other class."""

    s1: list[str]
    s2: list[str] | None = None


def read_sets(path: Path) -> dict[str, NamedSets]:
    """A JSON file {target: {"s1": [...], "s2": [...]}} of tokens, or the sets of an earlier `result.json`.

    Raises UserError for any other.
    """
    try:
        raw = read_json(path)
        if isinstance(raw, dict) and "schema" in raw:
            return _sets_of_record(path)
        sets: dict[str, NamedSets] = decode(dict[str, NamedSets], raw, "sets")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UserError as error:
        raise UserError(f'{path}: want {{"TARGET": {{"s1": ["TOKEN", ...], "s2": [...]}}}} ({error})') from None
    if not sets:
        raise UserError(f'{path}: names no target; want {{"TARGET": {{"s1": ["TOKEN", ...], "s2": [...]}}}}')
    return sets


def _sets_of_record(path: Path) -> dict[str, NamedSets]:
    record = read_result(path)
    if (record.kind, record.task) != ("diffusion", "translation"):
        raise UserError(f"a record of {record.kind}, {record.task}, has no sets of target tokens")
    members = {(row.target, row.set_name): row.members for row in record.eta}
    return {target: NamedSets(members[target, "S1"], members[target, "S2"]) for target, _ in members}


def named_sets(path: Path, targets: Sequence[str] | None, s2_size: int | None) -> dict[str, NamedSets]:
    """The sets of `targets` in a file; of all its targets for None. Raises UserError where it lacks one.

    Raises UserError too where `s2_size` asks for a sample of an S2 that the file names.
    """
    found = read_sets(path)
    if missing := [target for target in targets or () if target not in found]:
        raise UserError(f"{path} has no sets of {', '.join(missing)}; it has those of {', '.join(found)}")
    chosen = {target: found[target] for target in targets or found}
    if s2_size is not None and (whole := [target for target, sets in chosen.items() if sets.s2 is not None]):
        raise UserError(f"--s2-size samples all other tokens, but {path} names S2 of {', '.join(whole)} itself")
    return chosen


def sets_of_file(target: str, named: NamedSets, classes: TokenClasses) -> ClassSets:
    """S1 and S2 as a file names them; without `s2`, every other class. Raises UserError for an unknown token."""
    for token in (target, *named.s1, *(named.s2 or ())):
        classes.place(token)
    return explicit_sets(target, named.s1, named.s2, classes.names)


def sample_s2(chosen: ClassSets, size: int, seed: int) -> ClassSets:
    """The same with `size` classes of S2, drawn by `seed` and the target; all of them where there are no more."""
    if size >= len(chosen.s2):
        return chosen
    drawn = np.random.default_rng([seed, chosen.target]).choice(chosen.s2, size, replace=False)
    how = f"{chosen.chosen_by}, S2 a sample of {size} (seed {seed})"
    return dataclasses.replace(chosen, s2=sorted(drawn.tolist()), chosen_by=how)
