"""fairseq plugin: `fairseq-train ... --user-dir nmt_plugin` learns the criteria and architectures of this package.

fairseq imports the plugin before it reads any checkpoint. Since torch 2.6, `torch.load` refuses every class that is not
allow-listed, and a fairseq checkpoint holds one: `argparse.Namespace`, a plain holder of options. Allow-listing it here
lets fairseq read its own checkpoints in the restricted mode; nothing is ever unpickled without restriction.
"""

import argparse

import torch

if hasattr(torch.serialization, "add_safe_globals"):  # torch >= 2.4; before it only training without a teacher works
    torch.serialization.add_safe_globals([argparse.Namespace])

from nmt_plugin import architectures, criterions  # noqa: F401  (registers them with fairseq)
from nmt_plugin.data_folder import check_before_translation
from nmt_plugin.fast_path import avoid_fast_path

avoid_fast_path()
check_before_translation()
