"""A teacher that runs beside the student: one fairseq model, or several averaged in probability."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from fairseq import utils
from fairseq.models import BaseFairseqModel
from torch import Tensor

from nmt_plugin.checkpoints import (
    check_same_dictionary,
    checkpoint_config,
    checkpoint_paths,
    checkpoint_task,
    load_model,
    read_checkpoint,
)
from nmt_plugin.last_layer import output_head, output_logits
from nmt_plugin.teachers.batch import TeacherBatch, row_statistics
from shared.errors import UserError
from shared.losses import Head
from shared.losses.precision import at_least_float32

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class LiveTeacher:
    """Frozen fairseq models, each built from its own checkpoint's configuration.

    Deliberately not an nn.Module: held by a criterion, a module would enter the optimizer, DDP and every checkpoint.
    Checkpoints and their dictionaries are checked at once; the weights are loaded at the first batch, onto its device.
    """

    def __init__(self, checkpoints: str, student_task: Any, dtype: str = "fp32") -> None:
        """`checkpoints` are separated by colons; `dtype` is one of `DTYPES`, in which the weights are kept.

        Raises UserError for a missing or foreign checkpoint, or a dictionary that is not the student's.
        """
        self._sources: list[tuple[str, Any]] = []
        for path in checkpoint_paths(checkpoints):
            config = checkpoint_config(read_checkpoint(path))
            # A task of its own: building the teacher with the student's would hand the student's validation (BLEU by
            # generation) the teacher's generator.
            task = checkpoint_task(path, config, student_task)
            check_same_dictionary("source", task.source_dictionary, student_task.source_dictionary)
            check_same_dictionary("target", task.target_dictionary, student_task.target_dictionary)
            self._sources.append((path, task))
        self._dtype = DTYPES[dtype]
        self._loaded: list[BaseFairseqModel] | None = None

    @property
    def models(self) -> list[BaseFairseqModel]:
        """The frozen models, in eval mode; loaded at the first use."""
        if self._loaded is None:
            # Building a model draws its initial weights. The student's dropout must not notice: it would differ in the
            # rest of the update in which a resumed run loads its teacher.
            with torch.random.fork_rng(devices=[]):
                self._loaded = [self._load(path, task) for path, task in self._sources]
        return self._loaded

    @torch.no_grad()
    def __call__(self, sample: dict[str, Any], counted: Tensor) -> TeacherBatch:
        """See `Teacher`."""
        logits = self.logits(sample)[counted]
        gold, entropy = row_statistics(logits, sample["target"][counted])
        return TeacherBatch(logits, logits.argmax(dim=-1), -gold.sum(), entropy.sum())

    def check_split(self, name: str, dataset: Any, kept: npt.NDArray[np.int64]) -> None:
        """See `Teacher`: sentences must not be longer than every model can read."""
        limits = self.max_positions()
        _, too_long = dataset.filter_indices_by_size(kept, limits)
        if len(too_long):
            raise UserError(
                f"{len(too_long):,} sentences of the {name} data (the first: {min(too_long)}) are too long for the "
                f"teacher, which reads {limits} tokens; leave them out, with fairseq's --max-source-positions and "
                "--max-target-positions or in the data"
            )

    def max_positions(self) -> Any:
        """The longest sentence that every model reads: (source, target) tokens, as fairseq states it."""
        return utils.resolve_max_positions(*(model.max_positions() for model in self.models))

    @torch.no_grad()
    def head(self, sample: dict[str, Any]) -> Head:
        """The model's hidden states [B, T, d] and output matrix; see `output_head`. There must be one model."""
        (model,) = (model.to(sample["target"].device) for model in self.models)
        with _own_precision(sample):
            return output_head(model, utils.apply_to_sample(self._cast, sample), "the teacher")

    @torch.no_grad()
    def logits(self, sample: dict[str, Any]) -> Tensor:
        """[B, T, V]: one model's logits, or the log of several models' mean probability (at T = 1, in fp32)."""
        device = sample["target"].device
        inputs = utils.apply_to_sample(self._cast, sample["net_input"])
        with _own_precision(sample):
            outputs = [output_logits(model, model(**inputs)) for model in (m.to(device) for m in self.models)]
        if len(outputs) == 1:
            return outputs[0]
        log_probs = torch.stack([torch.log_softmax(at_least_float32(logits), dim=-1) for logits in outputs])
        return log_probs.logsumexp(dim=0) - math.log(len(outputs))

    def _cast(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._dtype) if tensor.is_floating_point() else tensor

    def _load(self, path: str, task: Any) -> BaseFairseqModel:
        model: BaseFairseqModel = load_model(path, task).to(self._dtype).requires_grad_(False).eval()
        return model


def _own_precision(sample: dict[str, Any]) -> torch.autocast:
    """The dtype of the weights alone, also in training with --amp: fairseq runs the criterion in the student's."""
    return torch.autocast(sample["target"].device.type, enabled=False)
