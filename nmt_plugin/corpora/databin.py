"""fairseq-preprocess: pieces in, fairseq's binary data and joined dictionary out.

The dictionary is made by fairseq's own count of the training pieces, not copied from the SentencePiece vocabulary: a
BPE vocabulary also holds intermediate merges that no text ever uses, and label smoothing would train those rows of the
output layer towards nothing.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from shared.errors import UserError


def require_fairseq() -> None:
    """UserError if fairseq-preprocess cannot be run by this Python."""
    if importlib.util.find_spec("fairseq_cli") is None:
        raise UserError("fairseq-preprocess is missing in this Python; scripts/setup.sh installs it (extra `nmt`)")


def preprocess(pieces: Path, output: Path, source: str, target: str, *, workers: int) -> None:
    """Binarize pieces/{train,valid,test}.{source,target} into the folder `output`."""
    command = [sys.executable, "-m", "fairseq_cli.preprocess", "--source-lang", source, "--target-lang", target]
    command += ["--joined-dictionary", "--workers", str(workers), "--destdir", str(output)]
    for name in ("train", "valid", "test"):
        command += [f"--{name}pref", str(pieces / name)]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"fairseq-preprocess failed with exit status {done.returncode}: {last}")
    (output / "preprocess.log").unlink(missing_ok=True)  # names the temporary folder it was run in
