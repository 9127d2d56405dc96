"""One line and exit status 2 for a user's mistake; files that are whole or absent."""

import hashlib
from pathlib import Path

import pytest

from shared.errors import UserError, check_alpha, check_temperature, exit_on_user_error
from shared.files import atomic_path, sha256, write_text


def test_user_error_becomes_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, exit_on_user_error():
        raise UserError("no such teacher")
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: no such teacher\n"


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), exit_on_user_error():
        _ = 1 / 0


@pytest.mark.parametrize("alpha", [-0.1, 1.0, float("nan"), float("inf")])
def test_alpha_out_of_range(alpha: float) -> None:
    with pytest.raises(UserError, match="alpha"):
        check_alpha(alpha)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_temperature_out_of_range(temperature: float) -> None:
    with pytest.raises(UserError, match="temperature"):
        check_temperature(temperature)


def test_good_values_pass() -> None:
    assert [check_alpha(0.0), check_alpha(0.1), check_temperature(64.0)] == [0.0, 0.1, 64.0]


def test_text_is_written_in_new_folders_with_unix_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b.txt", "käse\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"k\xc3\xa4se\n"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")

    def fail() -> None:
        with atomic_path(tmp_path / "a.txt") as beside:
            beside.write_text("half of the new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_sha256_is_hashlibs(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "x").write_bytes(content)
    assert sha256(tmp_path / "x") == hashlib.sha256(content).hexdigest()
