"""fairseq-preprocess: pieces in, fairseq's binary data and dictionaries out.

A dictionary is made by fairseq's own count of the training pieces, not copied from the SentencePiece vocabulary: a
BPE vocabulary also holds intermediate merges that no text ever uses, and label smoothing would train those rows of the
output layer towards nothing.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from shared.errors import UserError

SPLITS = ("train", "valid", "test")


def require_fairseq() -> None:
    """UserError if fairseq-preprocess cannot be run by this Python."""
    if importlib.util.find_spec("fairseq_cli") is None:
        raise UserError("fairseq-preprocess is missing in this Python; scripts/setup.sh installs it (extra `nmt`)")


def preprocess(
    pieces: Path,
    output: Path,
    source: str,
    target: str,
    *,
    workers: int,
    joined: bool = True,
    dictionaries: Mapping[str, Path] | None = None,
) -> None:
    """Binarize pieces/{train,valid,test}.{source,target} into the folder `output`.

    One dictionary for both languages where `joined`, else one for each; or the finished `dictionaries` by language.
    UserError with fairseq's last line where it fails, and for text that it would read as more lines than there are.
    """
    _check_lines(pieces, (source, target))
    command = [sys.executable, "-m", "fairseq_cli.preprocess", "--source-lang", source, "--target-lang", target]
    command += ["--workers", str(workers), "--destdir", str(output)]
    if dictionaries is not None:
        command += ["--srcdict", str(dictionaries[source]), "--tgtdict", str(dictionaries[target])]
    elif joined:
        command += ["--joined-dictionary"]
    for name in SPLITS:
        command += [f"--{name}pref", str(pieces / name)]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"fairseq-preprocess failed with exit status {done.returncode}: {last}")
    (output / "preprocess.log").unlink(missing_ok=True)  # names the temporary folder it was run in


def _check_lines(pieces: Path, languages: tuple[str, str]) -> None:
    """fairseq ends a line at a carriage return too; what is built here has none, but the corpus may be a stranger's."""
    for path in (pieces / f"{name}.{language}" for name in SPLITS for language in languages):
        if path.is_file() and b"\r" in (data := path.read_bytes()):
            line = data[: data.index(b"\r")].count(b"\n") + 1
            raise UserError(f"{path}, line {line:,}: holds a carriage return, at which fairseq would end the line")
