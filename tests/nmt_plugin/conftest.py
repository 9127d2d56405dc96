"""A tiny fairseq task, model and batch, in this process."""

import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder
from fairseq.models.transformer import TransformerModel, base_architecture
from fairseq.tasks.translation import TranslationConfig, TranslationTask
from omegaconf import OmegaConf

from nmt_plugin.cache import main as cache_main
from nmt_plugin.corpora import databin
from nmt_plugin.criterions import WordKDCriterion

ENTRIES = 20
Pair = tuple[list[int], list[int]]  # source and target ids of one sentence, without eos


def dictionary(entries: int = ENTRIES) -> Dictionary:
    made = Dictionary()
    for index in range(entries - len(made)):
        made.add_symbol(f"w{index}", n=100 - index)
    return made


def task(data: Path | None = None, entries: int = ENTRIES) -> TranslationTask:
    config = OmegaConf.structured(
        TranslationConfig(
            data=str(data),
            source_lang="en",
            target_lang="de",
            train_subset="train",
            dataset_impl=None,
            required_seq_len_multiple=1,
        )
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


def model(of: TranslationTask, seed: int = 0, **settings: Any) -> TransformerModel:
    args = arguments()
    vars(args).update(settings)
    torch.manual_seed(seed)
    return TransformerModel.build_model(args, of)


def own_parameters(of: torch.nn.Module) -> list[torch.nn.Parameter]:
    """What is trained. The original fairseq 0.12.2 keeps copies beside it, named `fc1_weight` and the like."""
    return [p for name, p in of.named_parameters() if name.rpartition(".")[2] in ("weight", "bias")]


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
        "task": {
            "_name": "translation",
            "data": str(data),
            "source_lang": None,
            "target_lang": None,
            "train_subset": "train",
            "dataset_impl": None,
            "required_seq_len_multiple": 1,
        },
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
    if criterion["_name"] == "word_kd":
        of = TranslationTask.setup_task(task(data).cfg)  # with the dictionaries in `data`
        WordKDCriterion(of, **{name: value for name, value in criterion.items() if name != "_name"})
        state["task_state"] = of.state_dict()
    torch.save(state, path)
    return path


def sentences(count: int, seed: int) -> list[Pair]:
    """Random pairs of 1 to 9 tokens each side."""
    generator = torch.Generator().manual_seed(seed)

    def tokens() -> list[int]:
        length = int(torch.randint(1, 10, (), generator=generator))
        return torch.randint(4, ENTRIES, (length,), generator=generator).tolist()

    return [(tokens(), tokens()) for _ in range(count)]


def write_split(folder: Path, split: str, pairs: Sequence[Pair]) -> None:
    """A split as fairseq-preprocess binarizes it."""
    for side, language in enumerate(("en", "de")):
        prefix = f"{folder}/{split}.en-de.{language}"
        builder = MMapIndexedDatasetBuilder(f"{prefix}.bin")
        for pair in pairs:
            builder.add_item(torch.tensor([*pair[side], dictionary().eos()]))
        builder.finalize(f"{prefix}.idx")


def loaded_batch(of: TranslationTask, ids: Sequence[int], split: str = "train") -> dict[str, Any]:
    """These sentences of a split as fairseq hands them to a criterion: sorted by source length, sources padded left."""
    if split not in of.datasets:
        of.load_dataset(split)
    made: dict[str, Any] = of.dataset(split).collater([of.dataset(split)[index] for index in ids])
    return made


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


@pytest.fixture
def data_bin(data: Path) -> Path:
    """The data folder with 12 training and 5 validation sentences in it."""
    write_split(data, "train", sentences(12, seed=1))
    write_split(data, "valid", sentences(5, seed=2))
    return data


@pytest.fixture
def teachers(data_bin: Path, tmp_path: Path) -> list[Path]:
    """Checkpoints of two teachers, trained with alpha 0.1 and 0.2 as they say."""
    folder = tmp_path / "teachers"
    folder.mkdir()
    criteria = [{"_name": "smoothed_cross_entropy", "label_smoothing": alpha} for alpha in (0.1, 0.2)]
    return [
        save_checkpoint(folder / f"{name}.pt", model(task(), seed), criterion, data_bin)
        for name, seed, criterion in zip("AB", (1, 2), criteria, strict=True)
    ]


@pytest.fixture
def make_cache(data_bin: Path, teachers: list[Path], tmp_path: Path) -> Callable[..., Path]:
    """`make_cache("--topk", "all", ...)`: what `python -m nmt_plugin.cache` writes of the first teacher, in batches of
    at most 40 tokens.
    """

    def make(*flags: str, output: str = "cache") -> Path:
        common = ["--teacher", str(teachers[0]), "--data", str(data_bin), "--output", str(tmp_path / output), "--cpu"]
        cache_main([*common, "--max-tokens", "40", *flags])
        return tmp_path / output

    return make


@pytest.fixture
def without_fairseq(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stands for fairseq-preprocess, which takes seconds to start; what it was asked for. The source's dictionary has
    two lines, the target's three.
    """
    asked: list[dict[str, Any]] = []

    def preprocess(
        source: Path,
        output: Path,
        *languages: str,
        workers: int,
        joined: bool = True,
        dictionaries: Mapping[str, Path] | None = None,
    ) -> None:
        asked.append({"joined": joined, "dictionaries": dictionaries})
        output.mkdir()
        for number, language in enumerate(languages, 2):
            (output / f"dict.{language}.txt").write_text("a 2\n" * number)

    monkeypatch.setattr(databin, "preprocess", preprocess)
    return asked
