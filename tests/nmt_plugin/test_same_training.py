"""A --save-dir of another training is refused before fairseq goes on from it; the same one is gone on with."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from fairseq import checkpoint_utils
from fairseq.dataclass import ChoiceEnum
from fairseq.dataclass.configs import CheckpointConfig

from nmt_plugin.checkpoints import checkpoint_config, read_checkpoint
from nmt_plugin.criterions import WordKDCriterion
from nmt_plugin.criterions.word_kd import KD_LOSSES
from nmt_plugin.same_training import check_same_training
from shared.errors import UserError

LAST = "checkpoint_last.pt"
Again = Callable[..., Any]


def trainer_of(config: Any, task: Any) -> SimpleNamespace:
    return SimpleNamespace(cfg=config, task=task, checkpoint_suffix="")


@pytest.fixture
def again(tiny: ModuleType, data_bin: Path, teachers: list[Path], tmp_path: Path) -> Again:
    """`again(teacher=..., temperature=3.0)`: the trainer of one call more, with these settings of the criterion, where
    a student of the first teacher with T = 1 was trained in the folder `student`.
    """
    criterion = {"teacher": str(teachers[0]), "temperature": 1.0, "kd_weight": 0.9, "label_smoothing": 0.1}
    criterion |= {"kd_loss": "kl", "dist_beta": 1.0, "topk_policy": "tail"}
    (tmp_path / "student").mkdir()
    path = tiny.save_checkpoint(
        tmp_path / "student" / LAST, tiny.model(tiny.task()), {"_name": "word_kd", **criterion}, data_bin
    )

    def call(**settings: Any) -> Any:
        config, task = checkpoint_config(read_checkpoint(str(path))), tiny.task(data_bin)
        for name, value in settings.items():
            setattr(config.criterion, name, value)
        asked = criterion | settings
        WordKDCriterion(task, **asked)  # it has the task remember the teacher
        return trainer_of(config, task)

    return call


def folder(tmp_path: Path, **settings: Any) -> CheckpointConfig:
    return CheckpointConfig(save_dir=str(tmp_path / "student"), **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"temperature": 3.0}, "criterion.temperature: 1.0 there, 3.0 here"),
        ({"kd_weight": 1.0, "label_smoothing": 0.0}, "criterion.label_smoothing: 0.1 there, 0.0 here"),
        ({"kd_loss": "dist"}, "criterion.kd_loss: kl there, dist here"),
        ({"kd_loss": "dist", "dist_beta": 2.0}, "criterion.dist_beta: 1.0 there, 2.0 here"),
    ],
)
def test_another_distillation_is_refused(again: Again, tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refused:
        check_same_training(folder(tmp_path), again(**settings))
    assert str(refused.value).startswith(f"--save-dir {tmp_path / 'student'} holds another training (")
    assert said in str(refused.value)
    assert str(refused.value).endswith("); name another one")


@pytest.mark.parametrize(
    ("group", "name", "value", "said"),
    [
        ("criterion", "_name", "cross_entropy", "criterion: word_kd there, cross_entropy here"),
        ("model", "_name", "lstm", "model: transformer there, lstm here"),
        ("optimizer", "_name", "sgd", "optimizer: adam there, sgd here"),
        ("common", "seed", 8, "common.seed: 7 there, 8 here"),
    ],
)
def test_another_criterion_model_optimizer_or_seed_is_refused(
    again: Again, tmp_path: Path, group: str, name: str, value: Any, said: str
) -> None:
    trainer = again()
    setattr(getattr(trainer.cfg, group), name, value)
    with pytest.raises(UserError) as refused:
        check_same_training(folder(tmp_path), trainer)
    assert f"({said})" in str(refused.value)


def test_another_teacher_is_refused_and_the_same_one_may_lie_elsewhere(
    again: Again, teachers: list[Path], tmp_path: Path
) -> None:
    moved = shutil.copy(teachers[0], tmp_path / "moved.pt")
    check_same_training(folder(tmp_path), again(teacher=str(moved)))
    with pytest.raises(UserError, match=r"\(the teacher's sha256: [0-9a-f]{12} there, [0-9a-f]{12} here\)"):
        check_same_training(folder(tmp_path), again(teacher=str(teachers[1])))


def test_a_cache_may_take_the_place_of_its_teacher(
    again: Again, make_cache: Callable[..., Path], tmp_path: Path
) -> None:
    cache = make_cache("--topk", "all")
    check_same_training(folder(tmp_path), again(teacher=None, teacher_cache=str(cache)))


def test_a_cache_of_a_few_classes_may_not(again: Again, make_cache: Callable[..., Path], tmp_path: Path) -> None:
    cache = make_cache("--topk", "4")
    with pytest.raises(UserError, match=r"\(of the teacher's classes: all there, the top 4 here\)"):
        check_same_training(folder(tmp_path), again(teacher=None, teacher_cache=str(cache)))


def test_what_may_change_may(again: Again, tmp_path: Path) -> None:
    trainer = again(teacher_dtype="bf16", fused_head=True)
    trainer.cfg.optimization.max_epoch = 9
    trainer.cfg.common.log_interval = 1
    trainer.cfg.criterion.kd_loss = ChoiceEnum(KD_LOSSES)("kl")  # as Hydra may give it
    check_same_training(folder(tmp_path), trainer)


def test_only_what_fairseq_goes_on_from_is_compared(again: Again, tmp_path: Path) -> None:
    other = again(temperature=3.0)
    check_same_training(folder(tmp_path, reset_optimizer=True), other)
    check_same_training(folder(tmp_path, restore_file=str(tmp_path / "student" / LAST)), other)
    check_same_training(CheckpointConfig(save_dir=str(tmp_path)), other)
    (tmp_path / "student" / LAST).write_bytes(b"of another program")  # fairseq says why it cannot read it
    check_same_training(folder(tmp_path), other)


def test_criteria_of_fairseqs_own_are_compared_as_far_as_they_go(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    (tmp_path / "student").mkdir()
    own = {"_name": "cross_entropy", "sentence_avg": False}
    path = tiny.save_checkpoint(tmp_path / "student" / LAST, tiny.model(tiny.task()), own, data)
    trainer = trainer_of(checkpoint_config(read_checkpoint(str(path))), tiny.task(data))
    check_same_training(folder(tmp_path), trainer)
    trainer.cfg.criterion.sentence_avg = True
    with pytest.raises(UserError, match=r"\(criterion.sentence_avg: False there, True here\)"):
        check_same_training(folder(tmp_path), trainer)


def test_fairseq_train_ends_in_one_line(again: Again, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = again(temperature=3.0)
    vars(trainer).update(should_save_checkpoint_on_current_rank=True, data_parallel_world_size=1)
    with pytest.raises(SystemExit) as stopped:
        checkpoint_utils.load_checkpoint(folder(tmp_path), trainer)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --save-dir ")
    assert said.count("\n") == 1


def test_weights_of_another_size_end_in_one_line(
    again: Again, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As fairseq tells it, which keeps torch's reason behind its own words."""

    def load(*_: Any, **__: Any) -> None:
        try:
            torch.nn.Linear(2, 3).load_state_dict(torch.nn.Linear(2, 4).state_dict())
        except Exception:
            raise Exception("Cannot load model parameters from checkpoint x.pt; please ensure ...") from None

    trainer = again()
    vars(trainer).update(should_save_checkpoint_on_current_rank=True, data_parallel_world_size=1, load_checkpoint=load)
    with pytest.raises(SystemExit) as stopped:
        checkpoint_utils.load_checkpoint(folder(tmp_path), trainer)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: Cannot load model parameters from checkpoint x.pt; please ensure ... (Error(s) in")
    assert said.count("\n") == 1
