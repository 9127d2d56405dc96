"""The command, from an archive at hand or from a mirror, to a corpus folder."""

import hashlib
import http.server
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from nmt_plugin.corpora import iwslt14
from nmt_plugin.corpora.__main__ import main


def command(output: Path, *more: object) -> list[str]:
    return [*("iwslt14", "--pair", "en-de", "--output", str(output), "--vocab-size", "70"), *map(str, more)]


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    errors = [line for line in message.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in message
    return errors[0]


@pytest.mark.usefixtures("without_fairseq")
def test_splits_and_card(archives: ModuleType, tmp_path: Path) -> None:
    archive = archives.long_archive(tmp_path / "de-en.tgz")
    main(command(tmp_path / "corpus", "--source", archive))
    assert lines(tmp_path / "corpus/raw/valid.en") == ["This is the Sentence 23.", "This is the Sentence 46."]
    train = [number for number in range(1, 61) if number not in (23, 46)]
    assert lines(tmp_path / "corpus/raw/train.de") == [f"Das ist der Satz {number}." for number in train]
    assert lines(tmp_path / "corpus/raw/test.en")[:3] == [
        "One in TED.dev2010.",
        "Two & three & <four>.",
        "One in TEDX.dev2012.",
    ]
    card = json.loads((tmp_path / "corpus/card.json").read_text("utf-8"))
    assert card["license"].startswith("CC BY-NC-ND")
    assert (card["source_language"], card["target_language"]) == ("en", "de")
    assert card["test_sets"] == dict.fromkeys(iwslt14.SETS, 2)
    assert card["counts"] == {"training_lines": 60, "fit": 60, "distinct": 60}
    assert card["dropped"] == {"metadata": {"url": 6, "talkid": 6}, "unfit": {}}
    assert {name: part["pairs"] for name, part in card["splits"].items()} == {"train": 58, "valid": 2, "test": 10}
    assert card["sentences_in_train_too"] == {"valid": 0, "test": 0}
    digest = hashlib.sha256(archives.official()["IWSLT14.TED.tst2010.de-en.de.xml"]).hexdigest()
    assert card["inputs"]["IWSLT14.TED.tst2010.de-en.de.xml"] == digest


@pytest.mark.usefixtures("without_fairseq")
def test_limits_and_case_are_asked_for(
    archives: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Test sets are never cleaned: their segments of 5 tokens stay."""
    archive = archives.long_archive(tmp_path / "de-en.tgz")
    main(command(tmp_path / "lower", "--source", archive, "--lowercase"))
    assert lines(tmp_path / "lower/raw/test.de")[0] == "eins in ted.dev2010."
    assert lines(tmp_path / "lower/raw/train.de")[0] == "das ist der satz 1."
    assert "lowercase True (asked: False)" in fails(capsys, command(tmp_path / "lower", "--source", archive))
    short = command(tmp_path / "short", "--source", archive, "--max-words", "4")
    assert "error: 0 fit training pairs" in fails(capsys, short)
    assert not (tmp_path / "short").exists()


@pytest.mark.usefixtures("without_fairseq")
def test_the_folder_is_the_same_request_as_the_archive(
    archives: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = archives.long_archive(tmp_path / "de-en.tgz")
    main(command(tmp_path / "corpus", "--source", archive))
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "out", filter="data")
    capsys.readouterr()
    main(command(tmp_path / "corpus", "--source", tmp_path / "out"))
    assert "is already built: train 58, valid 2, test 10 pairs" in capsys.readouterr().out


def test_mistakes(archives: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "corpus"
    archive = archives.write_archive(tmp_path / "de-en.tgz", archives.official())
    assert "choose from en-de, en-ru" in fails(capsys, ["iwslt14", "--pair", "de-en", "--output", str(output)])
    assert "not both" in fails(capsys, command(output, "--source", archive, "--url", "https://x/y"))
    russian = ["iwslt14", "--pair", "en-ru", "--output", str(output)]
    assert "ru-en.tgz has no address of its own" in fails(capsys, russian)
    assert "it lacks ru-en/train.tags.ru-en.en" in fails(capsys, [*russian, "--source", str(archive)])
    assert "5 fit training pairs are too few" in fails(capsys, command(output, "--source", archive))
    assert "is not an address" in fails(capsys, command(output, "--url", "file:///etc/passwd"))
    assert {path.name for path in tmp_path.iterdir()} == {"de-en.tgz"}


# Download


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; /short/NAME promises more than it sends."""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if not self.path.startswith("/short/"):
            return super().do_GET()
        content = (Path(self.directory) / self.path.rpartition("/")[2]).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(2 * len(content)))
        self.end_headers()
        self.wfile.write(content)
        return None


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address where a web server shows it."""
    folder = tmp_path / "site"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.usefixtures("without_fairseq")
def test_download_from_a_mirror_once(archives: ModuleType, tmp_path: Path, site: tuple[Path, str]) -> None:
    folder, address = site
    archive = archives.long_archive(folder / "mirror.tgz")
    main(command(tmp_path / "data" / "corpus", "--url", f"{address}/mirror.tgz"))
    kept = tmp_path / "data" / "iwslt14.de-en.tgz"
    assert kept.read_bytes() == archive.read_bytes()
    archive.unlink()  # a second run takes what the first has downloaded
    main(command(tmp_path / "data" / "corpus", "--url", f"{address}/mirror.tgz"))
    assert {path.name for path in kept.parent.iterdir()} == {"corpus", "iwslt14.de-en.tgz"}


def test_downloads_that_fail_leave_nothing(
    archives: ModuleType, tmp_path: Path, site: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, address = site
    archives.long_archive(folder / "mirror.tgz")
    (folder / "page.html").write_text("<html>moved</html>")
    output = tmp_path / "data" / "corpus"
    for path, said in (
        ("none.tgz", "cannot download .*: HTTP Error 404: File not found; get release 2014-01"),
        ("page.html", "gave no archive, but something else; get release"),
        ("short/mirror.tgz", r"the connection ended after|IncompleteRead"),
    ):
        assert re.search(said, fails(capsys, command(output, "--url", f"{address}/{path}")))
    closed = fails(capsys, command(output, "--url", "http://127.0.0.1:9/de-en.tgz"))
    assert "cannot download http://127.0.0.1:9/de-en.tgz" in closed
    assert "name it, or its de-en.tgz, with --source" in closed
    assert list((tmp_path / "data").iterdir()) == []
