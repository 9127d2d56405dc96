"""One of two processes (`python -m`), of which only the second gets SIGTERM; each writes what it was told."""

import os
import signal
from pathlib import Path

import torch

from shared.sigterm import Sigterm
from tests.two_ranks import in_a_group


def main(folder: Path, rank: int) -> None:
    sigterm, device = Sigterm(), torch.device("cpu")
    sigterm.watch()
    before = sigterm.has_come(device)
    if rank == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    (folder / f"told{rank}").write_text(f"{before} {sigterm.has_come(device)}")


if __name__ == "__main__":
    in_a_group(main)
