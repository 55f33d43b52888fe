"""Videos that were taken with the camera turned are shown upright."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from biofacenet.photos.video import frames

WIDTH, HEIGHT = 64, 48
# A point (p, q) of the stored frame is shown at (a p + c q, b p + d q), with y downwards, shifted so
# that the frame begins at (0, 0): ISO/IEC 14496-12, section 6.2.2.
TURNS = {
    "upright": (1, 0, 0, 1),
    "clockwise": (0, 1, -1, 0),
    "upside down": (-1, 0, 0, -1),
    "counter-clockwise": (0, -1, 1, 0),
}


def stored() -> np.ndarray:
    """Four colours in the corners: (H, W, 3), 8 bits."""
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    top, left = slice(0, HEIGHT // 2), slice(0, WIDTH // 2)
    bottom, right = slice(HEIGHT // 2, HEIGHT), slice(WIDTH // 2, WIDTH)
    for rows, columns, colour in (
        (top, left, (200, 40, 40)),
        (top, right, (40, 200, 40)),
        (bottom, left, (40, 40, 200)),
        (bottom, right, (200, 200, 200)),
    ):
        picture[rows, columns] = colour
    return picture


def write(path: Path, turn: tuple[int, int, int, int]) -> Path:
    """Two frames in MP4, and the matrix that the file's track header is to have."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "4"})
        stream.height, stream.width = HEIGHT, WIDTH
        stream.pix_fmt = "yuv420p"
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(stored(), format="rgb24")))
        container.mux(stream.encode(None))
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40  # after version, times, number, length, layer, volume
    one = 1 << 16
    assert struct.unpack_from(">9i", content, at) == (one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    a, b, c, d = turn
    across = max(0, -a) * WIDTH + max(0, -c) * HEIGHT
    down = max(0, -b) * WIDTH + max(0, -d) * HEIGHT
    matrix = (a, b, 0, c, d, 0, across, down)
    struct.pack_into(">9i", content, at, *(one * value for value in matrix), 1 << 30)
    path.write_bytes(content)
    return path


def shown(turn: tuple[int, int, int, int]) -> np.ndarray:
    """The stored frame, moved pixel by pixel as the matrix says."""
    a, b, c, d = turn
    picture = stored()
    q, p = np.mgrid[:HEIGHT, :WIDTH]
    x, y = a * p + c * q, b * p + d * q
    x, y = x - x.min(), y - y.min()
    moved = np.empty((y.max() + 1, x.max() + 1, 3), np.uint8)
    moved[y, x] = picture
    return moved


@pytest.mark.parametrize("name", TURNS)
def test_frames_are_shown_as_they_were_taken(name: str, tmp_path: Path) -> None:
    with frames(write(tmp_path / "clip.mp4", TURNS[name])) as (_, stream):
        found = list(stream)
    assert len(found) == 2
    expected = torch.from_numpy(shown(TURNS[name])).permute(2, 0, 1).float() / 255
    for frame in found:
        assert frame.pixels.shape == expected.shape
        # But for the edges of colours, which the codec blurs.
        assert (frame.pixels - expected).abs().flatten().quantile(0.8) < 0.05
