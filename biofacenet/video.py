"""Decompose the face of a video, frame by frame, with a light and a camera that change slowly."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from . import __version__
from .cli import console
from .decomposition import Decomposition
from .detail import explain
from .errors import BioFaceNetError, PhotoError
from .face import Box
from .files import whole_file
from .network import BioFaceNet
from .photo import MAX_PIXELS, MIN_SIDE, Photo
from .physics.illuminant import ILLUMINANT_NAMES, Illuminant
from .physics.temperature import correlated_temperature
from .pictures import FAMILY, MAP_NAMES, display, map_image
from .results import Part, choose_parts, cut

__all__ = ["Smooth", "film", "frames"]

EXPECTED = "expected a video such as MP4, MOV, MKV, WebM or AVI"
BOX_SECONDS = 0.3
"""Time over which the place of the face is averaged."""
LOST_SECONDS = 1.0
"""Time for which a face that is no longer found is taken to be where it was."""
NEAR = 1.0
"""Distance, in sizes of the box, that a face moves at most from a frame to the next."""
PANEL = 256
LABEL = 24
PANELS = ("photo", "rendered", "melanin", "haemoglobin", "diffuse", "specular")
TURNED = {90: 1, -90: 3, 180: 2, -180: 2, 270: 3}
"""Quarter turns, counter-clockwise, that show a stored frame as it was taken."""


def _problem(path: Path, what: str) -> PhotoError:
    return PhotoError(" ".join(f"{path}: {what}".split()))


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
        raise _problem(path, f"no such file; {EXPECTED}, check the spelling")
    try:
        container = av.open(str(path), options={"protocol_whitelist": "file"})
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _problem(path, f"not a readable video ({_reason(error)}); {EXPECTED}") from error
    with container:
        if not container.streams.video:
            raise _problem(path, f"without a picture in it; {EXPECTED}")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        width, height = stream.codec_context.width, stream.codec_context.height
        if not (min(width, height) >= MIN_SIDE and width * height <= MAX_PIXELS):
            raise _problem(
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
        raise _problem(
            path,
            f"damaged or cut short after frame {number} ({_reason(error)}); expected a whole video, "
            "copy it again",
        ) from error
    if number == 0:
        raise _problem(path, f"without a single frame; {EXPECTED}, copy it again")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


# Smoothing -----------------------------------------------------------------------------------


@dataclass
class Smooth:
    """A running average over some seconds: first of all values so far, then fading with their age."""

    seconds: float
    value: Tensor | None = None
    weight: float = field(default=0.0)
    """Of the past, in seconds."""

    def add(self, value: Tensor, step: float) -> Tensor:
        """The average with a value that holds for some seconds."""
        if self.value is None or self.seconds == 0.0:
            self.value, self.weight = value.clone(), step
            return self.value
        # Numbers with a time constant: exact for constant steps, and the plain mean at first.
        self.weight = self.weight * math.exp(-step / self.seconds) + step
        self.value = self.value + step / self.weight * (value - self.value)
        return self.value


class _Tracked:
    """The face that is followed."""

    def __init__(self, path: Path, crop: str, face: str, seconds: float = BOX_SECONDS) -> None:
        self.path, self.crop, self.face = path, crop, face
        self.place = Smooth(seconds)
        self.part: Part | None = None
        self.missed = 0.0
        self.seen = 0

    def find(self, pixels: Tensor, step: float) -> Part:
        """Where the face is in the next frame, smoothly."""
        photo = Photo(self.path, pixels)
        if self.crop != "face":
            return choose_parts(photo, self.crop)[0]
        found = self._faces(photo)
        if found is None:
            self.missed += step
            if self.part is None or self.missed > LOST_SECONDS:
                return self.part or choose_parts(photo, "whole")[0]
            return self.part
        if self.missed > LOST_SECONDS:  # it may be anywhere by now
            self.place = Smooth(self.place.seconds)
        self.missed = 0.0
        self.seen += 1
        box = found.box
        values = torch.tensor(
            [box.left + box.size / 2, box.top + box.size / 2, box.size, box.angle]
        )
        x, y, size, angle = self.place.add(values, step).tolist()
        smooth = Box(round(x - size / 2), round(y - size / 2), round(size), round(angle, 2))
        self.part = replace(found, box=smooth)
        return self.part

    def _faces(self, photo: Photo) -> Part | None:
        parts = [part for part in choose_parts(photo, "face", "all") if part.is_face]
        if not parts:
            return None
        if self.part is None or self.missed > LOST_SECONDS:
            number = 1 if self.face in ("all", "largest") else int(self.face)
            return parts[number - 1] if number <= len(parts) else None
        was = self.part.box

        def far(part: Part) -> float:
            across = part.box.left + part.box.size / 2 - was.left - was.size / 2
            down = part.box.top + part.box.size / 2 - was.top - was.size / 2
            return math.hypot(across, down) / was.size + abs(math.log(part.box.size / was.size))

        nearest = min(parts, key=far)
        return nearest if far(nearest) < NEAR else None


# Writing -------------------------------------------------------------------------------------


class _Writer:
    """A video of pictures of one size, H.264 in MP4."""

    def __init__(self, path: Path, rate: float) -> None:
        self.container = _library().open(str(path), "w", format="mp4")
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


def film(
    model: BioFaceNet,
    path: Path,
    folder: Path,
    *,
    crop: str = "face",
    face: str = "all",
    size: int = 96,
    smoothing: float = 1.0,
    method: str = "",
) -> str:
    """Decompose a video and write videos of its maps, a table of its frames and a summary.

    The face is found in each frame and followed; its place, the light and the camera are averaged over
    the time before. With the averages as they are, the maps of a frame are those that come nearest to
    the network's and render to the same. One frame is held at a time.

    Args:
        model: a trained network, in evaluation mode; its device is used.
        path: the video.
        folder: where results are written.
        crop: as for `results.choose_parts`.
        face: which face of the first frame that shows it is followed.
        size: longer side of what the network sees.
        smoothing: seconds over which light and camera are averaged.
        method: what it is done with, in words, for the summary.

    Returns:
        What was done, in a line.

    Raises:
        PhotoError: the file is no video, or damaged; nothing is left behind then.
        BioFaceNetError: PyAV is not installed.
    """
    with frames(path) as (clip, stream), ExitStack() as closing:
        closing.enter_context(_without_empty(folder))
        files = {
            name: closing.enter_context(whole_file(folder / f"{name}.mp4"))
            for name in ("figure", *MAP_NAMES)
        }
        table = closing.enter_context(whole_file(folder / "frames.csv"))
        writers = {name: _Writer(file, clip.rate) for name, file in files.items()}
        progress = closing.enter_context(
            Progress(
                TextColumn(path.name, markup=False),
                BarColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=console,
                transient=True,
                disable=not console.is_terminal,
            )
        )
        task = progress.add_task("", total=clip.count or None)
        tracked = _Tracked(path, crop, face)
        light, brightness = Smooth(smoothing), Smooth(smoothing)
        last, errors = -1.0 / clip.rate, []
        try:
            with table.open("w", newline="", encoding="utf-8") as text:
                rows = csv.writer(text)
                rows.writerow(HEADER)
                for number, frame in enumerate(stream):
                    step = max(frame.time - last, 1e-3)
                    last = frame.time
                    part = tracked.find(frame.pixels, step)
                    photo = Photo(path, frame.pixels)
                    image = cut(photo, part.box, size).to(model.image_mean.device)
                    maps = _steady(model.look(image), light, step).to("cpu")
                    rendered, image = maps.render(), image.cpu()
                    errors.append(float((rendered - image).square().mean()))
                    rows.writerow(_row(number, frame.time, part, maps, errors[-1] ** 0.5))
                    for name, picture in _pictures(image, rendered, maps, brightness, step).items():
                        writers[name].add(picture, frame.time)
                    progress.advance(task)
        finally:
            for writer in writers.values():
                writer.close()
        said = _summary(path, clip, tracked, errors, maps, part, method)
        file = closing.enter_context(whole_file(folder / "summary.json"))
        file.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", "utf-8")
    seen = "" if crop != "face" else f"; face found in {tracked.seen} of them"
    return (
        f"{path} -> {folder / 'figure.mp4'} and more beside it  ({len(errors)} frames, "
        f"RMSE {said['rmse_linear_rgb']:.3f}{seen})"
    )


@contextmanager
def _without_empty(folder: Path) -> Iterator[None]:
    """No folder stays that was made for results that did not come."""
    try:
        yield
    finally:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


HEADER = (
    *("frame", "seconds", "left", "top", "width", "height", "degrees_clockwise", "framing"),
    *("light_cct_kelvin", "light_duv", "daylight_cct_kelvin", "camera_b1", "camera_b2"),
    *(f"weight_{name}" for name in ILLUMINANT_NAMES),
    "rmse_linear_rgb",
)


def _steady(found: Decomposition, light: Smooth, step: float) -> Decomposition:
    """The decomposition with light and camera averaged, and maps that render to the same with them."""
    vector = torch.cat(
        (found.illuminant.weights, found.illuminant.cct[:, None] / 1e4, found.camera), dim=1
    )
    mean = light.add(vector, step)
    lights = len(ILLUMINANT_NAMES)
    steady = replace(
        found,
        illuminant=Illuminant(mean[:, :lights].contiguous(), 1e4 * mean[:, lights]),
        camera=mean[:, lights + 1 :].contiguous(),
    )
    return explain(steady, found.render(), rounds=2)


def _row(number: int, time: float, part: Part, maps: Decomposition, rmse: float) -> list[Any]:
    kelvin, duv = correlated_temperature(maps.spectrum())
    box = part.box
    return [
        *(number, f"{time:.4f}", box.left, box.top, box.width, box.height, box.angle, part.framing),
        *(
            f"{float(kelvin[0]):.1f}",
            f"{float(duv[0]):.5f}",
            f"{float(maps.illuminant.cct[0]):.1f}",
        ),
        *(f"{value:.5f}" for value in maps.camera[0].tolist()),
        *(f"{value:.5f}" for value in maps.illuminant.weights[0].tolist()),
        f"{rmse:.6f}",
    ]


def _summary(
    path: Path,
    clip: Clip,
    tracked: _Tracked,
    errors: Sequence[float],
    maps: Decomposition,
    part: Part,
    method: str,
) -> dict[str, Any]:
    height, width = maps.melanin.shape[2:]
    return {
        "video": str(path),
        "frames": len(errors),
        "frames_per_second": round(clip.rate, 4),
        "frames_with_the_face": tracked.seen,
        "crop_choice": part.framing,
        "method": method,
        "map_size": [width, height],
        "rmse_linear_rgb": round((sum(errors) / len(errors)) ** 0.5, 6),
        "tables": {"frames.csv": "place of the face, light and camera of each frame"},
        "biofacenet_version": __version__,
    }


# Pictures ------------------------------------------------------------------------------------


def _pictures(
    image: Tensor, rendered: Tensor, maps: Decomposition, brightness: Smooth, step: float
) -> dict[str, np.ndarray]:
    """Each map as a picture, and all beside each other, by the name of their video."""
    quantiles = [
        max(float(torch.quantile(plane.flatten()[::7].float(), 0.995)), 1e-6)
        for plane in (maps.diffuse, maps.specular)
    ]
    # What is white would flicker if each frame chose it for itself.
    whites = brightness.add(torch.tensor(quantiles), step).tolist()
    found = {name: map_image(maps, name) for name in ("melanin", "haemoglobin")}
    for name, white in zip(("diffuse", "specular"), whites, strict=True):
        levels = (255.0 * (getattr(maps, name)[0, 0] / white).clamp(0.0, 1.0)).round().byte()
        found[name] = levels.numpy()[..., None].repeat(3, axis=2)
    shown = {"photo": display(image[0]), "rendered": display(rendered[0]), **found}
    wide = 2 * round(PANEL * image.shape[3] / max(image.shape[2:]) / 2)
    tall = 2 * round(PANEL * image.shape[2] / max(image.shape[2:]) / 2)
    panels = [_labelled(shown[name], name, tall, wide) for name in PANELS]
    found["figure"] = np.concatenate(
        [np.concatenate(panels[row : row + 3], axis=1) for row in (0, 3)], axis=0
    )
    return found


def _labelled(picture: np.ndarray, name: str, tall: int, wide: int) -> np.ndarray:
    """A picture of a given size under its name."""
    panel = Image.new("RGB", (wide, tall + LABEL), "white")
    panel.paste(
        Image.fromarray(picture).resize((wide, tall), Image.Resampling.BILINEAR), (0, LABEL)
    )
    font = ImageFont.truetype(findfont(FAMILY), 14)
    ImageDraw.Draw(panel).text((8, LABEL - 7), name, fill="#1f2328", font=font, anchor="ls")
    return np.asarray(panel)
