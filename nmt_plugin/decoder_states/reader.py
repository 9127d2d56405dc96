"""Decoder states before the output layer: a translation model's penultimate features, target tokens the classes."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import torch
from fairseq.models import BaseFairseqModel
from omegaconf import DictConfig
from torch import Tensor, nn

from nmt_plugin.checkpoints import (
    check_dictionaries,
    check_languages,
    checkpoint_config,
    load_model,
    read_checkpoint,
    set_up_task,
)
from nmt_plugin.corpora.corpus import Corpus
from nmt_plugin.decoder_states.sentences import Sentences, choose_sentences
from nmt_plugin.records import TrainedModel
from shared.diffusion import CentroidAccumulator
from shared.errors import UserError
from shared.results import Model

MAX_TOKENS = 8000  # a side, pads included


class StateReader:
    """A fairseq checkpoint opened for reading its decoder states on `corpus`, on a GPU where there is one."""

    def __init__(self, path: Path, corpus: Corpus) -> None:
        """Raises UserError where `path` is not a translation model of the corpus: its languages, its dictionaries.

        The weights are loaded when they are first needed.
        """
        config = checkpoint_config(read_checkpoint(str(path)))
        _check_languages(path, config, corpus)
        _check_dictionaries(path, config, corpus)
        self.path = path
        trained = TrainedModel(path)
        self.card: Model = trained.card()
        self.teacher: Model | None = trained.teacher()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.prefix: int = config.criterion.get("ignore_prefix_size") or 0
        config.task.data = str(corpus.data_bin)
        config.task.source_lang, config.task.target_lang = corpus.source_language, corpus.target_language
        self.task = set_up_task(path, config.task)

    @property
    def title(self) -> str:
        """`student T = 3`, or `teacher`."""
        return self.card.role + ("" if self.card.temperature is None else f" T = {self.card.temperature:g}")

    @property
    def positions(self) -> tuple[int, int]:
        """The longest source and target that the model takes, in tokens."""
        return self.task.max_positions()

    @cached_property
    def model(self) -> BaseFairseqModel:
        """The network in fp32, frozen and in eval mode."""
        model: BaseFairseqModel = load_model(str(self.path), self.task).float().requires_grad_(False).eval()
        return model.to(self.device)

    @torch.inference_mode()
    def states(self, sentences: Sentences, classes: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of (states [n, d], labels [n]) of teacher-forced passes; a label is a place in `classes`.

        `classes` are dictionary entries; positions of any other target, pads and the ignored prefix are left out.
        Raises UserError for a model that does not give the states before its output layer.
        """
        place = torch.full((len(self.task.target_dictionary),), -1)
        place[torch.tensor(classes)] = torch.arange(len(classes))
        for sample in sentences.batches(f"{sentences.split}, {self.title}", MAX_TOKENS):
            labels = place[sample["target"]].to(self.device)
            states = self._features(sample["net_input"])
            counted = labels >= 0
            yield states[counted], labels[counted]

    def centroids(self, sentences: Sentences, classes: Sequence[int]) -> Tensor:
        """Mean state of each of `classes`: [C, d], float64, streamed; NaN for a class that does not occur.

        Raises UserError where the model has diverged.
        """
        accumulator: CentroidAccumulator | None = None
        try:
            for states, labels in self.states(sentences, classes):
                accumulator = accumulator or CentroidAccumulator(len(classes), states.shape[1])
                accumulator.update(states, labels)
            assert accumulator is not None  # there is at least one sentence
            return accumulator.centroids.cpu()
        except ValueError as error:
            raise UserError(f"{self.path}: {error}") from None

    @torch.inference_mode()
    def logits(self, states: Tensor) -> Tensor:
        """What the output layer makes of `states` [n, d]: [n, V]. Raises UserError as `output_rows` does."""
        logits: Tensor = self._output_layer(states)
        return logits

    def output_rows(self, classes: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        """Rows of the output layer for `classes`: weight [C, d], and bias [C] or None (fairseq's Transformers).

        Raises UserError where the model has no plain output layer.
        """
        layer, rows = self._output_layer, list(classes)
        return layer.weight[rows].cpu(), None if layer.bias is None else layer.bias[rows].cpu()

    @property
    def _output_layer(self) -> nn.Linear:
        layer = getattr(getattr(self.model, "decoder", None), "output_projection", None)
        if not isinstance(layer, nn.Linear):
            raise UserError(f"{self.path}: {self.card.arch} has no plain output layer, one matrix over its states")
        return layer

    def _features(self, net_input: dict[str, Tensor]) -> Tensor:
        names = ("src_tokens", "src_lengths", "prev_output_tokens")
        try:
            return self.model.extract_features(*(net_input[name].to(self.device) for name in names))[0]
        except NotImplementedError:
            raise UserError(
                f"{self.path}: {self.card.arch} does not give its decoder states; fairseq's Transformers do"
            ) from None


def choose_texts(
    splits: Sequence[str], readers: Sequence[StateReader], limit: int | None, seed: int
) -> list[Sentences]:
    """The same sentences for every reader: those that all of their models can take, or `limit` of each split by `seed`.

    A target position counts where it counts for each of them (`ignore_prefix_size`).
    """
    positions = min(r.positions[0] for r in readers), min(r.positions[1] for r in readers)
    prefix = max(reader.prefix for reader in readers)
    return [
        choose_sentences(readers[0].task, split, positions=positions, prefix=prefix, limit=limit, seed=seed)
        for split in dict.fromkeys(splits)
    ]


def _check_languages(path: Path, config: DictConfig, corpus: Corpus) -> None:
    if "source_lang" not in config.task:
        raise UserError(f"{path} was trained on the task {config.task._name!r}; name a translation model")
    check_languages(path, config, corpus.source_language, corpus.target_language)


def _check_dictionaries(path: Path, config: DictConfig, corpus: Corpus) -> None:
    """States of a class are compared by its entry, so an unknown dictionary will not do."""
    unknown = check_dictionaries(path, config, corpus.data_bin, (corpus.source_language, corpus.target_language))
    if unknown:
        raise UserError(
            f"{path}: its {unknown[0]} is neither beside it nor in its data folder {config.task.data}; "
            "copy it beside the checkpoint"
        )
