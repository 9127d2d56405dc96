import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from shared.errors import UserError
from tests.vision.data.jpegs import photograph
from vision.data.encoded import read_encoded
from vision.data.transforms import Rendering, decode, recoloured, square, window_of
from vision.data.views import View, Views

VIEW = View(corner=(20, 31), window=(250, 301), resized=(224, 224), place=(0, 0))


@pytest.fixture(scope="module")
def image():
    return F.pil_to_tensor(photograph(1))


@pytest.mark.parametrize("size", [(375, 500), (500, 375), (333, 257), (100, 131), (256, 256)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_test_view_is_torchvisions_resize_and_centre_crop(size, interpolation):
    image = F.pil_to_tensor(photograph(1, size[::-1]))
    view = Views(224, 256).of(*size, seed=0)
    wanted = v2.Compose([v2.Resize(256, InterpolationMode(interpolation)), v2.CenterCrop(224)])(image)
    assert torch.equal(square(window_of(image, view), view, 224, interpolation), wanted)


def test_a_window_is_torchvisions_resized_crop(image):
    wanted = F.resized_crop(image, 20, 31, 250, 301, [224, 224], antialias=True)
    assert torch.equal(square(window_of(image, VIEW), VIEW, 224, "bilinear"), wanted)


def test_a_place_outside_is_black():
    white = torch.full((3, 32, 32), 255, dtype=torch.uint8)
    view = View((0, 0), (32, 32), (32, 32), (-4, 3))
    wanted = torch.zeros_like(white)
    wanted[:, 4:, :29] = 255
    assert torch.equal(square(white, view, 32, "bilinear"), wanted)


def test_the_square_is_mirrored_before_it_is_turned(image):
    plain = square(window_of(image, VIEW), VIEW, 224, "bilinear")
    turned = square(window_of(image, VIEW), VIEW._replace(flip=True, angle=90.0), 224, "bilinear")
    assert (turned.int() - plain.flip(-1).rot90(1, (1, 2)).int()).abs().max() <= 1  # counter-clockwise


def test_colours_change_in_their_order(image):
    image = image / 255
    colours = (("grayscale", 1.0), ("contrast", 1.3), ("brightness", 0.7), ("saturation", 0.5), ("hue", 0.1))
    changed = recoloured(image, VIEW._replace(colour=colours))
    wanted = image.clone()
    for step in (lambda x: F.rgb_to_grayscale(x, 3), lambda x: F.adjust_contrast(x, 1.3)):
        wanted = step(wanted)
    wanted = F.adjust_hue(F.adjust_saturation(F.adjust_brightness(wanted, 0.7), 0.5), 0.1)
    torch.testing.assert_close(changed, wanted, rtol=0, atol=0)
    other = recoloured(image, VIEW._replace(colour=(("brightness", 2.0), ("contrast", 0.5))))
    by_hand = (2 * image).clamp(max=1)
    mean = (by_hand * torch.tensor([0.2989, 0.587, 0.114]).view(3, 1, 1)).sum(0).mean()
    torch.testing.assert_close(other, 0.5 * by_hand + 0.5 * mean)


def test_pixels_are_normalized_by_hand(tmp_path):
    Image.new("RGB", (50, 40), (255, 51, 0)).save(tmp_path / "a.png")
    rendering = Rendering(Views(32), "bilinear", [0.5, 0.5, 0.5], [0.25, 0.5, 1.0])
    file = read_encoded(str(tmp_path / "a.png"))
    squares = rendering.empty(1)
    view = rendering.views.of(file.height, file.width, 0)
    rendering.fill(squares, [window_of(decode(file), view)], [view])
    wanted = torch.tensor([(1 - 0.5) / 0.25, (0.2 - 0.5) / 0.5, -0.5]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    torch.testing.assert_close(squares, wanted)


@pytest.mark.parametrize(
    ("mode", "kind", "plain"),
    [("RGB", "JPEG", True), ("L", "JPEG", True), ("CMYK", "JPEG", False), ("RGB", "PNG", False), ("L", "PNG", False),
     ("P", "PNG", False), ("RGBA", "PNG", False), ("RGB", "WEBP", False), ("RGB", "BMP", False)],
)  # fmt: skip
def test_every_kind_of_image_is_decoded_as_pil_does(tmp_path, mode, kind, plain):
    path = tmp_path / "image"
    photograph(3, (61, 47)).convert(mode).save(path, kind)
    file = read_encoded(str(path))
    assert (file.height, file.width, file.is_plain_jpeg) == (47, 61, plain)
    wanted = np.asarray(Image.open(path).convert("RGB"))
    assert torch.equal(decode(file), torch.from_numpy(wanted.copy()).permute(2, 0, 1))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_torchvisions_decoder_gives_pils_bits(tmp_path, subsampling, progressive):
    photograph(1).save(tmp_path / "a.jpg", subsampling=subsampling, progressive=progressive, quality=70)
    file = read_encoded(str(tmp_path / "a.jpg"))
    assert torch.equal(decode(file), torch.from_numpy(file.pixels()).permute(2, 0, 1))


def test_a_note_of_orientation_is_not_obeyed(tmp_path):
    image = photograph(0, (60, 40))
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees
    image.save(tmp_path / "a.jpg", exif=exif)
    assert decode(read_encoded(str(tmp_path / "a.jpg"))).shape == (3, 40, 60)


def test_damaged_files_are_named(tmp_path):
    photograph(0).save(tmp_path / "a.jpg")
    photograph(0).save(tmp_path / "a.png")
    for name in ("a.jpg", "a.png"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match=f"cannot read the image .*{name}: "):
            decode(read_encoded(str(tmp_path / name)))
    (tmp_path / "text.jpg").write_text("not an image")
    for name in ("text.jpg", "missing.jpg"):
        with pytest.raises(UserError, match=f"cannot read the image .*{name}: "):
            read_encoded(str(tmp_path / name))
