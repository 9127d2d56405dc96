"""What is said of a file that is no archive."""

from pathlib import Path

import pytest

from nmt_plugin.corpora.archive import read_files
from shared.errors import UserError


def test_a_file_that_is_no_archive_is_refused_in_one_line(tmp_path: Path) -> None:
    """tarfile's own message has a line for each compression that it tried."""
    path = tmp_path / "notes.txt"
    path.write_text("no archive\n" * 100)
    with pytest.raises(UserError) as caught:
        read_files(path, "de-en", ["train.tags.de-en.de"])
    assert str(caught.value) == f"{path} is not a whole .tgz archive: file could not be opened successfully"
