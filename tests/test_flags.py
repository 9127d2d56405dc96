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


def read_from_options(source: str) -> set[str]:
    """Attributes read of `args` or `options`, and names read of them by `getattr`, in a module."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("args", "options"):
            found.add(node.attr)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "decisive":
            found |= set(ast.literal_eval(node.value))  # nmt_plugin.corpora reads these by getattr
    return found


def test_every_flag_is_read_in_its_module() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in MODULES}
    assert sum(len(flags_of(source)) for source in sources.values()) > 15
    for path, source in sources.items():
        unread = flags_of(source) - read_from_options(source)
        assert not unread, f"{path}: nothing reads {unread}"


def test_the_check_finds_a_dead_flag() -> None:
    source = "parser.add_argument('--name', help='x')\nparser.add_argument('--read')\nargs.read\npath.name"
    assert flags_of(source) - read_from_options(source) == {"name"}


@pytest.mark.parametrize(
    ("config", "criterion"),
    [(SmoothedCrossEntropyConfig, SmoothedCrossEntropyCriterion), (WordKDConfig, WordKDCriterion)],
)
def test_every_criterion_setting_reaches_the_criterion(config: type, criterion: type) -> None:
    settings = {field.name for field in dataclasses.fields(config)} - {"_name"}
    assert settings == set(inspect.signature(criterion.__init__).parameters) - {"self", "task"}
