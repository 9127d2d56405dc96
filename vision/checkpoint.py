"""Exported models: weights as safetensors, and a JSON card of the same name beside them."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from shared.decoding import decode, read_json
from shared.errors import UserError
from shared.files import atomic_path, sha256, write_text
from shared.results import Model
from vision.data import ImageData
from vision.models import build_model

SCHEMA = 1
LARGEST = 4096  # pixels a side, and any number of layers, channels, ...: opening a model builds it and tries one image


@dataclass(frozen=True)
class Card:
    """All that is needed to build the network again, and what it is. `model.sha256` is that of the weights' file."""

    arch: str  # timm's name
    kwargs: dict[str, Any]  # further arguments of timm.create_model
    image_shape: list[int]  # C, H, W
    class_names: list[str]
    mean: list[float]  # input normalization: (pixel / 255 - mean) / std, per channel
    std: list[float]
    data: str
    data_sha256: dict[str, str]  # of each file that was read
    export: str  # "last" or "best" epoch
    model: Model
    teacher: Model | None = None
    teachers: list[Model] = field(default_factory=list)  # all of them where there are several; `teacher` is the first
    schema: int = SCHEMA

    def build(self) -> nn.Module:
        """The network, untrained."""
        channels, height, width = self.image_shape
        return build_model(self.arch, len(self.class_names), (channels, height, width), self.kwargs)


def save_export(path: Path, model: nn.Module, card: Card) -> Card:
    """Write `path` (.safetensors), then its card beside it (.json), each atomically; the card, sha256 filled in."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(path) as beside:
        beside.write_bytes(save(state))
    card = dataclasses.replace(card, model=dataclasses.replace(card.model, sha256=sha256(path)))
    write_text(path.with_suffix(".json"), json.dumps(dataclasses.asdict(card), indent=1, ensure_ascii=False) + "\n")
    return card


def load_card(path: str | Path) -> Card:
    """The card of the export `path`. Raises UserError where there is no such export, or the two files do not match."""
    weights = Path(path)
    card_path = weights.with_suffix(".json")
    if not weights.is_file():
        raise UserError(f"{weights}: no such file; name an export of vision.train, e.g. DIR/last.safetensors")
    if weights.suffix != ".safetensors" or not card_path.is_file():
        raise UserError(f"{weights}: not a model export; name a .safetensors file with its .json card beside it")
    try:
        card: Card = decode(Card, read_json(card_path), "card")
        _check_complete(card)
    except ValueError as error:  # no JSON, no UTF-8, or decode's UserError
        raise UserError(f"{card_path}: not the card of a model export ({error})") from None
    if card.schema != SCHEMA:
        raise UserError(f"{card_path}: card schema {card.schema} is not supported; this version reads {SCHEMA}")
    if sha256(weights) != card.model.sha256:
        raise UserError(f"{weights}: its bytes are not those its card describes; copy both files again")
    return card


def _check_complete(card: Card) -> None:
    if len(card.image_shape) != 3 or not all(1 <= side <= LARGEST for side in card.image_shape):
        raise UserError(f"card.image_shape is {card.image_shape}, not channels, height and width up to {LARGEST:,}")
    if large := [number for number in _numbers(card.kwargs) if abs(number) > LARGEST]:
        raise UserError(f"card.kwargs holds {large[0]}; want numbers up to {LARGEST:,}")
    if missing := [key for key in ("train_size", "validation_size") if key not in card.model.recipe]:
        raise UserError(f"card.model.recipe lacks {', '.join(missing)}")


def _numbers(value: Any) -> list[int | float]:
    """All numbers inside of plain values."""
    if isinstance(value, (dict, list)):
        inner = value.values() if isinstance(value, dict) else value
        return [number for one in inner for number in _numbers(one)]
    return [value] if isinstance(value, (int, float)) else []


def load_export(path: str | Path) -> tuple[nn.Module, Card]:
    """The trained network, in eval mode on the CPU, and its card. Raises UserError as `load_card` does."""
    card = load_card(path)
    model = card.build()
    try:
        model.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise UserError(f"{path}: not weights of {card.arch}: {str(error).splitlines()[0]}") from None
    return model, card


def check_same_data(path: str | Path, card: Card, data: ImageData) -> None:
    """Raise UserError where the model of `path` has other classes, inputs, held-out images or files than `data`."""
    if len(card.class_names) != len(data.class_names):
        raise UserError(f"{path} knows {len(card.class_names)} classes, {data.name} has {len(data.class_names)}")
    held_out = len(data.splits["val"])  # a smaller validation part would have shown the model some of these images
    for what, theirs, ours in (
        ("image shape", card.image_shape, list(data.image_shape)),
        ("mean", card.mean, data.mean),
        ("std", card.std, data.std),
        ("class names", card.class_names, data.class_names),
        ("validation_size", card.model.recipe["validation_size"], held_out),
        ("sha256 of the files", card.data_sha256, data.sha256),
    ):
        if theirs != ours:
            raise UserError(f"{what} of {path} and of {data.name} differ: {theirs} and {ours}")
