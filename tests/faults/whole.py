"""Whether each file that has its final name is whole: its own reader says so."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import load_file

from nmt_plugin.corpora.card import read_card
from nmt_plugin.teachers.store import DONE, MANIFEST, SENTENCE, SENTENCES, Store
from shared.files import sha256
from shared.results import FILE_NAME as RECORD
from shared.results import read_result
from tests.faults.kills import is_temporary


def partial_files(folder: Path) -> list[str]:
    """ "PATH: why" of each file below `folder` that bears a final name and that its reader refuses.

    Logs, which are written line by line, and fairseq-generate's output, which counts only with the sha256 that is
    written once it is whole, are no final names.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        if not path.is_file() or is_temporary(below) or {"log", "logs"} & set(below.parts):
            continue
        try:
            _reader(path)(path)
        except Exception as error:
            found.append(f"{below}: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
    return found


def _reader(path: Path) -> Callable[[Path], object]:
    named = {RECORD: read_result, MANIFEST: _read_cache, "card.json": _read_corpus, "generate-test.json": _read_answer}
    kinds = {
        ".safetensors": load_file,
        ".ckpt": _read_checkpoint,
        ".pt": _read_checkpoint,
        ".npz": _read_arrays,
        ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
        ".yaml": lambda path: yaml.safe_load(path.read_text(encoding="utf-8")),
        ".csv": _read_lines,
        ".md": _read_lines,
        ".html": _read_page,
    }
    return named.get(path.name) or kinds.get(path.suffix) or (lambda path: path.read_bytes())


def _read_checkpoint(path: Path) -> None:
    # Not `with safe_globals(...)`: its end would take back what nmt_plugin allows in this process, too.
    torch.serialization.add_safe_globals([argparse.Namespace])
    torch.load(path, map_location="cpu", weights_only=True)


def _read_arrays(path: Path) -> None:
    with np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            archive[name]


def _read_cache(path: Path) -> None:
    store = Store(path.parent)
    done = np.flatnonzero(np.fromfile(path.parent / SENTENCES, SENTENCE)["state"] == DONE)
    store.records(done)  # each with its checksum


def _read_corpus(path: Path) -> None:
    for name, digest in read_card(path.parent)["files"].items():
        if sha256(path.parent / name) != digest:
            raise ValueError(f"{name} is not what the card says")


def _read_answer(path: Path) -> None:
    if json.loads(path.read_text(encoding="utf-8"))["output_sha256"] != sha256(path.with_suffix(".txt")):
        raise ValueError("the translations beside it are others")


def _read_lines(path: Path) -> None:
    if not path.read_text(encoding="utf-8").endswith("\n"):
        raise ValueError("its last line has no end")


def _read_page(path: Path) -> None:
    if not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise ValueError("the page has no end")
