"""Videos: reading frames, and writing pictures as frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from ..errors import BioFaceNetError, PhotoError
from ..system.limits import MEGAPIXELS, most_pixels
from ..system.names import shown
from .kinds import KindError
from .numbered_colour import by_numbers, to_srgb
from .reading import MIN_SIDE

__all__ = [
    "Clip",
    "Writer",
    "frames",
]

EXPECTED = "expected a video such as MP4, MOV, MKV, WebM or AVI"

PLAYED = "mov,matroska,webm,avi,mpeg,mpegts,asf,flv,ogg,mpegvideo,h264,hevc,ivf,nut,rm,dv,mxf,gif"
"""Formats that may be tried: none that is a list of other files, such as playlists."""

OPENED = {"protocol_whitelist": "file", "format_whitelist": PLAYED}

# Numbers of ITU-T H.273, table 4.
UNSAID, BT_709, BT_601, BT_2020 = 2, 1, 5, 9
MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
"""Those that are converted, as FFmpeg's scaler numbers them."""

LARGEST_SD = 576
"""Rows above which a video that does not say its matrix is taken to have that of HDTV, as players do."""

DOLBY_ALONE = ("dvh1", "dvhe", "dva1", "dvav", "dav1")
"""Streams of Dolby Vision; they can be shown as others are only where they say their colour."""

TELEVISION = 1
"""Range of values, as FFmpeg numbers it."""

SAID = {"color_primaries": 1, "color_trc": 1, "colorspace": BT_709, "color_range": TELEVISION}
"""Of videos that are written: BT.709, which players show as sRGB."""

STRANGEST_PIXEL = 8.0
"""Largest ratio of a pixel's sides that is not a mistake."""

CLOCK = 90_000
"""Ticks a second of videos that are written, as in MPEG: every usual rate is whole in it, or nearly."""


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
        container = av.open(str(path.absolute()), options=OPENED)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise video_problem(path, f"not a readable video ({_reason(error)}); {EXPECTED}") from error
    with container:
        if not container.streams.video:
            raise video_problem(path, f"without a picture in it; {EXPECTED}")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        shown_as = _Shown.of(path, stream)
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        length = float(stream.duration * stream.time_base) if stream.duration else 0.0
        count = stream.frames or round(length * rate)
        yield Clip(rate, count), _decoded(path, container, rate, shown_as)


@dataclass(frozen=True)
class _Shown:
    """What a stream says of how its frames are shown."""

    height: int
    width: int
    """As stored, stretched to square pixels."""

    @classmethod
    def of(cls, path: Path, stream: Any) -> _Shown:
        """Raise PhotoError where frames are too large or too small, or their colour is unknown."""
        context = stream.codec_context
        width, height = int(context.width), int(context.height)
        ratio = float(stream.sample_aspect_ratio or context.sample_aspect_ratio or 1)
        if not 1 / STRANGEST_PIXEL <= ratio <= STRANGEST_PIXEL:
            raise video_problem(
                path,
                f"pixels {ratio:.4g} times as wide as high; expected square ones, encode it anew",
            )
        # The side that is stretched, so that nothing is lost.
        wide, tall = round(width * max(1.0, ratio)), round(height * max(1.0, 1.0 / ratio))
        if not (min(wide, tall) >= MIN_SIDE and wide * tall <= most_pixels()):
            raise video_problem(
                path,
                f"frames of {wide} x {tall} pixels; expected at least {MIN_SIDE} x {MIN_SIDE} and "
                f"at most {most_pixels()} pixels ({MEGAPIXELS} raises it)",
            )
        if context.codec_tag in DOLBY_ALONE and int(context.color_trc or UNSAID) == UNSAID:
            raise video_problem(
                path,
                "Dolby Vision without another colour in it; expected SDR, HLG or PQ, export it anew",
            )
        return cls(tall, wide)


def _decoded(path: Path, container: Any, rate: float, shown_as: _Shown) -> Iterator[Frame]:
    number, first, last = 0, None, -1.0
    av = _library()
    try:
        for frame in container.decode(video=0):
            time = None if frame.time is None else float(frame.time)
            first = (time or 0.0) if first is None else first
            # Times go forwards, whatever a damaged file says.
            now = last + 1.0 / rate if time is None else time - first
            last = now if now > last else last + 1.0 / rate
            yield Frame(max(0.0, last), _picture(path, frame, shown_as))
            number += 1
    except (av.FFmpegError, OSError, ValueError) as error:
        raise video_problem(
            path,
            f"damaged or cut short after frame {number} ({_reason(error)}); expected a whole video, "
            "copy it again",
        ) from error
    if number == 0:
        raise video_problem(path, f"without a single frame; {EXPECTED}, copy it again")


def _picture(path: Path, frame: Any, shown_as: _Shown) -> Tensor:
    """A frame in sRGB, with square pixels, as it was taken: (3, H, W)."""
    try:
        colour = by_numbers(int(frame.color_primaries), int(frame.color_trc))
    except KindError as error:
        raise video_problem(
            path, str(error).replace("export it as JPEG", "export it anew")
        ) from error
    deep = any(part.bits > 8 for part in frame.format.components)
    options: dict[str, Any] = {"format": "rgb48le" if deep else "rgb24"}
    if not frame.format.is_rgb:
        options["src_colorspace"] = _matrix(path, frame)
    stored = frame.to_ndarray(**options)
    if stored.shape[:2] != (shown_as.height, shown_as.width):
        stored = cv2.resize(
            stored, (shown_as.width, shown_as.height), interpolation=cv2.INTER_LINEAR
        )
    upright = np.ascontiguousarray(_turned(stored, frame).transpose(2, 0, 1))
    pixels = torch.from_numpy(upright.astype(np.float32)) / (65535.0 if deep else 255.0)
    return pixels if colour is None else to_srgb(pixels, colour)


def _matrix(path: Path, frame: Any) -> int:
    """By which luma and chroma become RGB, as FFmpeg's scaler numbers it."""
    number = int(frame.colorspace)
    if number == UNSAID:
        if int(frame.color_primaries) == BT_2020:
            return BT_2020
        return BT_709 if frame.height > LARGEST_SD else BT_601
    if number not in MATRICES:
        raise video_problem(
            path, f"colour of matrix {number}; expected that of BT.601, 709 or 2020, export it anew"
        )
    return MATRICES[number]


def _turned(picture: np.ndarray, frame: Any) -> np.ndarray:
    """By the display matrix of a frame (ISO/IEC 14496-12, 6.2.2): quarter turns, and mirrored or not."""
    for part in frame.side_data:
        if getattr(part.type, "name", "") == "DISPLAYMATRIX":
            a, b, _, c, d = np.frombuffer(bytes(part)[:20], np.int32).astype(float)
            break
    else:
        return picture
    if abs(a) + abs(d) < abs(b) + abs(c):  # a row is shown as a column
        picture, a, d = picture.swapaxes(0, 1), c, b
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


# Writing -------------------------------------------------------------------------------------


class Writer:
    """A video of pictures of one size, H.264 in MP4, each shown from its own time on."""

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
                "libx264", rate=self.rate, options={"crf": "18", "preset": "veryfast"}
            )
            self.stream.height, self.stream.width = picture.shape[:2]
            self.stream.pix_fmt = "yuv420p"
            self.stream.codec_context.time_base = Fraction(1, CLOCK)
            for name, value in SAID.items():
                setattr(self.stream.codec_context, name, value)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=BT_709, dst_color_range=TELEVISION)
        # Frames come in order; those of one instant would be refused.
        self.last = max(self.last + 1, round(time * CLOCK))
        frame.pts, frame.time_base = self.last, Fraction(1, CLOCK)
        self.container.mux(self.stream.encode(frame))

    def close(self) -> None:
        if self.stream is not None:
            self.container.mux(self.stream.encode(None))
        self.container.close()
