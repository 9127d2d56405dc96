"""Beam search over a training set: the teacher's best translation of each sentence, with its log-probability."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from fairseq import utils
from fairseq.data import LanguagePairDataset

from nmt_plugin.scores.generation import Search
from nmt_plugin.teachers.live import LiveTeacher
from shared.errors import UserError


@dataclass(frozen=True)
class Hypothesis:
    """The best translation of training sentence `index`.

    `pieces` are joined by blanks, without the end of sentence; `log_probability` is of the whole sequence, in nats,
    end of sentence included. `ended` is False where the length limit cut it off.
    """

    index: int
    pieces: str
    log_probability: float
    ended: bool

    @property
    def is_empty(self) -> bool:
        """Whether no text is left without SentencePiece's mark of a blank."""
        return not self.pieces.replace("\u2581", "").strip()


class BeamSearch:
    """A teacher's translations of the training set of `task` (fairseq's, set up on the corpus)."""

    def __init__(self, teacher: LiveTeacher, task: Any, search: Search) -> None:
        """Raises UserError for a teacher whose weights are not all finite: fairseq's search has no word for that."""
        task.load_dataset("train")
        loaded = task.dataset("train")
        self._task, self._search = task, search
        self._sources: LanguagePairDataset = task.build_dataset_for_inference(loaded.src, loaded.src_sizes)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._models: list[Any] = [model.to(self._device) for model in teacher.models]
        _check_finite(self._models)
        source_limit = min(model.max_positions()[0] for model in self._models)
        self._longest = min(source_limit, search.max_tokens)
        # fairseq's own bound: it keeps one position for the end of sentence.
        self._max_len = min([search.max_len, *(model.max_decoder_positions() - 1 for model in self._models)])
        options = {"beam": search.beam, "lenpen": search.lenpen, "max_len_a": 0, "max_len_b": search.max_len}
        self._generator = task.build_generator(self._models, _Options(options))

    @property
    def fitting(self) -> np.ndarray:
        """Indices of the sentences that the teacher can read, by length, int64. The others have no translation."""
        sizes = np.asarray(self._sources.src_sizes)
        fitting = np.flatnonzero(sizes <= self._longest)
        if not len(fitting):
            raise UserError(f"every source has more than {self._longest} tokens; raise --max-tokens")
        return fitting[np.argsort(sizes[fitting], kind="stable")]

    def __call__(self, indices: Sequence[int]) -> Iterator[list[Hypothesis]]:
        """The translations of sentences that are ordered by length, batch by batch."""
        ordered = np.asarray(indices, dtype=np.int64)
        for batch in self._sources.batch_by_size(
            ordered, max_tokens=self._search.max_tokens, required_batch_size_multiple=1
        ):
            sample = self._sources.collater([self._sources[index] for index in batch])
            if self._device.type == "cuda":
                sample = utils.move_to_cuda(sample)
            found = self._task.inference_step(self._generator, self._models, sample)
            yield [self._hypothesis(int(i), best[0]) for i, best in zip(sample["id"], found, strict=True)]

    def _hypothesis(self, index: int, best: dict[str, Any]) -> Hypothesis:
        dictionary = self._task.target_dictionary
        tokens = [int(token) for token in best["tokens"]]
        return Hypothesis(
            index=index,
            pieces=" ".join(dictionary[token] for token in tokens if token != dictionary.eos()),
            log_probability=float(best["positional_scores"].double().sum()),
            ended=len(tokens) <= self._max_len,
        )


def _check_finite(models: list[Any]) -> None:
    for model in models:
        for name, weight in model.named_parameters():
            if not weight.isfinite().all():
                raise UserError(f"the teacher's weights {name} are not all finite numbers: its training diverged")


class _Options:
    """fairseq reads generation settings as attributes and takes its own default for those that are absent."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.__dict__.update(settings)
