"""Image files of every odd kind: read as the same colours by both loaders, or refused by name before training."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import EpsImagePlugin
from torch import Tensor

from tests.hostile.pictures import EPS, READ, REFUSED, save
from tests.hostile.pictures import flat as flat_image
from vision.data.encoded import read_encoded
from vision.data.file_batches import FileBatches
from vision.data.folder import folder
from vision.data.image_files import ImageFiles
from vision.data.plan import BatchPlan
from vision.data.readable import check_readable
from vision.data.transforms import Rendering
from vision.data.views import Views
from vision.settings import DataSettings, LoaderSettings

pytestmark = pytest.mark.usefixtures("bounded")


def loaded(kind: type[Any], path: Path, loader: str) -> Tensor:
    """The image as it comes out of a loader: pixels 0 to 255, [3, 16, 16]."""
    rendering = Rendering(Views(16, 20), "bilinear", [0.0] * 3, [1 / 255] * 3)
    files = ImageFiles([str(path)], torch.tensor([0]))
    batches = kind(files, rendering, LoaderSettings(name=loader, workers=0), BatchPlan(1))
    ((images, _),) = list(batches)
    return images[0]


def dali() -> type[Any]:
    pytest.importorskip("nvidia.dali")
    from vision.data.dali import DaliBatches

    return DaliBatches


@pytest.mark.parametrize("kind", READ)
def test_it_is_read_as_its_colour_and_alike_by_both_loaders(kind: str, tmp_path: Path) -> None:
    content, colour = READ[kind]()
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    check_readable([str(path)], tmp_path)
    found = loaded(FileBatches, path, "torchvision")
    assert (found - torch.tensor(colour).view(3, 1, 1)).abs().max() <= 3
    assert torch.equal(loaded(dali(), path, "dali"), found)


def test_a_cameras_note_does_not_turn_the_picture(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(READ["JPEG with a camera's note of its side"]()[0])
    found = read_encoded(str(tmp_path / "x.jpg"))
    assert (found.width, found.height) == (40, 32)


@pytest.mark.parametrize("kind", REFUSED)
def test_it_is_refused_before_training_and_by_both_loaders(
    kind: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(REFUSED[kind]())
    assert f"1 of 1 images cannot be read; mend or remove them: {path} (" in refused(
        check_readable, [str(path)], tmp_path
    )
    wanted = f"cannot read the image {path}: "
    assert refused(loaded, FileBatches, path, "torchvision").startswith(wanted)
    assert refused(loaded, dali(), path, "dali").startswith(wanted)


def test_no_other_program_is_asked_to_read_postscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ghostscript(*_: Any, **__: Any) -> None:
        raise AssertionError("Ghostscript would run it")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", ghostscript)
    (tmp_path / "x.jpg").write_bytes(EPS)
    for read in (
        lambda: check_readable([str(tmp_path / "x.jpg")], tmp_path),
        lambda: read_encoded(str(tmp_path / "x.jpg")),
    ):
        with pytest.raises(ValueError, match="cannot"):
            read()


def data(root: Path) -> DataSettings:
    return DataSettings("folder", [0.5] * 3, [0.5] * 3, 1, data_dir=str(root), image_size=16)


def images(root: Path) -> Path:
    """A whole data set; the class folder that tests spoil."""
    for part in ("train", "val"):
        for name in ("ant", "bee"):
            (root / part / name).mkdir(parents=True)
            (root / part / name / "1.jpg").write_bytes(save(flat_image(), "JPEG"))
    return root / "train" / "ant"


SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a folder named x.jpg": (lambda place: (place / "x.jpg").mkdir(), "x.jpg; remove it"),
    "a link to itself": (lambda place: (place / "x.jpg").symlink_to("x.jpg"), "x.jpg"),
    "two links in a circle": (
        lambda place: ((place / "x.jpg").symlink_to("y.jpg"), (place / "y.jpg").symlink_to("x.jpg")),
        ".jpg",
    ),
    "a link to nothing": (lambda place: (place / "x.jpg").symlink_to("nothing"), "x.jpg; remove it"),
    "a link to its own folder": (lambda place: (place / "x").symlink_to("."), "x; remove it"),
    "a pipe": (lambda place: os.mkfifo(place / "x.jpg"), "x.jpg; remove it"),
    "a device": (lambda place: (place / "x.jpg").symlink_to("/dev/zero"), "x.jpg; remove it"),
    "a program": (lambda place: (place / "x.sh").write_text("#!/bin/sh\n"), "no image by its suffix"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_folder_of_images_with_something_else_in_it_is_refused(
    kind: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    spoil, message = SPOILT[kind]
    place = images(tmp_path / "set")
    folder(data(tmp_path / "set"))
    spoil(place)
    found = refused(folder, data(tmp_path / "set"))
    assert message in found
    assert str(place) in found


def test_an_image_that_changes_after_the_check_is_named(tmp_path: Path, refused: Callable[..., str]) -> None:
    """Its size was read; now it is another file, or none."""
    (tmp_path / "x.jpg").symlink_to("x.jpg")
    assert f"cannot read the image {tmp_path / 'x.jpg'}: " in refused(read_encoded, str(tmp_path / "x.jpg"))
    assert "cannot read the image" in refused(read_encoded, str(tmp_path / "none.jpg"))
    assert "cannot read the image" in refused(read_encoded, str(tmp_path))
