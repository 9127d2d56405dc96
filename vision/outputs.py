"""Whose a command's output folder is."""

from pathlib import Path

from shared.errors import UserError
from shared.results import FILE_NAME, read_result
from vision.training.run_folder import RunFolder


def check_output(output: str | None, kind: str) -> None:
    """Raise UserError where `output` (None: nothing is written) is a training run's, or holds a record of another kind.

    The record that a training ends in is of kind model, as that of one model's scores is; it tells `last` from `best`.
    """
    if output is None:
        return
    record = Path(output) / FILE_NAME
    found = read_result(record) if record.exists() else None
    if RunFolder(output).is_run or (found and any(name.startswith("last/") for name in found.metrics)):
        raise UserError(f"output={output} is the folder of a training run; choose another output")
    if found and (found.kind, found.task) != (kind, "image-classification"):
        raise UserError(f"{record} is a record of kind {found.kind} ({found.task}); choose another output")
