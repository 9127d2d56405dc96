"""One of two processes (`python -m`), of which only the second gets SIGTERM; each writes what it was told."""

import os
import signal
import sys
from pathlib import Path

import torch
from torch import distributed

from shared.sigterm import Sigterm


def main(folder: Path, rank: int, size: int) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=size)
    sigterm, device = Sigterm(), torch.device("cpu")
    sigterm.watch()
    before = sigterm.has_come(device)
    if rank == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    (folder / f"told{rank}").write_text(f"{before} {sigterm.has_come(device)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
