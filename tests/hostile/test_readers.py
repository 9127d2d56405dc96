"""No file is read in a place that this folder does not know."""

import pytest

from tests.hostile.readers import PACKAGES, ROOT, SUITES, reading_calls


def found() -> set[str]:
    return {
        f"{path.relative_to(ROOT).as_posix()}:{function}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for function in reading_calls(path.read_text(encoding="utf-8"))
    }


def test_every_place_that_reads_a_file_is_listed_with_who_tries_it() -> None:
    places = found()
    assert places - SUITES.keys() == set(), "give the new place hostile files, and list it in tests/hostile/readers.py"
    assert SUITES.keys() - places == set(), "is no longer there"


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ("def f(p):\n    return torch.load(p)", ["f"]),
        ("class A:\n    def f(self, p):\n        return [json.loads(x) for x in p]", ["A.f"]),
        ("def f(p):\n    def g():\n        return np.lib.format.open_memmap(p)\n    return g", ["f.g"]),
        ("x = yaml.safe_load(open('x'))", ["<module>"]),
        ("@hydra.main()\ndef f(c):\n    pass", ["<module>"]),
        ("def f(p):\n    return text.load(p)", []),
    ],
)
def test_the_scan_finds_calls(source: str, where: list[str]) -> None:
    assert list(reading_calls(source)) == where
