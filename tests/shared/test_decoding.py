from pathlib import Path

import pytest

from shared.decoding import read_json
from shared.errors import UserError


def test_json_has_a_depth_of_its_own(tmp_path: Path) -> None:
    """Well before Python's, which later steps would meet."""
    path = tmp_path / "deep.json"
    path.write_text("[" * 64 + "]" * 64)
    read_json(path)
    path.write_text("[" * 65 + "]" * 65)
    with pytest.raises(UserError, match="nested deeper than 64"):
        read_json(path)
