"""Hostile pages into the LibreOffice corpus: refused by page and line, or read as a browser reads them."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_plugin.corpora import libreoffice
from nmt_plugin.corpora.__main__ import main
from nmt_plugin.corpora.pairs import Pair
from shared.errors import UserError
from tests.hostile.hostile_text import ALL, BLANKS, ENDS
from tests.hostile.properties import PROPERTY

CANARY = "canary-6f1d"


def page(content: bytes) -> bytes:
    return b"<!DOCTYPE html>\n<html><body><div id='DisplayArea'>\n" + content + b"\n</div></body></html>\n"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    path = tmp_path / "canary.html"
    path.write_text(f"<p id='stolen'>{CANARY}</p>")
    return path


REFUSED = {
    "NUL": (page(b"<p id='a'>one\0two</p>"), "line 3: holds a NUL"),
    "a byte of Latin-1": (page(b"<p id='a'>sch\xf6n</p>"), "line 3: not UTF-8"),
    "overlong": (page(b"<p id='a'>\xc0\xaf</p>"), "line 3: not UTF-8"),
    "surrogate": (page(b"<p id='a'>\xed\xa0\x80</p>"), "line 3: not UTF-8"),
    "UTF-16": (page(b"<p id='a'>x</p>").decode().encode("utf-16"), "line 1: not UTF-8"),
    "UTF-16 without a mark": (page(b"<p id='a'>x</p>").decode().encode("utf-16-le"), "line 1: holds a NUL"),
    "a thousand levels": (page(b"<b>" * 1000 + b"<p id='a'>x</p>"), "line 3: the page cannot be read to its end"),
    "a million levels": (page(b"<div>" * 1_000_000), "line 3: the page cannot be read to its end"),
    "a paragraph of 11 MB": (page(b"<p id='a'>" + b"x" * 11_000_000 + b"</p>"), "cannot be read to its end"),
    "an attribute of 11 MB": (page(b"<p id='a' title='" + b"x" * 11_000_000 + b"'>x</p>"), "cannot be read to its end"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_text_or_not_read_whole_is_refused_by_its_line(name: str, tmp_path: Path) -> None:
    """A page that the parser gives up on would pass for a shorter one."""
    content, said = REFUSED[name]
    files = {}
    for language in ("en", "de"):
        (tmp_path / language).mkdir()
        files[language] = {"a.html": tmp_path / language / "a.html"}
        files[language]["a.html"].write_bytes(page(b"<p id='a'>x</p>"))
    bad = files["de"]["a.html"]
    bad.write_bytes(content)
    with pytest.raises(UserError) as caught:
        libreoffice.align(files["en"], files["de"])
    assert str(caught.value).startswith(f"{bad}, line ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


READ = {
    "nothing": (b"", {}),
    "a comment": (b"<!-- x -->", {}),
    "a document type": (b"<!DOCTYPE html>", {}),
    "an XML declaration": (b"<?xml version='1.0'?>", {}),
    "a lone bracket": (b"<", {}),
    "frames": (b"<frameset><frame src='x'></frameset>", {}),
    "a byte order mark": (b"\xef\xbb\xbf" + page(b"<p id='a'>x</p>"), {"a": ["x"]}),
    "another charset": (b"<meta charset='latin-1'>" + page("<p id='a'>schön</p>".encode()), {"a": ["schön"]}),
    "tags that cross": (page(b"<p id='a'><b>x<i>y</b>z</i></p>"), {"a": ["xyz"]}),
    "tags that never end": (page(b"<p id='a'>x<p id='b'>y"), {"a": ["x"], "b": ["y"]}),
    "a quote that never ends": (page(b"<p id='a'>x</p><p id='b>y</p>"), {"a": ["x"]}),
    "a script": (page(b"<p id='a'>x<script>alert('<p id=b>y</p>')</script>z</p>"), {"a": ["xz"]}),
    "a style": (page(b"<p id='a'>x<style>p { content: 'y' }</style>z</p>"), {"a": ["xz"]}),
    "a processing instruction": (page(b"<p id='a'>x<?php system('id') ?>y</p>"), {"a": ["xy"]}),
    "a conditional comment": (page(b"<p id='a'>x<!--[if IE]>y<![endif]-->z</p>"), {"a": ["xz"]}),
    "CDATA": (page(b"<p id='a'>x</p><![CDATA[<p id='b'>y</p>]]>"), None),
    "one id thrice": (page(b"<p id='a'>x</p>" * 3), {"a": ["x"] * 3}),
    "characters by number": (
        page(b"<p id='a'>x&#0;&#13;&#x85;&#x2028;&#x202e;&#xD800;&#x110000;&#99999999999;y</p>"), None
    ),
    "two hundred levels": (page(b"<p id='a'>" + b"<b>" * 200 + b"x" + b"</b>" * 200 + b"</p>"), {"a": ["x"]}),
    "a megabyte": (page(b"<p id='a'>" + b"x " * 500_000 + b"</p>"), {"a": [("x " * 500_000).strip()]}),
    "ten thousand entities": (page(b"<p id='a'>" + b"&amp;" * 10_000 + b"</p>"), {"a": ["&" * 10_000]}),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_broken_markup_is_read_as_far_as_it_is_text(name: str) -> None:
    content, expected = READ[name]
    found = libreoffice.paragraphs(content)
    assert expected is None or found == expected
    for texts in found.values():
        assert all(len(text.splitlines()) <= 1 and not set(text) & set("\0\u202e") for text in texts)


BOMB = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 12))
OUTSIDE = {
    "an entity of a file": ("<!DOCTYPE html [<!ENTITY x SYSTEM '{uri}'>]>", "before &x; after"),
    "an entity by path": ("<!DOCTYPE html [<!ENTITY x SYSTEM '{path}'>]>", "before &x; after"),
    "a parameter entity": ("<!DOCTYPE html [<!ENTITY % x SYSTEM '{uri}'> %x;]>", "before &x; after"),
    "a document type of a file": ("<!DOCTYPE html SYSTEM '{uri}'>", "before &x; after"),
    "an XML declaration before": ("<?xml version='1.0'?><!DOCTYPE d [<!ENTITY x SYSTEM '{uri}'>]>", "before &x; after"),
    "an include": ("", "before <xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='{uri}'/> after"),
    "an inner frame": ("", "before <iframe src='{uri}'></iframe><object data='{uri}'></object> after"),
    "an import": ("<link rel='import' href='{uri}'><base href='{uri}'>", "before after"),
    "an entity bomb": (f"<!DOCTYPE html [<!ENTITY e0 '{CANARY}'>{BOMB}]>", "before &e11; after"),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_nothing_from_outside_the_page_and_no_entity_of_its_own_comes_in(name: str, canary: Path) -> None:
    head, body = (part.replace("{uri}", canary.as_uri()).replace("{path}", str(canary)) for part in OUTSIDE[name])
    found = libreoffice.paragraphs(head.encode() + page(f"<p id='a'>{body}</p>".encode()))
    assert CANARY not in repr(found)
    assert [len(texts) for texts in found.values()] == [1]
    assert found["a"][0].startswith("before ")
    assert found["a"][0].endswith(" after")
    assert len(found["a"][0]) < 100


@pytest.mark.parametrize("name", ALL)
def test_paragraphs_stay_with_their_partners(name: str, tmp_path: Path) -> None:
    files = {}
    for language, word in (("en", "word"), ("de", "Wort")):
        content = "".join(f"<p id='p{n}'>{word}{ALL[name]}{n}</p>" for n in range(9) if (language, n) != ("de", 4))
        content = content.replace("<pad>", "&lt;pad>").replace("</s>", "&lt;/s>")
        (tmp_path / language).write_bytes(page(content.encode()))
        files[language] = {"a.html": tmp_path / language}
    pairs, unaligned = libreoffice.align(files["en"], files["de"])
    assert unaligned == Counter({"paragraph missing": 1})
    assert [(pair.source[-1], pair.target[-1]) for pair in pairs] == [(f"{n}", f"{n}") for n in range(9) if n != 4]
    if name in ENDS | BLANKS:
        assert pairs[0] == Pair("a.html", "word 0", "Wort 0")


def test_a_page_that_cannot_be_read_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder named as a page, and a link that leads nowhere."""
    for language in ("en-US", "de"):
        (tmp_path / language / "text").mkdir(parents=True)
    (tmp_path / "en-US/text/a.html").mkdir()
    (tmp_path / "de/text/a.html").symlink_to("nowhere")
    command = ["libreoffice", "--pair", "en-de", "--source", str(tmp_path), "--output", str(tmp_path / "corpus")]
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"error: cannot read the page {tmp_path}/en-US/text/a.html: Is a directory\n"


TAGS = "<p id='a'>|</p>|<p id=''>|<p class='code'>|<div id='DisplayArea'>|</div>|<span class='switchinline'>|</span>"
MARKS = (
    "<pre>|<br>|<table><tr>|<svg>|<math>|<?x|<!DOCTYPE|<!--|-->|<![CDATA[|]]>|<script>|</script>|&|&amp;|&#0;|&x;|<|>"
)
FRAGMENTS = st.sampled_from([*TAGS.split("|"), *MARKS.split("|"), "'", '"', "x", "\n", "\r", "\u2028"])


@PROPERTY
@given(st.lists(FRAGMENTS, max_size=30).map("".join) | st.text(max_size=40))
def test_any_page_gives_paragraphs_or_one_line(text: str) -> None:
    try:
        found = libreoffice.paragraphs(text.encode(errors="replace"))
    except UserError as error:
        assert str(error).startswith("page, line ")  # noqa: PT017
    else:
        assert all(len(one.splitlines()) <= 1 for texts in found.values() for one in texts)
