"""Pickles that would make a file, the canary, in every wrapping that a checkpoint or an array comes in."""

import io
import os
import pickle
import struct
import subprocess
import tarfile
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Call:
    """Pickled, it is `function(*arguments)`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def touching(canary: Path) -> Call:
    return Call(os.system, f"touch {canary}")


# What is called: `touch` by different ways to it.
CALLS: dict[str, Callable[[Path], Any]] = {
    "os.system": touching,
    "subprocess.run": lambda canary: Call(subprocess.run, ["touch", str(canary)]),
    "builtins.eval": lambda canary: Call(eval, f"open({str(canary)!r}, 'w').close()"),
    "builtins.exec": lambda canary: Call(exec, f"open({str(canary)!r}, 'w').close()"),
    "builtins.open": lambda canary: Call(open, str(canary), "w"),
    "pathlib.Path.touch": lambda canary: Call(Path.touch, canary),
    "torch.save": lambda canary: Call(torch.save, {}, str(canary)),
    "numpy.ndarray.tofile": lambda canary: Call(np.ndarray.tofile, np.zeros(1), str(canary)),
}


def _state(value: Any) -> dict[str, Any]:
    """Every entry that the readers here would look into."""
    return {"state_dict": value, "model": value, "cfg": value, "callbacks": value, "epoch": 1}


def _saved(value: Any, **how: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **how)
    return buffer.getvalue()


def _zip_with_another_pickle(canary: Path) -> bytes:
    """A good checkpoint in which data.pkl alone was replaced."""
    good, made = zipfile.ZipFile(io.BytesIO(_saved(_state({"weight": torch.ones(3)})))), io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in good.namelist():
            is_pickle = name.endswith("data.pkl")
            archive.writestr(name, pickle.dumps(_state(touching(canary)), protocol=2) if is_pickle else good.read(name))
    return made.getvalue()


def _tar(canary: Path) -> bytes:
    """torch's form from before 2017."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            content = pickle.dumps(touching(canary), protocol=2)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def _npy(canary: Path) -> bytes:
    made = io.BytesIO()
    np.save(made, np.array([touching(canary)], dtype=object), allow_pickle=True)
    return made.getvalue()


def npz(canary: Path, *names: str) -> bytes:
    """An archive of object arrays."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names or ("ids", "schema", "last/test/top1"):
            archive.writestr(f"{name}.npy", _npy(canary))
    return made.getvalue()


def _global(canary: Path) -> bytes:
    """Protocol 0, by hand: GLOBAL and REDUCE."""
    return b"cposix\nsystem\n(S'touch " + str(canary).encode() + b"'\ntR."


def _inst(canary: Path) -> bytes:
    """Protocol 0, by hand: INST."""
    return b"(S'touch " + str(canary).encode() + b"'\niposix\nsystem\n."


def _obj(canary: Path) -> bytes:
    """Protocol 1, by hand: OBJ."""
    return b"(cposix\nsystem\nS'touch " + str(canary).encode() + b"'\no."


def _stack_global(canary: Path) -> bytes:
    """Protocol 4: the names are strings on the stack, and in memo."""
    return pickle.dumps(touching(canary), protocol=4)


# How it is wrapped. Each is what one of the loaders in `UNRESTRICTED` would run.
FILES: dict[str, Callable[[Path], bytes]] = {
    **{f"checkpoint, {name}": lambda canary, of=of: _saved(_state(of(canary))) for name, of in CALLS.items()},
    "checkpoint, data.pkl replaced": _zip_with_another_pickle,
    "checkpoint, among the weights": lambda canary: _saved(_state({"fc.weight": touching(canary)})),
    "checkpoint, in a Namespace": lambda canary: _saved(_state({}) | {"args": Namespace(arch=touching(canary))}),
    "legacy checkpoint": lambda canary: _saved(_state(touching(canary)), _use_new_zipfile_serialization=False),
    "tar checkpoint": _tar,
    "plain pickle, protocol 0, GLOBAL": _global,
    "plain pickle, protocol 0, INST": _inst,
    "plain pickle, protocol 1, OBJ": _obj,
    "plain pickle, protocol 4": _stack_global,
    "plain pickle, framed as safetensors": lambda canary: struct.pack("<Q", 8) + b'{"a":1}.' + _stack_global(canary),
    "npy of objects": _npy,
    "npz of objects": npz,
}
