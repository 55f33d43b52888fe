"""Photos in memory: the same as the file, whichever library holds them; other scales are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from biofacenet import BioFaceNet
from biofacenet.analysis import ByFitting, ByNetwork, decompose
from biofacenet.errors import PhotoError
from biofacenet.photos import Photo, as_photo, read_photo
from biofacenet.photos.paths import EXAMPLE

RED = (200, 80, 40)


def picture(width: int = 40, height: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def same(one: Photo, other: Photo) -> bool:
    return torch.equal(one.pixels, other.pixels)


def test_every_way_to_hold_a_photo_gives_the_same(tmp_path: Path) -> None:
    values = picture()
    path = tmp_path / "photo.png"
    Image.fromarray(values).save(path)
    expected = read_photo(path)
    tensor = torch.from_numpy(values).permute(2, 0, 1)
    for held in (
        *(path, str(path), Image.open(path), Image.fromarray(values), values),
        *(values.astype(np.uint16) * 257, values / 255, np.float32(values / 255.0)),
        *(tensor, tensor / 255, tensor.double() / 255),
        *(np.asfortranarray(values), values[:, ::-1][:, ::-1], expected),
    ):
        photo = as_photo(held)
        torch.testing.assert_close(photo.pixels, expected.pixels, atol=1e-6, rtol=0)
        assert photo.pixels.dtype == torch.float32
        assert photo.pixels.is_contiguous()
    assert as_photo(Image.open(path)).path == path


def test_what_pillow_knows_of_an_image_counts(tmp_path: Path) -> None:
    """Orientation, palette, transparency, profile and ink, as in a file."""
    turned = Image.new("RGB", (48, 32), RED)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert as_photo(Image.open(tmp_path / "turned.jpg")).pixels.shape == (3, 48, 32)

    palette = Image.new("P", (32, 32), 1)
    palette.putpalette([0, 0, 0, *RED])
    palette.paste(0, (0, 0, 8, 8))
    palette.info["transparency"] = 0
    photo = as_photo(palette)
    torch.testing.assert_close(photo.pixels[:, 20, 20], torch.tensor(RED) / 255)
    assert photo.alpha is not None
    assert photo.alpha[0, 2, 2] == 0
    assert photo.alpha[0, 20, 20] == 1

    plain = as_photo(Image.new("RGB", (32, 32), RED)).pixels
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    same_profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (same_profile, lab):  # the same, and one that fits no RGB image
        with_profile = Image.new("RGB", (32, 32), RED)
        with_profile.info["icc_profile"] = profile
        torch.testing.assert_close(as_photo(with_profile).pixels, plain)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "F"]
)
def test_every_mode_of_pillow_is_read(mode: str) -> None:
    grey = Image.new("L", (32, 32), 128)
    image = Image.fromarray(np.full((32, 32), 0.5, np.float32)) if mode == "F" else None
    if mode == "I;16":
        image = Image.fromarray(np.full((32, 32), 32896, np.uint16))
    image = image or grey.convert("RGBA" if mode == "PA" else mode)
    if mode == "PA":
        image = image.quantize().convert("PA")
    expected = 0.5 if mode != "1" else None
    pixels = as_photo(image).pixels
    assert pixels.shape == (3, 32, 32)
    if expected is not None:
        assert (pixels - expected).abs().max() < 0.02


def test_opacity_in_arrays_is_opacity() -> None:
    values = np.dstack([picture(), np.full((32, 40), 255, np.uint8)])
    assert as_photo(values).alpha is None
    values[:4, :, 3] = 0
    photo = as_photo(values)
    assert photo.alpha is not None
    assert (photo.pixels[:, :4] == 1).all()
    assert same(as_photo(values[..., :3][4:]), Photo(Path("x"), photo.pixels[:, 4:]))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (255 * np.ones((32, 32, 3), np.float32), r"1?255..*divide by 255"),
        (np.full((32, 32, 3), -1.0), "normalised"),
        (np.full((32, 32, 3), 128, np.int64), "astype"),
        (np.ones((32, 32, 3), bool), "bool"),
        (np.full((32, 32, 3), np.nan), "NaN"),
        (np.zeros((3, 32, 32)), r"image.transpose\(1, 2, 0\)"),
        (np.zeros((2, 32, 32, 3)), r"image\[0\]"),
        (np.zeros((32, 32, 7)), "R, G, B"),
        (np.zeros((8, 32, 3)), "16 x 16"),
        (np.array("portrait.jpg"), "expected"),
        (torch.zeros(1, 3, 32, 32), r"image\[0\]"),
        (torch.zeros(32, 32, 3), r"\(3, H, W\)"),
        (torch.full((3, 32, 32), 255.0), "divide by 255"),
        (Image.new("RGB", (8, 8)), "16 x 16"),
    ],
)
def test_other_scales_and_shapes_are_refused(values: object, said: str) -> None:
    with pytest.raises(PhotoError, match=said) as caught:
        as_photo(values)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert "biofacenet-" not in str(caught.value)  # no name of a file that nobody knows


def test_resampled_floats_are_clipped_and_other_objects_named() -> None:
    values = picture() / 255.0
    values[0, 0] = (1.2, -0.1, 0.5)
    photo = as_photo(values)
    assert photo.pixels[:, 0, 0].tolist() == [1.0, 0.0, 0.5]
    assert "values beyond 0..1 clipped" in photo.notes
    with pytest.raises(TypeError, match="a photo cannot be list"):
        as_photo([[0]])  # type: ignore[arg-type]


def test_a_network_and_a_fit_take_them_all() -> None:
    network = BioFaceNet.from_pretrained("small")
    with Image.open(EXAMPLE) as image:
        pixels = np.asarray(image.convert("RGB"))
        expected = decompose(network, EXAMPLE, size=64)
        for held in (str(EXAMPLE), image, pixels, torch.from_numpy(pixels.copy()).permute(2, 0, 1)):
            found = decompose(network, held, size=64)
            assert torch.equal(found.decomposition.melanin, expected.decomposition.melanin)
            assert found.part.kind == "face"
    again = ByNetwork(network, size=64)(pixels)
    assert torch.equal(again.decomposition.melanin, expected.decomposition.melanin)
    assert ByFitting(size=32, steps=1)(pixels).mask is not None


def test_a_network_of_16_bits_gives_whole_maps() -> None:
    network = BioFaceNet.from_pretrained("small").to(torch.bfloat16)
    whole = decompose(BioFaceNet.from_pretrained("small"), EXAMPLE, size=64, resolution=96)
    found = decompose(network, EXAMPLE, size=64, resolution=96)
    assert found.decomposition.melanin.dtype == found.reconstruction.dtype == torch.float32
    difference = (found.decomposition.melanin - whole.decomposition.melanin).abs()
    assert difference.mean() < 0.01
