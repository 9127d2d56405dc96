"""Files of torch.save, perhaps of strangers, read without unrestricted pickle."""

import pickletools
import zipfile
from pathlib import Path
from typing import IO, Any

import torch

from shared.errors import UserError

MOST = 10_000  # values that a tuple reaches, each as often as it is reached; a shape has four
_PICKLES = 5  # of the format before torch 1.6, which the weights follow
_MARK = 0  # on the stack; no value weighs nothing


def load_torch(path: Path, *, mapped: bool = True) -> Any:
    """What `torch.save` wrote, on the CPU; memory-mapped where its format allows it, unless `mapped` is false.

    Raises UserError, without the file's name, for a file that would keep torch busy for ever; for one of another kind,
    whatever the restricted unpickler stumbles over.
    """
    is_zip = zipfile.is_zipfile(path)
    _check_tuples(path, is_zip)
    return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped and is_zip)


def _check_tuples(path: Path, is_zip: bool) -> None:
    """Raise UserError for a tuple that reaches more than `MOST` values.

    For a tuple as a dictionary's key Python visits all that it reaches, and nothing can interrupt that: thirty tuples
    that hold the one before twice are a billion visits.
    """
    if is_zip:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith("data.pkl"):
                    if entry.compress_type != zipfile.ZIP_STORED:
                        raise UserError(f"its {entry.filename} is compressed, which torch.save never does")
                    with archive.open(entry) as file:
                        _check_pickle(file)
    else:
        with path.open("rb") as file:
            for _ in range(_PICKLES):
                _check_pickle(file)


def _check_pickle(file: IO[bytes]) -> None:
    """Follow the pickle that comes next, with a number for each value: how many it reaches, itself one of them."""
    stack: list[int] = []
    memo: dict[Any, int] = {}
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name in ("GET", "BINGET", "LONG_BINGET"):
                stack.append(memo[argument])
            elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
                memo[len(memo) if argument is None else argument] = stack[-1]
            elif opcode.name == "MARK":
                stack.append(_MARK)
            else:
                _follow(opcode, stack)
    except UserError:
        raise
    except (ValueError, IndexError, KeyError, zipfile.BadZipFile):
        return  # damaged, or no pickle: the unpickler will say so


def _follow(opcode: pickletools.OpcodeInfo, stack: list[int]) -> None:
    """What the opcode takes from the stack, and puts there."""
    taken = []
    before = [kind.name for kind in opcode.stack_before]
    if "stackslice" in before:
        while (value := stack.pop()) != _MARK:
            taken.append(value)
        before = before[: before.index("mark")]
    taken += [stack.pop() for _ in before]
    after = [kind.name for kind in opcode.stack_after]
    first = taken[-1] if taken else 1
    if after == ["tuple"] or opcode.name in ("REDUCE", "NEWOBJ"):  # what these make may be a tuple too, as torch.Size
        first = 1 + sum(taken)
        if first > MOST:
            raise UserError(f"it holds a tuple of more than {MOST:,} values, or of others that hold so many")
    stack += [first] * len(after)
