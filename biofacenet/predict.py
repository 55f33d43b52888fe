"""Decompose photographs: python -m biofacenet.predict PHOTO [PHOTO ...]."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from .cli import choose_device, parse, run
from .errors import BioFaceNetError
from .fit import fit, seen_skin
from .network import BioFaceNet
from .photo import Photo
from .results import Result, cut_out, parse_crop, process

__all__ = ["Settings", "decompose", "main"]

SIZES = range(16, 2049, 16)
"""Sides of the square that the network is given."""


@dataclass
class Settings:
    """What the colour of a face is made of: melanin, blood, shading, light and camera.

    For each photo, a folder in OUT gets figure.png, which shows everything on one sheet; each map
    as a picture; maps.npz, the numbers behind them; the light and the camera as plots and tables;
    and summary.json.
    """

    photos: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """One or more photos: JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF."""
    model: str = "small"
    """Folder of a network that training wrote, or owner/name of one on the Hugging Face hub; small:
    the weights that come with the package."""
    out: Path = Path("predictions")
    """Folder for results, one folder in it for each photo."""
    crop: str = "face"
    """What to look at: 'face' finds it, and takes the central square where there is none; 'whole'
    is the central square; LEFT,TOP,SIZE is a square in pixels."""
    size: int = 128
    """Side of the square that the network sees, in pixels; a multiple of 16. Networks know faces
    best at the size they were trained on."""
    refine: int = 0
    """Steps of fitting from the network's answer: closer to the photo, a second for 60 of them."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""


def main() -> None:
    """Decompose the photos that the command line names."""
    settings = parse(Settings, program="biofacenet.predict")
    check_size(settings.size)
    check_refine(settings.refine)
    parse_crop(settings.crop)
    device = choose_device(settings.device)
    model = BioFaceNet.from_pretrained(settings.model).to(device)

    def analyse(photo: Photo) -> Result:
        return decompose(
            model, photo, crop=settings.crop, size=settings.size, refine=settings.refine
        )

    process(settings.photos, settings.out, analyse, method=f"model {settings.model}, on {device}")


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
    model: BioFaceNet, photo: Photo, *, crop: str = "face", size: int = 128, refine: int = 0
) -> Result:
    """What the face of a photo is made of.

    Args:
        model: a trained network, in evaluation mode; its device is used.
        photo: from `read_photo`.
        crop: ``face``, ``whole`` or ``LEFT,TOP,SIZE`` in pixels.
        size: side of the square that the network sees, a multiple of 16.
        refine: steps of `biofacenet.fit.fit` from there, with light and camera found from the skin.

    Raises:
        BioFaceNetError: ``crop``, ``size`` or ``refine`` cannot be used.
        PhotoError: a named square misses the photo.

    Example:
        >>> model = BioFaceNet.from_pretrained("runs/001/model")  # doctest: +SKIP
        >>> result = decompose(model, read_photo("portrait.jpg"))  # doctest: +SKIP
        >>> float(result.decomposition.blood().mean())  # doctest: +SKIP
        0.021
    """
    check_size(size)
    check_refine(refine)
    box, framing, image = cut_out(photo, crop, size)
    image = image.to(model.image_mean.device)
    with torch.no_grad():
        decomposition = model(image)
        reconstruction = decomposition.render()
    mask = None
    if refine:
        mask = seen_skin(image, framing)
        found = fit(image, mask, start=decomposition, steps=refine)
        decomposition, reconstruction = found.decomposition, found.reconstruction
        mask = mask.cpu()
    return Result(
        photo=photo,
        box=box,
        framing=framing,
        image=image.cpu(),
        decomposition=decomposition.to("cpu"),
        reconstruction=reconstruction.cpu(),
        mask=mask,
    )


if __name__ == "__main__":
    run(main)
