"""Checksums by which a cache knows its sentences again, wherever they stand in a batch."""

import itertools
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from fairseq import utils
from torch import Tensor

from nmt_plugin.checkpoints import task_settings
from shared.errors import UserError
from shared.files import sha256


def token_checksums(tokens: Tensor, pad: int) -> list[int]:
    """CRC-32 of each row of `tokens` [B, L] without its padding."""
    rows = tokens.cpu().numpy().astype(np.int32)
    return [zlib.crc32(row[row != pad].tobytes()) for row in rows]


def sample_checksums(sample: dict[str, Any], source_pad: int, target_pad: int) -> tuple[list[int], list[int]]:
    """Checksums of the sources and of the targets of a batch. A source that is no text (speech) counts as 0."""
    source = sample["net_input"].get("src_tokens")
    target = token_checksums(sample["target"], target_pad)
    if source is None or source.is_floating_point():
        return [0] * len(target), target
    return token_checksums(source, source_pad), target


def data_digests(data: str, split: str) -> dict[str, str]:
    """SHA-256, by name, of the binarized files of a split in the folder `data`; of all its parts, as `load_whole` has
    them.
    """
    found: dict[str, str] = {}
    for part in itertools.count():
        files = [*Path(data).glob(f"{split}{part or ''}.*")]
        own = {path.name: sha256(path) for path in sorted(files) if path.suffix in (".bin", ".idx")}
        if not own:
            break
        found |= own
    return found


def load_whole(task: Any, split: str) -> Any:
    """A split's dataset, of all its parts (train, train1, ...) one after another: what fairseq-train trains on.

    The first part is in it as often as the task's `upsample_primary` says, once by the default of -1, with which
    fairseq joins no parts. Who reads that part alone, as in validation, finds its sentences in their places.
    """
    settings = task_settings(task)
    if getattr(settings, "upsample_primary", 1) < 1:
        settings.upsample_primary = 1
    task.load_dataset(split, combine=True)
    return task.dataset(split)


def one_data_folder(data: str) -> None:
    """Raise UserError where `data` names several folders, of which fairseq reads one in each epoch."""
    if len(utils.split_paths(data)) > 1:
        raise UserError(f"{data}: a teacher cache is of one data folder; name one, or use --teacher without a cache")
