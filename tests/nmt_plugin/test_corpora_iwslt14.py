"""IWSLT14 in exactly the official formats: training text with tag lines, XML test sets, archives good and hostile."""

import hashlib
import http.server
import io
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from nmt_plugin.corpora import databin, iwslt14
from nmt_plugin.corpora.__main__ import main
from nmt_plugin.corpora.pairs import Pair
from shared.errors import UserError

TRAIN_DE = """\
<url>http://www.ted.com/talks/view/id/7</url>
<keywords>talks, oceans, science</keywords>
<speaker>Ada Example</speaker>
<talkid>7</talkid>
<title>Ada Example: Was das Meer uns erzählt</title>
<description>TED Talk Subtitles and Transcript: Ada spricht &amp; zeigt Bilder.</description>
Danke schön.
 Forschung &amp; Lehre sagen &quot;ja&quot;. 
Eine Zeile ohne Gegenstück ist leer.
<reviewer href="http://www.ted.com/profiles/1">Rita Reviewer</reviewer>
<translator href="http://www.ted.com/profiles/2">Tim Translator</translator>
<URL >http://www.ted.com/talks/view/id/8</URL>
<talkid> 8 </talkid>
<title>Bob: AT&T heute</title>
Zweiter\u2028Vortrag\xa0hier.
"""  # noqa: W291
TRAIN_EN = """\
<url>http://www.ted.com/talks/view/id/7</url>
<keywords>talks, oceans, science</keywords>
<speaker>Ada Example</speaker>
<talkid>7</talkid>
<title>Ada Example: What the sea tells us</title>
<description>TED Talk Subtitles and Transcript: Ada speaks &amp; shows pictures.</description>
Thank you.
Research &amp; teaching say &#8220;yes&#x201D;.

<url>http://www.ted.com/talks/view/id/8</url>
<talkid>8</talkid>
<title>Bob: AT&T today</title>
Second talk here; a Q&A; &unknown; &notit; <3
"""
FOLDER = {"en-de": "de-en", "en-ru": "ru-en"}


def segments(language: str, *texts: str, document: str = "535") -> str:
    seg = "\n".join(f'<seg id="{number}"> {text} </seg>' for number, text in enumerate(texts, 1))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<mteval>\n'
        f'<refset setid="IWSLT14.TED.dev2010" srclang="x" trglang="{language}">\n'
        f'<doc docid="{document}" genre="lectures" sysid="ref">\n<url>http://www.ted.com/talks/535</url>\n'
        f"<keywords>none</keywords>\n<title>A title & more</title>\n<p>\n{seg}\n</p>\n</doc>\n</refset>\n</mteval>\n"
    )


def official(pair: str = "en-de", sets: tuple[str, ...] = iwslt14.SETS) -> dict[str, bytes]:
    """Files by name, as an archive holds them (and more, which nobody reads)."""
    a = FOLDER[pair]
    other = a[:2]
    files = {f"train.tags.{a}.{other}": TRAIN_DE, f"train.tags.{a}.en": TRAIN_EN, "README": "not read"}
    for name in sets:
        files[f"IWSLT14.{name}.{a}.{other}.xml"] = segments(
            other, f"Eins in {name}.", "Zwei & drei &amp; &lt;vier&gt;."
        )
        files[f"IWSLT14.{name}.{a}.en.xml"] = segments("en", f"One in {name}.", "Two & three &amp; &lt;four&gt;.")
    return {name: text.encode() for name, text in files.items()}


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def write_tgz(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_archive(path: Path, files: dict[str, bytes], folder: str = "de-en") -> Path:
    return write_tgz(path, {f"{folder}/{name}": content for name, content in files.items()})


# Text


def test_training_text_without_its_tags() -> None:
    pairs, metadata = iwslt14.training_pairs(official(), "en-de")
    assert pairs == [
        Pair("talk 7", "Ada Example: What the sea tells us", "Ada Example: Was das Meer uns erzählt"),
        Pair(
            "talk 7",
            "TED Talk Subtitles and Transcript: Ada speaks & shows pictures.",
            "TED Talk Subtitles and Transcript: Ada spricht & zeigt Bilder.",
        ),
        Pair("talk 7", "Thank you.", "Danke schön."),
        Pair("talk 7", "Research & teaching say “yes”.", 'Forschung & Lehre sagen "ja".'),
        Pair("talk 7", "", "Eine Zeile ohne Gegenstück ist leer."),
        Pair("talk 8", "Bob: AT&T today", "Bob: AT&T heute"),
        Pair("talk 8", "Second talk here; a Q&A; &unknown; &notit; <3", "Zweiter Vortrag hier."),
    ]
    assert metadata == {"url": 2, "talkid": 2, "keywords": 1, "speaker": 1}


@pytest.mark.parametrize(
    "line",
    [
        "<doc docid='1'>",
        "</doc>",
        '<translator href="http://x">Name</translator>',
        "  <REVIEWER>Name</REVIEWER>",
        "\t<speaker >Name</speaker>",
    ],
)
def test_odd_lines_of_metadata_are_no_text(line: str) -> None:
    files = official()
    files["train.tags.de-en.de"] = f"{line}\n".encode() + files["train.tags.de-en.de"]
    assert len(iwslt14.training_pairs(files, "en-de")[0]) == 7


def test_a_tag_within_a_line_is_text() -> None:
    files = official()
    for language in ("de", "en"):
        files[f"train.tags.de-en.{language}"] += b"See <url> in HTML.\n<documentary> is a word.\n"
    pairs, _ = iwslt14.training_pairs(files, "en-de")
    assert [pair.source for pair in pairs[-2:]] == ["See <url> in HTML.", "<documentary> is a word."]


def test_titles_with_attributes_and_other_case() -> None:
    files = official()
    for language in ("de", "en"):
        files[f"train.tags.de-en.{language}"] = b'<TITLE lang="x">A</TITLE>\r\n<description >B</description >\r\n'
    assert [pair[1:] for pair in iwslt14.training_pairs(files, "en-de")[0]] == [("A", "A"), ("B", "B")]


def test_unequal_training_text_names_files_counts_and_line() -> None:
    files = official()
    files["train.tags.de-en.de"] = files["train.tags.de-en.de"].replace(b"<speaker>Ada Example</speaker>\n", b"Mehr\n")
    expected = r"train.tags.de-en.en has 7 lines of text and train.tags.de-en.de 8 .*part at line 3"
    with pytest.raises(UserError, match=expected):
        iwslt14.training_pairs(files, "en-de")
    files = official()
    files["train.tags.de-en.de"] += b"Noch eine Zeile\n"
    with pytest.raises(UserError, match=r"7 lines of text and train.tags.de-en.de 8"):
        iwslt14.training_pairs(files, "en-de")


def test_invalid_utf8_names_the_line() -> None:
    files = official()
    files["train.tags.de-en.de"] += "schön\n".encode("latin-1")
    with pytest.raises(UserError, match=r"^train.tags.de-en.de, line 16: not UTF-8"):
        iwslt14.training_pairs(files, "en-de")


def test_segments_of_every_set_in_order() -> None:
    sets = iwslt14.segment_pairs(official(), "en-de")
    assert list(sets) == ["TED.dev2010", "TEDX.dev2012", "TED.tst2010", "TED.tst2011", "TED.tst2012"]
    assert sets["TED.tst2010"] == (
        [
            Pair("TED.tst2010 535", "One in TED.tst2010.", "Eins in TED.tst2010."),
            Pair("TED.tst2010 535", "Two & three & <four>.", "Zwei & drei & <vier>."),
        ],
        0,
    )


def test_odd_segments() -> None:
    """No blank, other quotes, a line feed inside, an empty segment, upper case."""
    text = "<DOC docid=9>\n<seg id='1'>One</seg><SEG ID=2> two\nlines </SEG >\n<seg id=\"3\"></seg></DOC>"
    files = {f"IWSLT14.TED.dev2010.de-en.{language}.xml": text.encode() for language in ("en", "de")}
    pairs, unlike = iwslt14.segment_pairs(files, "en-de")["TED.dev2010"]
    assert [pair.source for pair in pairs] == ["One", "two lines", ""]
    assert {pair.page for pair in pairs} == {"TED.dev2010 9"}
    assert unlike == 0


def test_segments_unequal_or_numbered_otherwise() -> None:
    files = official()
    name = "IWSLT14.TED.tst2010.de-en.de.xml"
    files[name] = files[name].replace(b'<seg id="2">', b'<seg id="5">')
    assert iwslt14.segment_pairs(files, "en-de")["TED.tst2010"][1] == 1
    files[name] = re.sub(rb"<seg id=.1.*\n", b"", files[name])
    with pytest.raises(UserError, match=r"en.xml has 2 segments and .*de.xml 1; .*document 535, segment 1,"):
        iwslt14.segment_pairs(files, "en-de")


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("one two three", "eins zwei", None),  # 1.5 exactly
        ("one two three four", "eins zwei", "length ratio"),
        ("one, two!", "eins, zwei!", None),
        ("one.", "eins", "length ratio"),  # the mark counts: 2 to 1
        ("", "eins", "empty"),
        ("", "", "empty"),
        ("w " * 175, "w " * 175, None),
        ("w " * 176, "w " * 176, "too long"),
    ],
)
def test_limits_of_the_recipe(source: str, target: str, reason: str | None) -> None:
    assert iwslt14.unfit(Pair("", source, target), 175, 1.5) == reason


# Archives


def test_archive_folder_and_release_are_one(tmp_path: Path) -> None:
    files = official()
    archive = write_archive(tmp_path / "de-en.tgz", files)
    folder = write_folder(tmp_path / "unpacked" / "de-en", files)
    release = write_tgz(tmp_path / "2014-01.tgz", {"2014-01/texts/de/en/de-en.tgz": archive.read_bytes()})
    (tmp_path / "r" / "2014-01" / "texts" / "de" / "en").mkdir(parents=True)
    (tmp_path / "r" / "2014-01" / "texts" / "de" / "en" / "de-en.tgz").write_bytes(archive.read_bytes())
    dotted = write_tgz(tmp_path / "dotted.tgz", {f"./de-en/{name}": content for name, content in files.items()})
    expected = {name: content for name, content in files.items() if name != "README"}
    for source in (archive, folder, folder.parent, release, tmp_path / "r", tmp_path / "r" / "2014-01", dotted):
        assert iwslt14.read_archive(source, "en-de") == expected, source


def test_russian_without_tedx(tmp_path: Path) -> None:
    sets = tuple(name for name in iwslt14.SETS if name != "TEDX.dev2012")
    archive = write_archive(tmp_path / "ru-en.tgz", official("en-ru", sets), "ru-en")
    found = iwslt14.read_archive(archive, "en-ru")
    assert list(iwslt14.segment_pairs(found, "en-ru")) == list(sets)


def test_wrong_archives_name_what_is_missing(tmp_path: Path) -> None:
    reverse = write_archive(tmp_path / "en-de.tgz", {"train.tags.en-de.en": b""}, "en-de")
    missing = r"lacks de-en/train.tags.de-en.en, de-en/train.tags.de-en.de, de-en/IWSLT14.\*.de-en.\*.xml$"
    for source in (reverse, tmp_path):
        with pytest.raises(UserError, match=missing):
            iwslt14.read_archive(source, "en-de")
    half = official()
    del half["IWSLT14.TED.tst2011.de-en.en.xml"]
    with pytest.raises(UserError, match=r"lacks de-en/IWSLT14.TED.tst2011.de-en.en.xml$"):
        iwslt14.read_archive(write_archive(tmp_path / "half.tgz", half), "en-de")


def test_damaged_archives(tmp_path: Path) -> None:
    whole = write_archive(tmp_path / "de-en.tgz", {**official(), "noise": hashlib.sha512().digest() * 500}).read_bytes()
    (tmp_path / "cut.tgz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.tgz").write_text("<html>404</html>")
    (tmp_path / "flipped.tgz").write_bytes(whole[:200] + bytes(100) + whole[300:])
    for name in ("cut.tgz", "text.tgz", "flipped.tgz"):
        with pytest.raises(UserError, match=rf"{name} is not a whole .tgz archive"):
            iwslt14.read_archive(tmp_path / name, "en-de")
    with pytest.raises(UserError, match=r"cannot read .*none.tgz: No such file"):
        iwslt14.read_archive(tmp_path / "none.tgz", "en-de")


def test_hostile_members_are_neither_followed_nor_written(tmp_path: Path) -> None:
    """Names that climb out, links and devices in the place of the wanted files: as if they were absent."""
    (tmp_path / "secret").write_text("secret")
    path = tmp_path / "box" / "de-en.tgz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        for name in official():
            climbing = tarfile.TarInfo(f"../de-en/{name}")
            climbing.size = 4
            archive.addfile(climbing, io.BytesIO(b"evil"))
            link = tarfile.TarInfo(f"de-en/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
            archive.addfile(link)
            hard = tarfile.TarInfo(f"de-en/{name}")
            hard.type, hard.linkname = tarfile.LNKTYPE, f"../de-en/{name}"
            archive.addfile(hard)
    with pytest.raises(UserError, match=r"lacks de-en/train.tags.de-en.en, de-en/train.tags.de-en.de"):
        iwslt14.read_archive(path, "en-de")
    assert sorted(found.name for found in tmp_path.rglob("*")) == ["box", "de-en.tgz", "secret"]


def test_a_member_of_absurd_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt_plugin.corpora.archive.LIMIT", 100)
    with pytest.raises(UserError, match=r"not a whole .tgz archive: .* bytes$"):
        iwslt14.read_archive(write_archive(tmp_path / "de-en.tgz", official()), "en-de")


# The command


@pytest.fixture
def without_fairseq(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for fairseq-preprocess, which takes seconds to start."""

    def preprocess(source: Path, output: Path, *languages: str, workers: int, joined: bool) -> None:
        output.mkdir()
        for language in languages:
            (output / f"dict.{language}.txt").write_text("a 2\nb 1\n")

    monkeypatch.setattr(databin, "preprocess", preprocess)


def long_archive(path: Path, talks: int = 6, lines: int = 10) -> Path:
    """Numbered sentences: line n of the training text says n."""
    files = official()
    sides: dict[str, list[str]] = {"de": [], "en": []}
    for talk in range(talks):
        for side in sides.values():
            side += [f"<url>http://t/{talk}</url>", f"<talkid>{talk}</talkid>"]
        for line in range(lines):
            sides["de"].append(f"Das ist der Satz {talk * lines + line + 1}.")
            sides["en"].append(f"This is the Sentence {talk * lines + line + 1}.")
    for language, side in sides.items():
        files[f"train.tags.de-en.{language}"] = "\n".join([*side, ""]).encode()
    return write_archive(path, files)


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
def test_splits_and_card(tmp_path: Path) -> None:
    archive = long_archive(tmp_path / "de-en.tgz")
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
    digest = hashlib.sha256(official()["IWSLT14.TED.tst2010.de-en.de.xml"]).hexdigest()
    assert card["inputs"]["IWSLT14.TED.tst2010.de-en.de.xml"] == digest


@pytest.mark.usefixtures("without_fairseq")
def test_limits_and_case_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Test sets are never cleaned: their segments of 5 tokens stay."""
    archive = long_archive(tmp_path / "de-en.tgz")
    main(command(tmp_path / "lower", "--source", archive, "--lowercase"))
    assert lines(tmp_path / "lower/raw/test.de")[0] == "eins in ted.dev2010."
    assert lines(tmp_path / "lower/raw/train.de")[0] == "das ist der satz 1."
    assert "lowercase True (asked: False)" in fails(capsys, command(tmp_path / "lower", "--source", archive))
    short = command(tmp_path / "short", "--source", archive, "--max-words", "4")
    assert "error: 0 fit training pairs" in fails(capsys, short)
    assert not (tmp_path / "short").exists()


@pytest.mark.usefixtures("without_fairseq")
def test_the_folder_is_the_same_request_as_the_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = long_archive(tmp_path / "de-en.tgz")
    main(command(tmp_path / "corpus", "--source", archive))
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "out", filter="data")
    capsys.readouterr()
    main(command(tmp_path / "corpus", "--source", tmp_path / "out"))
    assert "is already built: train 58, valid 2, test 10 pairs" in capsys.readouterr().out


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "corpus"
    archive = write_archive(tmp_path / "de-en.tgz", official())
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
def test_download_from_a_mirror_once(tmp_path: Path, site: tuple[Path, str]) -> None:
    folder, address = site
    archive = long_archive(folder / "mirror.tgz")
    main(command(tmp_path / "data" / "corpus", "--url", f"{address}/mirror.tgz"))
    kept = tmp_path / "data" / "iwslt14.de-en.tgz"
    assert kept.read_bytes() == archive.read_bytes()
    archive.unlink()  # a second run takes what the first has downloaded
    main(command(tmp_path / "data" / "corpus", "--url", f"{address}/mirror.tgz"))
    assert {path.name for path in kept.parent.iterdir()} == {"corpus", "iwslt14.de-en.tgz"}


def test_downloads_that_fail_leave_nothing(
    tmp_path: Path, site: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, address = site
    long_archive(folder / "mirror.tgz")
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
