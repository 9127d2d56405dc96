"""Text of the official files: training text without its tag lines, segments of the test sets, the recipe's limits."""

import re
from types import ModuleType

import pytest

from nmt_plugin.corpora import iwslt14
from nmt_plugin.corpora.pairs import Pair
from shared.errors import UserError


def test_training_text_without_its_tags(archives: ModuleType) -> None:
    pairs, metadata = iwslt14.training_pairs(archives.official(), "en-de")
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
def test_odd_lines_of_metadata_are_no_text(archives: ModuleType, line: str) -> None:
    files = archives.official()
    files["train.tags.de-en.de"] = f"{line}\n".encode() + files["train.tags.de-en.de"]
    assert len(iwslt14.training_pairs(files, "en-de")[0]) == 7


def test_a_tag_within_a_line_is_text(archives: ModuleType) -> None:
    files = archives.official()
    for language in ("de", "en"):
        files[f"train.tags.de-en.{language}"] += b"See <url> in HTML.\n<documentary> is a word.\n"
    pairs, _ = iwslt14.training_pairs(files, "en-de")
    assert [pair.source for pair in pairs[-2:]] == ["See <url> in HTML.", "<documentary> is a word."]


def test_titles_with_attributes_and_other_case(archives: ModuleType) -> None:
    files = archives.official()
    for language in ("de", "en"):
        files[f"train.tags.de-en.{language}"] = b'<TITLE lang="x">A</TITLE>\r\n<description >B</description >\r\n'
    assert [pair[1:] for pair in iwslt14.training_pairs(files, "en-de")[0]] == [("A", "A"), ("B", "B")]


def test_unequal_training_text_names_files_counts_and_line(archives: ModuleType) -> None:
    files = archives.official()
    files["train.tags.de-en.de"] = files["train.tags.de-en.de"].replace(b"<speaker>Ada Example</speaker>\n", b"Mehr\n")
    expected = r"train.tags.de-en.en has 7 lines of text and train.tags.de-en.de 8 .*part at line 3"
    with pytest.raises(UserError, match=expected):
        iwslt14.training_pairs(files, "en-de")
    files = archives.official()
    files["train.tags.de-en.de"] += b"Noch eine Zeile\n"
    with pytest.raises(UserError, match=r"7 lines of text and train.tags.de-en.de 8"):
        iwslt14.training_pairs(files, "en-de")


def test_invalid_utf8_names_the_line(archives: ModuleType) -> None:
    files = archives.official()
    files["train.tags.de-en.de"] += "schön\n".encode("latin-1")
    with pytest.raises(UserError, match=r"^train.tags.de-en.de, line 16: not UTF-8"):
        iwslt14.training_pairs(files, "en-de")


def test_segments_of_every_set_in_order(archives: ModuleType) -> None:
    sets = iwslt14.segment_pairs(archives.official(), "en-de")
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


def test_segments_unequal_or_numbered_otherwise(archives: ModuleType) -> None:
    files = archives.official()
    name = "IWSLT14.TED.tst2010.de-en.de.xml"
    files[name] = files[name].replace(b'<seg id="2">', b'<seg id="5">')
    with pytest.raises(
        UserError, match=r"2010.de-en.en.xml has document 535, segment 2, and .*2010.de-en.de.xml has not"
    ):
        iwslt14.segment_pairs(files, "en-de")
    twice = files | {name: files[name].replace(b'<seg id="5">', b'<seg id="1">')}
    with pytest.raises(UserError, match=r"^IWSLT14.TED.tst2010.de-en.de.xml has document 535, segment 1 2 times"):
        iwslt14.segment_pairs(twice, "en-de")
    files[name] = re.sub(rb"<seg id=.1.*\n", b"", files[name])
    with pytest.raises(UserError, match=r"en.xml has 2 segments and .*de.xml 1; .*document 535, segment 1,"):
        iwslt14.segment_pairs(files, "en-de")


def test_segments_in_another_order_are_joined_by_document_and_number(archives: ModuleType) -> None:
    """Documents and segments swapped on one side; a number that both repeat alike is no matter of doubt."""
    files = archives.official()
    name = "IWSLT14.TED.tst2010.de-en"
    documents = {
        language: [archives.segments(language, "1", "2", document=d) for d in "78"] for language in ("en", "de")
    }
    swapped = re.sub(r"(<seg id=.1.*\n)(<seg id=.2.*\n)", r"\2\1", documents["de"][0].replace("> ", "> sieben "))
    files[f"{name}.en.xml"] = "".join(documents["en"]).encode()
    files[f"{name}.de.xml"] = (documents["de"][1] + swapped).encode()
    pairs, elsewhere = iwslt14.segment_pairs(files, "en-de")["TED.tst2010"]
    assert [pair[1:] for pair in pairs] == [("1", "sieben 1"), ("2", "sieben 2"), ("1", "1"), ("2", "2")]
    assert [pair.page[-1] for pair in pairs] == ["7", "7", "8", "8"]
    assert elsewhere == 4
    for language in ("en", "de"):
        files[f"{name}.{language}.xml"] = archives.segments(language, "1", "2").replace('"2"', '"1"').encode()
    assert [pair[1:] for pair in iwslt14.segment_pairs(files, "en-de")["TED.tst2010"][0]] == [("1", "1"), ("2", "2")]


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
