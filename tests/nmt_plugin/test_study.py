"""The output of the measurements of decoder states."""

import os
from pathlib import Path

import pytest

from nmt_plugin.decoder_states.study import check_output
from shared.errors import UserError


def test_an_output_is_made_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_output(tmp_path / "new" / "study", "diffusion")
    assert (tmp_path / "new" / "study").is_dir()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match=r"cannot write to .*study; choose an --output you may write"):
        check_output(tmp_path / "new" / "study", "diffusion")
