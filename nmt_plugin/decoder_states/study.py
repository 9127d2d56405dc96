"""What the measurements of decoder states share: their splits, their data's record, and an output of their own."""

import logging
from pathlib import Path

import torch

from nmt_plugin.corpora.corpus import Corpus
from nmt_plugin.outputs import writable_folder
from shared.errors import UserError
from shared.results import FILE_NAME, Data, read_result

SPLITS = ("train", "valid")  # never the test set


def quiet_libraries() -> None:
    """Importing fairseq opens the root logger down to DEBUG; a progress bar then drowns in what libraries say."""
    for library in ("fairseq", "matplotlib"):
        logging.getLogger(library).setLevel(logging.WARNING)


def check_output(output: Path, kind: str) -> None:
    """Raise UserError where `output` cannot be written, or holds a record of another kind (a model's scores)."""
    record = writable_folder(output) / FILE_NAME
    if record.exists() and (found := read_result(record).kind) != kind:
        raise UserError(f"{record} is a record of kind {found}; choose another --output")


def data_record(corpus: Corpus) -> Data:
    """The corpus as `nmt_plugin.evaluate` records it, so that a report knows the two for the same."""
    return Data(name=corpus.name, sizes=corpus.sizes, sha256=corpus.sha256)


def device_name(device: torch.device) -> str:
    """The GPU's own name, or the CPU with its number of threads."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
