"""Large photos take little memory besides their own, and are told of before anything is done with them."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch

from biofacenet.analysis import batch
from biofacenet.errors import PhotoError
from biofacenet.photos.boxes import Box, crop, into_photo
from biofacenet.photos.faces import find_faces
from biofacenet.photos.framing import Wanted
from biofacenet.photos.reading import read_photo

SIDE = 3000
PLANE = 4 * SIDE**2
"""Bytes of a channel in float32: 36 MB."""

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def taken(work: Callable[[], object]) -> float:
    """Bytes that some work takes at most, what it returns included.

    The least of three: what libraries and the allocator keep for the next time is not the work's.
    """
    return min(_taken_once(work) for _ in range(3))


def _taken_once(work: Callable[[], object]) -> float:
    try:
        CLEAR.write_text("5", "ascii")  # forget the peak
    except OSError:
        pytest.skip("this system does not tell the memory of a process")

    def field(name: str) -> float:
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
        return 1024.0 * float(line.split()[1])

    before = field("VmRSS")
    kept = work()
    peak = field("VmHWM")
    del kept
    return peak - before


SMALL = 25e6
"""Bytes of bands, buffers and of what the allocator keeps."""


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_reading(tmp_path: Path, ending: str) -> None:
    """Pixels, the file as its decoder holds it and gives it away, and no other copy of the pixels."""
    path = tmp_path / f"a.{ending}"
    levels = np.full((SIDE, SIDE, 3), (200, 120, 90), np.uint8)
    if ending == "tif":
        tifffile.imwrite(path, levels.astype(np.uint16) * 257, photometric="rgb")
    else:
        cv2.imwrite(str(path), levels)
    decoded = 3 * SIDE**2 * (2 if ending == "tif" else 1)
    read_photo(path)  # libraries are loaded by now
    assert taken(lambda: read_photo(path)) < 3 * PLANE + 2.5 * decoded + SMALL


def test_looking_for_faces_and_cutting() -> None:
    """A plane at a time."""
    pixels = torch.full((3, SIDE, SIDE), 0.5)
    pixels[:, ::7, ::5] = 0.4
    whole = Box.whole(SIDE, SIDE)
    find_faces(pixels[:, :64, :64])
    assert taken(lambda: find_faces(pixels)) < 0.5 * PLANE + SMALL
    assert taken(lambda: crop(pixels, whole, 96)) < PLANE + SMALL
    turned = Box(10, 10, SIDE - 20, angle=5.0)
    assert taken(lambda: crop(pixels, turned, 96)) < 2.5 * PLANE + SMALL
    small = torch.zeros(3, 96, 96)
    assert taken(lambda: into_photo(small, whole, SIDE, SIDE)) < 6 * PLANE + SMALL


@pytest.mark.parametrize("box", [Box(4, 6, 30), Box(-9, 3, 50, angle=20.0), Box(0, 0, 60, tall=40)])
@pytest.mark.parametrize("size", [12, 90, (16, 40)])
def test_planes_are_cut_as_pictures_are(box: Box, size: int | tuple[int, int]) -> None:
    """OpenCV on all three channels at once, in linear light."""
    pixels = torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(0))
    found = crop(pixels, box, size).permute(1, 2, 0).numpy()
    encoded = pixels.permute(1, 2, 0).numpy()
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    margin = 80
    framed = cv2.copyMakeBorder(linear, *[margin] * 4, cv2.BORDER_REPLICATE)
    there = box.to_photo()
    there[:, 2] += margin + there[:, :2] @ (0.5, 0.5) - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cut = cv2.warpAffine(framed, there, (box.width, box.height), flags=flags)
    tall, wide = (size, size) if isinstance(size, int) else size
    method = cv2.INTER_AREA if wide < box.width else cv2.INTER_LINEAR
    light = cv2.resize(cut, (wide, tall), interpolation=method)
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_large_photo_is_told_of_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def method(photo: object, part: object) -> object:
        said.append(capsys.readouterr().out)
        raise PhotoError("that is all")

    paths = (tmp_path / "large.png", tmp_path / "small.png")
    for path, side in zip(paths, (200, 100), strict=True):
        cv2.imwrite(str(path), np.full((side, side, 3), 128, np.uint8))
    monkeypatch.setattr(batch, "LARGE", 40_000)
    with pytest.raises(SystemExit):
        batch.process(paths, tmp_path / "out", method, Wanted(crop="whole"), said="nothing")
    large, small = said
    assert f"{paths[0]}: 200 x 200 pixels, 0 megapixels, which take 0.5 GB of memory" in large
    assert "pixels" not in small
