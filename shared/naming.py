"""Default names of records, unique within a folder of results."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from shared.results import Model


def unique_name(parts: Iterable[str], models: Iterable[Model], *settings: Any) -> str:
    """`parts` joined, and a hash of the models' weights and of every setting (JSON values) that shaped the record."""
    told = json.dumps([[model.sha256 for model in models], *settings])
    return "-".join([*parts, hashlib.sha256(told.encode()).hexdigest()[:8]])
