"""Videos: reading frames, and writing pictures as frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import BioFaceNetError, PhotoError
from ..system.names import shown
from .reading import MAX_PIXELS, MIN_SIDE

__all__ = [
    "Clip",
    "Writer",
    "frames",
]

EXPECTED = "expected a video such as MP4, MOV, MKV, WebM or AVI"

TURNED = {90: 1, -90: 3, 180: 2, -180: 2, 270: 3}
"""Quarter turns, counter-clockwise, that show a stored frame as it was taken."""


def video_problem(path: Path, what: str) -> PhotoError:
    return PhotoError(" ".join(f"{shown(path)}: {what}".split()))


def _library() -> Any:
    try:
        import av
    except ImportError as error:
        raise BioFaceNetError(
            "videos need the library PyAV; install it with pip install 'biofacenet[video]'"
        ) from error
    return av


# Reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """A frame of a video."""

    time: float
    """Seconds from the first frame."""
    pixels: Tensor
    """(3, H, W), sRGB-encoded, 0..1, upright."""


@dataclass(frozen=True)
class Clip:
    """What a video says of itself."""

    rate: float
    """Frames a second, on average."""
    count: int
    """Frames, as far as it says so; else 0."""


@contextmanager
def frames(path: Path) -> Iterator[tuple[Clip, Iterator[Frame]]]:
    """A video's frames, one at a time, decoded as they are asked for.

    Raises:
        PhotoError: missing, no video, too large, or damaged; also while frames are read.
        BioFaceNetError: PyAV is not installed.
    """
    av = _library()
    if not path.is_file():
        raise video_problem(path, f"no such file; {EXPECTED}, check the spelling")
    try:
        # A name such as 10:30.mp4 would otherwise be taken for an address.
        container = av.open(str(path.absolute()), options={"protocol_whitelist": "file"})
    except (av.FFmpegError, OSError, ValueError) as error:
        raise video_problem(path, f"not a readable video ({_reason(error)}); {EXPECTED}") from error
    with container:
        if not container.streams.video:
            raise video_problem(path, f"without a picture in it; {EXPECTED}")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        width, height = stream.codec_context.width, stream.codec_context.height
        if not (min(width, height) >= MIN_SIDE and width * height <= MAX_PIXELS):
            raise video_problem(
                path,
                f"frames of {width} x {height} pixels; expected at least {MIN_SIDE} x {MIN_SIDE} and "
                f"at most {MAX_PIXELS} pixels",
            )
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        length = float(stream.duration * stream.time_base) if stream.duration else 0.0
        yield Clip(rate, stream.frames or round(length * rate)), _decoded(path, container, rate)


def _decoded(path: Path, container: Any, rate: float) -> Iterator[Frame]:
    number, first = 0, None
    av = _library()
    try:
        for frame in container.decode(video=0):
            time = number / rate if frame.time is None else float(frame.time)
            first = time if first is None else first
            picture = frame.to_ndarray(format="rgb24")
            picture = np.rot90(picture, TURNED.get(round(frame.rotation), 0))
            planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
            yield Frame(max(0.0, time - first), planes.float() / 255.0)
            number += 1
    except (av.FFmpegError, OSError, ValueError) as error:
        raise video_problem(
            path,
            f"damaged or cut short after frame {number} ({_reason(error)}); expected a whole video, "
            "copy it again",
        ) from error
    if number == 0:
        raise video_problem(path, f"without a single frame; {EXPECTED}, copy it again")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


# Writing -------------------------------------------------------------------------------------


class Writer:
    """A video of pictures of one size, H.264 in MP4."""

    def __init__(self, path: Path, rate: float) -> None:
        self.container = _library().open(str(path.absolute()), "w", format="mp4")
        self.rate = max(1, round(rate))
        self.stream: Any = None
        self.last = -1

    def add(self, picture: np.ndarray, time: float) -> None:
        """A picture, 8-bit (H, W, 3), shown from a time in seconds."""
        av = _library()
        # The codec halves the resolution of colour.
        picture = np.pad(
            picture, ((0, picture.shape[0] % 2), (0, picture.shape[1] % 2), (0, 0)), mode="edge"
        )
        if self.stream is None:
            self.stream = self.container.add_stream(
                "libx264",
                rate=max(1, round(self.rate)),
                options={"crf": "18", "preset": "veryfast"},
            )
            self.stream.height, self.stream.width = picture.shape[:2]
            self.stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        # Frames come in order; those of one instant would be refused.
        self.last = max(self.last + 1, round(time * self.rate))
        frame.pts = self.last
        self.container.mux(self.stream.encode(frame))

    def close(self) -> None:
        if self.stream is not None:
            self.container.mux(self.stream.encode(None))
        self.container.close()
