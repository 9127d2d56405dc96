"""Records and JSON: what was written comes back; anything else is read or refused."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.decoding import decode, read_json
from shared.errors import UserError
from shared.provenance import Provenance
from shared.results import Data, Eta, Metric, Model, Null, Panel, Result, read_result, write_result
from tests.hostile.properties import PROPERTY
from tests.hostile.values import JSON, NUMBERS, TEXT

PLAIN = st.dictionaries(TEXT, JSON, max_size=2)
OPTIONAL = st.none() | NUMBERS
MODELS = st.builds(
    Model, role=st.sampled_from(["teacher", "student"]), arch=TEXT, parameters=st.integers(0, 2**60), sha256=TEXT,
    seed=st.none() | st.integers(0, 2**60), alpha=OPTIONAL, temperature=OPTIONAL, kd_weight=OPTIONAL, recipe=PLAIN,
    loss=st.none() | TEXT, distill=PLAIN,
)  # fmt: skip
METRICS = st.dictionaries(TEXT, st.builds(Metric, NUMBERS, TEXT, st.integers(0, 2**60), st.none() | TEXT), max_size=3)
NULLS = st.none() | st.builds(Null, st.integers(0, 99), NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.booleans())
ETAS = st.builds(Eta, TEXT, TEXT, TEXT, st.lists(TEXT, max_size=3), NUMBERS, TEXT, TEXT, NULLS)
POINT = st.lists(NUMBERS, min_size=2, max_size=2)
POINTS = st.dictionaries(TEXT, st.lists(POINT, max_size=2), max_size=2)
PANELS = st.builds(Panel, TEXT, OPTIONAL, OPTIONAL, POINTS, st.dictionaries(TEXT, POINT, max_size=2), st.none() | TEXT)
VERSIONS = st.dictionaries(TEXT, TEXT, max_size=2)
PROVENANCES = st.builds(
    Provenance, st.lists(TEXT, max_size=2), st.none() | TEXT, VERSIONS, TEXT, TEXT, NUMBERS, st.integers(0, 2**60),
    st.none() | st.booleans(),
)  # fmt: skip
DATA = st.builds(
    Data, TEXT, st.dictionaries(TEXT, st.integers(0, 9), max_size=2), st.dictionaries(TEXT, TEXT), OPTIONAL
)


@st.composite
def records(draw: Any) -> Result:
    kind, models = draw(st.sampled_from([("model", 1), ("clusters", 1), ("diffusion", 2), ("projection", 3)]))
    return Result(
        kind=kind,
        task=draw(st.sampled_from(["translation", "image-classification"])),
        name=draw(TEXT),
        data=draw(DATA),
        models=draw(st.lists(MODELS, min_size=models, max_size=models)),
        provenance=draw(PROVENANCES),
        teacher=draw(st.none() | MODELS),
        metrics=draw(METRICS),
        eta=draw(st.lists(ETAS, max_size=2)),
        panels=draw(st.lists(PANELS, max_size=2)),
        notes=draw(st.lists(TEXT, max_size=2)),
    )


@PROPERTY
@given(records())
def test_records_come_back(tmp_path: Path, record: Result) -> None:
    assert read_result(write_result(tmp_path, record)) == record


@PROPERTY
@given(records(), st.data())
def test_a_record_with_a_field_changed_is_another_one_or_refused(
    tmp_path: Path, record: Result, data: st.DataObject
) -> None:
    path = write_result(tmp_path, record)
    place = raw = json.loads(path.read_text(encoding="utf-8"))
    for _ in range(data.draw(st.integers(0, 3))):
        values = place.values() if isinstance(place, dict) else place
        if inner := [one for one in values if isinstance(one, (dict, list)) and one]:
            place = data.draw(st.sampled_from(inner))
    key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = data.draw(JSON)
    path.write_text(json.dumps(raw, ensure_ascii=False), encoding="utf-8")
    try:
        found = read_result(path)
    except UserError as error:
        assert str(error).startswith(f"{path}: not a result.json")  # noqa: PT017
    else:
        assert read_result(write_result(tmp_path, found)) == found


@PROPERTY
@given(JSON)
def test_json_comes_back(tmp_path: Path, value: Any) -> None:
    for ascii_only in (False, True):
        (tmp_path / "value.json").write_text(json.dumps(value, ensure_ascii=ascii_only), encoding="utf-8")
        assert read_json(tmp_path / "value.json") == value


@PROPERTY
@given(JSON, st.sampled_from([int, float, str, bool, list[float], dict[str, int], str | None, Metric, list[Eta], Data]))
def test_any_value_is_of_a_type_or_refused(value: Any, kind: Any) -> None:
    try:
        found = decode(kind, value, "here")
    except UserError as error:
        assert str(error).startswith("here")  # noqa: PT017
    else:
        assert found == value or not isinstance(found, (int, float, str, list, dict))
