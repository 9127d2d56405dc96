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


def _strings(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every string inside, with its dotted name."""
    if isinstance(value, Namespace):
        value = vars(value)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(f"{name}.{key}", inner)
    elif isinstance(value, (list, tuple, set)):
        for inner in value:
            yield from _strings(name, inner)
    elif isinstance(value, (bytes, bytearray)):
        yield name, value.decode("latin-1")
    elif isinstance(value, str):
        yield name, value
