from pathlib import Path

import pytest

from shared.errors import UserError
from vision.class_sets.set_file import read_set_file


def write(folder: Path, text: str) -> Path:
    path = folder / "sets.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_sets(tmp_path: Path) -> None:
    text = "# mine\ncoat: {s1: [shirt, ankle boot], s2: [bag]}\nshirt:\n  s1: [coat]\n  s2: null\nbag: {s1: [coat]}\n"
    assert read_set_file(write(tmp_path, text)) == {
        "coat": (["shirt", "ankle boot"], ["bag"]),
        "shirt": (["coat"], None),
        "bag": (["coat"], None),
    }


def test_classes_stay_as_they_are_written(tmp_path: Path) -> None:
    """YAML would make False, 8, a date and 1000.0 of these."""
    text = "no: {s1: [010, 2012-01-01, 1e3, on], s2: [3]}"
    assert read_set_file(write(tmp_path, text)) == {"no": (["010", "2012-01-01", "1e3", "on"], ["3"])}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no target; want TARGET"),
        ("[coat, shirt]", "names no target"),
        ("coat: [shirt]", r"sets\.yaml: coat has no s1"),
        ("coat: {s2: [bag]}", "coat has no s1"),
        ("coat: {s1: shirt}", r"coat: s1 is 'shirt'; want a list of classes"),
        ("coat: {s1: []}", r"coat: s1 is \[\]"),
        ("coat: {s1: [shirt], s2: []}", r"coat: s2 is \[\]"),
        ("coat: {s1: [[shirt]]}", r"coat: s1 holds \['shirt'\]"),
        ("coat: {s1: [null]}", "coat: s1 holds None, .* in quotes"),
        ("null: {s1: [coat]}", "the target None is not a name"),
        ("coat: {s1: [shirt], s3: [bag]}", "coat has s3; only s1 and s2"),
        ("coat: {s1: [shirt]}\nbag: {s1: [shirt]}\ncoat: {s1: [bag]}", "line 3: 'coat' is there twice"),
        ("coat: {s1: [shirt], s1: [bag]}", "line 1: 's1' is there twice"),
        ("coat: {s1: [shirt}", r"sets\.yaml, line 1: "),
        ("? [coat]\n: {s1: [shirt]}", "line 1: found unhashable key"),
        ("coat: \x07", "special characters are not allowed"),
        ("coat: {s1: &a [*a]}", "line 1: it holds an alias"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_set_file(write(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "sets.yaml" in str(caught.value)


@pytest.mark.parametrize("tag", ["python/object/apply:pathlib.Path.touch", "python/name:os.system", "python/tuple"])
def test_objects_are_refused_and_not_built(tag: str, tmp_path: Path) -> None:
    target = tmp_path / "touched"
    path = write(tmp_path, f"coat: !!{tag} [!!python/object/apply:pathlib.PosixPath ['{target}']]")
    with pytest.raises(UserError, match=r"sets\.yaml, line 1: it holds the tag .*which may build an object"):
        read_set_file(path)
    assert not target.exists()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: cannot be read \(No such file"):
        read_set_file(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"caf\xe9: {s1: [tea]}")
    with pytest.raises(UserError, match=r"bytes\.yaml: not UTF-8 text"):
        read_set_file(tmp_path / "bytes.yaml")
