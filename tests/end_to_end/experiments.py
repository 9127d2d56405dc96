"""Runs experiment files on generated data, one after another in this process: `python -m` it, or under torchrun.

usage: python -m tests.end_to_end.experiments FOLDER CUB OUTPUT OVERRIDE,... EXPERIMENT...
"""

import sys

import hydra

from vision.cli import CONF, typed
from vision.settings import TrainSettings
from vision.train import train

# Two updates of 8 small images: what an experiment says of data, model, recipe and teacher stays.
SMALL = (
    *("recipe.epochs=1", "recipe.batch_size=8", "recipe.warmup_epochs=0", "recipe.precision=32", "accelerator=cpu"),
    "recipe.lr=0.0001",
    *("recipe.train_size=16", "data.image_size=64", "data.resize=72", "loader.workers=0", "threads=1", "log_steps=1"),
)


def overrides(experiment: str, folder: str, cub: str, output: str) -> list[str]:
    """What is given on the command line, besides `SMALL`."""
    study = experiment.partition("_")[0]
    given = [f"data.data_dir={folder}", "data.validation_size=8"]
    if study == "cub":
        given = [f"data.data_dir={cub}", "data.validation_size=5", "data.official=false"]
        start = {"cub_teacher": "imagenet_teacher", "cub_resnet18": "imagenet_resnet18"}.get(experiment)
        weights = f"{output}/{start}/last.safetensors" if start else "null"
        given += [f"model.weights={weights}"]
    if not experiment.endswith("teacher"):
        given += [f"teacher={output}/{study}_teacher/last.safetensors", "temperature=2"]
    if experiment == "cub_mobilenetv2":  # untrained, its gradient's norm is 1e4
        given += ["recipe.lr=1e-6"]
    # Two processes draw other masks than one does, and are to train alike.
    dropped = {"cub_mobilenetv2": "drop_rate", "cub_convnext_tiny": "drop_path_rate"}.get(experiment)
    given += [f"model.kwargs.{dropped}=0"] if dropped else []
    return [*given, f"output={output}/{experiment}"]


def main() -> None:
    folder, cub, output, chosen, *experiments = sys.argv[1:]
    for experiment in experiments:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            config = hydra.compose(
                "train",
                [f"experiment={experiment}", *chosen.split(","), *SMALL, *overrides(experiment, folder, cub, output)],
            )
        settings = typed(config, TrainSettings)
        settings.check()
        train(settings)


if __name__ == "__main__":
    main()
