"""Averages of checkpoints: the mean itself, what is kept, which are taken, what is refused."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from nmt_plugin.checkpoints import checkpoint_config, read_checkpoint
from nmt_plugin.records import TrainedModel
from nmt_plugin.scores.averaging import average_checkpoints, latest_checkpoints
from shared.errors import UserError
from shared.files import sha256

Make = Callable[..., Path]
CRITERION = {"_name": "smoothed_cross_entropy", "label_smoothing": 0.1}


@pytest.fixture
def make(tiny: ModuleType, data: Path, tmp_path: Path) -> Make:
    """`make(epoch, change=...)`: checkpoint<epoch>.pt of random weights, its state changed by `change`."""

    def checkpoint(epoch: int, change: Callable[[dict[str, Any]], object] | None = None) -> Path:
        trained = tiny.model(tiny.task(data), seed=epoch)
        path = tiny.save_checkpoint(tmp_path / f"checkpoint{epoch}.pt", trained, CRITERION, data)
        state = read_checkpoint(str(path))
        state = {**state, "model": {name: weight.clone() for name, weight in state["model"].items()}}
        state["last_optimizer_state"] = {"exp_avg": torch.ones(3)}
        if change:
            change(state)
        torch.save(state, path)
        return path

    return checkpoint


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(str(path))["model"]


def test_every_weight_is_the_mean(make: Make, tmp_path: Path) -> None:
    """Against numpy's mean in float64."""
    paths = [make(epoch) for epoch in (3, 2, 1)]
    average_checkpoints(paths, tmp_path / "avg.pt")
    averaged, sources = weights_of(tmp_path / "avg.pt"), [weights_of(path) for path in paths]
    assert list(averaged) == list(sources[0])
    for name, weight in averaged.items():
        wanted = np.mean([source[name].double().numpy() for source in sources], axis=0)
        np.testing.assert_allclose(weight.numpy(), wanted.astype(np.float32), rtol=1e-7, err_msg=name)
        assert weight.dtype == sources[0][name].dtype


def test_half_precision_is_summed_in_float64(make: Make, tmp_path: Path) -> None:
    """In fp16 the sum of three 40,000 overflows to infinity, and 1 + 2048 + 2048 loses the 1."""

    def fill(*values: float) -> Callable[[dict[str, Any]], object]:
        return lambda state: state["model"].update({"extra": torch.tensor(values, dtype=torch.float16)})

    paths = [make(k, fill(40_000, x)) for k, x in ((1, 1.0), (2, 2048.0), (3, 2048.0))]
    average_checkpoints(paths, tmp_path / "avg.pt")
    extra = weights_of(tmp_path / "avg.pt")["extra"]
    assert extra.dtype == torch.float16
    assert extra.tolist() == [40_000, float(np.float16((1 + 2048 + 2048) / 3))]


def test_counters_are_the_newest(make: Make, tmp_path: Path) -> None:
    paths = [make(k, lambda s, k=k: s["model"].update({"steps": torch.tensor(k)})) for k in (7, 4)]
    average_checkpoints(paths, tmp_path / "avg.pt")
    assert weights_of(tmp_path / "avg.pt")["steps"].item() == 7


def test_it_reads_as_a_checkpoint_and_names_its_sources(make: Make, tmp_path: Path) -> None:
    paths = [make(2), make(1)]
    for name in ("a.pt", "b.pt"):
        average_checkpoints(paths, tmp_path / name)
    assert sha256(tmp_path / "a.pt") == sha256(tmp_path / "b.pt")  # so that its translation need not be made again
    state = read_checkpoint(str(tmp_path / "a.pt"))
    assert state["averaged"] == {path.name: sha256(path) for path in paths}
    assert "last_optimizer_state" not in state
    assert checkpoint_config(state).model == checkpoint_config(read_checkpoint(str(paths[0]))).model
    ours, theirs = (TrainedModel(path).card() for path in (tmp_path / "a.pt", paths[0]))
    assert (ours.arch, ours.parameters, ours.recipe) == (theirs.arch, theirs.parameters, theirs.recipe)


def test_other_models_are_refused(make: Make, tmp_path: Path) -> None:
    def more_heads(state: dict[str, Any]) -> None:
        state["cfg"]["model"].decoder_attention_heads = 4

    def other_dictionary(state: dict[str, Any]) -> None:
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "dict.de.txt").write_text("w 1\n")
        state["cfg"]["task"]["data"] = str(tmp_path / "other")

    first = make(9)
    for epoch, change, what in (
        (1, lambda state: state["model"].popitem(), "weights"),
        (2, lambda state: state["model"].update(dict.fromkeys(list(state["model"])[:1], torch.ones(2, 2))), "weights"),
        (3, other_dictionary, "dictionaries"),
        (4, more_heads, "architecture"),
    ):
        with pytest.raises(UserError, match=rf"checkpoint{epoch}\.pt and .*checkpoint9\.pt differ in their {what}"):
            average_checkpoints([first, make(epoch, change)], tmp_path / "avg.pt")
    assert not list(tmp_path.glob("*avg*"))


def test_the_last_are_taken_by_number(tmp_path: Path) -> None:
    """Epochs go before updates; last, best and averages are no points of their own."""
    for name in ("2", "9", "10", "_1_900", "_2_1000", "_2_1100", "_2_1200", "_last", "_best", "_avg2", "_best_3.2"):
        (tmp_path / f"checkpoint{name}.pt").touch()
    names = [path.name for path in latest_checkpoints(tmp_path, 2)]
    assert names == ["checkpoint10.pt", "checkpoint9.pt"]
    names = [path.name for path in latest_checkpoints(tmp_path, 4)]  # there are only three epochs
    assert names == ["checkpoint_2_1200.pt", "checkpoint_2_1100.pt", "checkpoint_2_1000.pt", "checkpoint_1_900.pt"]
    with pytest.raises(UserError, match=r"fewer than 5 checkpoints.*found: checkpoint10\.pt, checkpoint2\.pt, "):
        latest_checkpoints(tmp_path, 5)


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found: none"):
        latest_checkpoints(tmp_path, 2)
