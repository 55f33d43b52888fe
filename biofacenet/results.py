"""A photo and what its face decomposes into: choosing the part to look at, and writing everything down."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from . import __version__
from .cli import console
from .decomposition import Decomposition
from .errors import BioFaceNetError, PhotoError
from .face import Box, crop, find_face
from .files import whole_file
from .photo import MIN_SIDE, Photo, read_photo
from .physics.colour import srgb_to_linear
from .physics.illuminant import ILLUMINANT_NAMES
from .pictures import (
    MAP_NAMES,
    albedo_image,
    camera_csv,
    camera_plot,
    decomposition_figure,
    display,
    light_csv,
    light_plot,
    map_image,
    write_image,
)

__all__ = ["Result", "choose_box", "cut_out", "parse_crop", "process", "result_folders", "write"]

DOMINANT = 0.05
"""Smallest weight of a standard light that the summary names."""


@dataclass(frozen=True)
class Result:
    """A photo and what its face decomposes into."""

    photo: Photo
    box: Box
    """The part of the photo that was looked at."""
    framing: str
    """How the box was chosen."""
    image: Tensor
    """(1, 3, size, size), linear sRGB: that part."""
    decomposition: Decomposition
    """Of one image, on the CPU."""
    reconstruction: Tensor
    """(1, 3, size, size), linear sRGB, rendered from the decomposition."""
    mask: Tensor | None = None
    """(1, 1, size, size), 1 where skin was seen, if it was looked for."""

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
    photos: tuple[Path, ...], out: Path, analyse: Callable[[Photo], Result], *, method: str
) -> None:
    """Analyse photo by photo and write results, a folder in `out` for each.

    Args:
        photos: files; one that cannot be used is told of, and the others are done all the same.
        out: folder for results.
        analyse: what to do with a photo.
        method: what it is done with, in words, for the terminal and the summary.

    Raises:
        SystemExit: with status 2, after everything else, where a photo could not be used.
    """
    if not photos:
        raise BioFaceNetError(
            "no photo named; name one or more, such as portrait.jpg (--help shows all settings)"
        )
    done: list[tuple[Result, Path]] = []
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
        for path, folder in zip(photos, result_folders(out, photos), strict=True):
            progress.update(task, description=path.name)
            try:
                result = analyse(read_photo(path))
            except PhotoError as error:
                sys.stderr.write(f"error: {error}\n")
            else:
                write(result, folder, method=method)
                done.append((result, folder))
            progress.advance(task)

    console.print(method, markup=False)
    for result, folder in done:
        remarks = "; ".join((result.framing, *result.photo.notes))
        console.print(
            f"{result.photo.path} -> {folder / 'figure.png'} and more beside it"
            f"  (RMSE {result.rmse:.3f}; {remarks})",
            markup=False,
        )
    failed = len(photos) - len(done)
    if failed:
        console.print(f"{failed} of {len(photos)} photos could not be used")
        raise SystemExit(2)


def parse_crop(text: str) -> Box | None:
    """The box that LEFT,TOP,SIZE means; None for ``face`` and ``whole``.

    Raises:
        BioFaceNetError: the text is none of these.
    """
    if text in ("face", "whole"):
        return None
    try:
        left, top, size = (int(number) for number in text.split(","))
    except ValueError:
        size = 0
    if size < MIN_SIDE:
        raise BioFaceNetError(
            f"crop {text!r}: expected face, whole, or LEFT,TOP,SIZE in whole pixels with SIZE at "
            f"least {MIN_SIDE}, such as 100,50,300"
        )
    return Box(left, top, size)


def choose_box(photo: Photo, choice: str = "face") -> tuple[Box, str]:
    """The square to look at, and how it was found.

    Args:
        photo: where to look.
        choice: ``face``, ``whole`` or ``LEFT,TOP,SIZE`` in pixels.

    Raises:
        BioFaceNetError: ``choice`` is none of these.
        PhotoError: the named square misses the photo or is far larger than it.
    """
    box = parse_crop(choice)
    if box is not None:
        across = -box.size < box.left < photo.width and -box.size < box.top < photo.height
        if not across or box.size > 2 * max(photo.width, photo.height):
            raise PhotoError(
                f"{photo.path}: crop {choice} does not fit; expected a square on the photo of "
                f"{photo.width} x {photo.height} pixels, give LEFT,TOP,SIZE"
            )
        return box, "square as named"
    central = Box.central(photo.height, photo.width)
    if choice == "whole":
        return central, "central square"
    face = find_face(photo.pixels)
    if face is None:
        return central, "no face found, central square taken; --crop LEFT,TOP,SIZE names another"
    return face, "face found"


def cut_out(photo: Photo, crop_choice: str, size: int) -> tuple[Box, str, Tensor]:
    """The square to look at, how it was found, and its pixels: (1, 3, size, size), linear sRGB."""
    box, framing = choose_box(photo, crop_choice)
    return box, framing, srgb_to_linear(crop(photo.pixels, box, size)).unsqueeze(0)


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


def write(result: Result, folder: Path, *, method: str) -> None:
    """Write pictures, maps, tables and the summary of a photo into a folder."""
    decomposition = result.decomposition
    for name in MAP_NAMES:
        write_image(map_image(decomposition, name), folder / f"{name}.png")
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
    with whole_file(folder / "summary.json") as temporary:
        text = json.dumps(summary(result, method=method), indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", "utf-8")


def summary(result: Result, *, method: str) -> dict[str, Any]:
    """What was done and the numbers that are not maps, ready for JSON."""
    photo, box, decomposition = result.photo, result.box, result.decomposition
    weights = dict(zip(ILLUMINANT_NAMES, decomposition.illuminant.weights[0].tolist(), strict=True))
    dominant = sorted(weights, key=lambda name: -weights[name])
    return {
        "photo": str(photo.path),
        "photo_size": [photo.width, photo.height],
        "photo_notes": list(photo.notes),
        "crop": {"left": box.left, "top": box.top, "size": box.size},
        "crop_choice": result.framing,
        "method": method,
        "size": result.image.shape[-1],
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
