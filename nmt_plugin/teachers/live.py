"""A teacher that runs beside the student."""

from typing import Any

import torch
from fairseq import checkpoint_utils
from torch import nn

from nmt_plugin.checkpoints import check_same_dictionary, checkpoint_config, checkpoint_task, read_checkpoint


class LiveTeacher:
    """A frozen fairseq model, built from its own checkpoint's configuration.

    Deliberately not an nn.Module: held by a criterion, a module would enter the optimizer, DDP and every checkpoint.
    The checkpoint and its dictionaries are checked at once; the weights are loaded at the first batch, onto its device.
    """

    def __init__(self, checkpoint: str, student_task: Any) -> None:
        """Raises UserError for a missing or foreign checkpoint, or a dictionary that is not the student's."""
        config = checkpoint_config(read_checkpoint(checkpoint))
        # A task of its own: building the teacher with the student's would hand the student's validation (BLEU by
        # generation) the teacher's generator.
        self._task = checkpoint_task(checkpoint, config, student_task)
        check_same_dictionary("source", self._task.source_dictionary, student_task.source_dictionary)
        check_same_dictionary("target", self._task.target_dictionary, student_task.target_dictionary)
        self._checkpoint = checkpoint
        self._model: nn.Module | None = None

    @torch.no_grad()
    def __call__(self, sample: dict[str, Any]) -> tuple[nn.Module, Any]:
        """The teacher and its output for a fairseq batch, without gradient: `(model, net_output)`."""
        device = sample["target"].device
        if self._model is None:
            self._model = self._load()
        self._model.to(device)
        return self._model, self._model(**sample["net_input"])

    def _load(self) -> nn.Module:
        models, _, _ = checkpoint_utils.load_model_ensemble_and_task([self._checkpoint], task=self._task)
        return models[0].requires_grad_(False).eval()
