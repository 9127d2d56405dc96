"""Reading fairseq checkpoints of our own and of strangers: restricted loading, one clear line where it fails."""

import hashlib
import re
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from fairseq import checkpoint_utils, tasks, utils
from fairseq.data import Dictionary
from fairseq.dataclass.utils import convert_namespace_to_omegaconf, omegaconf_no_object_check
from omegaconf import DictConfig, OmegaConf

from nmt_plugin.code_strings import refuse_code
from shared.errors import UserError
from shared.tensors import claims_too_much
from shared.unpickling import load_torch

# What reading needs of a configuration; each of the first three says by `_name` what it configures.
_GROUPS = ("task", "model", "criterion", "common")
_SHOWN = 200  # letters of fairseq's own words


def checkpoint_paths(names: str) -> list[str]:
    """Colon-separated checkpoints, as fairseq's own `--path` takes them. Raises UserError where one is named twice."""
    paths = [str(path) for path in utils.split_paths(names)]
    if len({Path(path).resolve() for path in paths}) != len(paths):
        raise UserError(f"--teacher {names} names a checkpoint twice; an ensemble needs different ones")
    return paths


def read_checkpoint(path: str) -> dict[str, Any]:
    """A fairseq checkpoint's state, memory-mapped on the CPU and read without unrestricted pickle.

    Raises UserError where the file is missing or is not a fairseq checkpoint, and where a string of its configuration
    is Python that does something: fairseq may evaluate it.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such checkpoint; name a .pt file that fairseq-train wrote")
    try:
        state = load_torch(Path(path))
    except Exception as error:  # whatever the restricted unpickler stumbles over in a file that is no checkpoint
        reason = str(error).strip().partition("\n")[0].partition("Re-running")[0].partition("This file can still")[0]
        held = re.search(r"GLOBAL (\S+)", str(error))
        reason = reason.strip() + (f" It holds {held[1]}." if held else "")
        raise UserError(f"{path}: not a checkpoint that can be read safely ({reason})") from None
    if not isinstance(state, dict) or "model" not in state or not (state.get("cfg") or state.get("args")):
        raise UserError(f"{path}: not a fairseq checkpoint (it needs the entries `model` and `cfg`)")
    try:
        for form in ("cfg", "args"):  # fairseq itself may read either
            refuse_code(form, state.get(form))
        checkpoint_config(state)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    for entry, before in (("optimizer_history", "best_loss"), ("extra_state", "epoch")):  # `before`: its older form
        if not state.get(entry) and before not in state:
            raise UserError(f"{path}: it has no `{entry}`, without which fairseq loads no model; strip it of less")
    _check_entries(path, state)
    return state


def load_model(path: str, task: Any) -> Any:
    """The fairseq model of a checkpoint that `read_checkpoint` has read, as fairseq builds it for `task`, on the CPU.

    Raises UserError where fairseq cannot build it.
    """
    try:
        models, _, _ = checkpoint_utils.load_model_ensemble_and_task([path], task=task)
    except Exception as error:  # whatever its models stumble over in settings and weights that do not fit
        reason = " ".join(str(error).split())[:_SHOWN] or type(error).__name__
        raise UserError(f"{path}: fairseq cannot build its model ({reason})") from None
    return models[0]


def _check_entries(path: str, state: dict[str, Any]) -> None:
    """Raise UserError for entries of another kind than fairseq writes, and for weights that the file does not hold in
    full: a tensor of a kilobyte may claim to be of terabytes.
    """
    weights, history = state["model"], state.get("optimizer_history") or []
    if not isinstance(weights, dict) or not all(isinstance(weight, torch.Tensor) for weight in weights.values()):
        raise UserError(f"{path}: its `model` is no state_dict, a name and a tensor each")
    if name := next((name for name, weight in weights.items() if claims_too_much(weight)), None):
        raise UserError(f"{path}: holds {name} of {list(weights[name].shape)} only in part")
    extra = state.get("extra_state") or {}
    if not isinstance(history, list) or not all(isinstance(one, dict) for one in [*history, extra]):
        raise UserError(f"{path}: its `optimizer_history` or `extra_state` is not what fairseq writes")
    said = [one.get("num_updates") for one in [*history, extra]] + [extra.get("previous_training_time")]
    if odd := [value for value in said if not _is_number(value)]:
        raise UserError(f"{path}: its updates and its training time are numbers, not {type(odd[0]).__name__}")


def _is_number(value: Any) -> bool:
    """None too; a tensor of one: what several processes have summed."""
    if isinstance(value, torch.Tensor):
        return value.numel() == 1 and not claims_too_much(value)
    return value is None or type(value) in (int, float)


def checkpoint_config(state: dict[str, Any]) -> DictConfig:
    """The configuration that a checkpoint was trained with, whichever of fairseq's two forms it has.

    Raises UserError where it is not a configuration of fairseq.
    """
    try:
        if state.get("cfg"):
            with omegaconf_no_object_check():  # as flags={"allow_objects": True}, which omegaconf 2.0 does not know
                config = OmegaConf.create(dict(state["cfg"]))
        else:
            config = convert_namespace_to_omegaconf(_modern(state["args"]))
        complete = all(config.get(name) is not None for name in _GROUPS)
        complete = complete and all(getattr(config[name], "_name", None) for name in _GROUPS[:3])
    except Exception as error:  # whatever Hydra, omegaconf and fairseq stumble over in settings of another program
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"not a fairseq checkpoint (its configuration cannot be read: {reason})") from None
    if not complete:
        raise UserError(f"not a fairseq checkpoint (its configuration needs the groups {', '.join(_GROUPS)})")
    return config


def _modern(args: Namespace) -> Namespace:
    """Options of old checkpoints in today's form, as far as fairseq's conversion needs it."""
    if not {"arch", "criterion"} <= vars(args).keys():
        raise ValueError("it names no architecture or no criterion")
    rate = getattr(args, "lr", None)
    return Namespace(**{"task": "translation", **vars(args), **({"lr": [rate]} if isinstance(rate, float) else {})})


def checkpoint_task(path: str, config: DictConfig, data_task: Any) -> Any:
    """The teacher's own fairseq task with its dictionaries (no data is read).

    Dictionaries are taken from beside the checkpoint (`dict.*.txt`, as released fairseq models have them), else from
    the data folder that it was trained on. Languages that fairseq inferred when the teacher was trained are those of
    `data_task`, the task on the data that it is to teach or translate. Raises UserError where neither place has the
    dictionaries, or the teacher translates another way, and for a task of several language pairs.
    """
    check_one_pair(config.task)
    data_settings = task_settings(data_task)
    for language in ("source_lang", "target_lang"):
        if language not in config.task:
            continue
        theirs, ours = getattr(config.task, language), getattr(data_settings, language, None)
        if theirs is None:
            setattr(config.task, language, ours)
        elif theirs != ours:  # a joined dictionary would not give it away
            raise UserError(f"{path}: the teacher's {language} is {theirs!r}, the data's {ours!r}; they must agree")
    places = [Path(path).parent, *map(Path, utils.split_paths(str(config.task.data)))]
    for place in places:
        if any(place.glob("dict.*txt")):
            config.task.data = str(place)
            return set_up_task(path, config.task)
    raise UserError(
        f"{path}: its dictionaries are neither beside it (dict.*.txt) nor in its data folder {config.task.data}; "
        "copy them beside the checkpoint"
    )


def set_up_task(path: str | Path, settings: Any) -> Any:
    """fairseq's task of a checkpoint by the `settings` in it, without the tokenizer and the generator that --eval-bleu
    had in its training.

    Raises UserError for a task that this fairseq does not have.
    """
    if settings._name not in tasks.TASK_REGISTRY:
        raise UserError(f"{path}: fairseq knows no task {settings._name!r}; it needs the plugin that defines it")
    if "eval_bleu" in settings:
        settings.eval_bleu = False
    return tasks.setup_task(settings)


def task_settings(task: Any) -> Any:
    """The settings that a fairseq task was set up with, of whichever kind; an older task calls them `args`.

    Raises UserError for a task of several language pairs.
    """
    settings = task.args if task.cfg is None else task.cfg
    check_one_pair(settings)
    return settings


def check_one_pair(settings: Any) -> None:
    """Raise UserError for the settings of a task of several language pairs: its batches are in a form of its own."""
    if getattr(settings, "lang_pairs", None) is not None:
        raise UserError(
            f"the task {settings._name} is for several language pairs (--lang-pairs), which a teacher here cannot "
            "serve; train both models with --task translation"
        )


def check_languages(path: Path, config: DictConfig, source: str, target: str) -> None:
    """Raise UserError for a model of another direction; a joined dictionary would not give it away.

    Languages that fairseq inferred in the training are not known.
    """
    theirs: list[Any] = [getattr(config.task, name, None) for name in ("source_lang", "target_lang")]
    if None not in theirs and theirs != [source, target]:
        raise UserError(f"{path} translates {'-'.join(theirs)}, but the corpus is {source}-{target}")


def check_dictionaries(path: Path, config: DictConfig, data_bin: Path, languages: Sequence[str]) -> list[str]:
    """Raise UserError where the checkpoint was trained with other dictionary entries than `data_bin` has.

    Its own dictionaries lie beside it (released models) or in its data folder. Returns the file names of those that
    are in neither place, which nothing is known of.
    """
    places = [path.parent, *map(Path, utils.split_paths(str(getattr(config.task, "data", None) or "")))]
    unknown = []
    for name in (f"dict.{language}.txt" for language in dict.fromkeys(languages)):
        found = next((place / name for place in places if (place / name).is_file()), None)
        if found is None:
            unknown.append(name)
            continue
        theirs, ours = (Dictionary.load(str(file)).symbols for file in (found, data_bin / name))
        if theirs != ours:
            raise UserError(
                f"{path} was trained with another {name} than {data_bin} has ({len(theirs)} entries and {len(ours)}); "
                "name the corpus that it was trained on"
            )
    return unknown


def dictionary_digest(dictionary: Dictionary | None) -> str:
    """SHA-256 over a dictionary's entries in order; "" where a task has none."""
    if dictionary is None:
        return ""
    return hashlib.sha256("\n".join(dictionary.symbols).encode()).hexdigest()


def check_same_dictionary(kind: str, teacher: Dictionary | None, data: Dictionary | None) -> None:
    """Raise UserError unless a teacher's dictionary and that of the data, which is any student's too, agree entry by
    entry. `kind` is "source" or "target".
    """
    if teacher is None and data is None:
        return
    if teacher is None or data is None:
        raise UserError(f"only one of the teacher and the data has a {kind} dictionary; they need the same task")
    for index, (ours, theirs) in enumerate(zip(data.symbols, teacher.symbols, strict=False)):
        if ours != theirs:
            raise UserError(
                f"the teacher's {kind} dictionary differs from the data's: entry {index} is {theirs!r}, not {ours!r}"
                "; use the data-bin that the teacher was trained on"
            )
    if len(teacher) != len(data):
        raise UserError(
            f"the teacher's {kind} dictionary has {len(teacher)} entries and the data's {len(data)}; "
            "use the data-bin that the teacher was trained on"
        )
