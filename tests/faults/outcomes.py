"""What a finished command has left, as digests that must not depend on how often it was killed.

Left out, and nothing else: of a record's provenance the command (it names the folder), the commit, the end's date, the
seconds and the memory; of a checkpoint of fairseq its meters, the seconds trained so far, the entries of earlier starts
in its `optimizer_history` and the configuration (it names the folder), so that where others hold its digest, that
stands for its name, and a name that ends in such a digest is left out; of one of Lightning all but the weights, the
optimizer, the schedule and the place in the training; logs, reports and fairseq-generate's output (they tell times).
"""

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from shared.files import sha256

PROVENANCE = ("command", "git_commit", "finished", "wall_seconds", "peak_memory_bytes")


def of_files(folder: Path, *patterns: str) -> dict[str, str]:
    """SHA-256 of every file below `folder` that matches, by name."""
    found = sorted({path for pattern in patterns for path in folder.rglob(pattern) if path.is_file()})
    return {str(path.relative_to(folder)): sha256(path) for path in found}


def of_records(folder: Path, pattern: str = "result.json") -> dict[str, Any]:
    """Every record below `folder`."""
    records = {}
    for path in sorted(folder.rglob(pattern)):
        record = json.loads(path.read_text(encoding="utf-8"))
        for key in PROVENANCE:
            del record["provenance"][key]
        records[str(path.relative_to(folder))] = record
    return records


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """The value with every string in it that holds a key of `names` holding its name instead.

    For digests of files that tell times, as fairseq's checkpoints do, in what is to be compared.
    """
    if isinstance(value, str):
        for key, name in names.items():
            value = value.replace(key, name)
        return value
    if isinstance(value, dict):
        return {key: renamed(item, names) for key, item in value.items()}
    return [renamed(item, names) for item in value] if isinstance(value, (list, tuple)) else value


def of_lightning(path: Path) -> str:
    """Of weights, optimizer, schedule, and where in the training it is."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    return _digest([state[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")])


def of_fairseq(path: Path, names: Mapping[str, str] | None = None) -> str:
    """Of weights, optimizer, schedule, place in the training, and best score so far; `names` as for `renamed`."""
    # Not `with safe_globals(...)`: its end would take back what nmt_plugin allows in this process, too.
    torch.serialization.add_safe_globals([argparse.Namespace])
    state = torch.load(path, map_location="cpu", weights_only=True)
    extra = state["extra_state"]
    kept = [state["model"], state["last_optimizer_state"], renamed(state["task_state"], names or {})]
    return _digest(
        [*kept, state["optimizer_history"][-1], *(extra.get(key) for key in ("train_iterator", "val_loss", "best"))]
    )


def _digest(value: Any) -> str:
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, torch.Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(value, dict):
        for key in value:
            digest.update(repr(key).encode())
            _feed(digest, value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            _feed(digest, item)
    else:
        digest.update(repr(value).encode())
