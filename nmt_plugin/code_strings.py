"""Strings of a checkpoint's configuration that would run as Python: `weights_only=True` lets every string through."""

import ast
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from shared.errors import UserError

# fairseq hands some strings of a configuration to Python's `eval` (layers of fconv, convolutions of wav2vec, ...). Of
# expressions made of these alone, nothing is called and nothing is bound.
_HARMLESS = (
    *(ast.Expression, ast.Constant, ast.Name, ast.Attribute, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.Starred),
    *(ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare),
    *(ast.unaryop, ast.operator, ast.boolop, ast.cmpop, ast.expr_context),
)

MOST = 20_000  # values of a configuration; fairseq's have some hundreds
_LONGEST = 200  # letters of a field's name in a message


def refuse_code(name: str, settings: Any) -> None:
    """Raise UserError that names the field where a string of `settings` is Python that calls or binds anything.

    Strings that are no Python (most paths) and literals such as "[(512, 10, 5)] + [(512, 3, 2)] * 4" are fine.
    """
    for field, text in _strings(name, settings):
        if not _is_harmless(text):
            short = repr(text if len(text) <= 60 else text[:57] + "...")
            raise UserError(f"{field} is {short}, which fairseq could run as Python code; it is not read")


def _is_harmless(text: str) -> bool:
    if "${" in text:  # omegaconf would put it together from others
        return False
    try:
        nodes = ast.walk(ast.parse(text.lstrip(" \t"), mode="eval"))  # `eval` drops these blanks too
        return all(isinstance(node, _HARMLESS) for node in nodes)
    except (SyntaxError, ValueError):
        return True  # `eval` does not take it either
    except (RecursionError, MemoryError):
        return False


def _strings(name: str, settings: Any) -> Iterator[tuple[str, str]]:
    """Every string inside, with its dotted name.

    Raises UserError for more than `MOST` values: a pickle may hold one a million times over, or within itself.
    """
    left = [(name, settings)]
    for _ in range(MOST):
        if not left:
            return
        field, value = left.pop()
        if isinstance(value, Namespace):
            value = vars(value)
        if isinstance(value, dict):
            names = (key if isinstance(key, str) else type(key).__name__ for key in value)
            below = [f"{field}.{key[:_LONGEST]}"[:_LONGEST] for key in names]
            left += zip(below, value.values(), strict=True)
        elif isinstance(value, (list, tuple, set)):
            left += [(field, inner) for inner in value]
        elif isinstance(value, (bytes, bytearray)):
            yield field, value.decode("latin-1")
        elif isinstance(value, str):
            yield field, value
    raise UserError(f"{name} holds more than {MOST:,} values, or itself; it is no configuration of fairseq")
