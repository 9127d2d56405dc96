"""fairseq plugin: `fairseq-train ... --user-dir nmt_plugin` learns the criteria of this package.

fairseq imports the plugin before it reads any checkpoint. Since torch 2.6, `torch.load` refuses every class that is not
allow-listed, and a fairseq checkpoint holds one: `argparse.Namespace`, a plain holder of options. Allow-listing it here
lets fairseq read its own checkpoints in the restricted mode; nothing is ever unpickled without restriction.
"""

import argparse

import torch

torch.serialization.add_safe_globals([argparse.Namespace])

from nmt_plugin import criterions  # noqa: E402, F401  (registers the criteria with fairseq)
from nmt_plugin.data_folder import check_before_translation  # noqa: E402

check_before_translation()
