"""Decompose photographs: python -m biofacenet.predict PHOTO [PHOTO ...]."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from . import __version__
from .cli import choose_device, console, fail, parse, run
from .decomposition import Decomposition
from .errors import BioFaceNetError, ModelError, PhotoError
from .face import Box, find_face
from .face import crop as crop_photo
from .files import whole_file
from .network import BioFaceNet
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

__all__ = ["Prediction", "Settings", "choose_box", "decompose", "main", "newest_model"]

SIZES = range(16, 2049, 16)
"""Sides of the square that the network is given."""

DOMINANT = 0.05
"""Smallest weight of a standard light that the summary names."""


@dataclass
class Settings:
    """What the colour of a face is made of: melanin, blood, shading, light and camera.

    For each photo, a folder in OUT gets figure.png, which shows everything on one sheet; each map
    as a picture; maps.npz, the numbers behind them; the light and the camera as plots and tables;
    and summary.json.
    """

    photos: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """One or more photos: JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF."""
    model: str | None = None
    """Folder of a network that training wrote, or owner/name of one on the Hugging Face hub; the
    newest of runs/*/model when not given."""
    out: Path = Path("predictions")
    """Folder for results, one folder in it for each photo."""
    crop: str = "face"
    """What to look at: 'face' finds it, and takes the central square where there is none; 'whole'
    is the central square; LEFT,TOP,SIZE is a square in pixels."""
    size: int = 128
    """Side of the square that the network sees, in pixels; a multiple of 16. Networks know faces
    best at the size they were trained on."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""


@dataclass(frozen=True)
class Prediction:
    """A photo and what its face decomposes into."""

    photo: Photo
    box: Box
    """The part of the photo that was looked at."""
    framing: str
    """How the box was chosen."""
    image: Tensor
    """(1, 3, size, size), linear sRGB: that part, as the network saw it."""
    decomposition: Decomposition
    """Of one image, on the CPU."""
    reconstruction: Tensor
    """(1, 3, size, size), linear sRGB, rendered from the decomposition."""

    @property
    def rmse(self) -> float:
        """Root mean square error of the reconstruction, linear RGB, over the whole square."""
        return float((self.reconstruction - self.image).square().mean().sqrt())


def main() -> None:
    """Decompose the photos that the command line names."""
    settings = parse(Settings, program="biofacenet.predict")
    if not settings.photos:
        fail("no photo named; name one or more, such as portrait.jpg (--help shows all settings)")
    check_size(settings.size)
    parse_crop(settings.crop)
    device = choose_device(settings.device)
    name = settings.model or str(newest_model())
    model = BioFaceNet.from_pretrained(name).to(device)

    done: list[tuple[Prediction, Path]] = []
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=len(settings.photos) == 1 or not console.is_terminal,
    ) as progress:
        task = progress.add_task("", total=len(settings.photos))
        folders = result_folders(settings.out, settings.photos)
        for path, folder in zip(settings.photos, folders, strict=True):
            progress.update(task, description=path.name)
            try:
                prediction = decompose(
                    model, read_photo(path), crop=settings.crop, size=settings.size
                )
            except PhotoError as error:
                sys.stderr.write(f"error: {error}\n")
            else:
                write(prediction, folder, model_name=name)
                done.append((prediction, folder))
            progress.advance(task)

    console.print(f"model {name}, on {device}", markup=False)
    for prediction, folder in done:
        remarks = "; ".join((prediction.framing, *prediction.photo.notes))
        console.print(
            f"{prediction.photo.path} -> {folder / 'figure.png'} and more beside it"
            f"  (RMSE {prediction.rmse:.3f}; {remarks})",
            markup=False,
        )
    failed = len(settings.photos) - len(done)
    if failed:
        console.print(f"{failed} of {len(settings.photos)} photos could not be used")
        raise SystemExit(2)


def check_size(size: int) -> None:
    """Raise BioFaceNetError unless the network can take squares of this side."""
    if size not in SIZES:
        nearest = min(SIZES, key=lambda side: abs(side - size))
        raise BioFaceNetError(
            f"size {size}: expected a multiple of 16 from {SIZES[0]} to {SIZES[-1]}, such as {nearest}"
        )


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


def newest_model(runs: Path = Path("runs")) -> Path:
    """The model folder that training finished last.

    Raises:
        ModelError: there is none.
    """
    found = list(runs.glob("*/model/config.json"))
    if not found:
        raise ModelError(
            f"{runs}/*/model: no trained network; train one first with python -m biofacenet.train, "
            "or name one with --model"
        )
    return max(found, key=lambda config: config.stat().st_mtime).parent


def choose_box(photo: Photo, crop: str = "face") -> tuple[Box, str]:
    """The square to look at, and how it was found.

    Args:
        photo: where to look.
        crop: ``face``, ``whole`` or ``LEFT,TOP,SIZE`` in pixels.

    Raises:
        BioFaceNetError: ``crop`` is none of these.
        PhotoError: the named square misses the photo or is far larger than it.
    """
    box = parse_crop(crop)
    if box is not None:
        across = -box.size < box.left < photo.width and -box.size < box.top < photo.height
        if not across or box.size > 2 * max(photo.width, photo.height):
            raise PhotoError(
                f"{photo.path}: crop {crop} does not fit; expected a square on the photo of "
                f"{photo.width} x {photo.height} pixels, give LEFT,TOP,SIZE"
            )
        return box, "square as named"
    central = Box.central(photo.height, photo.width)
    if crop == "whole":
        return central, "central square"
    face = find_face(photo.pixels)
    if face is None:
        return central, "no face found, central square taken; --crop LEFT,TOP,SIZE names another"
    return face, "face found"


@torch.inference_mode()
def decompose(
    model: BioFaceNet, photo: Photo, *, crop: str = "face", size: int = 128
) -> Prediction:
    """What the face of a photo is made of.

    Args:
        model: a trained network, in evaluation mode; its device is used.
        photo: from `read_photo`.
        crop: ``face``, ``whole`` or ``LEFT,TOP,SIZE`` in pixels.
        size: side of the square that the network sees, a multiple of 16.

    Raises:
        BioFaceNetError: ``crop`` or ``size`` cannot be used.
        PhotoError: a named square misses the photo.

    Example:
        >>> model = BioFaceNet.from_pretrained("runs/001/model")  # doctest: +SKIP
        >>> prediction = decompose(model, read_photo("portrait.jpg"))  # doctest: +SKIP
        >>> float(prediction.decomposition.blood().mean())  # doctest: +SKIP
        0.021
    """
    check_size(size)
    box, framing = choose_box(photo, crop)
    image = srgb_to_linear(crop_photo(photo.pixels, box, size)).unsqueeze(0)
    decomposition = model(image.to(model.image_mean.device))
    return Prediction(
        photo=photo,
        box=box,
        framing=framing,
        image=image,
        decomposition=decomposition.to("cpu"),
        reconstruction=decomposition.render().cpu(),
    )


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


def write(prediction: Prediction, folder: Path, *, model_name: str) -> None:
    """Write pictures, maps, tables and the summary of a photo into a folder."""
    decomposition = prediction.decomposition
    for name in MAP_NAMES:
        write_image(map_image(decomposition, name), folder / f"{name}.png")
    write_image(display(prediction.image[0]), folder / "input.png")
    write_image(display(prediction.reconstruction[0]), folder / "reconstruction.png")
    write_image(albedo_image(decomposition), folder / "albedo.png")
    decomposition.save(folder / "maps.npz")
    light_plot(decomposition, folder / "light.png")
    light_csv(decomposition, folder / "light.csv")
    camera_plot(decomposition, folder / "camera.png")
    camera_csv(decomposition, folder / "camera.csv")
    decomposition_figure(
        prediction.image, decomposition, folder / "figure.png", title=prediction.photo.path.name
    )
    with whole_file(folder / "summary.json") as temporary:
        text = json.dumps(summary(prediction, model_name=model_name), indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", "utf-8")


def summary(prediction: Prediction, *, model_name: str) -> dict[str, Any]:
    """What was done and the numbers that are not maps, ready for JSON."""
    photo, box, decomposition = prediction.photo, prediction.box, prediction.decomposition
    weights = dict(zip(ILLUMINANT_NAMES, decomposition.illuminant.weights[0].tolist(), strict=True))
    dominant = sorted(weights, key=lambda name: -weights[name])
    return {
        "photo": str(photo.path),
        "photo_size": [photo.width, photo.height],
        "photo_notes": list(photo.notes),
        "crop": {"left": box.left, "top": box.top, "size": box.size},
        "crop_choice": prediction.framing,
        "model": model_name,
        "size": prediction.image.shape[-1],
        "daylight_cct_kelvin": round(float(decomposition.illuminant.cct[0]), 1),
        "illuminant_weights": {
            name: round(weights[name], 4) for name in dominant if weights[name] >= DOMINANT
        },
        "camera_b": [round(value, 4) for value in decomposition.camera[0].tolist()],
        "rmse_linear_rgb": round(prediction.rmse, 6),
        "biofacenet_version": __version__,
    }


if __name__ == "__main__":
    run(main)
