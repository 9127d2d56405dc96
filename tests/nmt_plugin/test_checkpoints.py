"""Reading checkpoints: what is refused, and that nothing in them runs."""

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.models.transformer import TransformerConfig
from omegaconf import OmegaConf

from nmt_plugin.checkpoints import check_same_dictionary, read_checkpoint
from nmt_plugin.data_folder import check_data_folder
from nmt_plugin.records import TrainedModel
from nmt_plugin.teachers.live import LiveTeacher
from shared.errors import UserError


class Hostile:
    """Unpickled without restriction, it makes the folder it names."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def teacher(tiny: ModuleType, data: Path, tmp_path: Path) -> Path:
    criterion = {"_name": "smoothed_cross_entropy", "label_smoothing": 0.1}
    return tiny.save_checkpoint(tmp_path / "teacher.pt", tiny.model(tiny.task()), criterion, data)


def test_a_checkpoint_that_runs_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    torch.save({"model": {}, "cfg": Hostile(tmp_path / "ran")}, tmp_path / "hostile.pt")
    with pytest.raises(UserError, match="not a checkpoint that can be read safely"):
        read_checkpoint(str(tmp_path / "hostile.pt"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", b"teacher = x", b"how", b"Quit", b"PK\x03\x04 half a zip"]
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.pt: not a checkpoint"):
        read_checkpoint(str(tmp_path / "x.pt"))


def test_a_truncated_checkpoint_is_refused(teacher: Path) -> None:
    teacher.write_bytes(teacher.read_bytes()[:-2000])
    with pytest.raises(UserError, match="not a checkpoint"):
        read_checkpoint(str(teacher))


def test_a_missing_file_and_a_foreign_state_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such checkpoint"):
        read_checkpoint(str(tmp_path / "none.pt"))
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="not a fairseq checkpoint"):
        read_checkpoint(str(tmp_path / "other.pt"))


def test_dictionaries_must_agree_entry_by_entry(tiny: ModuleType) -> None:
    check_same_dictionary("source", tiny.dictionary(), tiny.dictionary())
    check_same_dictionary("source", None, None)
    swapped = Dictionary()
    for symbol in ("w1", "w0"):
        swapped.add_symbol(symbol)
    with pytest.raises(UserError, match="target dictionary differs from the student's: entry 4 is 'w1', not 'w0'"):
        check_same_dictionary("target", swapped, tiny.dictionary(6))
    with pytest.raises(UserError, match="has 12 entries and the student's 10"):
        check_same_dictionary("target", tiny.dictionary(12), tiny.dictionary(10))
    with pytest.raises(UserError, match="only one"):
        check_same_dictionary("target", None, tiny.dictionary(10))


def test_dictionaries_are_found_in_the_data_folder_or_beside_the_checkpoint(
    tiny: ModuleType, teacher: Path, data: Path, tmp_path: Path
) -> None:
    LiveTeacher(str(teacher), tiny.task())
    moved = tmp_path / "elsewhere"
    data.rename(moved)
    with pytest.raises(UserError, match="neither beside it"):
        LiveTeacher(str(teacher), tiny.task())
    for path in moved.iterdir():
        path.rename(tmp_path / path.name)
    LiveTeacher(str(teacher), tiny.task())
    with pytest.raises(UserError, match="source dictionary"):
        LiveTeacher(str(teacher), tiny.task(entries=30))


@pytest.mark.parametrize(
    ("criterion", "alpha"),
    [
        ({"_name": "cross_entropy"}, 0.0),
        ({"_name": "smoothed_cross_entropy", "label_smoothing": 0.1}, 0.1),
        # K = 20: eps on 19 entries is alpha = eps * 20 / 19 on 20
        ({"_name": "label_smoothed_cross_entropy", "label_smoothing": 0.19}, 0.2),
    ],
)
def test_card_of_a_teacher(
    tiny: ModuleType, data: Path, tmp_path: Path, criterion: dict[str, Any], alpha: float
) -> None:
    model = tiny.model(tiny.task())
    checkpoint = tiny.save_checkpoint(tmp_path / "t.pt", model, criterion, data)
    trained = TrainedModel(checkpoint)
    card = trained.card()
    assert (card.role, card.arch, card.seed, card.temperature) == ("teacher", "transformer", 7, None)
    assert card.alpha == pytest.approx(alpha)
    assert card.parameters == sum(p.numel() for p in model.parameters())
    assert card.recipe["optimizer"] == "adam"
    assert card.recipe["lr_scheduler.warmup_updates"] == 10
    assert card.recipe["model.encoder.layers"] == 1
    assert card.recipe["dataset.max_tokens"] == 100
    assert not [key for key in card.recipe if "path" in key or "dir" in key]
    assert trained.teacher() is None
    assert trained.num_updates == 12
    assert trained.training_seconds == 34.5


@pytest.mark.parametrize(("weight", "alpha"), [(1.0, None), (0.9, 0.1)])
def test_card_of_a_student(tiny: ModuleType, data: Path, tmp_path: Path, weight: float, alpha: float | None) -> None:
    """At weight 1 no hard label is used, so no alpha is claimed."""
    criterion = {
        "_name": "word_kd",
        "teacher": str(tmp_path / "t.pt"),
        "temperature": 3.0,
        "kd_weight": weight,
        "label_smoothing": 0.1,
    }
    checkpoint = tiny.save_checkpoint(tmp_path / "s.pt", tiny.model(tiny.task()), criterion, data)
    trained = TrainedModel(checkpoint)
    card = trained.card()
    assert (card.role, card.temperature, card.kd_weight, card.alpha) == ("student", 3.0, weight, alpha)
    with pytest.raises(UserError, match=r"the record of .*s\.pt cannot name its teacher: .*t\.pt: no such checkpoint"):
        trained.teacher()
    of = {"_name": "smoothed_cross_entropy", "label_smoothing": 0.1}
    tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(tiny.task()), of, data)
    teacher = trained.teacher()
    assert teacher is not None
    assert (teacher.role, teacher.alpha) == ("teacher", 0.1)


def test_an_unknown_criterion_is_refused(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    checkpoint = tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(tiny.task()), {"_name": "ctc"}, data)
    with pytest.raises(UserError, match="criterion 'ctc'"):
        TrainedModel(checkpoint).card()


def test_a_model_named_in_yaml_has_the_recipe_of_one_named_by_arch(
    tiny: ModuleType, data: Path, tmp_path: Path
) -> None:
    """Through fairseq-hydra-train the architecture is nested; two depths must not look alike."""
    criterion = {"_name": "cross_entropy"}
    model = tiny.model(tiny.task())
    by_arch = TrainedModel(tiny.save_checkpoint(tmp_path / "a.pt", model, criterion, data)).card().recipe
    state = torch.load(tmp_path / "a.pt", weights_only=True)
    nested = OmegaConf.to_container(
        OmegaConf.structured(TransformerConfig.from_namespace(tiny.arguments())), enum_to_str=True
    )
    for layers in (1, 6):
        nested["encoder"]["layers"] = layers
        torch.save({**state, "cfg": {**state["cfg"], "model": {**nested, "_name": "transformer"}}}, tmp_path / "b.pt")
        in_yaml = TrainedModel(tmp_path / "b.pt").card().recipe
        assert (in_yaml == by_arch) == (layers == 1)


def test_tied_weights_count_once_also_as_copies(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    """Half-precision and GPU training save tied weights as equal copies."""
    task = tiny.task()
    model = tiny.model(task)
    model.decoder.output_projection.weight = model.decoder.embed_tokens.weight
    path = tiny.save_checkpoint(tmp_path / "tied.pt", model, {"_name": "cross_entropy"}, data)
    expected = sum(p.numel() for p in model.parameters())
    assert TrainedModel(path).card().parameters == expected
    state = torch.load(path, weights_only=True)
    state["model"] = {name: weight.half().clone() for name, weight in state["model"].items()}
    torch.save(state, path)
    assert TrainedModel(path).card().parameters == expected


def test_a_teacher_of_the_other_direction_is_refused(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    """With a joined dictionary the dictionaries would agree."""
    checkpoint = tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(tiny.task()), {"_name": "cross_entropy"}, data)
    state = torch.load(checkpoint, weights_only=True)
    state["cfg"]["task"] |= {"source_lang": "de", "target_lang": "en"}
    torch.save(state, checkpoint)
    with pytest.raises(UserError, match="source_lang is 'de', the student's 'en'"):
        LiveTeacher(str(checkpoint), tiny.task())


def test_a_model_of_another_dictionary_is_not_evaluated(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    checkpoint = tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(tiny.task()), {"_name": "cross_entropy"}, data)
    TrainedModel(checkpoint).check_dictionary(data, "de")
    tiny.dictionary(33).save(str(data / "dict.de.txt"))
    with pytest.raises(UserError, match=r"trained with 20 dictionary entries, but .* has 33"):
        TrainedModel(checkpoint).check_dictionary(data, "de")


def test_a_data_folder_that_is_none_is_refused(data: Path, tmp_path: Path) -> None:
    check_data_folder(str(data))
    check_data_folder(f"{data}:{tmp_path}")
    with pytest.raises(UserError, match="none: not a data folder"):
        check_data_folder(str(tmp_path / "none"))
    with pytest.raises(UserError, match="not a data folder"):
        check_data_folder(f"{data}:{tmp_path / 'none'}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no dict"):
        check_data_folder(str(tmp_path / "empty"))
