"""Files of class sets and token sets: what was written comes back; anything else is sets or refused."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nmt_plugin.decoder_states.token_sets import read_sets
from tests.hostile.properties import PROPERTY
from tests.hostile.values import TEXT, outcome
from vision.class_sets.set_file import read_set_file

SETS = st.dictionaries(
    TEXT,
    st.fixed_dictionaries(
        {"s1": st.lists(TEXT, min_size=1, max_size=3)}, optional={"s2": st.lists(TEXT, min_size=1, max_size=3)}
    ),
    min_size=1,
    max_size=3,
)


@PROPERTY
@given(SETS)
def test_sets_come_back(tmp_path: Path, sets: dict[str, dict[str, list[str]]]) -> None:
    """From YAML and JSON, whatever the classes are called: `no`, `1e3`, `null` in quotes, a colon, a line end."""
    (tmp_path / "sets.yaml").write_text(yaml.safe_dump(sets, allow_unicode=True, sort_keys=False), encoding="utf-8")
    (tmp_path / "sets.json").write_text(json.dumps(sets), encoding="utf-8")
    expected = {target: (one["s1"], one.get("s2")) for target, one in sets.items()}
    assert {key: (one.s1, one.s2) for key, one in read_set_file(tmp_path / "sets.yaml").items()} == expected
    if "schema" not in sets:  # which makes it a record
        assert {key: (one.s1, one.s2) for key, one in read_sets(tmp_path / "sets.json").items()} == expected


TYPES = ["int", "float", "bool", "timestamp", "binary", "set", "omap", "pairs", "python/name:os.system"]
MARKS = [
    "a",
    ":",
    ": ",
    "- ",
    "\n",
    "  ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "s1",
    "s2",
    "&x ",
    "*x",
    "|\n",
    "<<: ",
    "? ",
    "'",
    '"',
]
ENDS = ["#", "%YAML 1.9\n", "---\n", "...\n", "null", "~", "\t", "\x07", "\ufeff", ">", "@", "`"]
YAML = st.sampled_from([*(f"!!{name} " for name in TYPES), "!x ", *MARKS, *ENDS])


@PROPERTY
@given(st.lists(YAML, max_size=14).map("".join))
def test_any_yaml_is_sets_or_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "sets.yaml").write_text(text, encoding="utf-8")
    found = outcome(lambda: read_set_file(tmp_path / "sets.yaml"))
    assert found is None or all(one.s1 and all(isinstance(c, str) for c in one.s1) for one in found.values())


@pytest.mark.parametrize(
    "tag", ["int", "float", "bool", "timestamp", "binary", "null", "set", "omap", "seq", "map", "x"]
)
@pytest.mark.parametrize("value", ["maybe", "''", "[]", "{}", "\u00e9", "2001-99-99", "1:99:99"])
@pytest.mark.parametrize(
    "shape", ["{0}: {{s1: [b]}}", "a: {0}", "a: {{s1: {0}}}", "a: {{s1: [{0}]}}", "a: {{{0}: [b]}}"]
)
def test_yaml_that_says_of_a_value_what_it_is_not(tag: str, value: str, shape: str, tmp_path: Path) -> None:
    (tmp_path / "sets.yaml").write_text(shape.format(f"!!{tag} {value}"), encoding="utf-8")
    outcome(lambda: read_set_file(tmp_path / "sets.yaml"))
