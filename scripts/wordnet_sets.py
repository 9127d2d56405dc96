"""Write vision/class_sets/imagenet.yaml: the ImageNet-1K classes and all that they are kinds of, from WordNet's files.

    python scripts/wordnet_sets.py

The 1,000 classes and their order are timm's; the hierarchy is `data.noun` of WordNet 3.0 (its format: wndb(5WN)), from
Debian's package wordnet-base, which apt-get and dpkg fetch and unpack into a temporary folder, without root, or from
`--wordnet FOLDER`. A class's wnid is `n` and the byte offset of its synset in that file; offsets differ between
releases of WordNet, so every class must be found at its offset with exactly the words that timm gives it.
"""

import argparse
import getpass
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from timm.data import ImageNetInfo

from shared.errors import UserError, exit_on_user_error
from shared.files import write_text

TABLE = Path(__file__).parent.parent / "vision" / "class_sets" / "imagenet.yaml"
PACKAGE = "wordnet-base"
HYPERNYMS = ("@", "@i")  # "is a kind of" and "is an instance of"
HEADER = """\
# python scripts/wordnet_sets.py
#
# The {count} ImageNet-1K classes in ImageNet's index order, from 0 (`classes`), and every noun synset that one of them
# is a kind of (`ancestors`). A line: wnid, the wnids of its direct hypernyms (joined by commas; - for none), its words.
# A derived form of the noun hierarchy of WordNet 3.0, under WordNet's license:
#
{license}
"""


class Noun(NamedTuple):
    """A synset of data.noun: its direct hypernyms, as offsets of eight digits, and its words."""

    parents: tuple[str, ...]
    words: tuple[str, ...]


def read_nouns(lines: Iterable[str]) -> dict[str, Noun]:
    """Synsets by offset; a line: `offset file n COUNT word id ... COUNT symbol offset part ids ... | gloss`."""
    nouns = {}
    for line in lines:
        if line.startswith("  "):  # the license
            continue
        fields = line.partition("|")[0].split()
        words_end = 4 + 2 * int(fields[3], 16)
        words = tuple(word.replace("_", " ") for word in fields[4:words_end:2])
        pointers = zip(*(fields[words_end + first :: 4] for first in (1, 2, 3)), strict=True)
        parents = tuple(offset for symbol, offset, part in pointers if symbol in HYPERNYMS and part == "n")
        nouns[fields[0]] = Noun(parents, words)
    return nouns


def read_license(lines: Iterable[str]) -> str:
    """The license at the head of data.noun (lines `  NUMBER text`) as YAML comments; it goes with every copy."""
    texts = [line.strip().partition(" ")[2] for line in lines if line.startswith("  ")]
    return "\n".join(f"# {text}".rstrip() for text in texts)


def check_classes(classes: Mapping[str, str], nouns: Mapping[str, Noun]) -> None:
    """Raise UserError unless each class {wnid: words} is found at its offset, with these words."""
    found = {wnid: ", ".join(nouns[wnid[1:]].words) for wnid in classes if wnid[1:] in nouns}
    if wrong := [wnid for wnid, words in classes.items() if found.get(wnid) != words]:
        shown = "; ".join(f"{wnid} {classes[wnid]!r} is {found.get(wnid, 'nothing')!r} there" for wnid in wrong[:3])
        raise UserError(f"{len(wrong)} of {len(classes)} classes differ, so this is not WordNet 3.0: {shown}")
    print(f"{len(found)} of {len(classes)} classes are at their offset in WordNet, with timm's words")


def ancestors_of(offsets: Iterable[str], nouns: Mapping[str, Noun]) -> list[str]:
    """Offsets, in rising order, of all that the given synsets are kinds of."""
    found: set[str] = set()
    waiting = [parent for offset in offsets for parent in nouns[offset].parents]
    while waiting:
        if (offset := waiting.pop()) not in found:
            found.add(offset)
            waiting += nouns[offset].parents
    return sorted(found)


def table(classes: Sequence[str], nouns: Mapping[str, Noun], license_text: str) -> str:
    """The YAML file for the classes' wnids."""

    def line(offset: str, words: int | None) -> str:
        noun = nouns[offset]
        return f"  n{offset} {','.join('n' + p for p in noun.parents) or '-'} {', '.join(noun.words[:words])}\n"

    offsets = [wnid[1:] for wnid in classes]
    above = (line(offset, 1) for offset in ancestors_of(offsets, nouns))  # their first word is name enough
    header = HEADER.format(count=f"{len(classes):,}", license=license_text)
    return header + "classes: |\n" + "".join(line(o, None) for o in offsets) + "ancestors: |\n" + "".join(above)


def fetch_wordnet(into: Path) -> Path:
    """Unpack Debian's wordnet-base below `into`; return its folder of data files. Raises UserError where it cannot."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (into / folder).mkdir(parents=True)
    own = [f"Dir::State::Lists={into}/lists", f"Dir::Cache={into}/cache", f"APT::Sandbox::User={getpass.getuser()}"]
    apt = ["apt-get", "-q", *(word for option in own for word in ("-o", option))]
    try:
        for command in ([*apt, "update"], [*apt, "download", PACKAGE]):
            subprocess.run(command, cwd=into, check=True, capture_output=True, text=True)
        subprocess.run(["dpkg", "-x", *map(str, into.glob(f"{PACKAGE}*.deb")), str(into)], check=True)
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename} is not here; give --wordnet, the folder of WordNet 3.0's data.noun"
        ) from None
    except subprocess.CalledProcessError as error:
        told = (error.stderr or "").strip().splitlines()[-1:]
        raise UserError(f"{PACKAGE} could not be fetched: {' '.join(told) or error}") from None
    return into / "usr" / "share" / "wordnet"


def generate(wordnet: Path, output: Path) -> None:
    """Write the table from a folder with WordNet's data.noun. Raises UserError for none and for another release's."""
    try:
        lines = (wordnet / "data.noun").read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise UserError(f"{wordnet / 'data.noun'}: cannot be read ({error.strerror})") from None
    info = ImageNetInfo("imagenet-1k")
    classes = {wnid: info.label_name_to_description(wnid) for wnid in info.label_names()}
    nouns = read_nouns(lines)
    check_classes(classes, nouns)
    write_text(output, table(list(classes), nouns, read_license(lines)))
    print(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", type=Path, help="folder with data.noun; without it, Debian's package is fetched")
    parser.add_argument(
        "--output", type=Path, default=TABLE, help="file to write (default: the one in vision/class_sets)"
    )
    options = parser.parse_args()
    with exit_on_user_error(), tempfile.TemporaryDirectory() as temporary:
        generate(options.wordnet or fetch_wordnet(Path(temporary)), options.output)


if __name__ == "__main__":
    main()
