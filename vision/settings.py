"""What the commands can be told: a typed field for every key of `conf/`, which holds the defaults and the comments."""

from dataclasses import dataclass, field
from typing import Any

from shared.diffusion import NORMALIZATIONS
from shared.errors import UserError, check_alpha, check_temperature

SPLITS = ("train", "val", "test")


@dataclass
class ClassSetSettings:
    """S1 and S2 of one target class, by class names; `s2` None: every class that is neither target nor in S1."""

    s1: list[str]
    s2: list[str] | None = None


@dataclass
class DataSettings:
    """conf/data/*.yaml."""

    name: str
    mean: list[float]
    std: list[float]
    validation_size: int
    data_dir: str | None = None
    sets: dict[str, ClassSetSettings] = field(default_factory=dict)
    projection: list[str] = field(default_factory=list)


@dataclass
class ModelSettings:
    """conf/model/*.yaml."""

    name: str
    label: str
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class RecipeSettings:
    """conf/recipe/*.yaml: what must agree between models that are compared."""

    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    momentum: float
    weight_decay: float
    warmup: float
    flip: bool
    train_size: int | None

    def check(self) -> None:
        """Raise UserError for a value that no training could use."""
        for name in ("epochs", "batch_size", "lr"):
            if not getattr(self, name) > 0:
                raise UserError(f"recipe.{name} is {getattr(self, name)}; it must be above 0")
        if not 0 < self.warmup < 1:
            raise UserError(f"recipe.warmup is {self.warmup}; it is the share of steps that warm up, e.g. 0.2")


@dataclass
class TrainSettings:
    """conf/train.yaml."""

    data: DataSettings
    model: ModelSettings
    recipe: RecipeSettings
    output: str
    name: str | None
    seed: int
    alpha: float
    teacher: str | None
    temperature: float | None
    kd_weight: float
    fresh: bool
    threads: int | None
    accelerator: str
    tensorboard: bool

    def check(self) -> None:
        """Raise UserError for a value out of range or a combination that would silently do nothing."""
        check_alpha(self.alpha)
        check_threads(self.threads)
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed is {self.seed}; it must be 0 to {2**32 - 1}")
        self.recipe.check()
        if self.teacher is None:
            self._check_without_teacher()
        else:
            self._check_with_teacher()

    def _check_without_teacher(self) -> None:
        if self.temperature is not None or self.kd_weight != 1.0:
            raise UserError("temperature and kd_weight are for students: name teacher=PATH/last.safetensors too")

    def _check_with_teacher(self) -> None:
        if self.temperature is None:
            raise UserError("a student needs a temperature, e.g. temperature=3")
        check_temperature(self.temperature)
        if not 0.0 < self.kd_weight <= 1.0:
            raise UserError(f"kd_weight is {self.kd_weight}; it must be above 0 and at most 1 (distillation alone)")
        if self.kd_weight == 1.0 and self.alpha != 0.0:
            raise UserError(
                f"alpha={self.alpha} would do nothing: at kd_weight=1 the student has no hard-label term; "
                "the teacher's alpha comes from its card"
            )


@dataclass
class EvaluateSettings:
    """conf/evaluate.yaml."""

    data: DataSettings
    checkpoint: str
    split: str
    output: str | None
    name: str | None
    threads: int | None

    def check(self) -> None:
        """Raise UserError for an unknown split, or a name without a record."""
        check_threads(self.threads)
        if self.split not in SPLITS:
            raise UserError(f"unknown split {self.split!r}; choose one of {', '.join(SPLITS)}")
        if self.name is not None and self.output is None:
            raise UserError("name is for the record, which goes to output=FOLDER; name that too")


@dataclass
class DiffusionSettings:
    """conf/diffusion.yaml."""

    data: DataSettings
    low: str
    high: str
    sets: str
    targets: list[str] | None
    s1_size: int
    teacher: str | None
    normalization: str
    output: str
    name: str | None
    threads: int | None

    def check(self) -> None:
        """Raise UserError for an unknown way to choose sets or to normalize."""
        check_threads(self.threads)
        if self.normalization not in NORMALIZATIONS:
            raise UserError(f"unknown normalization {self.normalization!r}; choose one of {', '.join(NORMALIZATIONS)}")
        if self.sets not in ("explicit", "nearest"):
            raise UserError(f"sets is {self.sets!r}; choose explicit (the sets of data.sets) or nearest")
        if (self.sets == "nearest") != (self.teacher is not None):
            raise UserError("sets=nearest goes together with teacher=PATH/last.safetensors, whose centroids choose S1")
        if self.targets is not None and not self.targets:
            raise UserError("targets is empty; name at least one class, e.g. targets=[coat], or null for all")


@dataclass
class ProjectSettings:
    """conf/project.yaml."""

    data: DataSettings
    students: list[str]
    classes: list[str] | None
    train_images: int
    validation_images: int
    output: str
    name: str | None
    threads: int | None

    def check(self) -> None:
        """Raise UserError for an empty list of students or a number of images that leaves nothing to draw."""
        check_threads(self.threads)
        if not self.students:
            raise UserError("students is empty; name at least one, e.g. students=[DIR/last.safetensors]")
        for name in ("train_images", "validation_images"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 1 image per class")


def check_threads(threads: int | None) -> None:
    """Raise UserError unless `threads` is None or a positive number."""
    if threads is not None and threads < 1:
        raise UserError(f"threads is {threads}; it must be at least 1 (or null: leave torch's own choice)")
