"""What is installed is what the lock names, file by file, and under licences that the audit lists."""

import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "scripts" / "lock"
ENTRY = re.compile(
    r"^(?P<name>[A-Za-z0-9_.-]+)==(?P<version>\S+)(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.M
)
# In every environment before anything is installed, and lskd itself.
NOT_LOCKED = {"pip", "lskd"}


def locked(*names: str) -> dict[str, str]:
    """The versions of these files, by name; every line of them is part of an entry with hashes."""
    versions: dict[str, str] = {}
    for name in names:
        text = (LOCK / f"{name}.txt").read_text(encoding="utf-8")
        assert ENTRY.sub("", re.sub("^#.*$", "", text, flags=re.M)).strip() == "", name
        for entry in ENTRY.finditer(text):
            versions[canonicalize_name(entry["name"])] = entry["version"]
    return versions


def required() -> dict[str, Requirement]:
    """What pyproject.toml asks for, of all extras but the DALIs and of its group."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = [*project["project"]["dependencies"], *project["dependency-groups"]["setup"]]
    for name, extra in project["project"]["optional-dependencies"].items():
        lines += [] if name.startswith("dali") else extra
    return {line: Requirement(line) for line in lines}


@pytest.mark.parametrize("line", required())
def test_the_lock_satisfies_the_project(line: str) -> None:
    requirement = required()[line]
    version = locked("environment")[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version, prereleases=True), version


@pytest.mark.parametrize("cuda", ["120", "130"])
def test_dali_and_what_it_needs_are_locked(cuda: str) -> None:
    own = locked(f"dali-cuda{cuda}")
    assert f"nvidia-dali-cuda{cuda}" in own
    assert not set(own) & set(locked("environment"))  # one version of each


def test_nothing_else_is_installed() -> None:
    """In the environment of scripts/setup.sh (which its own `pip check` found complete)."""
    own = {canonicalize_name(d.metadata["Name"]): d.version for d in distributions(path=[site_packages()])}
    lock = locked("environment", "dali-cuda120")
    assert {name: version for name, version in own.items() if name not in NOT_LOCKED} == lock


def site_packages() -> str:
    (path,) = [p for p in sys.path if p.startswith(sys.prefix) and p.endswith("site-packages")]
    return path


def test_pip_refuses_a_file_of_another_hash(tmp_path: Path) -> None:
    """The check that the lock relies on, on a package made here: offline."""
    wheel = tmp_path / "innocent-1.0-py3-none-any.whl"
    subprocess.run([sys.executable, "-c", MAKE_WHEEL, wheel], check=True)
    wanted = tmp_path / "requirements.txt"
    wanted.write_text(f"innocent==1.0 --hash=sha256:{'0' * 64}\n")
    words = ["install", "--no-index", "--no-deps", "--require-hashes", "--find-links", tmp_path, "-r", wanted]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, "--target", tmp_path / "here"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / "here" / "innocent.py").exists()


MAKE_WHEEL = """
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("innocent.py", "")
    wheel.writestr("innocent-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: innocent\\nVersion: 1.0\\n")
    wheel.writestr("innocent-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("innocent-1.0.dist-info/RECORD", "")
"""


def test_setup_installs_by_hash_only() -> None:
    """But lskd itself, and a wheel whose address carries its hash."""
    text = (ROOT / "scripts" / "setup.sh").read_text(encoding="utf-8")
    calls = [line for line in text.splitlines() if '"${install[@]}"' in line or "pip install" in line]
    free = [line.strip() for line in calls if "--require-hashes" not in line]
    assert [line for line in free if not line.endswith("-e .") and not line.startswith("*'#sha256='*)")] == []
    assert len(calls) - len(free) == 4  # setuptools, all else, fairseq, DALI


def test_the_audit_of_licences_is_of_what_is_installed() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/licences.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
