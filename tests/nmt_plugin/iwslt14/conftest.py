"""IWSLT14 in exactly the official formats: training text with tag lines, XML test sets, archives.

Tests reach these builders through the fixture `archives`.
"""

import io
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from nmt_plugin.corpora import iwslt14

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


@pytest.fixture
def archives() -> ModuleType:
    """This module: its builders are called as `archives.official()`."""
    return sys.modules[__name__]


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
