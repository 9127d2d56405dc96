"""IWSLT 2014: the files of the evaluation campaign's TED talks, as WIT3 released them.

An archive, say de-en, holds train.tags.de-en.{de,en}, where lines of metadata in tags stand among the lines of text,
and test sets IWSLT14.*.de-en.{de,en}.xml with numbered segments. The usual recipe unwraps titles and descriptions,
takes every 23rd fit training line for validation, and joins the sets to one test set.
"""

import hashlib
import html
import re
from collections import Counter
from html.entities import html5
from pathlib import Path
from typing import NamedTuple

from nmt_plugin.corpora import archive
from nmt_plugin.corpora.lines import decode
from nmt_plugin.corpora.pairs import Pair
from nmt_plugin.corpora.text import normalize
from shared.errors import UserError

ARCHIVES = {"en-de": "de-en", "en-ru": "ru-en"}  # by pair; the archive's own direction is the reverse
SETS = ("TED.dev2010", "TEDX.dev2012", "TED.tst2010", "TED.tst2011", "TED.tst2012")
LICENSE = "CC BY-NC-ND (TED talks, by WIT3 for IWSLT 2014)"
# The archives' public addresses; WIT3 itself now gives just the whole release, of which ru-en.tgz is a part.
URLS = {"de-en": "https://dl.fbaipublicfiles.com/fairseq/data/iwslt14/de-en.tgz"}
RELEASE = "https://wit3.fbk.eu/2014-01"

_METADATA = re.compile(r"\s*</?(url|talkid|keywords|speaker|reviewer|translator|doc)\b", re.IGNORECASE)
_TALK = re.compile(r"\s*<talkid>\s*(\S+?)\s*<", re.IGNORECASE)
# A tag ends before the next begins: a file of tags that are never closed would be searched to its end for each.
_WRAPPER = re.compile(r"</?(?:title|description)\b[^<>]*>", re.IGNORECASE)
_DOCUMENT_OR_SEGMENT = re.compile(
    r"<doc\b[^<>]*?\bdocid\s*=\s*[\"']?(?P<doc>[^\"'<>\s]+)[^<>]*>"
    r"|<seg\b[^<>]*?\bid\s*=\s*[\"']?(?P<seg>[^\"'<>\s]+)[^<>]*>(?P<text>(?:(?!<seg\b).)*?)</seg\s*>",
    re.IGNORECASE | re.DOTALL,
)
_ENTITY = re.compile(r"&(#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]*);")
_TOKEN = re.compile(r"\w+|[^\w\s]")


class Segment(NamedTuple):
    """A segment of an XML test set."""

    document: str
    number: str
    text: str


def read_archive(source: Path, pair: str) -> dict[str, bytes]:
    """File name -> content: the training text of both languages, and the test sets, each in both languages.

    UserError that names what is missing where `source` is not the archive of that pair.
    """
    folder, languages = ARCHIVES[pair], pair.split("-")
    train = [training_file(pair, language) for language in languages]
    tests = [[segment_file(pair, name, language) for language in languages] for name in SETS]
    found = archive.read_files(source, folder, [*train, *(name for files in tests for name in files)])
    missing = [name for name in train if name not in found]
    for files in tests:
        absent = [name for name in files if name not in found]
        missing += absent if len(absent) == 1 else []  # a set may be absent, half a set may not
    if not any(files[0] in found for files in tests):
        missing.append(f"IWSLT14.*.{folder}.*.xml")
    if missing:
        names = ", ".join(f"{folder}/{name}" for name in missing)
        raise UserError(f"{source} is not the IWSLT14 archive {folder}.tgz: it lacks {names}")
    return found


def training_file(pair: str, language: str) -> str:
    """Name of the training text."""
    return f"train.tags.{ARCHIVES[pair]}.{language}"


def segment_file(pair: str, name: str, language: str) -> str:
    """Name of a test set's XML file."""
    return f"IWSLT14.{name}.{ARCHIVES[pair]}.{language}.xml"


def fingerprint(files: dict[str, bytes]) -> dict[str, str]:
    """SHA-256 by file name: the same for the archive and the folder it was unpacked to."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}


def training_pairs(files: dict[str, bytes], pair: str) -> tuple[list[Pair], Counter[str]]:
    """Pairs in file order, by talk, and how many lines of metadata the source side had by tag.

    UserError where the two sides have different numbers of lines of text, with the first line where they part.
    """
    names = [training_file(pair, language) for language in pair.split("-")]
    source, target = (decode(files[name], name) for name in names)
    sides = [[line for line in lines if not _METADATA.match(line)] for lines in (source, target)]
    if len(sides[0]) != len(sides[1]):
        part = next(
            (number for number, (a, b) in enumerate(zip(source, target, strict=False), 1) if _tag(a) != _tag(b)),
            min(len(source), len(target)) + 1,
        )
        raise UserError(
            f"{names[0]} has {len(sides[0]):,} lines of text and {names[1]} {len(sides[1]):,} (lines of metadata left "
            f"out); they part at line {part:,}, so the archive is damaged"
        )
    texts = [[normalize(_unescape(_WRAPPER.sub(" ", line))) for line in lines] for lines in sides]
    metadata = Counter(tag for line in source if (tag := _tag(line)))
    return [Pair(*of) for of in zip(_talks(source), *texts, strict=True)], metadata


def segment_pairs(files: dict[str, bytes], pair: str) -> dict[str, tuple[list[Pair], int]]:
    """Test set -> its pairs in the source's order, and how many segments the other side has in another place.

    Segments stand in the same order on both sides, or else are joined by document and number. UserError where the two
    sides have different numbers of segments, with the first that parts, or cannot be joined.
    """
    found = {}
    for name in SETS:
        names = [segment_file(pair, name, language) for language in pair.split("-")]
        if names[0] not in files:
            continue
        source, target = ([*_segments("\n".join(decode(files[file], file)))] for file in names)
        places = [[segment[:2] for segment in side] for side in (source, target)]
        unlike = [at for at, (ours, theirs) in enumerate(zip(*places, strict=False)) if ours != theirs]
        if len(source) != len(target):
            part = (unlike or [min(len(source), len(target))])[0]
            document, number, _ = max(source, target, key=len)[part]
            raise UserError(
                f"{names[0]} has {len(source):,} segments and {names[1]} {len(target):,}; "
                f"they part at document {document}, segment {number}, so the archive is damaged"
            )
        if unlike:
            target = _in_order_of(source, target, names)
        pairs = [Pair(f"{name} {a.document}", a.text, b.text) for a, b in zip(source, target, strict=True)]
        found[name] = pairs, len(unlike)
    return found


def unfit(pair: Pair, max_words: int, max_ratio: float) -> str | None:
    """Why a training pair is left out, or None: the recipe's limits on tokens, which are words and single other marks.

    So near what Moses' tokenizer counts, without the tokenizer.
    """
    shorter, longer = sorted(len(_TOKEN.findall(side)) for side in (pair.source, pair.target))
    if not shorter:
        return "empty"
    if longer > max_words:
        return "too long"
    return "length ratio" if longer > max_ratio * shorter else None


def _tag(line: str) -> str | None:
    match = _METADATA.match(line)
    return match[1].lower() if match else None


def _talks(lines: list[str]) -> list[str]:
    """The talk of every line of text; the talk's number stands in the metadata before it."""
    talk, talks = "", []
    for line in lines:
        if match := _TALK.match(line):
            talk = f"talk {match[1]}"
        if not _METADATA.match(line):
            talks.append(talk)
    return talks


def _segments(text: str) -> list[Segment]:
    """Not by an XML parser: the official files hold bare ampersands."""
    document, found = "", []
    for match in _DOCUMENT_OR_SEGMENT.finditer(text):
        if match["doc"] is not None:
            document = match["doc"]
        else:
            found.append(Segment(document, match["seg"], normalize(_unescape(match["text"]))))
    return found


def _in_order_of(source: list[Segment], target: list[Segment], names: list[str]) -> list[Segment]:
    """`target`, which has as many segments, in the order of `source`, by document and number.

    UserError where a file (`names`, the source's first) has a number twice, or one that the other has not.
    """
    for name, side in zip(names, (source, target), strict=True):
        (document, number), times = Counter(segment[:2] for segment in side).most_common(1)[0]
        if times > 1:
            raise UserError(
                f"{name} has document {document}, segment {number} {times} times, and {' and '.join(names)} are not "
                "numbered alike, so that their segments cannot be joined; the archive is damaged"
            )
    partners = {segment[:2]: segment for segment in target}
    if lonely := next((segment for segment in source if segment[:2] not in partners), None):
        raise UserError(
            f"{names[0]} has document {lonely.document}, segment {lonely.number}, and {names[1]} has not; "
            "the archive is damaged"
        )
    return [partners[segment[:2]] for segment in source]


def _unescape(text: str) -> str:
    """Entities once, as XML has it; a bare ampersand and an unknown name stay ("AT&T", "Q&A;")."""

    def character(match: re.Match[str]) -> str:
        # html.unescape also takes the start of a name for a name: "&notit;" would become "¬it;".
        return html.unescape(match[0]) if match[1].startswith("#") else html5.get(f"{match[1]};", match[0])

    return _ENTITY.sub(character, text)
