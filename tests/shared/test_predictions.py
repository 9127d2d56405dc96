"""The file of predictions: a round trip, and what is none."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest

from shared.errors import UserError
from shared.predictions import Predictions, read_predictions, write_predictions


@pytest.fixture
def three() -> Predictions:
    return Predictions(
        ids=np.array(["tern/1.jpg", "tern/2.jpg", "w\N{LATIN SMALL LETTER U WITH DIAERESIS}rger/1.jpg"]),
        labels=np.array([0, 0, 1]),
        predicted=np.array([0, 1, 1]),
        top5=np.array([True, False, True]),
        log_prob=np.array([-0.25, -3.5, -1e-9]),
        confidence=np.array([0.75, 0.5, 1.0]),
    )


def test_a_round_trip(three: Predictions, tmp_path: Path) -> None:
    write_predictions(tmp_path / "out" / "predictions.npz", three)
    again = read_predictions(tmp_path / "out" / "predictions.npz")
    assert len(again) == 3
    for name, array in vars(three).items():
        np.testing.assert_array_equal(getattr(again, name), array)
        assert getattr(again, name).dtype == array.dtype
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predictions.npz"]


def test_arrays_of_one_length(three: Predictions) -> None:
    with pytest.raises(ValueError, match="one entry per image"):
        dataclasses.replace(three, labels=np.array([0, 1]))


def arrays(three: Predictions) -> dict[str, np.ndarray]:
    return {"schema": np.int64(1), **vars(three)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": np.int64(2)}, "schema 2 .* not supported"),
        ({"ids": None}, r"ill-typed: \['ids'\]"),
        ({"labels": np.zeros(3)}, r"ill-typed: \['labels'\]"),
        ({"extra": np.zeros(3)}, r"ill-typed: \['extra'\]"),
        ({"labels": np.zeros(2, dtype=np.int64)}, "one entry per image"),
        ({"ids": np.array([{}, {}, {}], dtype=object)}, "not an archive of predictions .*allow_pickle"),
        ({"schema": np.array([1, 2])}, "schema"),
        ({"schema": np.array("x")}, "schema"),
    ],
)
def test_what_is_no_file_of_predictions(
    three: Predictions, tmp_path: Path, changes: dict[str, np.ndarray | None], message: str
) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, **{name: array for name, array in (arrays(three) | changes).items() if array is not None})
    with pytest.raises(UserError, match=rf"other\.npz: .*{message}"):
        read_predictions(path)


def test_damaged_files(three: Predictions, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_predictions(tmp_path / "absent.npz")
    path = tmp_path / "predictions.npz"
    write_predictions(path, three)
    whole = path.read_bytes()
    half = bytearray(whole)
    half[60:90] = bytes(30)
    for damaged in (b"", b"no archive", whole[: len(whole) // 2], bytes(half)):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"predictions\.npz: "):
            read_predictions(path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(UserError, match="array"):
        read_predictions(tmp_path / "array.npy")
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("ids.npy", "not an array")
    with pytest.raises(UserError, match="text"):
        read_predictions(tmp_path / "text.npz")
