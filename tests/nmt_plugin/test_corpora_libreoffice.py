"""Parsing and aligning help pages written in the real format."""

# ruff: noqa: RUF001  (dashes and Cyrillic letters are what is tested)

from pathlib import Path

import pytest

from nmt_plugin.corpora import libreoffice
from nmt_plugin.corpora.pairs import Pair
from nmt_plugin.corpora.text import fold, normalize
from shared.errors import UserError

PAGE = """<!DOCTYPE html>
<html lang="de" dir="ltr"><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head>
<body><header id="TopLeftHeader"><p id="par_outside" dir="auto">Hilfe für LibreOffice 7.4</p></header>
<div id="DisplayArea" itemprop="softwareHelp">
%s
</div><footer><div id="DEBUG"><p id="bm_module" dir="auto">debug</p></div></footer></body></html>
"""


def text_of(content: str) -> dict[str, list[str]]:
    return libreoffice.paragraphs((PAGE % content).encode())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('<h1 id="a" dir="auto">\n<a name="x"></a>Formeln oder Werte</h1>', "Formeln oder Werte"),
        (
            '<p id="a" class="paragraph">Im <span class="avis">Bereich <span class="emph">Anzeigen</span></span>.</p>',
            "Im Bereich Anzeigen.",
        ),
        ('<table><tr><td><p id="a" class="tablecontentintable">Zelle</p></td></tr></table>', "Zelle"),
        ('<p id="a">A&nbsp;&amp; B &lt;x&gt; f\u00fcr Gr\u00f6\u00dfe&#8230;</p>', "A & B <x> für Größe…"),
        ('<p id="a">Zeile<br>zwei<!-- nicht --> und\n  drei</p>', "Zeile zwei und drei"),
        ('<p id="a">Sil\u00adben\u200btrennung \ufeffu\u0308ber</p>', "Silbentrennung über"),
        ('<p id="a" class="paragraph"></p>', ""),
        (  # the default variant, hidden too, wherever it stands
            '<p id="a">Wählen Sie <span id="swlnsysx_1" class="switchinline">'
            '<span hidden="true" id="MACx_1" class="MAC">'
            '<span class="emph">LibreOffice – Einstellungen</span></span><span hidden="true" id="defaultx_1">'
            '<span class="emph">Extras – Optionen…</span></span></span><span class="emph"> – Ansicht</span>.</p>',
            "Wählen Sie Extras – Optionen… – Ansicht.",
        ),
        (  # no default: the first
            '<p id="a">Im <span class="switchinline"><span hidden="true" id="WRITERx" class="WRITER">Text</span>'
            '<span hidden="true" id="CALCx" class="CALC">Blatt</span></span></p>',
            "Im Text",
        ),
        (  # a switch in the variant of a switch
            '<p id="a"><span class="switchinline"><span id="MACx" class="MAC">m</span><span id="defaultx">d'
            '<span class="switchinline"><span id="UNIXy" class="UNIX">u</span><span id="defaulty">e</span></span>'
            "</span></span>f</p>",
            "def",
        ),
        ('<p id="a">vor <span class="switchinline"></span>nach</p>', "vor nach"),
    ],
)
def test_text_of_a_paragraph(content: str, expected: str) -> None:
    assert text_of(content) == {"a": [expected]}


def test_only_paragraphs_with_an_id_that_are_no_code_count() -> None:
    content = """
    <p dir="auto">no id</p> <p id="code" class="code">SUM(Number 1)</p> <p id="math" class="smathcode">a over b</p>
    <div class="bascode" data-tooltip="Click"><pre><code class="language-visual-basic line-numbers">
    <p id="basic">Sub Main</p></code></pre></div> <div id="box">not a paragraph</div>
    <span id="swlnsysx" class="switch"><span hidden="true" id="WINx" class="WIN"><p id="block">kept</p></span></span>
    """
    assert text_of(content) == {"block": ["kept"]}


def test_an_empty_page_or_one_without_content_has_no_paragraphs() -> None:
    assert libreoffice.paragraphs(b"  \n") == {}
    assert libreoffice.paragraphs(b"<html><body><p id='a'>text</p></body></html>") == {}


def write_pages(folder: Path, language: str, pages: dict[str, str]) -> None:
    for name, content in pages.items():
        path = folder / language / "text" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PAGE % content, encoding="utf-8")


def test_alignment_by_page_id_and_occurrence(tmp_path: Path) -> None:
    write_pages(
        tmp_path,
        "en-US",
        {
            "a/x.html": '<p id="1">one</p><p id="2">two</p><p id="r">first</p><p id="r">second</p>'
            '<p id="u">u</p><p id="u">v</p>',
            "b.html": '<p id="1">other one</p>',
        },
    )
    write_pages(
        tmp_path,
        "de",
        {"a/x.html": '<p id="r">erstes</p><p id="r">zweites</p><p id="1">eins</p><p id="3">drei</p><p id="u">u</p>'},
    )
    pages = {language: libreoffice.pages(tmp_path, language) for language in ("en", "de")}
    pairs, unaligned = libreoffice.align(pages["en"], pages["de"])
    assert pairs == [
        Pair("a/x.html", "one", "eins"),
        Pair("a/x.html", "first", "erstes"),
        Pair("a/x.html", "second", "zweites"),
    ]
    assert unaligned == {"paragraph missing": 1, "paragraph repeated unequally": 2, "page missing": 1}
    assert libreoffice.version(pages["en"]) == "7.4"


def test_fingerprint_follows_names_and_contents(tmp_path: Path) -> None:
    write_pages(tmp_path, "de", {"a.html": "x", "b.html": "y"})
    before = libreoffice.fingerprint(libreoffice.pages(tmp_path, "de"))
    assert libreoffice.fingerprint(libreoffice.pages(tmp_path, "de")) == before
    write_pages(tmp_path, "de", {"b.html": "z"})
    assert libreoffice.fingerprint(libreoffice.pages(tmp_path, "de")) != before


def test_a_missing_folder_or_language_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not a folder; scripts/setup\.sh .*libreoffice-help-en-us"):
        libreoffice.pages(tmp_path / "nowhere", "en")
    write_pages(tmp_path, "en-US", {"a.html": "x"})
    with pytest.raises(UserError, match=r"no page ru/text/.*libreoffice-help-ru"):
        libreoffice.pages(tmp_path, "ru")


def test_normalize_and_fold() -> None:
    assert normalize(" a\u2003b\u2028c\x07 \u200d ") == "a b c"
    assert fold("Save\u00a0 As STRASSE Straße") == "save as strasse strasse"


def test_a_package_is_named_with_its_release_where_that_is_listed(tmp_path: Path) -> None:
    assert libreoffice.package_release(tmp_path, "de") == "libreoffice-help-de"
    (tmp_path / "PACKAGES").write_text("libreoffice-help-en-us_1:2-3_all.deb\nlibreoffice-help-de_1:2-4_all.deb\n")
    assert libreoffice.package_release(tmp_path, "de") == "libreoffice-help-de_1:2-4_all.deb"
