"""What the commands can be told: a typed field for every key of `conf/`, which holds the defaults and the comments."""

from vision.settings.advise import AdviseSettings
from vision.settings.augmentation import AugmentationSettings
from vision.settings.clusters import ClustersSettings
from vision.settings.data import ClassSetSettings, DataSettings
from vision.settings.diffusion import DiffusionSettings
from vision.settings.distill import DistillSettings
from vision.settings.evaluate import EvaluateSettings
from vision.settings.loader import LoaderSettings
from vision.settings.model import ModelSettings
from vision.settings.project import ProjectSettings
from vision.settings.recipe import RecipeSettings
from vision.settings.train import TrainSettings

__all__ = [
    "AdviseSettings",
    "AugmentationSettings",
    "ClassSetSettings",
    "ClustersSettings",
    "DataSettings",
    "DiffusionSettings",
    "DistillSettings",
    "EvaluateSettings",
    "LoaderSettings",
    "ModelSettings",
    "ProjectSettings",
    "RecipeSettings",
    "TrainSettings",
]
