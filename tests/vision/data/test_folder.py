import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch

from shared.errors import UserError
from tests.vision.generated import write_folder
from vision.data import load_data
from vision.data.image_files import ImageFiles
from vision.settings import DataSettings


def load(root, train_size=None, validation_size=8, **more):
    values = {"mean": [0.5] * 3, "std": [0.2] * 3, "image_size": 32, **more}
    return load_data(DataSettings("folder", validation_size=validation_size, data_dir=str(root), **values), train_size)


@pytest.fixture
def root(tmp_path):
    return write_folder(tmp_path / "images", ["zebra", "ant", "Bee"], train=12, val=4)


def test_classes_are_the_sorted_folders_and_test_is_val(root):
    data = load(root)
    assert data.class_names == ["Bee", "ant", "zebra"]
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 28, "val": 8, "test": 12}
    assert (data.name, data.image_shape) == ("folder", (3, 32, 32))
    for part, split in data.splits.items():
        assert isinstance(split, ImageFiles)
        below = {str(path) for path in (root / ("val" if part == "test" else "train")).rglob("*.JPEG")}
        assert set(split.paths) <= below
        assert len(set(split.paths)) == len(split)
        assert [Path(path).parent.name for path in split.paths] == [data.class_names[k] for k in split.labels.tolist()]
    assert not set(data.splits["train"].paths) & set(data.splits["val"].paths)


def test_every_class_gives_its_share_of_the_validation_part(tmp_path):
    """Shares by hand: of 12, 24 and 36 images and 12 to hold out, 2, 4 and 6."""
    root = write_folder(tmp_path, ["a", "b", "c"], train=12, val=1)
    for name, times in (("b", 2), ("c", 3)):
        for path in list((root / "train" / name).iterdir()):
            for copy in range(1, times):
                shutil.copy(path, path.with_name(f"copy_{copy}_{path.name}"))
    assert Counter(load(root, None, 12).splits["val"].labels.tolist()) == {0: 2, 1: 4, 2: 6}


def test_the_validation_part_is_fixed_whatever_the_training_size(root):
    every, few = load(root), load(root, train_size=5)
    assert every.splits["val"].paths == few.splits["val"].paths
    assert every.splits["train"].paths[:5] == few.splits["train"].paths
    assert len(set(every.splits["train"].labels[:12].tolist())) == 3  # shuffled, not by class


def test_the_digest_follows_paths_and_sizes(root, tmp_path):
    (digest,) = load(root).sha256.values()
    copy = shutil.copytree(root, tmp_path / "elsewhere")
    assert load(f"{copy}/").sha256 == load(copy, train_size=3).sha256 == load(root).sha256
    path = copy / "val" / "ant" / sorted((copy / "val" / "ant").iterdir())[0].name
    path.write_bytes(path.read_bytes() + b"\0")
    assert list(load(copy).sha256.values()) != [digest]
    path.write_bytes(path.read_bytes()[:-1])
    path.rename(path.with_name("other.JPEG"))
    assert list(load(copy).sha256.values()) != [digest]


def test_imagenets_folders_get_readable_names(tmp_path):
    from timm.data import ImageNetInfo

    wnids = ImageNetInfo().label_names()  # in ImageNet's index order
    some = load(write_folder(tmp_path / "some", wnids[263:268], train=3, val=1), None, 5)
    assert some.class_names == ["Pembroke", "Cardigan n02113186", "toy poodle", "miniature poodle", "standard poodle"]
    assert some.name == "folder"
    for place in (tmp_path / "every" / part / wnid for part in ("train", "val") for wnid in wnids):
        place.mkdir(parents=True)
        for name in ("a.JPEG", "b.JPEG"):
            (place / name).touch()  # read by nobody here
    every = load(tmp_path / "every", None, 1000)
    assert every.name == "imagenet"
    assert (every.class_names[267], every.class_names[833]) == ("standard poodle", "submarine")
    assert len({name.casefold() for name in every.class_names}) == 1000
    assert sorted(every.splits["val"].labels.tolist()) == list(range(1000))


def test_folders_of_other_names_stay_as_they_are(tmp_path):
    data = load(write_folder(tmp_path, ["n01440764", "mine"], train=3, val=1), None, 2)
    assert data.class_names == ["mine", "n01440764"]


def test_upper_case_suffixes_count_and_names_with_a_dot_in_front_do_not(root):
    shutil.copy(next((root / "val" / "ant").glob("*.JPEG")), root / "val" / "ant" / "more.Jpg")
    (root / "val" / "ant" / ".DS_Store").write_text("")
    (root / "train" / ".cache").mkdir()
    assert len(load(root).splits["test"]) == 13


def no_val(root):
    shutil.rmtree(root / "val")


def no_classes(root):
    for part in ("train", "val"):
        for path in (root / part).iterdir():
            shutil.rmtree(path)


def one_class(root):
    for part in ("train", "val"):
        (root / part).rename(root / "kept")
        (root / part).mkdir()
        (root / "kept").rename(root / part / "images")


def other_classes(root):
    (root / "val" / "ant").rename(root / "val" / "wasp")


def empty_class(root):
    for path in (root / "val" / "Bee").iterdir():
        path.unlink()


def strange_file(root):
    (root / "train" / "ant" / "notes.txt").write_text("x")


def nested(root):
    (root / "train" / "ant" / "more").mkdir()


def stray(root):
    (root / "train" / "loose.jpg").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_val, r"is no folder with train and val in it; data\.data_dir=DIR"),
        (no_classes, "train has no class folders"),
        (one_class, "train has one class folder, images; want two or more"),
        (other_classes, "train lacks classes that val has: wasp; want the same"),
        (empty_class, "val has class folders without images: Bee"),
        (strange_file, r"no image by its suffix: .*/train/ant/notes\.txt; remove"),
        (nested, "no image by its suffix: .*/train/ant/more"),
        (stray, r"train holds loose\.jpg beside its class folders"),
    ],
)
def test_a_folder_that_is_none_of_these_is_refused_by_name(root, spoil, message):
    spoil(root)
    with pytest.raises(UserError, match=message):
        load(root)


def test_many_wrong_names_are_counted(root):
    for number in range(25):
        (root / "train" / "ant" / f"{number:02d}.txt").write_text("")
    with pytest.raises(UserError, match=r"/09\.txt, \.\.\. \(25 in all\)"):
        load(root)


def test_sizes_that_the_images_do_not_give(root):
    with pytest.raises(UserError, match=r"data\.validation_size is 36; it must be 1 to 35"):
        load(root, None, 36)
    with pytest.raises(UserError, match=r"recipe\.train_size is 29; it must be 1 to 28"):
        load(root, 29)


def test_the_crops_need_a_size(root):
    with pytest.raises(UserError, match=r"data\.image_size is None; .* e\.g\. data\.image_size=224"):
        load(root, image_size=None)


def test_no_folder_named():
    with pytest.raises(UserError, match="data_dir None is no folder"):
        load_data(DataSettings("folder", [0.5] * 3, [0.2] * 3, 8, image_size=32), None)


def test_labels_are_int64(root):
    assert load(root).splits["train"].labels.dtype == torch.int64
