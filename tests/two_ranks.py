"""Two processes of torch.distributed, each `python -m MODULE FOLDER RANK 2`, whose main is `in_a_group(main)`."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from torch import distributed

_ROOT = Path(__file__).parents[1]


def run_two_ranks(module: str, folder: Path) -> None:
    """Until both are done; what they write is in `folder`."""
    command = [sys.executable, "-m", module, str(folder)]
    processes = [
        subprocess.Popen(
            [*command, str(rank), "2"], cwd=_ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE
        )
        for rank in range(2)
    ]
    for process in processes:
        errors = process.communicate(timeout=120)[1]
        assert process.returncode == 0, errors.decode()


def in_a_group(main: Callable[[Path, int], None]) -> None:
    """`main(folder, rank)` in one process of a group, as the command line says.

    The group is taken down before the process ends: gloo's threads may otherwise abort it ("terminate called without
    an active exception") where the other process is gone first.
    """
    folder, rank, world = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    distributed.init_process_group(
        "gloo", f"file://{folder}/rendezvous", timedelta(seconds=60), world_size=world, rank=rank
    )
    main(folder, rank)
    distributed.destroy_process_group()
