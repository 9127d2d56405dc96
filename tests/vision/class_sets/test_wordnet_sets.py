"""scripts/wordnet_sets.py on a few synsets in WordNet's own format."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from shared.errors import UserError

SCRIPT = Path(__file__).parents[3] / "scripts" / "wordnet_sets.py"
NOUNS = """\
  1 Use it as you like.
  2\x20\x20
  3 Copyright somebody.
00000100 03 n 01 entity 0 002 ~ 00000200 n 0000 ~ 00000300 n 0000 | that which exists | or not
00000200 05 n 02 animal 0 living_animal 1 002 @ 00000100 n 0000 + 00000900 a 0101 | moves @ 00000100 n 0000
00000300 06 n 01 pet 0 001 @ 00000100 n 0000 | kept
00000400 05 n 02 dog 0 Canis_familiaris 0 003 @ 00000200 n 0000 @i 00000300 n 0000 #m 00000100 n 0000 | barks
00000500 05 n 01 rock 0 001 @ 00000100 n 0000 | lies
"""
TABLE = """\
classes: |
  n00000500 n00000100 rock
  n00000400 n00000200,n00000300 dog, Canis familiaris
ancestors: |
  n00000100 - entity
  n00000200 n00000100 animal
  n00000300 n00000100 pet
"""


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("wordnet_sets", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["wordnet_sets"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["wordnet_sets"]


def test_the_table(script: ModuleType) -> None:
    lines = NOUNS.splitlines()
    text = script.table(["n00000500", "n00000400"], script.read_nouns(lines), script.read_license(lines))
    header, _, body = text.partition("\nclasses: |")
    assert "classes: |" + body == TABLE
    assert header.endswith("#\n# Use it as you like.\n#\n# Copyright somebody.")
    assert all(line.startswith("#") for line in header.splitlines())


def test_another_release_of_wordnet_is_refused(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text(NOUNS, encoding="ascii")
    with pytest.raises(
        UserError, match=r"1000 of 1000 classes differ, so this is not WordNet 3.0: n01440764 'tench, T"
    ):
        script.generate(tmp_path, tmp_path / "table.yaml")
    assert not (tmp_path / "table.yaml").exists()


def test_a_folder_without_wordnet_is_refused(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.noun: cannot be read \(No such file"):
        script.generate(tmp_path, tmp_path / "table.yaml")
