"""What word_kd refuses, and which teachers it takes."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from omegaconf import OmegaConf

import nmt_plugin
from nmt_plugin.criterions import WordKDCriterion
from nmt_plugin.criterions.word_kd import WordKDConfig
from shared.errors import UserError


def test_the_configuration_for_hydra_has_the_defaults_of_the_flags() -> None:
    folder = Path(nmt_plugin.__file__).parent / "conf"
    given = OmegaConf.to_container(OmegaConf.load(folder / "word_kd.yaml").criterion)
    assert isinstance(given, dict)
    assert {name: getattr(WordKDConfig, name) for name in given if name != "_name"} | {"_name": "word_kd"} == given


def test_a_forgotten_teacher_is_named(tiny: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    config = OmegaConf.structured(WordKDConfig(sentence_avg=False))
    with pytest.raises(SystemExit) as stopped:
        WordKDCriterion.build_criterion(config, tiny.task())
    assert stopped.value.code == 2
    assert (
        capsys.readouterr().err == "error: word_kd needs a teacher, one of: --teacher CHECKPOINT, --teacher-cache DIR "
        "(criterion.teacher, criterion.teacher_cache in YAML)\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": -1.0}, "above 0"),
        ({"kd_weight": 1.5}, "--kd-weight is 1.5"),
        ({"dist_gamma": 0.0}, "--dist-gamma 0.0 is for --kd-loss dist; this is kl"),
        ({"kd_loss": "dist", "dist_beta": -1.0}, "--dist-beta is -1.0; it must not be below 0"),
        ({"kd_loss": "dist", "dist_gamma": float("nan")}, "--dist-gamma is nan"),
        ({"kd_loss": "dist", "dist_beta": 0.0, "dist_gamma": 0.0}, "--dist-beta 0 --dist-gamma 0 leave nothing"),
        ({"alpha": 1.0}, "alpha (label smoothing) is 1.0"),
        ({"ignore_prefix_size": -1}, "--ignore-prefix-size is -1"),
    ],
)
def test_bad_settings_are_refused(distilling: Any, options: dict[str, Any], message: str) -> None:
    make, _ = distilling
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "word_kd needs a teacher, one of: --teacher CHECKPOINT, --teacher-cache DIR"),
        ({"teacher": "BOTH", "teacher_cache": "4"}, "word_kd needs a teacher, one of"),
        ({"teacher": "BOTH", "topk_policy": "renormalize"}, "--topk-policy renormalize is for --teacher-cache"),
        (
            {"teacher_cache": "4", "teacher_dtype": "bf16"},
            "--teacher-dtype bf16 is for --teacher; a cache is in the type",
        ),
        ({"teacher_cache": "4", "kd_loss": "dist"}, r"--kd-loss dist needs every class; .* keeps 4 of 20"),
        (
            {"teacher_cache": "4", "temperature": 0.9},
            r"temperature is 0\.9; .* keeps 4 of 20 classes and serves T >= 1",
        ),
    ],
)
def test_a_teacher_that_cannot_serve_is_refused(
    tiny: ModuleType,
    make_cache: Callable[..., Path],
    teachers: list[Path],
    data_bin: Path,
    options: dict[str, Any],
    message: str,
) -> None:
    options = dict(options)
    if "teacher" in options:
        options["teacher"] = str(teachers[0])
    if "teacher_cache" in options:
        options["teacher_cache"] = str(make_cache("--topk", options["teacher_cache"]))
    with pytest.raises(UserError, match=message):
        WordKDCriterion(tiny.task(data_bin), 0.0, **options)


def test_a_teacher_of_an_unknown_criterion_teaches_but_is_not_recorded(
    tiny: ModuleType, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(tiny.task(), seed=1), {"_name": "ctc"}, data)
    task = tiny.task(data)
    loss, _, _ = WordKDCriterion(task, 0.0, teacher=str(checkpoint))(tiny.model(task), tiny.batch(task))
    assert loss.item() > 0
    told = f"cannot be recorded by nmt_plugin.evaluate: {checkpoint} was trained with the criterion 'ctc'"
    assert told in caplog.text
    assert task.state_dict() == {}
