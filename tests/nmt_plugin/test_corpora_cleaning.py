"""Every reason to leave a pair out, by an example each."""

# ruff: noqa: RUF001  (dashes and Cyrillic letters are what is tested)

import pytest

from nmt_plugin.corpora.cleaning import Rules, clean, unfit
from nmt_plugin.corpora.pairs import Pair

GERMAN = [
    ("Save the file.", "Speichern Sie die Datei.", None),
    ("Ok", "In Ordnung", None),  # short: a ratio of 5 says nothing
    ("Select Insert - Frame.", "Wählen Sie Einfügen – Rahmen.", None),
    ("from: the lower index to return", "from: der untere Index", None),  # one English word in German
    ("", "Datei", "empty"),
    ("Datei", "", "empty"),
    ("1 + 2", "B", "no letters"),
    ("LibreOffice Calc", "libreoffice calc", "identical"),
    ('Type "sum" ...', "Type „sum“ …", "identical"),
    ("[text/scalc/01/a.xhp#sum_head not found]., SUMIF", "SUMMEWENN", "broken link"),
    ("word " * 101, "Wort " * 101, "too long"),
    ("x" * 1001, "y" * 1001, "too long"),
    ("Shows it, as well as all of the rest of it.", "Zeigt.", "length ratio"),
    ("Click on the icon of the bar to open.", "Click the icon and then the bar to open it.", "untranslated"),
]
RUSSIAN = [
    ("In Basic:", "На Basic:", None),
    ("Open the file.", "Открыть файл.", None),
    ("Open LibreOffice Impress now", "Show LibreOffice Impress", "wrong script"),
]


@pytest.mark.parametrize(("source", "target", "reason"), GERMAN)
def test_german(source: str, target: str, reason: str | None) -> None:
    assert unfit(Pair("page", source, target), "en", "de", Rules()) == reason


@pytest.mark.parametrize(("source", "target", "reason"), RUSSIAN)
def test_russian(source: str, target: str, reason: str | None) -> None:
    assert unfit(Pair("page", source, target), "en", "ru", Rules()) == reason


def test_limits_are_the_last_allowed_value() -> None:
    rules = Rules(max_words=3, max_characters=1000, max_ratio=2.0)
    assert unfit(Pair("p", "a b c", "d e f"), "en", "de", rules) is None
    assert unfit(Pair("p", "a b c", "d e f g"), "en", "de", rules) == "too long"
    assert unfit(Pair("p", "x" * 10, "y" * 30), "en", "de", rules) is None  # (30 + 10) / (10 + 10) = 2
    assert unfit(Pair("p", "x" * 10, "y" * 31), "en", "de", rules) == "length ratio"


def test_into_english_nothing_is_untranslated_and_an_unlisted_script_passes() -> None:
    pair = Pair("p", "Klicken Sie auf das Symbol der Leiste.", "Click the icon of the bar to open it.")
    assert unfit(pair, "de", "en", Rules()) is None
    assert unfit(Pair("p", "Save the file", "ファイルを保存する"), "en", "ja", Rules()) is None


def test_untranslated_is_asked_of_known_languages_alone() -> None:
    """Dutch shares "is", "of" and others with English."""
    pair = Pair("p", "It is either this or that, or it is not.", "Het is of dit of dat, of het is niet.")
    assert unfit(pair, "en", "nl", Rules()) is None
    assert unfit(pair, "en", "de", Rules()) == "untranslated"


def test_clean_keeps_order_and_counts_reasons() -> None:
    pairs = [Pair("p", *row[:2]) for row in GERMAN]
    kept, dropped = clean(pairs, "en", "de", Rules())
    assert [(pair.source, pair.target) for pair in kept] == [row[:2] for row in GERMAN if row[2] is None]
    assert dropped == {
        "empty": 2,
        "no letters": 1,
        "identical": 2,
        "broken link": 1,
        "too long": 2,
        "length ratio": 1,
        "untranslated": 1,
    }
