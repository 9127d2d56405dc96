"""conf/train.yaml."""

import math
import operator
from dataclasses import dataclass
from typing import Any

from shared.errors import UserError, check_alpha, check_temperature
from vision.networks.settings import NetworkSettings
from vision.settings.data import DataSettings
from vision.settings.distill import DistillSettings, weight_of_labels
from vision.settings.loader import LoaderSettings
from vision.settings.model import ModelSettings
from vision.settings.recipe import RecipeSettings
from vision.settings.threads import check_threads


@dataclass
class TrainSettings:
    """conf/train.yaml."""

    data: DataSettings
    model: ModelSettings
    recipe: RecipeSettings
    loader: LoaderSettings
    output: str
    required: list[str]
    name: str | None
    seed: int
    alpha: float
    teacher: Any  # str, list[str] or None: a path, or several
    other_data: bool
    network: NetworkSettings
    temperature: float | None
    kd_weight: float
    distill: DistillSettings
    fresh: bool
    threads: int | None
    accelerator: str
    devices: int
    nodes: int
    accumulate: int
    compile: bool
    sync_batchnorm: bool
    deterministic: bool
    checkpoint_steps: int | None
    log_steps: int
    tensorboard: bool
    wandb: str | None

    @property
    def teachers(self) -> list[str]:
        """The teachers, none for a run on hard labels."""
        return [] if self.teacher is None else self.teacher if isinstance(self.teacher, list) else [self.teacher]

    @property
    def hard_weight(self) -> float:
        """Weight of the hard-label term."""
        return weight_of_labels(self.kd_weight, self.distill.hard_weight) if self.teachers else 1.0

    def check(self) -> None:
        """Raise UserError for a value out of range or a combination that would silently do nothing."""
        self._require()
        check_alpha(self.alpha)
        check_threads(self.threads)
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed is {self.seed}; it must be 0 to {2**32 - 1}")
        for name in ("devices", "nodes", "accumulate", "log_steps"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.sync_batchnorm and self.devices * self.nodes == 1:
            raise UserError("sync_batchnorm=true is for several devices; leave it out with one")
        if self.checkpoint_steps is not None and self.checkpoint_steps < 1:
            raise UserError(f"checkpoint_steps is {self.checkpoint_steps}; it must be at least 1, or null")
        parts = self.devices * self.nodes * self.accumulate
        if self.recipe.batch_size % parts:
            raise UserError(
                f"recipe.batch_size={self.recipe.batch_size} is the batch of one step over all devices; it must be a "
                f"multiple of devices * nodes * accumulate = {parts}"
            )
        self.model.check()
        self.recipe.check()
        self.data.check()
        self.loader.check()
        self._check_teachers()
        if not self.teachers:
            self._check_without_teacher()
        else:
            self._check_with_teacher()

    def _check_without_teacher(self) -> None:
        given = self.temperature is not None or self.kd_weight != 1.0 or self.distill != DistillSettings()
        if given or self.network != NetworkSettings() or self.other_data:
            raise UserError(
                "temperature, kd_weight, distill.*, network.* and other_data are for students: name "
                "teacher=PATH/last.safetensors too"
            )

    def _require(self) -> None:
        # An experiment cannot write ???: OmegaConf would keep the null of train.yaml.
        missing = [key for key in self.required if operator.attrgetter(key)(self) is None]
        if missing:
            needed = " and ".join(f"{key}=..." for key in missing)
            raise UserError(f"this experiment needs {needed}; its file says what (required=[] does without)")

    def _check_teachers(self) -> None:
        named = all(isinstance(teacher, str) and teacher for teacher in self.teachers)
        if not named or self.teacher == []:
            raise UserError(f"teacher is {self.teacher!r}; it must be a path, several, teacher=[A,B,...], or null")
        if self.data.part == "unlabelled" and self.hard_weight > 0.0:
            raise UserError(
                "data.part=unlabelled is for students of teachers alone (kd_weight=1, distill.hard_weight=0 or null): "
                "labels would be used here"
            )

    def _check_with_teacher(self) -> None:
        self.distill.check(len(self.teachers), self.devices * self.nodes)
        if self.distill.has_temperature and self.temperature is None:
            raise UserError("a student needs a temperature, e.g. temperature=3")
        if self.temperature is not None:
            check_temperature(self.temperature)
            if not self.distill.has_temperature:
                raise UserError(f"temperature is for distill.loss=kd and dist; {self.distill.loss} has none")
        most = 1.0 if self.distill.hard_weight is None else math.inf
        if not 0.0 < self.kd_weight <= most or math.isinf(self.kd_weight):
            raise UserError(
                f"kd_weight is {self.kd_weight}; it must be above 0 and at most 1 (distillation alone), or any weight "
                "with distill.hard_weight beside it"
            )
        if self.hard_weight == 0.0 and self.alpha != 0.0:
            raise UserError(
                f"alpha={self.alpha} would do nothing: this student has no hard-label term; "
                "the teacher's alpha comes from its card"
            )
