import tracemalloc
from pathlib import Path

import pytest

from shared import decoding
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


def test_a_list_that_holds_itself_many_times_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MOST", 1000)
    looped: list[object] = []
    looped += [looped] * 900
    tracemalloc.start()
    with pytest.raises(UserError, match="more than 1,000 values, or itself"):
        decoding.check_plain(looped, "it")
    assert tracemalloc.get_traced_memory()[1] < 1e6  # 900 more at each of 1,000 looks were 7 MB
    tracemalloc.stop()
