"""JSON files to plain values, and these to dataclasses, checked against their annotations."""

import dataclasses
import json
import math
import os
from collections import Counter
from dataclasses import MISSING
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from shared.errors import UserError

DEEPEST = 64  # lists and objects within each other; none of the project's files has ten
MOST = 100_000  # plain values in what a checkpoint says of itself


def read_json(path: str | os.PathLike[str]) -> Any:
    """The value that a JSON file holds.

    Raises OSError where it cannot be read, and UserError, without the file's name, for what is not JSON in UTF-8, and
    for what no program should have written: a key that is there twice, NaN, a number that no float or 64 bits hold,
    half a surrogate pair, or a depth beyond `DEEPEST`.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        found = json.loads(
            text,
            object_pairs_hook=_with_each_key_once,
            parse_constant=refuse_constant,
            parse_float=_finite,
            parse_int=_of_64_bits,
        )
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise UserError("it holds half a surrogate pair, which is no text") from None
    except RecursionError:
        raise UserError("it is nested too deep") from None
    except ValueError as error:  # no UTF-8, no JSON, or the UserErrors of the parts
        raise UserError(str(error)) from None
    _check_depth(found)
    return found


def decode(kind: Any, raw: Any, where: str) -> Any:
    """Plain JSON `raw` as the annotated type `kind`: dataclasses, `X | None`, lists, dicts by string, and plain values.

    Raises UserError that names the field, reached from `where`, for a wrong type and for unknown or missing fields.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if raw is None else decode(arguments[0], raw, where)  # every union here is `X | None`
    if dataclasses.is_dataclass(kind):
        return _fields(kind, _expect(dict, raw, where), where)
    if origin is list:
        return [decode(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(_expect(list, raw, where))]
    if origin is dict:
        return {key: decode(arguments[1], item, f"{where}.{key}") for key, item in _expect(dict, raw, where).items()}
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        try:
            return float(raw)
        except OverflowError:
            raise UserError(f"{where} is too large for a number") from None
    return raw if kind is Any else _expect(kind, raw, where)


def check_plain(value: Any, where: str) -> None:
    """Raise UserError unless `value` is as JSON would give it, of at most `MOST` values: a pickle may hold one a
    million times over, or within itself.
    """
    left = [value]
    for _ in range(MOST):
        if not left:
            return
        one = left.pop()
        if isinstance(one, dict):
            odd = [key for key in one if not isinstance(key, str)]
            if odd:
                raise UserError(f"{where} holds a key of type {type(odd[0]).__name__}, which is no text")
            left += one.values()
        elif isinstance(one, (list, tuple)):
            if len(left) + len(one) > MOST:  # or a list that holds itself a million times fills the memory
                break
            left += one
        elif one is not None and not isinstance(one, (str, int, float)):
            raise UserError(f"{where} holds a {type(one).__name__}, which is no plain value")
    raise UserError(f"{where} holds more than {MOST:,} values, or itself")


def _fields(kind: Any, raw: dict[str, Any], where: str) -> Any:
    fields = {f.name: f for f in dataclasses.fields(kind)}
    if unknown := sorted(str(name) for name in set(raw) - set(fields)):
        raise UserError(f"{where} has unknown fields: {', '.join(unknown)}")
    required = [n for n, f in fields.items() if f.default is MISSING and f.default_factory is MISSING]
    if missing := [name for name in required if name not in raw]:
        raise UserError(f"{where} lacks {', '.join(missing)}")
    types = get_type_hints(kind)
    return kind(**{name: decode(types[name], value, f"{where}.{name}") for name, value in raw.items()})


_JSON_NAMES: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def _expect(kind: type, raw: Any, where: str) -> Any:
    if isinstance(raw, bool) != (kind is bool) or not isinstance(raw, kind):
        raise UserError(f"{where} must be {_JSON_NAMES[kind]}, not {json.dumps(raw, default=repr)[:60]}")
    return raw


def refuse_constant(text: str) -> float:
    """For `json.loads(parse_constant=...)`: a NaN or an infinity is no result."""
    raise UserError(f"it holds {text}, which is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise UserError(f"it holds {text[:20]}, which is too large for a number")
    return value


def _of_64_bits(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**64:
        raise UserError(f"it holds a whole number of {len(text.lstrip('-')):,} digits, which is too large")
    return int(text)


def _with_each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise UserError(f"it holds {name!r} twice")
    return found


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        inner = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list)))
        level = [one for values in inner for one in values]
    if level:
        raise UserError(f"it is nested deeper than {DEEPEST} lists and objects")
