"""A teacher that was written to disk by `python -m nmt_plugin.cache`."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nmt_plugin.checkpoints import dictionary_digest, task_settings
from nmt_plugin.teachers.batch import TeacherBatch
from nmt_plugin.teachers.checksums import data_digests, one_data_folder, sample_checksums
from nmt_plugin.teachers.store import Manifest, Store, cached_splits
from shared.errors import UserError
from shared.losses.topk import Tail, TopK


class CachedTeacher:
    """Distributions read from a cache folder that holds every split of the training.

    A batch's split is known by its sentences: source and target checksums must be those that the teacher saw.
    """

    def __init__(self, folder: str, student_task: Any) -> None:
        """Raises UserError for a missing or damaged cache, one of another dictionary, or one of other data."""
        data = str(task_settings(student_task).data)
        one_data_folder(data)
        self.stores = {path.name: Store(path) for path in cached_splits(Path(folder))}
        for store in self.stores.values():
            _check_dictionaries(store, student_task)
            _check_data(store, data)
        if len({(s.manifest.teacher.sha256, s.manifest.k) for s in self.stores.values()}) > 1:
            raise UserError(f"{folder}: its splits are of different teachers or different K; make them again alike")
        self._folder = folder
        self._pads = [d.pad() for d in (student_task.source_dictionary, student_task.target_dictionary)]
        self._latest = next(iter(self.stores))

    @property
    def manifest(self) -> Manifest:
        """What was cached; teacher, K and dictionaries are the same in every split."""
        return next(iter(self.stores.values())).manifest

    def __call__(self, sample: dict[str, Any], counted: Tensor) -> TeacherBatch:
        """See `Teacher`. Raises UserError for sentences that are not in the cache."""
        ids = sample["id"].cpu().numpy()
        records = self._store(sample, ids).records(ids)
        rows = counted[sample["target"] != self._pads[1]]
        if len(rows) != len(records):
            raise UserError(f"{self._folder}: the batch has {len(rows)} target tokens, the cache {len(records)}")
        return _unpack(records[rows.cpu().numpy()], counted.device)

    def check_split(self, name: str, dataset: Any, kept: npt.NDArray[np.int64]) -> None:
        """See `Teacher`: the split must be in the cache, and its sentences not too long for the teacher."""
        if name not in self.stores:
            raise UserError(f"{self._folder}: holds no {name} split, which this training reads; cache it too (--split)")
        left_out = np.intersect1d(self.stores[name].too_long, kept)
        if len(left_out):
            raise UserError(
                f"{self._folder}: {len(left_out):,} sentences of the {name} data (the first: {left_out[0]}) were too "
                "long for the teacher; leave them out, with fairseq's --max-source-positions and "
                "--max-target-positions or in the data"
            )

    def _store(self, sample: dict[str, Any], ids: npt.NDArray[np.int64]) -> Store:
        source, target = sample_checksums(sample, *self._pads)
        for split in sorted(self.stores, key=lambda name: name != self._latest):
            if self.stores[split].holds(ids, source, target):
                self._latest = split
                return self.stores[split]
        raise UserError(
            f"{self._folder}: a batch holds sentences that the teacher did not see in {' or '.join(self.stores)}; "
            "cache the data that you train on"
        )


def _unpack(records: npt.NDArray[Any], device: torch.device) -> TeacherBatch:
    def tensor(name: str) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(records[name])).to(device)

    logits = tensor("logits").float()
    gold, entropy = tensor("gold").sum(dim=0, dtype=torch.float64).float()
    if "ids" not in (records.dtype.names or ()):
        return TeacherBatch(logits, logits.argmax(dim=-1), -gold, entropy)
    ids = torch.from_numpy(records["ids"].astype(np.int64)).to(device)
    topk = TopK(logits, ids, Tail(*tensor("tail").unbind(dim=-1)))
    return TeacherBatch(topk, ids[:, 0], -gold, entropy, logits.exp().sum())


def _check_dictionaries(store: Store, task: Any) -> None:
    for side in ("source", "target"):
        if store.manifest.dictionaries[side] != dictionary_digest(getattr(task, f"{side}_dictionary")):
            raise UserError(
                f"{store.folder}: its teacher has another {side} dictionary; cache a teacher of this data-bin"
            )


def _check_data(store: Store, data: str) -> None:
    """Files that the data folder lacks are not compared; each sentence is checked at use anyway."""
    found = data_digests(data, store.manifest.split)
    for name, digest in store.manifest.data.items():
        if found.get(name, digest) != digest:
            raise UserError(f"{store.folder}: a cache of other data: {name} in {data} is not what its teacher read")
