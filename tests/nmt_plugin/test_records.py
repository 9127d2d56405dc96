"""What a checkpoint, an ensemble and a cache say of themselves in a record."""

import dataclasses
import json
import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from fairseq.models.transformer import TransformerConfig
from omegaconf import OmegaConf

from nmt_plugin.records import TrainedModel, teacher_card
from shared.errors import UserError
from shared.files import sha256


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
    assert card.parameters == sum(p.numel() for p in tiny.own_parameters(model))
    assert card.recipe["optimizer"] == "adam"
    assert card.recipe["lr_scheduler.warmup_updates"] == 10
    assert card.recipe["model.encoder.layers"] == 1
    assert card.recipe["dataset.max_tokens"] == 100
    assert not [key for key in card.recipe if "path" in key or "dir" in key]
    assert trained.teacher() is None
    assert trained.num_updates == 12
    assert trained.training_seconds == 34.5


def test_a_model_of_another_loss_is_refused_by_name(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    checkpoint = tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(tiny.task()), {"_name": "adaptive_loss"}, data)
    with pytest.raises(UserError, match=r"t\.pt was trained with the criterion 'adaptive_loss'"):
        TrainedModel(checkpoint).card()


@pytest.mark.parametrize(
    ("group", "key", "usual", "other"),
    [
        ("distributed_training", "distributed_world_size", 1, 4),
        ("common", "amp", False, True),
        ("criterion", "ignore_prefix_size", 0, 1),
        ("dataset", "train_subset", "train", "small"),
        ("checkpoint", "restore_file", "checkpoint_last.pt", "other.pt"),
        ("checkpoint", "finetune_from_model", None, "other.pt"),
        ("checkpoint", "continue_once", None, "other.pt"),
    ],
)
def test_a_recipe_names_what_is_unusual(teachers: list[Path], group: str, key: str, usual: Any, other: Any) -> None:
    """Four processes at --max-tokens 1000 make updates of 4000. Records of before it was looked at still agree."""
    before = TrainedModel(teachers[0]).card().recipe
    state = torch.load(teachers[0], weights_only=True)
    recipes = []
    for value in (usual, other):
        state["cfg"].setdefault(group, {})[key] = value
        torch.save(state, teachers[0])
        recipes.append(TrainedModel(teachers[0]).card().recipe)
    assert json.dumps(recipes) == json.dumps([before, before | {f"{group}.{key}": other}])


def test_a_recipe_names_the_file_that_a_training_started_from(teachers: list[Path]) -> None:
    """Not its folder, which is another for each seed and machine."""
    state = torch.load(teachers[0], weights_only=True)
    state["cfg"]["checkpoint"] = {"finetune_from_model": "runs/seed1/checkpoint_best.pt"}
    torch.save(state, teachers[0])
    assert TrainedModel(teachers[0]).card().recipe["checkpoint.finetune_from_model"] == "checkpoint_best.pt"


def test_a_student_names_the_teacher_that_taught_it(
    student: Callable[..., TrainedModel], tiny: ModuleType, teachers: list[Path], data: Path
) -> None:
    """Whatever lies at the teacher's path later, or nothing."""
    taught_by = teacher_card(str(teachers[0]))
    made = student(teacher=str(teachers[0]))
    tiny.save_checkpoint(teachers[0], tiny.model(tiny.task(), seed=5), {"_name": "cross_entropy"}, data)
    assert teacher_card(str(teachers[0])) != taught_by
    assert made.teacher() == taught_by
    teachers[0].unlink()
    assert TrainedModel(made.path).teacher() == taught_by


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (None, "does not say who its teacher was"),
        ({}, "does not say who its teacher was"),
        ({"word_kd": {"teacher": {"role": "teacher"}}}, "what it says of its teacher is damaged .*lacks arch"),
        ({"word_kd": torch.ones(2)}, "what it says of its teacher is damaged .*a Tensor, which is no plain value"),
        ({"word_kd": {3: 4}}, "what it says of its teacher is damaged .*holds a key of type int, which is no text"),
    ],
)
def test_a_student_that_does_not_name_its_teacher_is_not_recorded(
    student: Callable[..., TrainedModel], teachers: list[Path], kept: Any, message: str
) -> None:
    made = student(teacher=str(teachers[0]))
    state = torch.load(made.path, weights_only=True)
    torch.save({**state, "task_state": kept}, made.path)
    for ask in (TrainedModel(made.path).teacher, TrainedModel(made.path).card):
        with pytest.raises(UserError, match=message):
            ask()


@pytest.mark.parametrize(("weight", "alpha"), [(1.0, None), (0.9, 0.1)])
def test_card_of_a_student(
    student: Callable[..., TrainedModel], teachers: list[Path], weight: float, alpha: float | None
) -> None:
    """At weight 1 no hard label is used, so no alpha is claimed."""
    trained = student(teacher=str(teachers[0]), temperature=3.0, kd_weight=weight, label_smoothing=0.1)
    card = trained.card()
    assert (card.role, card.temperature, card.kd_weight, card.alpha) == ("student", 3.0, weight, alpha)
    teacher = trained.teacher()
    assert teacher is not None
    assert (teacher.role, teacher.alpha) == ("teacher", 0.1)


def test_card_of_a_student_that_learned_from_labels_alone(
    make_cache: Callable[..., Path], teachers: list[Path], student: Callable[..., TrainedModel]
) -> None:
    """At weight 0 the temperature and the loss against the teacher change nothing; the card still names the teacher."""
    live = {"teacher": str(teachers[0]), "kd_weight": 0.0, "label_smoothing": 0.1}
    first = student(**live, temperature=1.0).card()
    assert (first.role, first.temperature, first.kd_weight, first.alpha) == ("student", None, 0.0, 0.1)
    assert (first.loss, first.distill) == (None, {})
    same = student(**live, temperature=3.0, kd_loss="dist", dist_beta=2.0)
    assert dataclasses.replace(same.card(), sha256=first.sha256) == first
    assert same.teacher() == teacher_card(str(teachers[0]))
    cached = student(teacher_cache=str(make_cache("--topk", "4")), kd_weight=0.0, topk_policy="tail").card()
    assert cached.recipe == first.recipe


def test_a_student_of_translations_says_whose_they_are(
    student: Callable[..., TrainedModel], teachers: list[Path], data: Path
) -> None:
    """By the card of the corpus, when it was trained; the same for the students of each teacher's own translations."""
    before = student(teacher=str(teachers[0])).card().recipe
    search = {"beam": 5, "lenpen": 1.0, "max_len": 200, "max_tokens": 8000}
    request = {"corpus": "sequence-kd", "teacher_sha256": sha256(teachers[0]), **search}
    card = data.parent / "card.json"
    said = []
    for teacher in teachers:
        card.write_text(json.dumps({"request": request, "files": {}}))
        made = student(teacher=str(teacher))
        card.unlink()
        said.append(made.card().recipe)
        assert made.teacher() == teacher_card(str(teacher))
    by = [
        f"translations by {who}, beam 5, lenpen 1.0, max_len 200" for who in ("the teacher", sha256(teachers[0])[:12])
    ]
    assert said == [before | {"data.targets": text} for text in by]
    card.write_text(json.dumps({"request": {"corpus": "text"}, "files": {}}))
    assert student(teacher=str(teachers[0])).card().recipe == before


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
    expected = sum(p.numel() for p in tiny.own_parameters(model))
    assert TrainedModel(path).card().parameters == expected
    state = torch.load(path, weights_only=True)
    state["model"] = {name: weight.half().clone() for name, weight in state["model"].items()}
    torch.save(state, path)
    assert TrainedModel(path).card().parameters == expected


def test_a_model_of_another_dictionary_is_not_evaluated(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    checkpoint = tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(tiny.task()), {"_name": "cross_entropy"}, data)
    TrainedModel(checkpoint).check_dictionaries(data, "en", "de")
    tiny.dictionary(33).save(str(data / "dict.de.txt"))
    with pytest.raises(UserError, match=r"trained with 20 dictionary entries, but .* has 33"):
        TrainedModel(checkpoint).check_dictionaries(data, "en", "de")


def test_a_model_of_the_other_direction_is_not_evaluated(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    """A joined dictionary would not give it away. Languages that fairseq inferred are not known."""
    checkpoint = tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(tiny.task()), {"_name": "cross_entropy"}, data)
    TrainedModel(checkpoint).check_dictionaries(data, "de", "en")
    state = torch.load(checkpoint, weights_only=True)
    state["cfg"]["task"] |= {"source_lang": "de", "target_lang": "en"}
    torch.save(state, checkpoint)
    with pytest.raises(UserError, match=r"t\.pt translates de-en, but the corpus is en-de"):
        TrainedModel(checkpoint).check_dictionaries(data, "en", "de")
    TrainedModel(checkpoint).check_dictionaries(data, "de", "en")


def test_a_dictionary_of_equal_size_but_other_entries_is_refused(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    """Where the model's own are found: beside it, or in its data folder; else only their size is known."""
    checkpoint = tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(tiny.task()), {"_name": "cross_entropy"}, data)
    other = tmp_path / "other"
    shutil.copytree(data, other)
    entries = (other / "dict.en.txt").read_text().splitlines(keepends=True)
    (other / "dict.en.txt").write_text("".join(reversed(entries)))
    trained = TrainedModel(checkpoint)
    with pytest.raises(UserError, match=r"another dict\.en\.txt than .*other has \(20 entries and 20\)"):
        trained.check_dictionaries(other, "en", "de")
    data.rename(tmp_path / "gone")
    trained.check_dictionaries(other, "en", "de")
    shutil.copy(tmp_path / "gone" / "dict.en.txt", tmp_path)
    with pytest.raises(UserError, match=r"another dict\.en\.txt"):
        trained.check_dictionaries(other, "en", "de")


def test_an_old_checkpoint_need_not_say_its_updates(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    path = tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(tiny.task()), {"_name": "cross_entropy"}, data)
    state = torch.load(path, weights_only=True)
    history = [{"best_loss": 1.0}]
    for extra, updates in (({"epoch": 2}, None), ({"num_updates": 40}, 40)):
        kept = {name: state[name] for name in ("cfg", "model")}
        torch.save({**kept, "optimizer_history": history, "extra_state": extra}, path)
        trained = TrainedModel(path)
        assert (trained.num_updates, trained.training_seconds) == (updates, 0.0)


def test_a_model_that_is_no_transformer_has_its_own_settings(tiny: ModuleType, data: Path, tmp_path: Path) -> None:
    """Of all that a command line said, and so for an optimizer of fairseq's old kind."""
    path = tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(tiny.task()), {"_name": "cross_entropy"}, data)
    state = torch.load(path, weights_only=True)
    said = {"save_dir": "runs/x", "encoder_layers": 2, "encoder_hidden_size": 16, "adamax_betas": "(0.9, 0.99)"}
    state["cfg"]["model"] = Namespace(_name="lstm", arch="lstm", **said)
    state["cfg"]["optimizer"] = Namespace(_name="adamax", **said)
    torch.save(state, path)
    card = TrainedModel(path).card()
    assert card.arch == "lstm"
    own = {key: value for key, value in card.recipe.items() if key.startswith(("model", "optimizer"))}
    assert own == {
        "model.encoder_layers": 2,
        "model.encoder_hidden_size": 16,
        "optimizer": "adamax",
        "optimizer.adamax_betas": "(0.9, 0.99)",
    }
    state["cfg"]["model"]._name = "of a plugin"
    torch.save(state, path)
    with pytest.raises(UserError, match="no model 'of a plugin'"):
        TrainedModel(path).card()


@pytest.fixture
def student(tiny: ModuleType, data: Path, tmp_path: Path) -> Callable[..., TrainedModel]:
    """`student(teacher=..., ...)`: a model distilled with these settings of word_kd, as fairseq keeps them."""

    def make(**settings: Any) -> TrainedModel:
        criterion = {"_name": "word_kd", "temperature": 2.0, "kd_weight": 1.0, "label_smoothing": 0.0, **settings}
        return TrainedModel(tiny.save_checkpoint(tmp_path / "student.pt", tiny.model(tiny.task()), criterion, data))

    return make


def test_card_of_an_ensemble_has_what_its_members_share(
    teachers: list[Path], student: Callable[..., TrainedModel]
) -> None:
    one, other = (teacher_card(str(path)) for path in teachers)
    ensemble = student(teacher=":".join(map(str, teachers))).teacher()
    assert ensemble is not None
    assert (ensemble.role, ensemble.arch, ensemble.seed) == ("teacher", "transformer + transformer", 7)
    assert ensemble.parameters == one.parameters + other.parameters
    assert ensemble.alpha is None  # 0.1 and 0.2
    assert ensemble.recipe == one.recipe | {"ensemble": [sha256(path) for path in teachers]}
    assert len({card.sha256 for card in (one, other, ensemble)}) == 3


def test_members_that_differ_share_no_such_setting(tiny: ModuleType, teachers: list[Path], data_bin: Path) -> None:
    same = {"_name": "smoothed_cross_entropy", "label_smoothing": 0.1}
    tiny.save_checkpoint(teachers[1], tiny.model(tiny.task(), 2), same, data_bin)
    state = torch.load(teachers[1], weights_only=True)
    state["cfg"]["optimization"]["max_epoch"] = 4
    torch.save(state, teachers[1])
    card = teacher_card(":".join(map(str, teachers)))
    assert card.alpha == 0.1
    assert "optimization.max_epoch" not in card.recipe
    assert card.recipe["optimizer"] == "adam"


def test_card_of_a_cached_teacher_needs_no_checkpoint(
    make_cache: Callable[..., Path], teachers: list[Path], student: Callable[..., TrainedModel]
) -> None:
    live = teacher_card(str(teachers[0]))
    folder = make_cache("--topk", "4")
    shutil.rmtree(teachers[0].parent)
    made = student(teacher=None, teacher_cache=str(folder), kd_loss="kl", topk_policy="renormalize")
    assert made.teacher() == live
    recipe = made.card().recipe
    assert recipe["criterion.topk"] == 4
    assert recipe["criterion.topk_policy"] == "renormalize"
    shutil.rmtree(folder)
    assert made.teacher() == live


def test_a_record_tells_students_of_another_loss_or_k_apart(
    make_cache: Callable[..., Path], teachers: list[Path], student: Callable[..., TrainedModel]
) -> None:
    live = {"teacher": str(teachers[0]), "teacher_cache": None, "topk_policy": "tail"}
    of_old, of_kd = student(teacher=str(teachers[0])).card(), student(**live, kd_loss="kl").card()
    assert (of_kd.loss, of_kd.distill, of_kd.recipe) == ("kd", {}, of_old.recipe)
    assert (of_old.loss, of_old.distill) == ("kd", {})  # before there was a choice
    of_dist = student(**live, kd_loss="dist").card()
    assert (of_dist.loss, of_dist.distill, of_dist.recipe) == ("dist", {"beta": 1.0, "gamma": 1.0}, of_old.recipe)
    other = student(**live, kd_loss="dist", dist_beta=1.0, dist_gamma=0.5).card()
    assert other.distill == {"beta": 1.0, "gamma": 0.5}
    caches = [make_cache("--topk", k, output=k) for k in ("4", "5")]
    by_cache = [student(teacher_cache=str(cache), kd_loss="kl", topk_policy="tail").card().recipe for cache in caches]
    assert by_cache[0] != by_cache[1]
    json.dumps(by_cache)  # plain values, as result.json wants them
