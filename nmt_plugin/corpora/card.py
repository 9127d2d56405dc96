"""card.json: what a corpus was made from and how, what it holds, and the check that it is still that."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmt_plugin.differences import differences
from shared.decoding import read_json
from shared.errors import UserError
from shared.files import sha256, write_text

NAME = "card.json"
FORMAT = 1  # raise it when the same request would give another corpus


def write_card(folder: Path, request: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the card of a complete corpus folder: the request, the facts, and the SHA-256 of every other file."""
    files = {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    card = {"format": FORMAT, "request": dict(request), **facts, "files": files}
    write_text(folder / NAME, json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    return card


def finished_card(folder: Path, request: Mapping[str, Any], *, fresh: bool) -> dict[str, Any] | None:
    """The card of a whole corpus in `folder` that answers this request; None if it has still to be built.

    UserError if the folder holds something else, a corpus of another request, or changed files. With `fresh`, any
    corpus there may be replaced (None), but never a folder that is not a corpus.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    card = read_card(folder)
    if fresh:
        return None
    differing = differences({"format": FORMAT, **request}, {"format": card.get("format"), **card["request"]})
    if differing:
        raise UserError(f"{folder} holds a corpus with {differing}; choose another --output, or --fresh replaces it")
    for name, digest in card["files"].items():
        if not (folder / name).is_file() or sha256(folder / name) != digest:
            raise UserError(
                f"{folder / name} is missing or changed since the corpus was built; --fresh builds it again"
            )
    return card


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a corpus folder; UserError if the folder has none."""
    try:
        card = read_json(folder / NAME)
        if isinstance(card["request"], dict) and isinstance(card["files"], dict):
            return card
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UserError(
        f"{folder} is no corpus: it has no {NAME} that python -m nmt_plugin.corpora wrote; name another folder"
    )
