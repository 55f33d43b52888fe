"""Decompose the face of a video, frame by frame, with a light and a camera that change slowly."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .._version import __version__
from ..decomposition import Decomposition
from ..errors import NoFaceError
from ..fitting.enlarging import explain
from ..network.unet import BioFaceNet
from ..photos.boxes import Box, Part
from ..photos.framing import Wanted, choose_parts, cut
from ..photos.reading import Photo
from ..photos.video import Clip, Frame, Writer, frames
from ..photos.white_choice import WhiteChoice
from ..physics.illuminant import ILLUMINANT_NAMES, Illuminant
from ..physics.temperature import correlated_temperature
from ..plotting.canvas import FAMILY
from ..plotting.encoding import display
from ..plotting.maps import MAP_NAMES, map_image
from ..system.console import progress
from ..system.files import whole_directory, write_json
from ..system.names import shown
from .results import Result
from .video_white import WhiteOfFrames, with_level

__all__ = [
    "Smooth",
    "Tracked",
    "VideoSettings",
    "decompose_video",
]

BOX_SECONDS = 0.3
"""Time over which the place of the face is averaged."""

LOST_SECONDS = 1.0
"""Time for which a face that is no longer found is taken to be where it was."""

NEAR = 1.0
"""Distance, in sizes of the box, that a face moves at most from a frame to the next."""

PANEL = 256

LABEL = 24

PANELS = ("photo", "rendered", "melanin", "haemoglobin", "diffuse", "specular")

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


class Tracked:
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
        found = self._face(photo)
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

    def check(self) -> None:
        """Raise an error where a face was looked for, and there was none in any frame."""
        if self.crop == "face" and self.seen == 0:
            raise NoFaceError(
                f"{self.path}: no face found in any frame; expected one to follow, name its square "
                "with --crop LEFT,TOP,SIZE, or take all of each frame with --whole-image"
            )

    def _face(self, photo: Photo) -> Part | None:
        try:
            parts = choose_parts(photo)
        except NoFaceError:
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


@dataclass(frozen=True)
class VideoSettings:
    """How a video is decomposed."""

    wanted: Wanted = field(default_factory=Wanted)
    """What to look at: the face of the first frame that shows it is followed."""
    size: int = 96
    """Longer side of what the network sees."""
    smoothing: float = 1.0
    """Seconds over which light and camera are averaged."""
    method: str = ""
    """What it is done with, in words, for the summary."""
    white: WhiteChoice = field(default_factory=WhiteChoice)
    """What white is: see `biofacenet.analysis.video_white.WhiteOfFrames`."""


def decompose_video(
    model: BioFaceNet, path: Path, folder: Path, settings: VideoSettings | None = None
) -> str:
    """Decompose a video and write videos of its maps, a table of its frames and a summary.

    The face is found in each frame and followed; its place, the light and the camera are averaged over
    the time before. With the averages as they are, the maps of a frame are those that come nearest to
    the network's and render to the same. One frame is held at a time.

    Args:
        model: a trained network, in evaluation mode; its device is used.
        path: the video.
        folder: where results are written.
        settings: how; the defaults when not given.

    Returns:
        What was done, in a line.

    Raises:
        PhotoError: the file is no video, or damaged, no face is in any frame, or there is no white in the
            first; nothing is left behind then.
        BioFaceNetError: PyAV is not installed.
    """
    settings = settings or VideoSettings()
    with frames(path) as (clip, stream), whole_directory(folder) as place:
        files = {name: place / f"{name}.mp4" for name in ("figure", *MAP_NAMES)}
        with (
            (place / "frames.csv").open("w", newline="", encoding="utf-8") as text,
            _writers(files, clip.rate) as writers,
            progress(shown(path.name), clip.count or None, count=False, unit="frames") as bar,
        ):
            film = _Film(model, path, clip, settings, writers, csv.writer(text))
            for frame in stream:
                film.add(frame)
                bar.advance()
        film.tracked.check()
        said = film.summary()
        write_json(place / "summary.json", said)
    seen = film.tracked.seen
    lit = "" if film.white is None else f"; {film.white.words()}"
    followed = "" if settings.wanted.crop != "face" else f"; face found in {seen} of them"
    return (
        f"{shown(path)} -> {shown(folder / 'figure.mp4')} and more beside it  "
        f"({len(film.errors)} frames, "
        f"RMSE {said['rmse_linear_rgb']:.3f}{followed}{lit})"
    )


@contextmanager
def _writers(files: Mapping[str, Path], rate: float) -> Iterator[dict[str, Writer]]:
    """A video for each file, closed whatever happens."""
    writers = {name: Writer(file, rate) for name, file in files.items()}
    try:
        yield writers
    finally:
        for writer in writers.values():
            writer.close()


class _Film:
    """A video that is being decomposed: what goes on from frame to frame."""

    def __init__(
        self,
        model: BioFaceNet,
        path: Path,
        clip: Clip,
        settings: VideoSettings,
        writers: Mapping[str, Writer],
        rows: Any,
    ) -> None:
        self.model, self.path, self.clip, self.settings = model, path, clip, settings
        self.writers, self.rows = writers, rows
        self.tracked = Tracked(path, settings.wanted.crop, settings.wanted.face)
        self.light, self.brightness = Smooth(settings.smoothing), Smooth(settings.smoothing)
        self.last = -1.0 / clip.rate
        self.white = WhiteOfFrames(settings.white) if settings.white.given else None
        self.pigments = Smooth(settings.smoothing)
        self.errors: list[float] = []
        self.maps: Decomposition | None = None
        self.part: Part | None = None
        rows.writerow(HEADER)

    def add(self, frame: Frame) -> None:
        """Decompose the next frame, and write it down."""
        step = max(frame.time - self.last, 1e-3)
        self.last = frame.time
        self.part = part = self.tracked.find(frame.pixels, step)
        photo = Photo(self.path, frame.pixels)
        if self.white is not None:
            photo = self.white.balanced(photo, frame.time)
        image = cut(photo, part.box, self.settings.size)
        found = self.model.decompose(image.to(self.model.image_mean.device))
        if self.white is None:
            maps = _steady(found, self.light, step).to("cpu")
        else:
            seen = self.white.at_level(Result(photo, part, image, found.to("cpu"), image))
            maps = self._at_level(seen, step)
        self.maps = maps
        rendered = maps.render()
        self.errors.append(float((rendered - image).square().mean()))
        number = len(self.errors) - 1
        self.rows.writerow(_row(number, frame.time, part, maps, self.errors[-1] ** 0.5))
        for name, picture in _pictures(image, rendered, maps, self.brightness, step).items():
            self.writers[name].add(picture, frame.time)

    def _at_level(self, result: Result, step: float) -> Decomposition:
        """Maps with light, camera and the pigments' level averaged over the time before."""
        known = result.known
        assert known is not None
        steady = _steady(result.decomposition, self.light, step)
        level = self.pigments.add(torch.tensor([known.melanin, known.haemoglobin]), step)
        return with_level(steady, result.counted, *level.tolist())

    def summary(self) -> dict[str, Any]:
        """What was done, ready for JSON."""
        assert self.maps is not None
        assert self.part is not None
        method = self.settings.method
        said = _summary(
            self.path, self.clip, self.tracked, self.errors, self.maps, self.part, method
        )
        if self.white is None:
            return said | {"level": "relative", "white": None}
        return said | {"level": "absolute", "white": self.white.as_json()}


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
        *(number, f"{time:.4f}", box.left, box.top, box.width, box.height, box.angle, part.note),
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
    tracked: Tracked,
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
        "crop_kind": part.kind,
        "crop_choice": part.note,
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
