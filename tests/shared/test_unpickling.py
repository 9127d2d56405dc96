from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from shared.unpickling import load_torch


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("mapped", [True, False])
def test_either_format_with_and_without_a_map(is_zip: bool, mapped: bool, tmp_path: Path) -> None:
    weights = OrderedDict(weight=torch.arange(6.0).view(2, 3))
    torch.save(
        {"state_dict": weights, "shape": torch.Size([2, 3])}, tmp_path / "x.pt", _use_new_zipfile_serialization=is_zip
    )
    found = load_torch(tmp_path / "x.pt", mapped=mapped)
    assert found["state_dict"]["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["shape"] == (2, 3)
