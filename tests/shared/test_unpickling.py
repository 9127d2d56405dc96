import io
import random
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.errors import UserError
from shared.unpickling import MOST, load_torch

GOOD: dict[str, Any] = {
    "weights": OrderedDict(weight=torch.arange(6.0).view(2, 3), bias=torch.ones(2)),
    "shape": torch.Size([2, 3]),
    "random": random.Random(1).getstate(),
    "keys": {(1, ("a", 2)): [None] * 3 * MOST},
    "shared": [(0, 1)] * 3 * MOST,
}


def doubling(levels: int) -> bytes:
    """A pickle of {tuple: 1}: the tuple holds another one twice, that one another one, and so on."""
    return b"\x80\x02})" + b"q\x00h\x00\x86" * levels + b"K\x01s."


def zipped(pickled: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    """What torch.save would write, but for its pickle."""
    saved, made = io.BytesIO(), io.BytesIO()
    torch.save(1, saved)
    with zipfile.ZipFile(saved) as good, zipfile.ZipFile(made, "w", compression) as archive:
        for name in good.namelist():
            archive.writestr(name, pickled if name.endswith("data.pkl") else good.read(name))
    return made.getvalue()


def legacy(pickled: bytes) -> bytes:
    """As torch before 1.6 wrote it: a magic number, a version, sizes of integers, the pickle, no tensors."""
    magic = b"\x80\x02\x8a\n" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."
    sizes = b"\x80\x02}q\x00(X\r\x00\x00\x00little_endianq\x01\x88u."
    return magic + b"\x80\x02M" + struct.pack("<H", 1001) + b"." + sizes + pickled + b"\x80\x02]."


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("mapped", [True, False])
def test_what_torch_saves(is_zip: bool, mapped: bool, tmp_path: Path) -> None:
    torch.save(GOOD, tmp_path / "x.pt", _use_new_zipfile_serialization=is_zip)
    found = load_torch(tmp_path / "x.pt", mapped=mapped)
    assert found.pop("weights")["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found == {name: value for name, value in GOOD.items() if name != "weights"}


@pytest.mark.parametrize("wrap", [zipped, legacy])
def test_tuples_that_double(wrap: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(wrap(doubling(3)))
    assert list(load_torch(path).values()) == [1]
    path.write_bytes(wrap(doubling(28)))  # 3 s where it is not refused; 60 would be for ever
    with pytest.raises(UserError, match="a tuple of more than 10,000 values"):
        load_torch(path)


def test_through_a_class_that_is_a_tuple(tmp_path: Path) -> None:
    size = b"\x80\x02}ctorch\nSize\n)"
    (tmp_path / "x.pt").write_bytes(zipped(size + b"q\x00h\x00\x86" * 20 + b"\x85RK\x01s."))
    with pytest.raises(UserError, match="a tuple of"):
        load_torch(tmp_path / "x.pt")


def test_a_compressed_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(zipped(doubling(1), zipfile.ZIP_DEFLATED))
    with pytest.raises(UserError, match=r"compressed, which torch\.save never does"):
        load_torch(tmp_path / "x.pt")


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x02h\x09.", b"\x80\x02\x86.", zipped(b"\x80\x02(")])
def test_what_is_no_checkpoint_is_the_unpicklers_to_refuse(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        load_torch(tmp_path / "x.pt")
    assert not isinstance(caught.value, UserError)
