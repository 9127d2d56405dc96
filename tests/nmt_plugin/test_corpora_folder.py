"""A folder that is whole or absent: what a killed build leaves, and what of the user's is never touched."""

import subprocess
import sys
from pathlib import Path

import pytest

from nmt_plugin.corpora.folder import whole_folder
from shared.errors import UserError

KILLED = """
import os, sys
from pathlib import Path
from nmt_plugin.corpora.folder import whole_folder
with whole_folder(Path(sys.argv[1])) as folder:
    (folder / "below").mkdir()
    (folder / "below" / "half").touch()
    os._exit(9)
"""
KILLED_BETWEEN_RENAMES = """
import os, sys
from pathlib import Path
from nmt_plugin.corpora.folder import whole_folder
rename, final = Path.rename, Path(sys.argv[1])
Path.rename = lambda path, to: (rename(path, to), os._exit(9) if path == final else None)
with whole_folder(final) as folder:
    (folder / "second").touch()
"""


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def build(final: Path, file: str) -> None:
    with whole_folder(final) as folder:
        assert list(folder.iterdir()) == []
        (folder / file).touch()


def killed(program: str, final: Path) -> None:
    root = Path(__file__).parent.parent.parent
    assert subprocess.run([sys.executable, "-c", program, str(final)], cwd=root, check=False).returncode == 9


def test_a_killed_build_is_cleared_by_the_next(tmp_path: Path) -> None:
    final = tmp_path / "corpus"
    killed(KILLED, final)
    assert not final.exists()
    assert any(name.endswith("below/half") for name in names(tmp_path))
    build(final, "whole")
    assert names(tmp_path) == {"corpus/whole"}
    assert {path.name for path in tmp_path.iterdir()} == {"corpus"}


def test_what_was_set_aside_by_a_killed_build_comes_back(tmp_path: Path) -> None:
    final = tmp_path / "corpus"
    build(final, "first")
    killed(KILLED_BETWEEN_RENAMES, final)
    assert not final.exists()

    def interrupted() -> None:
        with whole_folder(final):
            assert names(final) == {"first"}
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(tmp_path) == {"corpus/first"}


def test_a_failed_replacement_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    final, rename = tmp_path / "corpus", Path.rename
    build(final, "first")

    def failing(path: Path, to: Path) -> Path:
        if path.name == "new":
            raise OSError("no room")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no room"):
        build(final, "second")
    assert names(tmp_path) == {"corpus/first"}
    assert {path.name for path in tmp_path.iterdir()} == {"corpus"}


def test_folders_of_the_user_beside_it_stay(tmp_path: Path) -> None:
    final = tmp_path / "corpus"
    build(final, "first")
    (tmp_path / "corpus.old").mkdir()
    (tmp_path / "corpus.old" / "precious").touch()
    build(final, "second")
    assert names(tmp_path) == {"corpus/second", "corpus.old/precious"}


def test_a_part_folder_of_the_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corpus.part").mkdir()
    (tmp_path / "corpus.part" / "precious").touch()
    with pytest.raises(UserError, match=r"corpus\.part is in the way .*; move it, or choose another --output"):
        build(tmp_path / "corpus", "whole")
    assert names(tmp_path) == {"corpus.part/precious"}


def test_a_symbolic_link_is_replaced_and_what_it_names_stays(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "precious").touch()
    (tmp_path / "corpus").symlink_to(tmp_path / "disk")
    build(tmp_path / "corpus", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"corpus", "disk"}
    assert names(tmp_path / "corpus") == {"whole"}
    assert names(tmp_path / "disk") == {"precious"}
