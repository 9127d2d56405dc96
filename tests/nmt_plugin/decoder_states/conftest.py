"""Hand-made corpora, tiny models and the oracle of decoder states, written out in numpy.

The oracle takes each sentence by itself, without a batch or a pad: `output_layer(state)` must give the logits, which
fixes what a state is. Tests reach it through the fixture `study`.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import make_builder

from nmt_plugin.checkpoints import read_checkpoint
from nmt_plugin.decoder_states.reader import StateReader

PAIR = {"train": 60, "valid": 30}
WORDS = ["\u2581eins", "\u2581zwei", "\u2581drei", "\u2581vier", "\u2581ab", ",", "en", "7"]  # the rest keeps w<n>
TEACHER = {"_name": "smoothed_cross_entropy", "label_smoothing": 0.1}


@pytest.fixture
def study() -> ModuleType:
    """This module: its functions are called as `study.states_one_by_one(...)`."""
    return sys.modules[__name__]


def dictionary(tiny: ModuleType) -> Dictionary:
    made = Dictionary()
    for index in range(tiny.ENTRIES - len(made)):
        made.add_symbol(WORDS[index] if index < len(WORDS) else f"w{index}", n=100 - index)
    return made


@pytest.fixture
def corpus(tiny: ModuleType, tmp_path: Path) -> Path:
    """60 and 30 sentences of 1 to 9 tokens; low entries are frequent, the last ones rare."""
    folder = tmp_path / "tiny.en-de"
    (folder / "data-bin").mkdir(parents=True)
    generator = np.random.default_rng(0)
    weights = 1.0 / np.arange(1, tiny.ENTRIES - 3)
    for language in ("en", "de"):
        dictionary(tiny).save(str(folder / "data-bin" / f"dict.{language}.txt"))
        for split, size in PAIR.items():
            path = folder / "data-bin" / f"{split}.en-de.{language}"
            builder = make_builder(f"{path}.bin", impl="mmap", vocab_size=tiny.ENTRIES)
            for _ in range(size):
                words = 4 + generator.choice(len(weights), generator.integers(1, 10), p=weights / weights.sum())
                builder.add_item(torch.tensor([*words, 2]))
            builder.finalize(f"{path}.idx")
    card = {"format": 1, "request": {}, "files": {}, "source_language": "en", "target_language": "de"}
    card["splits"] = {split: {"pairs": size} for split, size in PAIR.items()}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def save(tiny: ModuleType, corpus: Path, tmp_path: Path) -> Callable[..., Path]:
    """`save(name, seed, **criterion)`: a checkpoint of a tiny model trained on the corpus."""

    def save_model(name: str, seed: int, **criterion: Any) -> Path:
        path = tmp_path / f"{name}.pt"
        tiny.save_checkpoint(path, tiny.model(tiny.task(), seed), criterion, corpus / "data-bin")
        state = read_checkpoint(str(path))
        # What fairseq-train resolves before it saves.
        state["cfg"]["task"] |= {"train_subset": "train", "dataset_impl": None, "required_seq_len_multiple": 1}
        torch.save(state, path.with_suffix(".whole"))
        return path.with_suffix(".whole").rename(path)

    return save_model


@pytest.fixture
def models(save: Callable[..., Path]) -> dict[str, Path]:
    teacher = save("teacher", 1, **TEACHER)
    distilled = {"_name": "word_kd", "teacher": str(teacher), "kd_weight": 1.0, "label_smoothing": 0.0}
    return {
        "teacher": teacher,
        "low": save("low", 2, **distilled, temperature=1.0),
        "high": save("high", 3, **distilled, temperature=3.0),
    }


def states_one_by_one(reader: StateReader, split: str, prefix: int = 0) -> dict[int, list[np.ndarray]]:
    """Entry -> its states, sentence by sentence, from a forward hook on the output layer."""
    reader.task.load_dataset(split)
    caught: list[torch.Tensor] = []
    layer = reader.model.decoder.output_projection
    hook = layer.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    found: dict[int, list[np.ndarray]] = {}
    for pair in reader.task.dataset(split):
        source, target = pair["source"].unsqueeze(0), pair["target"]
        previous = torch.cat([target[-1:], target[:-1]]).unsqueeze(0)
        with torch.no_grad():
            reader.model(source, torch.tensor([source.shape[1]]), previous)
        for state, entry in list(zip(caught.pop()[0].double().numpy(), target.tolist(), strict=True))[prefix:]:
            found.setdefault(entry, []).append(state)
    hook.remove()
    return found


def refused(capsys: pytest.CaptureFixture[str], call: Callable[[], Any]) -> str:
    """The one line of a refusal, which must come before any model is run."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        call()
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert "tok/s" not in error
    return error.strip().splitlines()[-1]
