"""Whatever else reads text: any input gives a value in its range, or a UserError, and nothing else."""

import argparse
import ast
import math
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_plugin.arguments import finite, positive
from nmt_plugin.cache import _topk
from nmt_plugin.code_strings import refuse_code
from nmt_plugin.corpora.card import finished_card, read_card, write_card
from nmt_plugin.corpora.commands.common import ratio, seed
from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.decoder_states.token_sets import read_sets
from nmt_plugin.differences import differences
from nmt_plugin.teachers.store import read_manifest
from shared.diffusion.class_sets import class_index, explicit_sets
from shared.report.build import read_study
from shared.report.metrics import Key
from shared.results import read_result
from tests.hostile.properties import PROPERTY
from tests.hostile.values import CONTENTS, JSON, TEXT, outcome
from vision.class_sets.references import ClassNames
from vision.class_sets.set_file import read_set_file


@PROPERTY
@given(CONTENTS)
def test_any_file_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    names = ("result.json", "study.json", "card.json", "manifest.json", "sets.yaml", "sets.json")
    for name in names:
        (tmp_path / name).write_bytes(content)
    assert outcome(lambda: read_result(tmp_path / "result.json")) is None
    assert outcome(lambda: read_manifest(tmp_path)) is None
    outcome(lambda: read_study(tmp_path))
    card = outcome(lambda: read_card(tmp_path))
    assert card is None or card["request"].keys() is not None
    outcome(lambda: read_corpus(tmp_path))
    outcome(lambda: finished_card(tmp_path, {"corpus": "text"}, fresh=False))
    for found in (
        outcome(lambda: read_set_file(tmp_path / "sets.yaml")),
        outcome(lambda: read_sets(tmp_path / "sets.json")),
    ):
        assert all(isinstance(token, str) for sets in (found or {}).values() for token in (*sets.s1, *(sets.s2 or ())))


@PROPERTY
@given(st.dictionaries(TEXT, JSON, max_size=4), st.dictionaries(TEXT, JSON, max_size=4))
def test_a_card_answers_its_own_request_and_no_other(
    tmp_path: Path, asked: dict[str, Any], other: dict[str, Any]
) -> None:
    folder = Path(mkdtemp(dir=tmp_path))
    (folder / "text").write_text("text")
    write_card(folder, asked, {"splits": {}})
    card = finished_card(folder, asked, fresh=False)
    assert card is not None
    assert card["request"] == asked
    if any(asked.get(name) != other.get(name) for name in {*asked, *other}):
        assert outcome(lambda: finished_card(folder, other, fresh=False)) is None
        assert differences(asked, other)
    (folder / "text").write_text("changed")
    assert outcome(lambda: finished_card(folder, asked, fresh=False)) is None


@PROPERTY
@given(
    st.lists(TEXT, min_size=1, max_size=4), TEXT | st.integers(0, 9).map(str) | st.just("9" * 5000) | st.just("\u00b2")
)
def test_a_name_or_an_index_is_a_class_or_refused(names: list[str], reference: str) -> None:
    for find in (lambda: class_index(reference, names), lambda: ClassNames(names).resolve(reference)):
        found = outcome(find)
        assert found is None or 0 <= found < len(names)
    assert outcome(lambda: class_index(names[0], names)) in (0, None)


@PROPERTY
@given(st.lists(TEXT, min_size=1, max_size=5, unique=True), st.data())
def test_named_sets_are_disjoint_or_refused(names: list[str], data: st.DataObject) -> None:
    some = st.lists(st.sampled_from(names), max_size=4)
    target, s1, s2 = data.draw(st.sampled_from(names)), data.draw(some), data.draw(st.none() | some)
    if found := outcome(lambda: explicit_sets(target, s1, s2, names)):
        sets = [{found.target}, set(found.s1), set(found.s2)]
        assert sum(map(len, sets)) == len(set.union(*sets)) == 1 + len(found.s1) + len(found.s2)
        assert [names[k] for k in found.s1] == s1


NUMERALS = st.text(st.sampled_from("0123456789.-+e_ \u0663xnaif"), max_size=8) | st.floats().map(repr) | TEXT
NUMERALS |= st.just("9" * 5000) | st.just("1" + "0" * 400)


@pytest.mark.parametrize(
    ("read", "holds"),
    [
        (positive, lambda value: value >= 1),
        (seed, lambda value: value >= 0),
        (finite, math.isfinite),
        (ratio, lambda value: 1 < value < math.inf),
        (_topk, lambda value: value is None or value >= 1),
    ],
)
@PROPERTY
@given(text=NUMERALS)
def test_an_option_is_in_its_range_or_argparse_refuses_it(
    read: Callable[[str], Any], holds: Callable[[Any], bool], text: str
) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--option", type=read)
    try:
        found = parser.parse_args([f"--option={text}"]).option
    except argparse.ArgumentError:
        return
    assert holds(found)


@PROPERTY
@given(st.text(st.sampled_from("/lastbe5op1 vg") | st.characters(codec="utf-8"), max_size=14))
def test_a_metric_s_key_is_its_parts(text: str) -> None:
    key = Key.parse(text)
    assert (
        "/".join(part for part in (key.checkpoint, key.split, key.name) if part)
        == "/".join(filter(None, text.split("/")))
        or "//" in text
        or text.startswith("/")
    )
    assert isinstance(key.label, str)


CODE = st.text(st.sampled_from("ab.()[]{},:=+*'\"\\ \t\n0123lambdifor_"), max_size=14) | TEXT


@PROPERTY
@given(CODE)
def test_no_string_that_calls_or_binds_passes(text: str) -> None:
    """Python's own parser says which do: calls, lambdas, comprehensions, assignments."""
    passed = outcome(lambda: refuse_code("config", {"field": text}) or True)
    try:
        nodes = [*ast.walk(ast.parse(text.lstrip(" \t"), mode="eval"))]
    except (SyntaxError, ValueError):
        return
    calls = (ast.Call, ast.Lambda, ast.NamedExpr, ast.comprehension, ast.Subscript, ast.Await, ast.Yield, ast.JoinedStr)
    assert not (passed and any(isinstance(node, calls) for node in nodes))
