"""Files of torch.save, perhaps of strangers: the one place where this project reads them."""

import zipfile
from pathlib import Path
from typing import Any

import torch


def load_torch(path: Path, *, mapped: bool = True) -> Any:
    """What `torch.save` wrote, on the CPU; memory-mapped where its format allows it, unless `mapped` is false.

    Nothing of the file runs. It can be made to take for ever to read, or all memory; who must read such files limits
    the process (`ulimit -t SECONDS -v KILOBYTES`). Raises whatever the restricted unpickler stumbles over.
    """
    return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped and zipfile.is_zipfile(path))
