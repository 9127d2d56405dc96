from vision.training.progress import EpochLines
from vision.training.run_folder import RunFolder
from vision.training.trainer import build_trainer


def test_the_recipe_reaches_lightning(compose, tmp_path):
    words = ["recipe.precision=bf16", "recipe.clip=0.5", "accumulate=2", "recipe.epochs=7", "accelerator=cpu"]
    settings = compose("train", [*words, f"output={tmp_path}"])
    trainer = build_trainer(settings, RunFolder(settings.output), EpochLines(shown=False))
    assert (trainer.precision, trainer.max_epochs, trainer.accumulate_grad_batches) == ("bf16-mixed", 7, 2)
    assert (trainer.gradient_clip_val, trainer.gradient_clip_algorithm) == (0.5, None)  # None: by norm
