"""The sentences of one split that a measurement reads, each of them once, in batches of like length."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from fairseq.data import LanguagePairDataset
from torch import Tensor
from tqdm import tqdm

from nmt_plugin.data_folder import split_names
from shared.errors import UserError


@dataclass(frozen=True)
class Sentences:
    """Sentence pairs `indices` of a split of `total`; the first `prefix` target tokens of each do not count."""

    split: str
    dataset: LanguagePairDataset
    indices: np.ndarray
    total: int
    too_long: int
    prefix: int
    seed: int

    def batches(self, title: str, max_tokens: int) -> Iterator[dict[str, Any]]:
        """fairseq samples of at most `max_tokens` tokens a side, pads included; the prefix of `target` is pad.

        Shows a progress bar on stderr.
        """
        lengths = self.dataset.num_tokens_vec(self.indices)
        ordered = self.indices[np.argsort(lengths, kind="stable")]
        # A sentence longer than max_tokens makes a batch by itself.
        of_like_length = self.dataset.batch_by_size(ordered, max_tokens=max(max_tokens, int(lengths.max())))
        # By tokens: long sentences come last, so a count of sentences would promise too early an end.
        tokens = int(lengths.sum())
        interval = 1.0 if sys.stderr.isatty() else 30.0  # in a log, a line is kept
        with tqdm(total=tokens, desc=title, unit="tok", unit_scale=True, mininterval=interval) as bar:
            for batch in of_like_length:
                sample = self.dataset.collater([self.dataset[int(index)] for index in batch])
                sample["target"][:, : self.prefix] = self.dataset.tgt_dict.pad()
                yield sample
                bar.update(int(self.dataset.num_tokens_vec(np.asarray(batch)).sum()))

    def counts(self) -> Tensor:
        """Occurrences of each dictionary entry among the target tokens that count: [V], int64. No model is run."""
        total = torch.zeros(len(self.dataset.tgt_dict), dtype=torch.int64)
        for index in self.indices:
            tokens = self.dataset.tgt[int(index)][self.prefix :]
            total += torch.bincount(tokens, minlength=len(total))
        return total

    def __str__(self) -> str:
        chosen = f"{len(self.indices):,} of {self.total:,} sentences"
        if len(self.indices) + self.too_long < self.total:
            chosen += f" (a sample, seed {self.seed})"
        return f"{self.split}: {chosen}" + (f", {self.too_long:,} too long for the models" if self.too_long else "")


def choose_sentences(
    task: Any, split: str, *, positions: tuple[int, int], prefix: int, limit: int | None, seed: int
) -> Sentences:
    """All sentences of `split` that fit the models' `positions` (source and target), or `limit` of them by `seed`.

    Raises UserError where the data folder lacks the split, or nothing fits.
    """
    if split not in split_names(task.cfg.data):
        raise UserError(f"{task.cfg.data}: holds no {split} split; build the corpus again with --fresh")
    task.load_dataset(split)
    dataset = task.dataset(split)
    fitting, too_long = dataset.filter_indices_by_size(np.arange(len(dataset)), positions)
    if not len(fitting):
        raise UserError(f"{split} has no sentence that fits the models' {positions} positions")
    if limit is not None and limit < len(fitting):
        fitting = np.sort(np.random.default_rng(seed).choice(fitting, limit, replace=False))
    return Sentences(split, dataset, fitting, len(dataset), len(too_long), prefix, seed)
