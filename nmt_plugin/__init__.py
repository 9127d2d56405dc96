"""fairseq plugin: `fairseq-train ... --user-dir nmt_plugin` learns the criteria and architectures of this package.

fairseq imports the plugin before it reads any checkpoint. Since torch 2.6, `torch.load` refuses every class that is not
allow-listed. A fairseq checkpoint holds one, `argparse.Namespace`, a plain holder of options; after a training with
`--eval-bleu` also numpy arrays, the counts of its last score. Allow-listing both here lets fairseq read its own
checkpoints in the restricted mode. torch 2.4 and 2.5 have that mode but do not insist on it,
and fairseq does not ask for it, so it is forced for this process and those it starts. Whoever must load something else
in the same process sets `TORCH_FORCE_WEIGHTS_ONLY_LOAD=0` (or torch's opposite, `TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1`)
and answers for what fairseq then unpickles; the plugin's own reading stays restricted.
"""

import argparse
import os

import numpy as np
import torch

if hasattr(torch.serialization, "add_safe_globals"):  # torch >= 2.4; before it only training without a teacher works
    rebuild = (getattr(np, "_core", None) or np.core).multiarray._reconstruct
    numbers = [type(np.dtype(kind)) for kind in (np.int64, np.float64)]
    torch.serialization.add_safe_globals([argparse.Namespace, np.ndarray, np.dtype, *numbers, rebuild])
    older = "numpy.core.multiarray"  # before numpy 2
    if rebuild.__module__ != older:
        torch.serialization.add_safe_globals([(rebuild, f"{older}._reconstruct")])
    if "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ:  # torch refuses to load anything with both
        os.environ.setdefault("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")

from nmt_plugin import architectures, criterions  # noqa: F401  (registers them with fairseq)
from nmt_plugin.data_folder import check_before_translation
from nmt_plugin.fairseq_training import watch_training, write_whole_checkpoints
from nmt_plugin.fast_path import avoid_fast_path
from nmt_plugin.spawned import watch_spawned

avoid_fast_path()
check_before_translation()
write_whole_checkpoints()
watch_training()
watch_spawned()
