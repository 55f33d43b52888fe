"""Decompose photographs: python -m biofacenet.predict PHOTO [PHOTO ...]."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .cli import choose_device, parse, run
from .detail import enlarge
from .errors import BioFaceNetError
from .exports import Format, check_formats
from .fit import fit, seen_skin
from .inputs import PHOTO_ENDINGS, VIDEO_ENDINGS, expand
from .network import BioFaceNet
from .photo import MIN_SIDE, Photo
from .results import (
    Part,
    Result,
    choose_box,
    choose_parts,
    cut,
    parse_crop,
    parse_face,
    process,
    region,
)
from .video import film

__all__ = ["Settings", "decompose", "main"]

SIZES = range(16, 2049, 16)
"""Sides of the square that the network is given."""
MOST_RESOLUTION = 4096
"""Longest side of maps, of which each pixel takes some 400 bytes while they are computed."""
LONGEST_SMOOTHING = 3600.0


@dataclass
class Settings:
    """What the colour of a face is made of: melanin, blood, shading, light and camera.

    For each face, a folder in OUT gets figure.png, which shows everything on one sheet; each map
    as a picture, plain and with its scale; maps.npz, the numbers behind them; the light and the camera
    as plots and tables; and summary.json. For a video it gets figure.mp4, which shows everything side
    by side; each map as a video; frames.csv, with light and camera of each frame; and summary.json.
    """

    photos: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Photos (JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF), videos (MP4, MOV, MKV, WebM or AVI), folders
    of them, or patterns in quotes."""
    model: str = "small"
    """Folder of a network that training wrote, or owner/name of one on the Hugging Face hub; small:
    the weights that come with the package."""
    out: Path = Path("predictions")
    """Folder for results, one folder in it for each face or video."""
    crop: str = "face"
    """What to look at: 'face' finds it, and takes the central square where there is none; 'whole'
    is the central square; LEFT,TOP,SIZE is a square in pixels."""
    face: str = "all"
    """Which face of several: all, largest, or a number, 1 being the largest. A video has one face: the
    largest, or that number of its first frame that shows it."""
    whole_image: bool = False
    """Look at all of the photo, not at faces or squares."""
    size: int = 96
    """Longer side of what the network sees, in pixels; a multiple of 16. Networks know faces best at
    the size they were trained on."""
    resolution: int = 1024
    """Longer side of the maps at most; they are as large as the face is in the photo, and no smaller
    than SIZE. Of videos the maps have SIZE."""
    refine: int = 0
    """Steps of fitting from the network's answer, at the resolution of the maps: closer to the photo; a
    second for 60 of them at 256 x 256."""
    smoothing: float = 1.0
    """Seconds over which light and camera of a video are averaged."""
    format: tuple[Format, ...] = ()
    """Other formats for the maps of photos: png16 (16 bits), exr (OpenEXR, float)."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""


def main() -> None:
    """Decompose the photos that the command line names."""
    settings = parse(Settings, program="biofacenet.predict")
    check_size(settings.size)
    check_refine(settings.refine)
    check_resolution(settings.resolution)
    check_smoothing(settings.smoothing)
    crop = "image" if settings.whole_image else settings.crop
    parse_crop(crop)
    parse_face(settings.face)
    check_formats(settings.format)
    photos = expand(settings.photos, endings=PHOTO_ENDINGS | VIDEO_ENDINGS, without=settings.out)
    device = choose_device(settings.device)
    model = BioFaceNet.from_pretrained(settings.model).to(device)
    method = f"model {settings.model}, on {device}"

    def faces(photo: Photo) -> list[Result]:
        return [
            decompose(
                model,
                photo,
                part=part,
                size=settings.size,
                refine=settings.refine,
                resolution=settings.resolution,
            )
            for part in choose_parts(photo, crop, settings.face)
        ]

    def video(path: Path, folder: Path) -> str:
        return film(
            model,
            path,
            folder,
            crop=crop,
            face=settings.face,
            size=settings.size,
            smoothing=settings.smoothing,
            method=method,
        )

    process(photos, settings.out, faces, method=method, formats=settings.format, film=video)


def check_resolution(side: int) -> None:
    """Raise BioFaceNetError unless maps can have this side."""
    if not MIN_SIDE <= side <= MOST_RESOLUTION:
        raise BioFaceNetError(
            f"resolution {side}: expected {MIN_SIDE} to {MOST_RESOLUTION} pixels, such as 1024"
        )


def check_smoothing(seconds: float) -> None:
    """Raise BioFaceNetError unless a video can be smoothed over this time."""
    if not 0.0 <= seconds <= LONGEST_SMOOTHING:
        raise BioFaceNetError(
            f"smoothing {seconds:g}: expected 0 to {LONGEST_SMOOTHING:g} seconds, such as 1"
        )


def check_size(size: int) -> None:
    """Raise BioFaceNetError unless the network can take squares of this side."""
    if size not in SIZES:
        nearest = min(SIZES, key=lambda side: abs(side - size))
        raise BioFaceNetError(
            f"size {size}: expected a multiple of 16 from {SIZES[0]} to {SIZES[-1]}, such as {nearest}"
        )


def check_refine(steps: int) -> None:
    """Raise BioFaceNetError unless so many steps can be taken."""
    if steps < 0:
        raise BioFaceNetError(f"refine must be at least 0, got {steps}")


def decompose(
    model: BioFaceNet,
    photo: Photo,
    *,
    crop: str = "face",
    size: int = 96,
    refine: int = 0,
    resolution: int | None = None,
    part: Part | None = None,
) -> Result:
    """What the face of a photo is made of.

    Args:
        model: a trained network, in evaluation mode; its device is used.
        photo: from `read_photo`.
        crop: ``face`` (the largest), ``whole``, ``image`` or ``LEFT,TOP,SIZE`` in pixels.
        size: longer side of what the network sees, a multiple of 16.
        refine: steps of `biofacenet.fit.fit` from there, with light and camera found from the skin.
        resolution: longer side of the maps at most; as large as the part is in the photo up to there,
            and at least `size`. They are of `size` when not given.
        part: what to look at instead, from `results.choose_parts`.

    Raises:
        BioFaceNetError: ``crop``, ``size``, ``resolution`` or ``refine`` cannot be used.
        PhotoError: a named square misses the photo.

    Example:
        >>> model = BioFaceNet.from_pretrained("runs/001/model")  # doctest: +SKIP
        >>> result = decompose(model, read_photo("portrait.jpg"))  # doctest: +SKIP
        >>> float(result.decomposition.blood().mean())  # doctest: +SKIP
        0.021
    """
    check_size(size)
    check_refine(refine)
    part = part or Part(*choose_box(photo, crop))
    device = model.image_mean.device
    image = cut(photo, part.box, size).to(device)
    decomposition = model.look(image)
    if resolution is not None:
        check_resolution(resolution)
        longer = min(resolution, max(part.box.height, part.box.width))
        if longer > size:
            large = cut(photo, part.box, longer).to(device)
            decomposition = enlarge(decomposition, image, large)
            image = large
    mask = None
    if refine:
        where = region(photo, part, *image.shape[2:])
        mask = seen_skin(image, part.framing, where, decomposition.skin)
        decomposition = fit(image, mask, start=decomposition, steps=refine).decomposition
        mask = mask.cpu()
    return Result(
        photo=photo,
        box=part.box,
        framing=part.framing,
        image=image.cpu(),
        decomposition=decomposition.to("cpu"),
        reconstruction=decomposition.render().cpu(),
        mask=mask,
    )


if __name__ == "__main__":
    run(main)
