"""Two processes of torch.distributed, each `python -m MODULE FOLDER RANK 2`."""

import os
import subprocess
import sys
from pathlib import Path

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
