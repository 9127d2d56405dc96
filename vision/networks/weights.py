"""A state dict of unknown making, matched by names and shapes to one of timm's architectures."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, takewhile
from typing import Any

import torch
from torch import Tensor, nn

from shared.errors import UserError
from vision.models import build_model, classifier
from vision.networks.architectures import outline, torchvision_layout

Weights = dict[str, Tensor]


def build_trained(
    spec: str, arch: str, kwargs: dict[str, Any], weights: Weights, size: tuple[int, int] | None
) -> tuple[nn.Module, list[str]]:
    """timm's `arch` with `weights`, in eval mode on the CPU, and notes on what was left out.

    Names may be timm's or torchvision's, below any common prefix (`module.`, `model.`, ...); what lies outside the
    prefix is left out. The numbers of classes and of input channels are those of the weights. `size` is the height and
    width on which one forward pass tries the network (None: timm's own for `arch`). Raises UserError, which begins
    with `spec`, where the weights are not those of `arch`.
    """
    prefix, named = _rename(spec, arch, kwargs, weights)
    sketch = _outline_of(arch, kwargs, named)
    expected = sketch.state_dict()
    check_fit(spec, arch, expected, named)
    published: Any = sketch.pretrained_cfg
    shape = (input_channels(sketch), *(size or published["input_size"][1:]))
    model = build_model(arch, classifier(sketch).out_features, shape, kwargs)
    own = {name: named[name].reshape(tensor.shape) for name, tensor in expected.items() if name in named}
    model.load_state_dict(own, strict=False)  # checked above, and exactly
    left_out = [name for name in weights if not name.startswith(prefix)]
    return model, [f"left out {len(left_out)} tensors outside {prefix}* ({_few(left_out)})"] if left_out else []


def check_fit(spec: str, arch: str, expected: Weights, named: Weights) -> None:
    """Raise UserError that says which tensors are missing, unexpected or of another shape."""
    # Counters of batches seen, which evaluation does not read and files of old torch versions lack.
    missing = [name for name in expected if name not in named and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in named if name not in expected]
    misshapen = [
        f"{name}: {_shape(named[name])} for {_shape(tensor)}"
        for name, tensor in expected.items()
        if name in named and _squeezed(named[name]) != _squeezed(tensor)
    ]
    found = {
        f"of its {len(expected)} tensors are missing": missing,
        "are unexpected": unexpected,
        "have another shape": misshapen,
    }
    if problems := [f"{len(names)} {what} ({_few(names)})" for what, names in found.items() if names]:
        raise UserError(f"{spec}: not weights of {arch}: {'; '.join(problems)}")


def find_twins(networks: Sequence[tuple[str, nn.Module]]) -> tuple[str, str] | None:
    """The names of two that have the same weights, whatever files they came from; None where there are none."""
    for (name, one), (other_name, other) in combinations(networks, 2):
        ours, theirs = one.state_dict(), other.state_dict()
        if ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours):
            return name, other_name
    return None


def name_of(model: nn.Module, part: nn.Module) -> str:
    """The dotted name of a module within `model`."""
    return next(name for name, module in model.named_modules() if module is part)


def input_channels(model: nn.Module) -> int:
    """Channels of the images that the first convolution of `model` reads."""
    return next(tensor.shape[1] for tensor in model.state_dict().values() if tensor.ndim == 4)


def _rename(spec: str, arch: str, kwargs: dict[str, Any], weights: Weights) -> tuple[str, Weights]:
    """The prefix below which `weights` hold the network best, and what lies there by timm's names."""
    ours = outline(arch, kwargs).state_dict()
    # torchvision's layout is that of the network without further arguments; dropout, e.g., has no tensors.
    alike = _shapes(ours) == _shapes(outline(arch, {}).state_dict())
    layouts = [{name: name for name in ours}] + ([torchvision_layout(arch)] if alike else [])
    found = Counter(
        (name.removesuffix(rest), number)
        for number, layout in enumerate(layouts)
        for name, tensor in weights.items()
        for rest in _endings(name)
        if rest in layout and _squeezed(tensor) == _squeezed(ours[layout[rest]])
    )
    (prefix, number), most = found.most_common(1)[0] if found else (("", 0), 0)
    if most <= len(ours) / 2:  # another architecture, which matches here and there: show it as a whole
        prefix, number = _common_prefix(weights), 0
    elif rivals := sorted({other for (other, _), count in found.items() if count == most} - {prefix}):
        raise UserError(
            f"{spec}: holds {len(rivals) + 1} networks of {arch} ({_few([f'{p}*' for p in (prefix, *rivals)])}); save "
            "the state_dict of the one that you mean as a file of its own"
        )
    inside = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    return prefix, {layouts[number].get(name, name): tensor for name, tensor in inside.items()}


def _outline_of(arch: str, kwargs: dict[str, Any], named: Weights) -> nn.Module:
    """The outline of `arch` with as many classes and input channels as the weights `named` by timm's names have."""
    sketch = outline(arch, kwargs)
    head = named.get(f"{name_of(sketch, classifier(sketch))}.weight")
    stem = named.get(next(name for name, tensor in sketch.state_dict().items() if tensor.ndim == 4))
    sizes = {"num_classes": head.shape[0]} if head is not None and head.ndim == 2 else {}
    sizes |= {"in_chans": stem.shape[1]} if stem is not None and stem.ndim == 4 else {}
    return outline(arch, kwargs | sizes)


def _endings(name: str) -> list[str]:
    """`a.b.c`, `b.c`, `c`."""
    parts = name.split(".")
    return [".".join(parts[k:]) for k in range(len(parts))]


def _common_prefix(names: Weights) -> str:
    """The dotted part, its dot included, with which all names begin."""
    first, last = min(names).split("."), max(names).split(".")
    common = [one for one, other in takewhile(lambda pair: pair[0] == pair[1], zip(first[:-1], last, strict=False))]
    return "".join(f"{part}." for part in common)


def _squeezed(tensor: Tensor) -> list[int]:
    """The shape without axes of length 1: torchvision stores a layer scale as [C, 1, 1], timm as [C]."""
    return [length for length in tensor.shape if length != 1]


def _shapes(weights: Weights) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in weights.items()}


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
