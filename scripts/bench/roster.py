"""Which contenders run here: what is installed, what the device can do, what `--without` leaves."""

import importlib.util
from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

import contenders
import peers
from contenders import Contender, Entries, Setting


class Extra(NamedTuple):
    """What `--without` can leave out: its maker, the module it imports, and whether it runs on a GPU alone."""

    maker: Callable[[Setting], Entries]
    module: str = "torch"
    gpu: bool = False


# By pip's name where it is a package.
OPTIONAL = {
    "compile": Extra(contenders.compiled),
    "timm": Extra(peers.timm_task, "timm"),
    "torchdistill": Extra(peers.torchdistill, "torchdistill"),
    "liger-kernel": Extra(peers.liger, "liger_kernel", gpu=True),
    "triton": Extra(partial(contenders.fused, "triton"), "triton", gpu=True),
}
_ALWAYS = (contenders.composition, contenders.ours, partial(contenders.fused, "chunked"))


def roster(task: str, setting: Setting, without: Collection[str], skip: Callable[[str], None]) -> list[Contender]:
    """The contenders of `task`; `skip` is told why one is left out, except by `without`."""
    found = [contender for maker in _ALWAYS for contender in maker(setting).get(task, [])]
    for name, extra in OPTIONAL.items():
        if name in without:
            continue
        if extra.gpu and setting.device.type != "cuda":
            skip(f"{name} is left out: it needs a GPU")
        elif importlib.util.find_spec(extra.module) is None:
            skip(f"{name} is left out: not installed (pip install {name})")
        else:
            try:
                found += extra.maker(setting).get(task, [])
            except ImportError as error:
                skip(f"{name} is left out: {error} (pip install {name})")
    return found
