"""The audit of licences: what each package of the environment is under, and what that asks of those who pass it on.

    python scripts/licences.py            write scripts/lock/LICENCES.md
    python scripts/licences.py --check    exit status 1 if that file is not what is installed

A licence of no kind below ends it with exit status 1, so that nothing of an unknown kind comes in unseen. pip-licenses
reads what the packages say of themselves; it is no lawyer.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

AUDIT = Path(__file__).parent / "lock" / "LICENCES.md"
# The kinds, what they ask, and how they are recognized: the first that fits.
KINDS = [
    (
        "Strong copyleft, for development only",
        "A program of its own that checks the Dockerfile; nothing imports it and no package of lskd requires it.",
        r"\bGPL",
    ),
    (
        "NVIDIA's own",
        "Come with torch's CUDA build and with DALI. Free to use; who passes them on, as in a container image, is "
        "bound by NVIDIA's agreement.",
        r"NVIDIA|Proprietary|^License$",
    ),
    ("Weak copyleft", "Used as they are: changes to their files would have to be published.", r"MPL|Mozilla"),
    (
        "Permissive",
        "Keep their notices.",
        r"MIT|BSD|Apache|PSF|Python Software Foundation|ISC|Zlib|CC0|HPND|Unlicense",
    ),
]
# Packages that do not say, and what was found by reading them.
READ = {"cuda-toolkit": "Proprietary (a package without files: it requires NVIDIA's libraries)"}


def installed() -> list[tuple[str, str, str]]:
    """(name, version, licence) of every package of this environment but lskd, by name."""
    tool = Path(sys.executable).with_name("pip-licenses")
    words = [str(tool), "--python", sys.executable, "--from=mixed", "--with-system", "--format=json"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    rows = [(row["Name"], row["Version"], READ.get(row["Name"], row["License"])) for row in json.loads(said)]
    return sorted((row for row in rows if row[0] not in ("lskd", "pip")), key=lambda row: row[0].lower())


def kind_of(licence: str) -> int:
    """The kind's place in KINDS. Raises ValueError for a licence of none."""
    for place, (_, _, pattern) in enumerate(KINDS):
        if re.search(pattern, licence):
            return place
    raise ValueError(licence)


def audit(rows: list[tuple[str, str, str]]) -> str:
    lines = [
        "# Licences",
        "",
        "What `scripts/setup.sh` installs, as the packages declare it. `python scripts/licences.py` writes this file.",
        "lskd itself is under Apache-2.0 and contains no code of these packages.",
    ]
    for place, (title, meaning, _) in enumerate(KINDS):
        own = [row for row in rows if kind_of(row[2]) == place]
        lines += ["", f"## {title} ({len(own)})", "", meaning, "", "| package | version | licence |", "|---|---|---|"]
        lines += [f"| {name} | {version} | {licence} |" for name, version, licence in own]
    return "\n".join(lines) + "\n"


def main() -> None:
    try:
        text = audit(installed())
    except ValueError as error:
        sys.exit(f"error: a licence of no known kind: {error}; read it, then add it to KINDS or READ")
    if sys.argv[1:] == ["--check"]:
        if AUDIT.read_text(encoding="utf-8") != text:
            sys.exit(f"error: {AUDIT} is not what is installed; python scripts/licences.py writes it")
    elif sys.argv[1:]:
        print(f"error: unknown options {' '.join(sys.argv[1:])}; choose --check or nothing", file=sys.stderr)
        sys.exit(2)
    else:
        AUDIT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
