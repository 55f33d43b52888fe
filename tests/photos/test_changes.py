"""Changes of a photo that change no skin, by hand."""

from pathlib import Path

import pytest
import torch

from biofacenet.photos.boxes import Box
from biofacenet.photos.changes import CHANGES, changed
from biofacenet.photos.reading import Photo
from biofacenet.physics.colour import linear_to_srgb, srgb_to_linear

BOX = Box(20, 10, 40)


def grey(level: float) -> Photo:
    return Photo(Path("grey.png"), linear_to_srgb(torch.full((3, 60, 80), level)), exif=b"kept")


def test_exposure_and_white_balance_multiply_linear_light() -> None:
    photo = grey(0.4)
    half = srgb_to_linear(changed(photo, "half", BOX).pixels)
    assert torch.allclose(half, torch.full_like(half, 0.2), atol=1e-5)
    blue = srgb_to_linear(changed(photo, "blue-", BOX).pixels)
    assert blue[:, 0, 0].tolist() == pytest.approx([0.4, 0.4, 0.38], abs=1e-5)
    red = srgb_to_linear(changed(photo, "red+", BOX).pixels)
    assert red[:, 0, 0].tolist() == pytest.approx([0.42, 0.4, 0.4], abs=1e-5)


def test_light_from_a_side_falls_off_across_the_face_and_not_beyond() -> None:
    photo = grey(0.4)
    left, right = (srgb_to_linear(changed(photo, n, BOX).pixels) / 0.4 for n in ("left", "right"))
    assert left[0, 30, 0].item() == pytest.approx(0.6, abs=1e-4)
    assert left[0, 30, 79].item() == pytest.approx(1.0, abs=1e-4)
    assert left[0, 30, 40].item() == pytest.approx(0.8 + 0.4 * 0.5 / 40, abs=1e-4)
    assert torch.allclose(left[:, :, 20:60].flip(2), right[:, :, 20:60], atol=1e-4)


def test_light_from_a_side_follows_a_turned_face() -> None:
    """A face on its side: what is its left is the photo's top or bottom."""
    box = Box(20, 10, 40, angle=90.0)
    light = srgb_to_linear(changed(grey(0.4), "left", box).pixels)[0] / 0.4
    assert torch.allclose(light[:, :1], light, atol=1e-4)
    assert light[12, 0].item() == pytest.approx(0.6 + 0.4 * 2.5 / 40, abs=1e-3)
    assert light[47, 0].item() == pytest.approx(0.6 + 0.4 * 37.5 / 40, abs=1e-3)


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_a_photo(name: str) -> None:
    found = changed(grey(0.97), name, BOX)
    assert found.pixels.shape == (3, 60, 80)
    assert found.pixels.dtype == torch.float32
    assert float(found.pixels.min()) >= 0.0
    assert float(found.pixels.max()) <= 1.0 + 1e-6
    assert found.exif == b"kept"
