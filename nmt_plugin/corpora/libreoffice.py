"""The LibreOffice Help: HTML pages whose paragraphs carry the same `id` in every language.

The pages come from Debian's packages libreoffice-help-{en-us,de,ru} (MPL-2.0): one folder per language, below it
text/**/*.html with the same relative paths. A page shows its content in the element `DisplayArea`; all else is
navigation.
"""

import hashlib
import re
from collections import Counter
from pathlib import Path

from lxml import etree, html

from nmt_plugin.corpora.lines import decode
from nmt_plugin.corpora.pairs import Pair
from nmt_plugin.corpora.text import normalize
from shared.errors import UserError

PAIRS = ("en-de", "en-ru")
LICENSE = "MPL-2.0"
_FOLDERS = {"en": "en-US", "de": "de", "ru": "ru"}
_PACKAGES = {"en": "libreoffice-help-en-us", "de": "libreoffice-help-de", "ru": "libreoffice-help-ru"}

_PARAGRAPH_TAGS = frozenset({"p", "h", "h1", "h2", "h3", "h4", "h5", "h6"})
# A paragraph of these classes is a formula, a file name or a picture, not a sentence.
_CODE_CLASSES = frozenset({"code", "codeintable", "smathcode", "example", "image", "imageintable", "bug"})
_PARAGRAPHS = etree.XPath("//*[@id='DisplayArea']//*[@id and not(ancestor-or-self::pre) and not(ancestor::code)]")
_VERSION = re.compile(r"LibreOffice (\d+(?:\.\d+)+)")


def package(language: str) -> str:
    """The Debian package that holds the pages of a language ("en", "de" or "ru")."""
    return _PACKAGES[language]


def package_release(source: Path, language: str) -> str:
    """The package with its release where `source`/PACKAGES lists it (scripts/setup.sh does), else its name."""
    listed = source / "PACKAGES"
    lines = listed.read_text(encoding="utf-8").split() if listed.is_file() else []
    return next((line for line in lines if line.startswith(f"{package(language)}_")), package(language))


def pages(source: Path, language: str) -> dict[str, Path]:
    """Page name (path below text/) -> file. UserError if `source` is no such folder or lacks the language."""
    hint = f"scripts/setup.sh unpacks Debian's package {package(language)} there"
    if not source.is_dir():
        raise UserError(f"--source {source} is not a folder; {hint}")
    text = source / _FOLDERS[language] / "text"
    found = {path.relative_to(text).as_posix(): path for path in sorted(text.glob("**/*.html"))}
    if not found:
        raise UserError(f"--source {source} has no page {_FOLDERS[language]}/text/**/*.html; {hint}")
    return found


def fingerprint(files: dict[str, Path]) -> str:
    """SHA-256 over the names and contents of the pages."""
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(f"{name}\0{hashlib.sha256(_content(path)).hexdigest()}\n".encode())
    return digest.hexdigest()


def version(files: dict[str, Path]) -> str | None:
    """The LibreOffice version that the first page names in its header, e.g. "7.4"; None if it names none."""
    for path in files.values():
        match = _VERSION.search(_content(path).decode("utf-8", errors="replace"))
        return match[1] if match else None
    return None


def paragraphs(page: bytes, name: str = "page") -> dict[str, list[str]]:
    """Paragraph id -> texts in order of appearance; a page repeats an id where it embeds parts of other pages.

    Broken markup is read as a browser reads it; entities that a page declares, and what it refers to, are not. Raises
    UserError, by `name`, for what is not UTF-8 or holds a NUL (its line is named), and where the parser stops before
    the end: elements nested 256 deep, a text of 10 MB.
    """
    found: dict[str, list[str]] = {}
    decode(page, name)
    parser = html.HTMLParser(encoding="utf-8", no_network=True)
    try:
        root = html.document_fromstring(page, parser=parser)
    except etree.ParserError:
        return found  # no element at all
    if fatal := parser.error_log.filter_from_fatals():
        reason = " ".join(fatal[0].message.split())
        raise UserError(f"{name}, line {fatal[0].line:,}: the page cannot be read to its end ({reason})")
    for element in _PARAGRAPHS(root):
        if element.tag in _PARAGRAPH_TAGS and _CODE_CLASSES.isdisjoint(_classes(element)):
            found.setdefault(element.get("id"), []).append(normalize(_text(element)))
    return found


def align(source: dict[str, Path], target: dict[str, Path]) -> tuple[list[Pair], Counter[str]]:
    """Pairs by (page, paragraph id, occurrence), in page order, and why other paragraphs of the source gave none.

    An id that a page repeats is aligned by order if both languages repeat it equally often, else left out.
    """
    pairs: list[Pair] = []
    unaligned: Counter[str] = Counter()
    for page in sorted(source):
        ours = paragraphs(_content(source[page]), str(source[page]))
        theirs = paragraphs(_content(target[page]), str(target[page])) if page in target else None
        for identifier, texts in ours.items():
            others = theirs.get(identifier) if theirs is not None else None
            if theirs is None or others is None:
                unaligned["page missing" if theirs is None else "paragraph missing"] += len(texts)
            elif len(texts) != len(others):
                unaligned["paragraph repeated unequally"] += len(texts)
            else:
                pairs += [Pair(page, ours_text, other) for ours_text, other in zip(texts, others, strict=True)]
    return pairs, unaligned


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the page {path}: {error.strerror}") from None


def _classes(element: html.HtmlElement) -> list[str]:
    return (element.get("class") or "").split()


def _text(element: html.HtmlElement) -> str:
    """The text of an element with its inline markup unwrapped."""
    parts = [element.text or ""]
    for child in element:
        if child.tag == "br":
            parts.append(" ")
        elif "switchinline" in _classes(child):
            parts.append(_default_variant(child))
        elif isinstance(child.tag, str) and child.tag not in ("script", "style"):  # comments have no string tag
            parts.append(_text(child))
        parts.append(child.tail or "")
    return "".join(parts)


def _default_variant(switch: html.HtmlElement) -> str:
    """One of the variants that the browser would choose from by system or application (all come marked as hidden).

    The default one where there is one, else the first, which has the same place in every language.
    """
    variants = [child for child in switch if isinstance(child.tag, str)]
    default = [child for child in variants if (child.get("id") or "").startswith("default")]
    return _text((default or variants)[0]) if variants else ""
