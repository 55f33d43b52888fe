"""Raw files of cameras, in linear light."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from biofacenet.errors import PhotoError
from biofacenet.photos.reading import read_photo
from biofacenet.physics.colour import XYZ_TO_SRGB, srgb_to_linear

NEUTRAL = (0.5, 1.0, 0.6)
"""What the camera sees of a white surface: its balance is far from equal."""


def write_dng(path: Path, linear: np.ndarray, orientation: int = 1) -> Path:
    """A DNG whose camera has the primaries of sRGB: linear (H, W, 3), under a Bayer filter."""
    seen = linear * NEUTRAL
    mosaic = seen[..., 1].copy()
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = seen[0::2, 0::2, 0], seen[1::2, 1::2, 2]

    def ratios(values: object) -> list[int]:
        return [n for value in np.ravel(values) for n in (round(value * 100_000), 100_000)]  # type: ignore[call-overload]

    tags = [
        (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, "B", 4, (0, 1, 1, 2), True),  # CFAPattern
        (50706, "B", 4, (1, 4, 0, 0), True),  # DNGVersion
        (50708, "s", 0, "Test Camera", True),  # UniqueCameraModel
        (50714, "H", 1, 0, True),  # BlackLevel
        (50717, "H", 1, 65535, True),  # WhiteLevel
        (50721, 10, 9, ratios(np.diag(NEUTRAL) @ XYZ_TO_SRGB.numpy()), True),  # ColorMatrix1
        (50728, 5, 3, ratios(NEUTRAL), True),  # AsShotNeutral
        (50778, "H", 1, 21, True),  # CalibrationIlluminant1: D65
        (271, "s", 0, "Test", True),
        (272, "s", 0, "Camera", True),
        (274, "H", 1, orientation, True),
    ]
    values = (65535.0 * mosaic).round().clip(0, 65535).astype(np.uint16)
    tifffile.imwrite(path, values, photometric=32803, extratags=tags, metadata=None, software=False)
    return path


def two_colours() -> np.ndarray:
    picture = np.empty((64, 96, 3))
    picture[:, :48], picture[:, 48:] = (0.3, 0.2, 0.1), (0.4, 0.4, 0.4)
    return picture


def test_a_raw_file_is_linear_light_in_srgb(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    photo = read_photo(write_dng(tmp_path / "a.dng", two_colours()))
    linear = srgb_to_linear(photo.pixels)
    assert linear.shape == (3, 64, 96)
    assert linear[:, 32, 20].tolist() == pytest.approx([0.3, 0.2, 0.1], abs=2e-3)
    assert linear[:, 32, 75].tolist() == pytest.approx([0.4, 0.4, 0.4], abs=2e-3)
    assert any("linear light" in note for note in photo.notes)


def test_half_the_light_is_half_the_value_and_upright(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    photo = read_photo(write_dng(tmp_path / "a.dng", 0.5 * two_colours(), orientation=6))
    linear = srgb_to_linear(photo.pixels)
    assert linear.shape == (3, 96, 64)
    assert linear[:, 20, 32].tolist() == pytest.approx([0.15, 0.1, 0.05], abs=2e-3)


@pytest.mark.parametrize("kept", [0, 20, 3000])
def test_a_damaged_raw_file_is_a_line(tmp_path: Path, kept: int) -> None:
    pytest.importorskip("rawpy")
    whole = write_dng(tmp_path / "a.dng", two_colours()).read_bytes()
    path = tmp_path / "b.dng"
    path.write_bytes(whole[:kept] + b"\0" * 40 if kept else b"no raw file at all, but some text")
    with pytest.raises(PhotoError, match=r"b\.dng: a camera raw file that cannot be read"):
        read_photo(path)


def test_a_large_raw_file_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    path = write_dng(tmp_path / "a.dng", two_colours())
    with pytest.raises(PhotoError, match="96 x 64 pixels; expected at most 5000"):
        read_photo(path, max_pixels=5000)


def test_without_rawpy_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_dng(tmp_path / "a.dng", two_colours())
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(PhotoError, match=r"pip install 'biofacenet\[raw\]'"):
        read_photo(path)
