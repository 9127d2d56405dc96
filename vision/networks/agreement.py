"""What the user says of a network and what its file says, made one."""

import dataclasses
from typing import Any

from shared.errors import UserError
from vision.networks.architectures import timm_name
from vision.networks.settings import KEY, NetworkSettings

_UNSAID: tuple[Any, ...] = (None, {})


def agreed(spec: str, known: NetworkSettings, found: NetworkSettings) -> NetworkSettings:
    """What `known` says (the user), or else `found` (the file), architectures by timm's names.

    Raises UserError where both speak and differ, and for an architecture that timm does not know.
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(NetworkSettings):
        said, there = getattr(known, field.name), getattr(found, field.name)
        if field.name == "arch":
            said, there = (name and timm_name(spec, name) for name in (said, there))
        if said not in _UNSAID and there not in _UNSAID and said != there:
            raise UserError(f"{spec}: its {field.name} is {there}; {KEY}.{field.name} says {said}")
        values[field.name] = there if said in _UNSAID else said
    return NetworkSettings(**values)
