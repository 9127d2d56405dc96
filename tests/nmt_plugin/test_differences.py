"""What a message says of settings that differ."""

from typing import Any

import pytest

from nmt_plugin.differences import differences


@pytest.mark.parametrize(
    ("asked", "found", "told"),
    [
        ({"seed": 1}, {"seed": 1}, ""),
        ({"seed": 1, "beam": 5}, {"beam": 4, "seed": 1}, "beam 4 (asked: 5)"),
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, "a None (asked: 1), b 3 (asked: 2), c 4 (asked: None)"),
        ({"text": "b" * 25}, {"text": "a" * 24}, f"text {'a' * 24} (asked: {'b' * 12}...)"),
    ],
)
def test_each_difference_is_named_with_both_values(asked: dict[str, Any], found: dict[str, Any], told: str) -> None:
    assert differences(asked, found) == told
