"""Hostile text in IWSLT14's files: refused by file and line, or both sides stay together, within seconds."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_plugin.corpora import iwslt14
from shared.errors import UserError
from tests.hostile.hostile_text import ALL
from tests.hostile.properties import PROPERTY

TRAIN = [f"train.tags.de-en.{language}" for language in ("en", "de")]
TEST = [f"IWSLT14.TED.tst2010.de-en.{language}.xml" for language in ("en", "de")]


def training(*sides: bytes) -> dict[str, bytes]:
    return dict(zip(TRAIN, sides, strict=True))


def segments(*sides: str) -> dict[str, bytes]:
    return {name: f"<doc docid='1'>{side}</doc>".encode() for name, side in zip(TEST, sides, strict=True)}


@pytest.mark.parametrize("name", ALL)
def test_both_sides_stay_aligned(name: str) -> None:
    text = ALL[name]
    lines = [
        [f"{word} {n}{text if n % step == 0 else ' '}end {n}" for n in range(30)] for word, step in (("a", 2), ("b", 3))
    ]
    pairs, _ = iwslt14.training_pairs(training(*("\n".join(side).encode() for side in lines)), "en-de")
    numbers = [[re.findall(r"\d+", side)[-1] for side in pair[1:]] for pair in pairs]
    assert numbers == [[str(n), str(n)] for n in range(30)]
    assert all(len(side.splitlines()) == 1 for pair in pairs for side in pair[1:])

    escaped = text.replace("<", "&lt;")
    sides = ["".join(f"<seg id='{n}'>{word}{escaped}{n}</seg>\n" for n in range(9)) for word in "ab"]
    found, unlike = iwslt14.segment_pairs(segments(*sides), "en-de")["TED.tst2010"]
    assert unlike == 0
    assert [(pair.source[-1], pair.target[-1]) for pair in found] == [(f"{n}", f"{n}") for n in range(9)]


@pytest.mark.parametrize(
    ("damage", "said"),
    [(b"\0", "holds a NUL"), (b"\xff", "not UTF-8"), (b"\xc0\xaf", "not UTF-8"), (b"\xed\xa0\x80", "not UTF-8")],
)
def test_damage_is_refused_by_file_and_line(damage: bytes, said: str) -> None:
    with pytest.raises(UserError, match=rf"^{TRAIN[1]}, line 2: {said}"):
        iwslt14.training_pairs(training(b"a\nb\n", b"a\nb" + damage + b"\n"), "en-de")
    files = segments("<seg id='1'>a</seg>", "<seg id='1'>b</seg>")
    files[TEST[1]] += b"\n" + damage
    with pytest.raises(UserError, match=rf"^{TEST[1]}, line 2: {said}"):
        iwslt14.segment_pairs(files, "en-de")


def test_a_segment_without_its_end_is_not_joined_to_the_next() -> None:
    whole = "".join(f"<seg id='{n}'>a {n}</seg>" for n in range(4))
    broken = whole.replace("1</seg>", "1")
    with pytest.raises(UserError, match=r"4 segments and .* 3; they part at document 1, segment 1"):
        iwslt14.segment_pairs(segments(whole, broken), "en-de")


MEGABYTE = {
    "segments without an end": "<seg id='1'>" * 90_000,
    "documents without an end": "<doc " * 200_000,
    "segments without a number": "<seg " * 200_000,
    "ends without a start": "</seg>" * 160_000,
    "titles without an end": "<title " * 140_000,
    "ampersands": "&" * 300_000,
    "entities without an end": "&amp" * 250_000,
    "one word": "x" * 1_000_000,
    "marks on one letter": "a" + "\u0301" * 250_000 + "\u0323" * 250_000,
    "carriage returns": "a\r" * 500_000,
}


@pytest.mark.parametrize("name", MEGABYTE)
def test_a_megabyte_on_a_line_takes_seconds(name: str) -> None:
    """Not the square of it, which is hours."""
    text, start = MEGABYTE[name], time.process_time()
    pairs, _ = iwslt14.training_pairs(training(f"1\n2 {text}\n3".encode(), b"1\n2\n3"), "en-de")
    assert [pair.target for pair in pairs] == ["1", "2", "3"]
    assert (pairs[0].source, pairs[2].source) == ("1", "3")
    iwslt14.unfit(pairs[1], 175, 1.5)
    iwslt14.segment_pairs(segments("", ""), "en-de")
    list(iwslt14._segments(text))
    assert time.process_time() - start < 20


@PROPERTY
@given(
    st.lists(
        st.sampled_from(
            [
                "<seg id='1'>",
                "</seg>",
                "<doc docid='x'>",
                "</doc>",
                "<url>",
                "<title>",
                "</title>",
                "a",
                "&amp;",
                "&#0;",
                "&",
                "<",
                "\n",
                "\r",
                "\u2028",
                "<talkid>1</talkid>",
                "<seg",
                "id=",
                "'",
                "\x85",
            ]
        ),
        max_size=25,
    ).map("".join)
    | st.text(max_size=40)
)
def test_any_file_beside_itself_is_aligned(text: str) -> None:
    """In training text and in a test set: as many lines on either side, or one line that says why not."""
    data = text.encode(errors="replace")
    if b"\0" in data:
        with pytest.raises(UserError, match="holds a NUL"):
            iwslt14.training_pairs(training(data, data), "en-de")
        return
    pairs, metadata = iwslt14.training_pairs(training(data, data), "en-de")
    lines = data.decode().removeprefix("\ufeff")
    assert len(pairs) + sum(metadata.values()) == lines.count("\n") + (lines[-1:] not in ("\n", ""))
    assert all(pair.source == pair.target for pair in pairs)
    sides = {TEST[0]: data, TEST[1]: data}
    [(found, unlike)] = iwslt14.segment_pairs(sides, "en-de").values()
    assert unlike == 0
    assert all(pair.source == pair.target and "</seg" not in pair.source for pair in found)
