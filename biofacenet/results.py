"""A photo and what its face decomposes into: choosing the part to look at, and writing everything down."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from . import __version__
from .cli import console
from .decomposition import Decomposition
from .errors import BioFaceNetError, PhotoError
from .exports import Format, write_formats
from .face import Box, crop, find_faces, into_photo
from .files import whole_file
from .inputs import is_video
from .photo import MIN_SIDE, Photo, read_photo
from .physics.colour import srgb_to_linear
from .physics.illuminant import ILLUMINANT_NAMES
from .physics.temperature import correlated_temperature
from .pictures import (
    MAP_NAMES,
    albedo_image,
    camera_csv,
    camera_plot,
    decomposition_figure,
    display,
    light_csv,
    light_plot,
    map_figure,
    map_image,
    write_image,
)
from .skin_mask import face_region

__all__ = [
    "Part",
    "Result",
    "choose_box",
    "choose_parts",
    "cut",
    "cut_out",
    "parse_crop",
    "parse_face",
    "process",
    "region",
    "result_folders",
    "write",
]

ALL, LARGEST = "all", "largest"
FACE, WHOLE, IMAGE = "face", "whole", "image"
NAMED_CROPS = (FACE, WHOLE, IMAGE)

DOMINANT = 0.05
"""Smallest weight of a standard light that the summary names."""


@dataclass(frozen=True)
class Result:
    """A photo and what its face decomposes into."""

    photo: Photo
    box: Box
    """The part of the photo that was looked at; it may be turned."""
    framing: str
    """How the box was chosen."""
    image: Tensor
    """(1, 3, H, W), linear sRGB: that part, upright."""
    decomposition: Decomposition
    """Of one image, on the CPU."""
    reconstruction: Tensor
    """(1, 3, H, W), linear sRGB, rendered from the decomposition."""
    mask: Tensor | None = None
    """(1, 1, H, W), 1 where skin was seen, if it was looked for."""

    @property
    def rmse(self) -> float:
        """Root mean square error of the reconstruction, linear RGB, over the whole square."""
        return float((self.reconstruction - self.image).square().mean().sqrt())

    @property
    def skin_rmse(self) -> float | None:
        """The same over the skin, where that was looked for."""
        if self.mask is None:
            return None
        error = (self.reconstruction - self.image).square().mean(dim=1, keepdim=True)
        return float(((error * self.mask).sum() / self.mask.sum().clamp(min=1.0)).sqrt())


def process(
    photos: tuple[Path, ...],
    out: Path,
    analyse: Callable[[Photo], Sequence[Result]],
    *,
    method: str,
    formats: Sequence[Format] = (),
    film: Callable[[Path, Path], str] | None = None,
) -> None:
    """Analyse photo by photo and write results, a folder in `out` for each face.

    Args:
        photos: files; one that cannot be used is told of, and the others are done all the same.
        out: folder for results.
        analyse: what to do with a photo: a result for each of its faces.
        method: what it is done with, in words, for the terminal and the summary.
        formats: in which maps are written beside the usual ones.
        film: what to do with a video, given its file and the folder for its results; says in a line
            what came of it. Without it, a video is taken for a photo, and refused.

    Raises:
        SystemExit: with status 2, after everything else, where a photo could not be used.
    """
    if not photos:
        raise BioFaceNetError(
            "no photo named; name one or more, such as portrait.jpg (--help shows all settings)"
        )
    folders = result_folders(out, photos)
    taken = {folder.name.lower() for folder in folders}
    said: list[str] = []
    failed = 0
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=len(photos) == 1 or not console.is_terminal,
    ) as progress:
        task = progress.add_task("", total=len(photos))
        for path, first in zip(photos, folders, strict=True):
            progress.update(task, description=path.name)
            try:
                if film is not None and is_video(path):
                    said.append(film(path, first))
                else:
                    results = analyse(read_photo(path))
                    for result, folder in zip(results, _further(first, taken), strict=False):
                        write(result, folder, method=method, formats=formats)
                        said.append(_line(result, folder))
            except PhotoError as error:
                sys.stderr.write(f"error: {error}\n")
                failed += 1
            progress.advance(task)

    console.print(method, markup=False)
    for line in said:
        console.print(line, markup=False)
    if failed:
        console.print(f"{failed} of {len(photos)} photos could not be used")
        raise SystemExit(2)


def _line(result: Result, folder: Path) -> str:
    remarks = "; ".join((result.framing, *result.photo.notes))
    return (
        f"{result.photo.path} -> {folder / 'figure.png'} and more beside it"
        f"  (RMSE {result.rmse:.3f}; {remarks})"
    )


def _further(first: Path, taken: set[str]) -> Iterator[Path]:
    """The folder of a photo's first face, and new ones for its others."""
    yield first
    number = 1
    while True:
        number += 1
        name = f"{first.name}-{number}"
        if name.lower() not in taken:
            taken.add(name.lower())
            yield first.with_name(name)


# Choosing ------------------------------------------------------------------------------------


def parse_crop(text: str) -> Box | None:
    """The box that LEFT,TOP,SIZE means; None for ``face``, ``whole`` and ``image``.

    Raises:
        BioFaceNetError: the text is none of these.
    """
    if text in NAMED_CROPS:
        return None
    try:
        left, top, size = (int(number) for number in text.split(","))
    except ValueError:
        size = 0
    if size < MIN_SIDE:
        raise BioFaceNetError(
            f"crop {text!r}: expected face, whole, image, or LEFT,TOP,SIZE in whole pixels with SIZE "
            f"at least {MIN_SIDE}, such as 100,50,300"
        )
    return Box(left, top, size)


def parse_face(text: str) -> int | None:
    """The number of a face, from 1; None for ``all``.

    Raises:
        BioFaceNetError: the text is none of ``all``, ``largest`` and a number from 1.
    """
    if text == ALL:
        return None
    if text == LARGEST:
        return 1
    if not text.isdecimal() or int(text) < 1:
        raise BioFaceNetError(
            f"face {text!r}: expected all, largest, or a number from 1, which is the largest"
        )
    return int(text)


def choose_box(photo: Photo, choice: str = FACE) -> tuple[Box, str]:
    """The part to look at, and how it was found: the first of `choose_parts`, or the largest face."""
    part = choose_parts(photo, choice, LARGEST)[0]
    return part.box, part.framing


@dataclass(frozen=True)
class Part:
    """A part of a photo, and how it was found."""

    box: Box
    framing: str

    @property
    def is_face(self) -> bool:
        """Whether a face was found there."""
        return self.framing.startswith("face")


def choose_parts(photo: Photo, choice: str = FACE, face: str = ALL) -> list[Part]:
    """The parts of a photo to look at: its faces, the largest first, or what was named instead.

    Args:
        photo: where to look.
        choice: ``face``, ``whole`` (the central square), ``image`` (all of the photo) or
            ``LEFT,TOP,SIZE`` in pixels.
        face: which one: ``all``, ``largest``, or its number by size, from 1.

    Returns:
        At least one part: the central square where a photo has no face.

    Raises:
        BioFaceNetError: ``choice`` or ``face`` is none of these.
        PhotoError: the named square misses the photo or is far larger than it, or there are fewer
            faces.
    """
    number = parse_face(face)
    box = parse_crop(choice)
    if box is not None:
        across = -box.size < box.left < photo.width and -box.size < box.top < photo.height
        if not across or box.size > 2 * max(photo.width, photo.height):
            raise PhotoError(
                f"{photo.path}: crop {choice} does not fit; expected a square on the photo of "
                f"{photo.width} x {photo.height} pixels, give LEFT,TOP,SIZE"
            )
        return [Part(box, "square as named")]
    if choice == IMAGE:
        return [Part(Box.whole(photo.height, photo.width), "whole image")]
    central = Box.central(photo.height, photo.width)
    if choice == WHOLE:
        return [Part(central, "central square")]
    faces = find_faces(photo.pixels)
    if number is not None and number > max(1, len(faces)):
        raise PhotoError(
            f"{photo.path}: no face {number}; expected a number up to {len(faces)}, as many as were "
            "found, name another with --face"
        )
    if not faces:
        return [
            Part(
                central,
                "no face found, central square taken; --crop LEFT,TOP,SIZE names another, "
                "--whole-image takes all",
            )
        ]
    if len(faces) == 1:
        return [Part(faces[0], "face found")]
    parts = [Part(box, f"face {i + 1} of {len(faces)} found") for i, box in enumerate(faces)]
    return parts if number is None else [parts[number - 1]]


def cut(photo: Photo, box: Box, size: int) -> Tensor:
    """The pixels of a box: (1, 3, H, W), linear sRGB, the longer side of `size` pixels.

    Raises:
        PhotoError: the box is so long that its shorter side would have less than 16.
    """
    longer = max(box.height, box.width)
    height, width = (round(side * size / longer) for side in (box.height, box.width))
    if min(height, width) < MIN_SIDE:
        raise PhotoError(
            f"{photo.path}: {box.width} x {box.height} pixels are too long a strip to look at as a "
            f"whole with size {size}; expected at least {MIN_SIDE} pixels for the shorter side, give "
            "a larger --size or a --crop"
        )
    return srgb_to_linear(crop(photo.pixels, box, (height, width))).unsqueeze(0)


def cut_out(photo: Photo, crop_choice: str, size: int) -> tuple[Box, str, Tensor]:
    """The part to look at, how it was found, and its pixels: (1, 3, H, W), linear sRGB."""
    box, framing = choose_box(photo, crop_choice)
    return box, framing, cut(photo, box, size)


def region(photo: Photo, part: Part, height: int, width: int) -> Tensor | None:
    """Where mostly skin of faces is in a part: (1, 1, height, width), 0 or 1; None if not known."""
    if part.is_face:
        return face_region(height, width)
    if part.framing != "whole image":
        return None
    faces = find_faces(photo.pixels)
    if not faces:
        return None
    plane = torch.zeros(photo.height, photo.width)
    for box in faces:
        middle, rows, columns = into_photo(face_region(64, 64)[0], box, photo.height, photo.width)
        plane[rows, columns] = torch.maximum(plane[rows, columns], middle[0])
    resized = cv2.resize(plane.numpy(), (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy((resized > 0.5).astype(np.float32))[None, None]


# Writing -------------------------------------------------------------------------------------


def result_folders(out: Path, photos: tuple[Path, ...]) -> list[Path]:
    """A folder for each photo, named like it; photos of one name are numbered from the second on."""
    taken: set[str] = set()
    folders = []
    for path in photos:
        name, number = path.stem, 1
        # Some file systems do not tell Face from face.
        while name.lower() in taken:
            number += 1
            name = f"{path.stem}-{number}"
        taken.add(name.lower())
        folders.append(out / name)
    return folders


def write(result: Result, folder: Path, *, method: str, formats: Sequence[Format] = ()) -> None:
    """Write pictures, maps, tables and the summary of a photo into a folder."""
    decomposition = result.decomposition
    for name in MAP_NAMES:
        write_image(map_image(decomposition, name), folder / f"{name}.png")
        map_figure(decomposition, name, folder / f"{name}-scale.png")
    write_image(display(result.image[0]), folder / "input.png")
    write_image(display(result.reconstruction[0]), folder / "reconstruction.png")
    write_image(albedo_image(decomposition), folder / "albedo.png")
    if result.mask is not None:
        write_image((255 * result.mask[0, 0]).byte().numpy(), folder / "mask.png")
    decomposition.save(folder / "maps.npz")
    light_plot(decomposition, folder / "light.png")
    light_csv(decomposition, folder / "light.csv")
    camera_plot(decomposition, folder / "camera.png")
    camera_csv(decomposition, folder / "camera.csv")
    decomposition_figure(
        result.image, decomposition, folder / "figure.png", title=result.photo.path.name
    )
    said = summary(result, method=method) | write_formats(decomposition, folder, formats)
    with whole_file(folder / "summary.json") as temporary:
        text = json.dumps(said, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", "utf-8")


def summary(result: Result, *, method: str) -> dict[str, Any]:
    """What was done and the numbers that are not maps, ready for JSON."""
    photo, box, decomposition = result.photo, result.box, result.decomposition
    weights = dict(zip(ILLUMINANT_NAMES, decomposition.illuminant.weights[0].tolist(), strict=True))
    dominant = sorted(weights, key=lambda name: -weights[name])
    height, width = result.image.shape[2:]
    kelvin, duv = correlated_temperature(decomposition.spectrum())
    return {
        "photo": str(photo.path),
        "photo_size": [photo.width, photo.height],
        "photo_notes": list(photo.notes),
        "crop": {
            "left": box.left,
            "top": box.top,
            "size": box.size,
            "width": box.width,
            "height": box.height,
            "degrees_clockwise": box.angle,
        },
        # Of (x, y, 1) in pixels from the upper left corner of the maps, to the upright photo's.
        "maps_to_photo": box.to_photo(height, width).round(6).tolist(),
        "crop_choice": result.framing,
        "method": method,
        "size": width,
        "map_size": [width, height],
        "light_cct_kelvin": round(float(kelvin[0]), 1),
        "light_duv": round(float(duv[0]), 5),
        "daylight_cct_kelvin": round(float(decomposition.illuminant.cct[0]), 1),
        "illuminant_weights": {
            name: round(weights[name], 4) for name in dominant if weights[name] >= DOMINANT
        },
        "camera_b": [round(value, 4) for value in decomposition.camera[0].tolist()],
        "rmse_linear_rgb": round(result.rmse, 6),
        **(
            {}
            if result.mask is None or result.skin_rmse is None
            else {
                "rmse_linear_rgb_of_skin": round(result.skin_rmse, 6),
                "share_of_skin": round(float(result.mask.mean()), 4),
            }
        ),
        "biofacenet_version": __version__,
    }
