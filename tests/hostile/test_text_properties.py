"""Any text, as lines, as normal text and as pairs of lines."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_plugin.corpora.lines import decode
from nmt_plugin.corpora.parallel import read_pairs
from nmt_plugin.corpora.text import normalize
from shared.errors import UserError
from tests.hostile.hostile_text import ALL, BLANKS, ENDS, INVISIBLE
from tests.hostile.properties import PROPERTY


@PROPERTY
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | st.lists(st.sampled_from(
    [b"a", b"\n", b"\r", b"\0", b"\xef\xbb\xbf", b"\xff", "\u2028".encode(), b"\xe2\x80"]), max_size=20).map(b"".join)
)  # fmt: skip
def test_lines_are_those_between_line_feeds_or_the_first_bad_one_is_named(data: bytes) -> None:
    pieces = data.split(b"\n")

    def is_utf8(piece: bytes) -> bool:
        try:
            return bool(piece.decode()) or True
        except UnicodeDecodeError:
            return False

    broken = [number for number, piece in enumerate(pieces, 1) if not is_utf8(piece)]
    zeros = [number for number, piece in enumerate(pieces, 1) if b"\0" in piece]
    try:
        found = decode(data, "FILE")
    except UserError as error:
        what, lines = ("not UTF-8", broken) if broken else ("holds a NUL", zeros)
        assert str(error).startswith(f"FILE, line {lines[0]}: {what}")  # noqa: PT017
    else:
        assert not broken + zeros
        whole = "\n".join(found).encode()
        assert data.removeprefix(b"\xef\xbb\xbf") in (whole, whole + b"\n")
        assert len(found) == data.count(b"\n") + (not data.endswith(b"\n") and data not in (b"", b"\xef\xbb\xbf"))


HOSTILE = st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from("".join(ALL.values())), max_size=30)


@PROPERTY
@given(HOSTILE)
def test_normal_text_holds_nothing_that_ends_or_reorders_a_line(text: str) -> None:
    found = normalize(text)
    assert not set(found) & set("".join((*ENDS.values(), *INVISIBLE.values(), *BLANKS.values())).replace("[31m", ""))
    assert found.split(" ") == found.split() or not found
    assert len(found.splitlines()) <= 1
    assert normalize(found) == found


@PROPERTY
@given(
    st.lists(st.text("abc\u00e9\u4e2d", min_size=1), max_size=8), st.sampled_from([*ENDS.values(), *BLANKS.values()])
)
def test_words_are_kept(words: list[str], blank: str) -> None:
    assert normalize(blank.join(words)) == " ".join(words)


@PROPERTY
@given(st.lists(st.tuples(HOSTILE, HOSTILE), max_size=12))
def test_pairs_are_those_of_the_files_whatever_they_hold(tmp_path: Path, texts: list[tuple[str, str]]) -> None:
    texts = [(f"{n}|{a}".replace("\n", " "), f"{n}|{b}".replace("\n", " ")) for n, (a, b) in enumerate(texts)]
    paths = (tmp_path / "a", tmp_path / "b")
    for path, lines in zip(paths, zip(*texts, strict=True) if texts else ((), ()), strict=True):
        path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    if any("\0" in one for pair in texts for one in pair):
        with pytest.raises(UserError, match=r"line \d+: holds a NUL"):
            read_pairs([paths], 5)
        return
    pairs = read_pairs([paths], 5)
    assert len(pairs) == len(texts)
    for number, pair in enumerate(pairs):
        assert pair.source.startswith(f"{number}|")
        assert pair.target.startswith(f"{number}|")
