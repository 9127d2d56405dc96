"""What the commands can be told: a typed field for every key of `conf/`, which holds the defaults and the comments."""

import math
from dataclasses import dataclass, field
from typing import Any

from shared.diffusion import NORMALIZATIONS
from shared.errors import UserError, check_alpha, check_temperature
from vision.class_sets import check_way
from vision.networks.settings import NetworkSettings

SPLITS = ("train", "val", "test")
CROPS = ("none", "resized", "padded")
LOADERS = ("torchvision", "dali")
INTERPOLATIONS = ("bilinear", "bicubic")
SCHEDULES = ("cosine", "step")
PRECISIONS = ("32", "bf16", "16")


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
    image_size: int | None = None
    resize: int | None = None
    interpolation: str = "bilinear"
    download: bool = False
    official: bool = True
    sets: dict[str, ClassSetSettings] = field(default_factory=dict)
    projection: list[str] = field(default_factory=list)


@dataclass
class ModelSettings:
    """conf/model/*.yaml."""

    name: str
    label: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None


@dataclass
class AugmentationSettings:
    """What is random about a training image (`recipe.augmentation`), applied in this order."""

    crop: str = "none"
    scale: list[float] = field(default_factory=lambda: [0.08, 1.0])
    ratio: list[float] = field(default_factory=lambda: [3 / 4, 4 / 3])
    padding: int = 0
    flip: bool = False
    rotation: float = 0.0
    grayscale: float = 0.0
    jitter: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0, 0.0])

    def check(self) -> None:
        """Raise UserError for a value that no image could be changed by."""
        where = "recipe.augmentation"
        if self.crop not in CROPS:
            raise UserError(f"{where}.crop is {self.crop!r}; choose one of {', '.join(CROPS)}")
        for name, values, most in (("scale", self.scale, 1.0), ("ratio", self.ratio, float("inf"))):
            if len(values) != 2 or not 0 < values[0] <= values[1] <= most:
                raise UserError(f"{where}.{name} is {values}; want two numbers above 0, the smaller first")
        if (self.padding > 0) != (self.crop == "padded"):
            raise UserError(f"{where}.padding={self.padding} goes together with {where}.crop=padded, e.g. padding=4")
        if not 0 <= self.grayscale <= 1 or not 0 <= self.rotation <= 180:
            raise UserError(f"{where}: grayscale is a probability, rotation an angle of 0 to 180 degrees")
        if len(self.jitter) != 4 or any(value < 0 for value in self.jitter) or self.jitter[3] > 0.5:
            raise UserError(f"{where}.jitter is {self.jitter}; want brightness, contrast, saturation >= 0, hue 0 to .5")


@dataclass
class RecipeSettings:
    """conf/recipe/*.yaml: what must agree between models that are compared."""

    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    momentum: float
    weight_decay: float
    schedule: str
    warmup_epochs: float
    train_size: int | None
    decay_epochs: float = 30.0
    decay_rate: float = 0.1
    decay_all: bool = False
    precision: str = "32"
    clip: float | None = None
    ema: float | None = None
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)

    def check(self) -> None:
        """Raise UserError for a value that no training could use."""
        for name in ("epochs", "batch_size", "lr", "decay_epochs", "decay_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"recipe.{name} is {getattr(self, name)}; it must be a finite number above 0")
        if not 0 <= self.momentum < 1:
            raise UserError(f"recipe.momentum is {self.momentum}; it must be in [0, 1), e.g. 0.9")
        if not 0 <= self.weight_decay < math.inf:
            raise UserError(f"recipe.weight_decay is {self.weight_decay}; it must be 0 or more")
        if not 0 <= self.warmup_epochs < self.epochs:
            raise UserError(f"recipe.warmup_epochs is {self.warmup_epochs}; it must be 0 to less than recipe.epochs")
        if self.schedule not in SCHEDULES:
            raise UserError(f"recipe.schedule is {self.schedule!r}; choose one of {', '.join(SCHEDULES)}")
        if self.precision not in PRECISIONS:
            raise UserError(f"recipe.precision is {self.precision!r}; choose one of {', '.join(PRECISIONS)}")
        if self.clip is not None and not self.clip > 0:
            raise UserError(f"recipe.clip is {self.clip}; it is the largest gradient norm, above 0, or null")
        if self.ema is not None and not 0 < self.ema < 1:
            raise UserError(f"recipe.ema is {self.ema}; it is the decay of the averaged weights, e.g. 0.9999, or null")
        self.augmentation.check()


@dataclass
class LoaderSettings:
    """conf/loader/*.yaml: how images on disk become batches; images in memory need none of it."""

    name: str = "torchvision"
    workers: int = 4
    prefetch: int = 2
    device: str = "cpu"

    def check(self) -> None:
        """Raise UserError for an unknown loader or a number of workers that it cannot have."""
        if self.name not in LOADERS:
            raise UserError(f"loader.name is {self.name!r}; choose one of {', '.join(LOADERS)}")
        if self.workers < 0 or self.prefetch < 1:
            raise UserError(f"loader.workers={self.workers}, loader.prefetch={self.prefetch}; want >= 0 and >= 1")
        if self.device not in ("cpu", "gpu") or (self.device == "gpu" and self.name != "dali"):
            raise UserError(f"loader.device={self.device}: cpu, or gpu with loader=dali")


@dataclass
class TrainSettings:
    """conf/train.yaml."""

    data: DataSettings
    model: ModelSettings
    recipe: RecipeSettings
    loader: LoaderSettings
    output: str
    name: str | None
    seed: int
    alpha: float
    teacher: str | None
    network: NetworkSettings
    temperature: float | None
    kd_weight: float
    fresh: bool
    threads: int | None
    accelerator: str
    devices: int
    nodes: int
    accumulate: int
    compile: bool
    sync_batchnorm: bool
    checkpoint_steps: int | None
    log_steps: int
    tensorboard: bool
    wandb: str | None

    def check(self) -> None:
        """Raise UserError for a value out of range or a combination that would silently do nothing."""
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
        self.recipe.check()
        self.loader.check()
        if self.teacher is None:
            self._check_without_teacher()
        else:
            self._check_with_teacher()

    def _check_without_teacher(self) -> None:
        if self.temperature is not None or self.kd_weight != 1.0 or self.network != NetworkSettings():
            raise UserError(
                "temperature, kd_weight and network.* are for students: name teacher=PATH/last.safetensors too"
            )

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
    loader: LoaderSettings
    checkpoint: str
    network: NetworkSettings
    split: str
    other_data: bool
    classes: list[str] | None
    output: str | None
    name: str | None
    threads: int | None

    def check(self) -> None:
        """Raise UserError for an unknown split, or a name without a record."""
        check_threads(self.threads)
        self.loader.check()
        if self.split not in SPLITS:
            raise UserError(f"unknown split {self.split!r}; choose one of {', '.join(SPLITS)}")
        if self.name is not None and self.output is None:
            raise UserError("name is for the record, which goes to output=FOLDER; name that too")


@dataclass
class DiffusionSettings:
    """conf/diffusion.yaml."""

    data: DataSettings
    loader: LoaderSettings
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
        self.loader.check()
        if self.normalization not in (*NORMALIZATIONS, "all"):
            known = ", ".join(NORMALIZATIONS)
            raise UserError(f"unknown normalization {self.normalization!r}; choose one of {known} or all")
        check_way(self.sets)
        if (self.sets == "nearest") != (self.teacher is not None):
            raise UserError("sets=nearest goes together with teacher=PATH/last.safetensors, whose centroids choose S1")
        if self.targets is not None and not self.targets:
            raise UserError("targets is empty; name at least one class, e.g. targets=[coat], or null for all")


@dataclass
class ProjectSettings:
    """conf/project.yaml."""

    data: DataSettings
    loader: LoaderSettings
    students: list[str]
    network: NetworkSettings
    classes: list[str] | None
    basis: str
    train_images: int
    validation_images: int
    single_panels: bool
    output: str
    name: str | None
    threads: int | None

    def check(self) -> None:
        """Raise UserError for an empty list of students or a number of images that leaves nothing to draw."""
        check_threads(self.threads)
        self.loader.check()
        if not self.students:
            raise UserError("students is empty; name at least one, e.g. students=[DIR/last.safetensors]")
        if self.basis not in ("own", "shared"):
            raise UserError(f"basis is {self.basis!r}; choose own (each model's) or shared (the first one's)")
        for name in ("train_images", "validation_images"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 1 image per class")


def check_threads(threads: int | None) -> None:
    """Raise UserError unless `threads` is None or a positive number."""
    if threads is not None and threads < 1:
        raise UserError(f"threads is {threads}; it must be at least 1 (or null: leave torch's own choice)")
