import dataclasses
import itertools
import re
from pathlib import Path

import hydra
import pytest
import timm
import torch
import torchvision
from timm.layers import DropPath

from shared.errors import UserError
from tests.vision.conftest import commands_at_head
from tests.vision.generated import write_cifar5m, write_cub
from vision.cli import CONF

TEACHER = ["teacher=t.safetensors", "temperature=2"]


# epochs, batch size, learning rate, weight decay, decay epochs, warm-up epochs, precision: REFERENCE.md, section 2
_IMAGENET, _CUB = (200, 2048, 0.1, 1e-4, 80, 5, "32"), (200, 256, 0.01, 1e-3, 80, 0, "16")
PAPER = {
    "imagenet_teacher": (90, 2048, 0.1, 1e-4, 30, 0, "32"),
    "cub_teacher": (90, 256, 0.01, 1e-4, 30, 0, "16"),
    **{f"imagenet_{student}": _IMAGENET for student in ("resnet18", "resnet50", "efficientnet_b0")},
    **{f"cub_{student}": _CUB for student in ("resnet18", "resnet50", "convnext_tiny", "mobilenetv2")},
}

# Published training images, of which validation_size are held out.
TRAINING_IMAGES = {"fashion_mnist": 60_000, "cifar10": 50_000, "cifar100": 50_000, "cub": 5_994, "digits": 1_500}


def yaml_files():
    return sorted(CONF.rglob("*.yaml"))


@pytest.mark.parametrize("path", yaml_files(), ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_begins_with_a_command_and_comments_every_key(path: Path):
    base = path.parent / "base.yaml"
    lines = path.read_text().splitlines()
    first = lines[1] if lines[0] == "# @package _global_" else lines[0]  # Hydra wants its own line first
    assert re.match(r"# python -m vision\.(train|evaluate|diffusion|clusters|project|advise) .*=", first)
    explained = set(re.findall(r"^ *([a-z_0-9]+):", base.read_text(), re.M)) if "  - base" in lines else set()
    above_hydra = lines[: lines.index("hydra:")] if "hydra:" in lines else lines
    for above, line in itertools.pairwise(above_hydra):
        key = re.match(r" *([a-z_0-9]+):", line)
        if key and key[1] not in {"defaults", *explained} and not line.startswith("    "):
            assert above.lstrip().startswith("#") or "  # " in line or ": {s1" in line, line


@pytest.mark.parametrize("path", yaml_files(), ids=lambda path: str(path.relative_to(CONF)))
def test_the_command_that_a_file_begins_with_is_accepted(compose, path):
    """And trains on no more images than there are; on fewer only for the demo's data, or where it says so."""
    command, points = commands_at_head(path)
    for words in points:
        settings = compose(command, words)  # refused where a key that must be given is missing
        if command != "train":
            continue
        data, used = settings.data, settings.recipe.train_size
        assert data.name in ("digits", "cifar5m") or data.data_dir is not None
        if used is not None:
            assert used <= TRAINING_IMAGES[data.name] - data.validation_size
            assert data.name == "fashion_mnist" or any(word.startswith("recipe.train_size=") for word in words)


@pytest.mark.parametrize("command", [p.stem for p in sorted(CONF.glob("*.yaml"))])
def test_every_command_can_be_swept(command):
    """`point` is for other keys to refer to, and with `keep` a sweep leaves alone the records that are there."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose(command)
    assert config.point == {}
    assert config.get("keep", False) is False
    assert ("keep" in config) == (
        command not in ("train", "advise")
    )  # train keeps what is finished; advise has no record


@pytest.mark.parametrize("option", [p.stem for p in sorted((CONF / "experiment").glob("*.yaml"))])
def test_every_experiment_composes(compose, option):
    text = (CONF / "experiment" / f"{option}.yaml").read_text()
    given = {"teacher": "[t,u]", "temperature": "2", "model.weights": "x"}
    required = re.search(r"^required: \[(.*)\]$", text, re.M)
    chosen = [f"{key}={given[key]}" for key in (required.group(1).split(", ") if required else [])]
    settings = compose("train", [f"experiment={option}", "output=x", *chosen])
    assert (settings.teacher is None) == ("teacher" in option)


@pytest.mark.parametrize("student", ["resnet18", "resnet50", "mobilenetv2", "convnext_tiny"])
def test_a_student_of_cub_has_the_dropout_of_torchvisions_network(compose, student):
    """Which the authors' code trains, all but the classifier as it comes."""
    model = compose("train", [f"experiment=cub_{student}", "output=x", "teacher=t", "temperature=1"]).model
    with torch.device("meta"):
        theirs = torchvision.models.get_model(model.weights.split(":")[1], weights=None)
        ours = timm.create_model(model.name, **model.kwargs)
    dropout = [part.p for part in theirs.modules() if isinstance(part, torch.nn.Dropout)]
    assert [ours.drop_rate] == (dropout or [0.0])
    depth = [part.p for part in theirs.modules() if isinstance(part, torchvision.ops.StochasticDepth)]
    dropped = [part.drop_prob for part in ours.modules() if isinstance(part, DropPath)]
    assert dropped == pytest.approx([rate for rate in depth if rate > 0])


@pytest.mark.parametrize(
    ("experiment", "given", "missing"),
    [
        ("imagenet_resnet18", [], "teacher=... and temperature=..."),
        ("cub_resnet18", ["teacher=t"], "temperature=..."),
        ("cub_teacher", ["alpha=0.1"], "model.weights=..."),
        ("dist_cifar100_resnet20", [], "teacher=..."),
        ("noisy_student_epl", [], "teacher=..."),
    ],
)
def test_an_experiment_is_not_run_without_what_it_needs(compose, experiment, given, missing):
    with pytest.raises(UserError, match=f"this experiment needs {re.escape(missing)}; "):
        compose("train", [f"experiment={experiment}", "output=x", *given])


@pytest.mark.parametrize("group", ["data", "loader", "model", "recipe"])
def test_every_option_composes(compose, group):
    for path in set((CONF / group).glob("*.yaml")) - {CONF / "data" / "base.yaml"}:  # which is no data set by itself
        compose("train", [f"{group}={path.stem}", "output=x"])


@pytest.mark.parametrize(
    ("command", "overrides", "message"),
    [
        ("train", [], "output must be given"),
        ("train", ["output=x", "alpha=1"], r"alpha .* is 1\.0; it must be in \[0, 1\)"),
        ("train", ["output=x", "alpha=-0.1"], r"must be in \[0, 1\)"),
        ("train", ["output=x", "alpha=high"], "alpha: Value 'high'"),
        ("train", ["output=x", "temperature=2"], "name teacher="),
        ("train", ["output=x", "kd_weight=0.5"], "name teacher="),
        ("train", ["output=x", "teacher=t"], "needs a temperature"),
        ("train", ["output=x", "teacher=t", "temperature=0"], "finite number above 0"),
        ("train", ["output=x", "teacher=t", "temperature=inf"], "finite number above 0"),
        ("train", ["output=x", *TEACHER, "kd_weight=0"], "above 0 and at most 1"),
        ("train", ["output=x", "teacher=3", "temperature=2"], "teacher is 3; it must be a path, several"),
        ("train", ["output=x", "teacher=[]"], r"teacher is \[\]; it must be a path"),
        ("train", ["output=x", "teacher={a: b}", "temperature=2"], "it must be a path, several"),
        ("train", ["output=x", *TEACHER, "distill.loss=dist", "distill.beta=0", "distill.gamma=0"], "both 0"),
        ("train", ["output=x", "teacher=t", "distill.loss=epl", "distill.ensemble=vote"], "this is one"),
        ("train", ["output=x", "data.part=unlabelled", "data.labelled_size=9"], "labels would be used here"),
        ("train", ["output=x", *TEACHER, "distill.loss=hint"], "choose one of kd, dist, epl, rpl"),
        ("train", ["output=x", *TEACHER, "distill.gamma=2"], r"distill\.gamma is for distill\.loss=dist, this is kd"),
        ("train", ["output=x", "teacher=t", "distill.loss=rpl"], "draws one of several teachers"),
        ("train", ["output=x", "teacher=t", "distill.loss=epl", "temperature=2"], "epl has none"),
        ("train", ["output=x", "distill.loss=dist"], "are for students"),
        ("train", ["output=x", *TEACHER, "alpha=0.1"], "would do nothing"),
        ("train", ["output=x", "recipe.epochs=0"], r"recipe\.epochs is 0"),
        ("train", ["output=x", "recipe.warmup_epochs=8"], r"recipe\.warmup_epochs"),
        ("train", ["output=x", "recipe.schedule=sine"], "choose one of cosine, step"),
        ("train", ["output=x", "recipe.precision=8"], "choose one of 32, bf16, 16"),
        ("train", ["output=x", "recipe.momentum=1"], r"recipe\.momentum is 1"),
        ("train", ["output=x", "recipe.weight_decay=-1"], r"recipe\.weight_decay is -1"),
        ("train", ["output=x", "recipe.lr=inf"], r"recipe\.lr is inf"),
        ("train", ["output=x", "recipe.augmentation.crop=resized", "recipe.augmentation.ratio=[1]"], r"ratio is \[1"),
        ("train", ["output=x", "recipe.augmentation.ratio=[1,2]"], "ratio is for .*crop=resized, this is none"),
        ("train", ["output=x", "recipe.schedule=step"], r"needs recipe\.decay_epochs"),
        ("train", ["output=x", "recipe.decay_rate=0.5"], "decay_rate is for .*step, this is cosine"),
        (
            "train",
            ["output=x", "data=folder", "data.data_dir=x", "data.interpolation=nearest"],
            "choose one of bilinear, bicubic",
        ),
        ("train", ["output=x", "sync_batchnorm=true"], "is for several devices"),
        ("train", ["output=x", "recipe.clip=0"], r"recipe\.clip is 0"),
        ("train", ["output=x", "recipe.ema=1"], r"recipe\.ema is 1"),
        ("train", ["output=x", "recipe.augmentation.crop=some"], "choose one of none, resized, padded"),
        ("train", ["output=x", "recipe.augmentation.padding=4"], r"goes together with .*crop=padded"),
        (
            "train",
            ["output=x", "recipe.augmentation.crop=resized", "recipe.augmentation.scale=[0.5,0.1]"],
            r"scale is \[0\.5, 0\.1\]",
        ),
        ("train", ["output=x", "recipe.augmentation.jitter=[0.1]"], "want brightness, contrast, saturation"),
        ("train", ["output=x", "recipe.augmentation.grayscale=2"], "grayscale is a probability"),
        ("train", ["output=x", "loader.name=ffcv"], "choose one of torchvision, dali"),
        ("train", ["output=x", "loader.device=gpu"], "gpu with loader=dali"),
        ("train", ["output=x", "loader.workers=-1"], r"loader\.workers=-1"),
        ("train", ["output=x", "devices=3"], "multiple of devices"),
        ("train", ["output=x", "accumulate=0"], "accumulate is 0"),
        ("train", ["output=x", "checkpoint_steps=0"], "checkpoint_steps is 0"),
        ("train", ["output=x", "network.arch=resnet18"], "are for students"),
        ("train", ["output=x", "model.name=resnet18.a1_in1k"], r"or model\.weights=timm:resnet18\.a1_in1k beside it"),
        ("train", ["output=x", "threads=0"], "threads is 0"),
        ("train", ["output=x", "seed=-1"], "seed is -1"),
        ("diffusion", ["low=a", "high=b", "output=x", "targets=[]"], "targets is empty"),
        ("train", ["output=x", "+misspelt=1"], "misspelt"),
        ("evaluate", ["checkpoint=x", "split=dev"], "choose one of train, val, test"),
        ("evaluate", ["checkpoint=x", "name=mine"], "name is for the record"),
        ("diffusion", ["low=a", "high=b", "output=x", "normalization=max"], "choose one of mean_pairwise"),
        ("diffusion", ["low=a", "high=b", "output=x", "sets=alike"], "choose one of explicit"),
        ("diffusion", ["low=a", "high=b", "output=x", "sets=nearest"], "goes together with teacher="),
        ("clusters", ["checkpoint=a", "output=x", "sets=alike"], "choose one of explicit"),
        ("clusters", ["checkpoint=a", "output=x", "targets=[]"], "targets is empty"),
        (
            "diffusion",
            ["low=a", "high=b", "output=x", "s1_size=3"],
            "s1_size= is for sets=nearest; this is sets=explicit",
        ),
        ("clusters", ["checkpoint=a", "output=x", "sets=wordnet", "s1_size=2"], "is for .*; this is sets=wordnet"),
        ("clusters", ["checkpoint=a", "output=x", "teacher=b"], "chooses S1 where sets=nearest; this is sets=explicit"),
        ("project", ["students=[]", "output=x"], "students is empty"),
        ("project", ["students=a", "output=x"], r"students: want a list, in brackets: students=\[A/last"),
        ("train", ["output=x", "data.mean=0.5"], r"data\.mean: want a list, in brackets: data\.mean=\[A,B\]"),
        ("project", ["students=[a]", "output=x", "train_images=0"], "train_images is 0"),
    ],
)
def test_bad_values_are_refused_with_what_would_be_right(compose, command, overrides, message):
    with pytest.raises(UserError, match=message):
        compose(command, overrides)


def test_every_key_is_read(compose, study, keys_read, settings_kinds, tmp_path):
    """Runs every command for real and watches which settings its code reads."""
    from vision.advise import give_advice
    from vision.clusters import clusters
    from vision.diffusion import diffusion
    from vision.evaluate import evaluate
    from vision.project import project
    from vision.train import train

    data = [f"data.data_dir={study.data}", "data.validation_size=60"]
    pair = [f"low={study.low}", f"high={study.high}", f"output={tmp_path}/diffusion"]
    evaluate(compose("evaluate", [*data, f"checkpoint={study.low}", f"output={tmp_path}/scores"]))
    diffusion(compose("diffusion", [*data, *pair]))
    diffusion(compose("diffusion", [*data, *pair, "sets=nearest", f"teacher={study.teacher}"]))
    clusters(compose("clusters", [*data, f"checkpoint={study.teacher}", f"output={tmp_path}/clusters", "sets=nearest"]))
    project(compose("project", [*data, f"students=[{study.low}]", f"output={tmp_path}/projection"]))
    give_advice(compose("advise", [*data, f"checkpoint={study.teacher}", f"evidence={study.root}"]))
    birds = [f"data.data_dir={write_cub(tmp_path / 'cub').parent}", "data.official=false", "data.validation_size=5"]
    small = ["data.image_size=32", "data.resize=36", "recipe.epochs=1", "recipe.batch_size=8", "recipe.warmup_epochs=0"]
    given = ["recipe.precision=32", "loader.workers=1", "accelerator=cpu", "model=tiny_resnet", "required=[]"]
    for loader in ("torchvision", "dali"):
        output = f"output={tmp_path}/{loader}"
        train(compose("train", ["experiment=cub_teacher", f"loader={loader}", *birds, *small, *given, output]))
    with pytest.raises(UserError, match=r"data\.download=true fetches it"):
        train(compose("train", ["data=cub", f"data.data_dir={study.root}", "output=x"]))
    five_million = ["data=cifar5m", f"data.data_dir={write_cifar5m(tmp_path / '5m')}", "data.test_dir=nowhere"]
    with pytest.raises(UserError, match=r"data\.test_dir"):
        train(compose("train", [*five_million, f"output={tmp_path}/5m-run"]))
    one_epoch = [*study.common, "recipe.epochs=1", "recipe.warmup_epochs=0"]
    several = f"teacher=[{study.teacher},{study.low}]"
    for loss in ("epl", "rpl"):
        train(compose("train", [*one_epoch, several, f"distill.loss={loss}", f"output={tmp_path}/{loss}"]))
    train(compose("train", [*one_epoch, several, "distill=dist", f"output={tmp_path}/dist"]))
    padded = ["recipe.augmentation.crop=padded", "recipe.augmentation.padding=2", "recipe.epochs=3"]
    train(compose("train", [*study.common, *padded, f"output={tmp_path}/padded"]))
    keys = {(kind.__name__, field.name) for kind in settings_kinds for field in dataclasses.fields(kind)}
    threads = {key for key in keys if key[1] == "threads"}  # read by vision.cli, before the command
    assert keys - keys_read == threads
    assert "values.threads" in (CONF.parent / "cli.py").read_text()


def test_an_interpolated_folder_keeps_the_number_as_typed(compose):
    settings = compose("train", ["teacher=t", "temperature=3", "output=runs/T${temperature}"])
    assert (settings.output, settings.temperature) == ("runs/T3", 3.0)


@pytest.mark.parametrize("name", PAPER)
def test_an_experiment_of_the_paper_has_its_recipe(compose, name):
    for words in commands_at_head(CONF / "experiment" / f"{name}.yaml")[1]:
        settings, cub = compose("train", words), name.startswith("cub")
        r, a = settings.recipe, settings.recipe.augmentation
        told = (r.epochs, r.batch_size, r.lr, r.weight_decay, r.decay_epochs, r.warmup_epochs, r.precision)
        assert told == PAPER[name]
        assert (r.optimizer, r.momentum, r.schedule, r.decay_rate, r.decay_all) == ("momentum", 0.9, "step", None, True)
        assert (a.crop, a.flip, a.rotation, a.grayscale) == ("resized", True, *((45, 0.2) if cub else (0, 0)))
        assert (a.scale, a.ratio) == (([0.2, 1.0], [0.8, 1.25]) if cub else (None, None))
        assert a.jitter == ([0.2, 0.2, 0, 0] if cub else [0, 0, 0, 0])
        if name == "cub_teacher":
            assert settings.model.weights == f"runs/imagenet/teacher-a{settings.alpha:g}/last.safetensors"
        if not name.endswith("teacher"):
            assert (settings.distill.loss, settings.kd_weight, settings.hard_weight) == ("kd", 1.0, 0.0)
