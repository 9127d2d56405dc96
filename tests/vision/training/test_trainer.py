import atexit
from types import SimpleNamespace

import pytest
from torch import distributed

from vision.training.progress import EpochLines
from vision.training.run_folder import RunFolder
from vision.training.trainer import build_trainer, fit


def test_the_recipe_reaches_lightning(compose, tmp_path):
    words = ["recipe.precision=bf16", "recipe.clip=0.5", "accumulate=2", "recipe.epochs=7", "accelerator=cpu"]
    settings = compose("train", [*words, f"output={tmp_path}"])
    trainer = build_trainer(settings, RunFolder(settings.output), EpochLines(shown=False))
    assert (trainer.precision, trainer.max_epochs, trainer.accumulate_grad_batches) == ("bf16-mixed", 7, 2)
    assert (trainer.gradient_clip_val, trainer.gradient_clip_algorithm) == (0.5, None)  # None: by norm


@pytest.mark.parametrize("ends_well", [True, False])
def test_several_processes_leave_their_group_before_they_end(tmp_path, monkeypatch, ends_well):
    at_exit = []
    monkeypatch.setattr(atexit, "register", at_exit.append)

    def of_processes(count):
        def trained(*_, **__):
            distributed.init_process_group("gloo", f"file://{tmp_path}/meeting", rank=0, world_size=1)
            if not ends_well:
                raise SystemExit(143)

        return SimpleNamespace(world_size=count, fit=trained if count > 1 else lambda *_, **__: None)

    fit(of_processes(1), None, None, None, None)
    assert at_exit == []
    try:
        fit(of_processes(2), None, None, None, None)
    except SystemExit:
        assert not ends_well
    for leave in 2 * at_exit:  # trained twice in a process, and the second time there is no group
        leave()
    assert not distributed.is_initialized()
