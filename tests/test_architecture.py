"""The house rules that a machine can check."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "shared": {"nmt_plugin", "vision", "fairseq", "timm", "lightning", "hydra", "torchvision"},
    "nmt_plugin": {"vision", "timm", "lightning"},
    "vision": {"nmt_plugin", "fairseq"},
}


def imported_packages(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_keep_to_the_house(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        assert not imported_packages(path.read_text()) & FORBIDDEN[package], path


def test_import_shared_needs_torch_and_numpy_only() -> None:
    """In a fresh interpreter: every third-party package that `import shared...` brings comes with torch or numpy."""
    program = (
        "import sys, torch, numpy; before = set(sys.modules);"
        "import shared.losses, shared.diffusion, shared.results, shared.errors, shared.files;"
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["shared"]


def test_no_unrestricted_pickle() -> None:
    for package in FORBIDDEN:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    called = ast.unparse(node.func)
                    assert called not in ("pickle.load", "pickle.loads", "joblib.load", "dill.load"), path
                    if called == "torch.load":
                        safe = {k.arg: ast.unparse(k.value) for k in node.keywords}
                        assert safe.get("weights_only") == "True", path


def speaks_python_3_10(source: str) -> bool:
    try:
        ast.parse(source, feature_version=(3, 10))
    except SyntaxError:
        return False
    return True


@pytest.mark.parametrize("package", ["nmt_plugin", "shared"])
def test_users_of_fairseq_0_12_2_can_parse_it(package: str) -> None:
    """They sit on Python 3.10 (scripts/compat.sh runs it there)."""
    for path in (ROOT / package).rglob("*.py"):
        assert speaks_python_3_10(path.read_text(encoding="utf-8")), path
    assert 'target-version = "py310"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_check_finds_newer_syntax() -> None:
    assert not speaks_python_3_10("try:\n    pass\nexcept* ValueError:\n    pass")
    assert speaks_python_3_10("match x:\n    case 1:\n        pass")
