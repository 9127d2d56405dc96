"""No dead flags: every command-line flag and criterion setting is read somewhere. (vision's keys: tests/vision.)"""

import ast
import dataclasses
import inspect
from pathlib import Path

import pytest

from nmt_plugin.criterions.smoothed_cross_entropy import SmoothedCrossEntropyConfig, SmoothedCrossEntropyCriterion
from nmt_plugin.criterions.word_kd import WordKDConfig, WordKDCriterion

ROOT = Path(__file__).parent.parent
MODULES = [path for package in ("nmt_plugin", "shared") for path in sorted((ROOT / package).rglob("*.py"))]


def flags_of(source: str) -> set[str]:
    """`dest` names of the add_argument calls in a module."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            words = [c.value for arg in node.args for c in ast.walk(arg) if isinstance(c, ast.Constant)]
            name = ast.literal_eval(named["dest"]) if "dest" in named else str(words[0])
            found.add(name.lstrip("-").replace("-", "_"))
    return found


def attributes_of(source: str) -> set[str]:
    return {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}


def test_every_flag_is_read() -> None:
    read = set().union(*(attributes_of(path.read_text(encoding="utf-8")) for path in MODULES))
    flags = {path: flags_of(path.read_text(encoding="utf-8")) for path in MODULES}
    assert sum(map(len, flags.values())) > 15
    for path, names in flags.items():
        assert names <= read, f"{path}: nothing reads {names - read}"


def test_the_check_finds_a_dead_flag() -> None:
    source = "parser.add_argument('--dead-one', help='x')\nparser.add_argument('--read')\nargs.read"
    assert flags_of(source) - attributes_of(source) == {"dead_one"}


@pytest.mark.parametrize(
    ("config", "criterion"),
    [(SmoothedCrossEntropyConfig, SmoothedCrossEntropyCriterion), (WordKDConfig, WordKDCriterion)],
)
def test_every_criterion_setting_reaches_the_criterion(config: type, criterion: type) -> None:
    settings = {field.name for field in dataclasses.fields(config)} - {"_name"}
    assert settings == set(inspect.signature(criterion.__init__).parameters) - {"self", "task"}
