"""A tiny fairseq task, model and batch, in this process."""

import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.models.transformer import TransformerModel, base_architecture
from fairseq.tasks.translation import TranslationConfig, TranslationTask
from omegaconf import OmegaConf

ENTRIES = 20


def dictionary(entries: int = ENTRIES) -> Dictionary:
    made = Dictionary()
    for index in range(entries - len(made)):
        made.add_symbol(f"w{index}", n=100 - index)
    return made


def task(data: Path | None = None, entries: int = ENTRIES) -> TranslationTask:
    config = OmegaConf.structured(
        TranslationConfig(data=str(data), source_lang="en", target_lang="de", train_subset="train")
    )
    return TranslationTask(config, dictionary(entries), dictionary(entries))


def arguments() -> Namespace:
    """What --arch transformer and its flags leave in a checkpoint."""
    args = Namespace(
        encoder_layers=1, encoder_embed_dim=16, encoder_ffn_embed_dim=16, encoder_attention_heads=2,
        decoder_layers=1, decoder_embed_dim=16, decoder_ffn_embed_dim=16, decoder_attention_heads=2,
        dropout=0.0, max_source_positions=64, max_target_positions=64, _name="transformer", arch="transformer",
    )  # fmt: skip
    base_architecture(args)
    return args


def model(of: TranslationTask, seed: int = 0) -> TransformerModel:
    torch.manual_seed(seed)
    return TransformerModel.build_model(arguments(), of)


def batch(of: TranslationTask, lengths: tuple[int, ...] = (5, 3, 1), seed: int = 0) -> dict[str, Any]:
    """Sentences of `lengths` target tokens (eos included), padded on the right."""
    generator = torch.Generator().manual_seed(seed)
    pad, eos = of.target_dictionary.pad(), of.target_dictionary.eos()
    target = torch.full((len(lengths), max(lengths)), pad)
    for row, length in enumerate(lengths):
        target[row, : length - 1] = torch.randint(4, ENTRIES, (length - 1,), generator=generator)
        target[row, length - 1] = eos
    previous = torch.cat([torch.full((len(lengths), 1), eos), target[:, :-1]], dim=1)
    source = torch.randint(4, ENTRIES, (len(lengths), 4), generator=generator)
    net_input = {"src_tokens": source, "src_lengths": torch.full((len(lengths),), 4), "prev_output_tokens": previous}
    return {"net_input": net_input, "target": target, "ntokens": sum(lengths), "nsentences": len(lengths)}


def save_checkpoint(path: Path, trained: TransformerModel, criterion: dict[str, Any], data: Path) -> Path:
    """What fairseq-train leaves, as far as a teacher or a record needs it."""
    config = {
        "common": {"seed": 7, "fp16": False, "bf16": False},
        "task": {"_name": "translation", "data": str(data), "source_lang": None, "target_lang": None},
        "model": arguments(),
        "criterion": criterion,
        "optimization": {"max_epoch": 3, "lr": [0.001]},
        "optimizer": {"_name": "adam", "adam_betas": "(0.9, 0.98)"},
        "lr_scheduler": {"_name": "inverse_sqrt", "warmup_updates": 10},
        "dataset": {"max_tokens": 100, "batch_size": None},
    }
    state = {
        "cfg": config,
        "model": trained.state_dict(),
        "optimizer_history": [{"optimizer_name": "FairseqAdam", "lr_scheduler_state": {}, "num_updates": 12}],
        "extra_state": {"previous_training_time": 34.5, "train_iterator": {"epoch": 1}},
    }
    torch.save(state, path)
    return path


@pytest.fixture
def tiny() -> ModuleType:
    """This module: its builders are called as `tiny.model(...)`."""
    return sys.modules[__name__]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the tiny task's dictionaries."""
    folder = tmp_path / "data-bin"
    folder.mkdir()
    for language in ("en", "de"):
        dictionary().save(str(folder / f"dict.{language}.txt"))
    return folder
