"""Text, JSON values and files of any content for property tests of parsers, and what reading them may end in."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from shared.errors import UserError

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["kind", "name", "data", "models", "metrics", "schema", "s1", "s2", "title", "request", "files"])
OBJECTS = st.dictionaries(KEYS | TEXT, JSON, max_size=6)
CONTENTS = st.binary(max_size=60) | OBJECTS.map(lambda raw: json.dumps(raw, ensure_ascii=False).encode())


def outcome(read: Callable[[], Any]) -> Any:
    """What is read, or None for a UserError; nothing else may be raised."""
    try:
        return read()
    except UserError as error:
        assert str(error)  # noqa: PT017
        return None
