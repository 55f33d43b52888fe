"""Change what a face is made of, and see it: python -m biofacenet.edit PHOTO --melanin 0.6."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import tyro
from PIL import Image, ImageCms
from rich.progress import track
from torch import Tensor

from .cli import choose_device, console, parse, run
from .decomposition import Decomposition
from .errors import BioFaceNetError, PhotoError
from .face import Box, into_photo
from .files import whole_file
from .fit import analyse, seen_skin
from .inputs import PHOTO_ENDINGS, expand
from .network import BioFaceNet
from .photo import Photo, read_photo
from .physics.colour import linear_to_srgb, srgb_to_linear
from .physics.illuminant import Illuminant
from .pictures import display, edit_sheet, eight_bit, write_image
from .predict import decompose
from .results import (
    Part,
    Result,
    choose_parts,
    parse_crop,
    parse_face,
    region,
    result_folders,
)

__all__ = ["Settings", "apply", "combine", "main", "paste", "soft"]

MAPS = ".npz"


@dataclass
class Settings:
    """Change the skin, the shading, the light or the camera of a face, and render it again.

    The photo is decomposed by fitting, or by a network with --model; what the maps do not explain is
    added back, so that a photo of which nothing is changed stays as it is. For each source a folder
    in OUT gets edited.png, the whole photo; and for each face in it figure.png, before and after, and
    maps.npz.
    """

    sources: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Photos, decompositions that predict, fit or edit wrote (maps.npz), folders of photos, or patterns
    in quotes."""
    melanin: float = 0.0
    """Added to the melanin map, which lies in -1..1."""
    haemoglobin: float = 0.0
    """Added to the haemoglobin map."""
    melanin_scale: float = 1.0
    """Factor on the fraction of melanosomes in the epidermis."""
    haemoglobin_scale: float = 1.0
    """Factor on the fraction of blood in the dermis."""
    diffuse_scale: float = 1.0
    """Factor on the diffuse shading."""
    specular_scale: float = 1.0
    """Factor on highlights; 0 removes them."""
    light: str | None = None
    """Another light: A, D, F1 .. F12, D50, D55, D65 or D75. White stays white: cameras see to that."""
    cct: float | None = None
    """Temperature of daylight, 4000..25000 K."""
    camera: tuple[float, float] | None = None
    """Another camera, by its coordinates b1 b2 in -3..3."""
    everywhere: bool = False
    """Change everything in the square, not only what looks like skin of the face."""
    out: Path = Path("edits")
    """Folder for results, one folder in it for each source."""
    model: str | None = None
    """Folder of a trained network to decompose with; fitting when not given."""
    crop: str = "face"
    """What to look at: face, whole or LEFT,TOP,SIZE, as for predict."""
    face: str = "all"
    """Which face of several: all, largest, or a number, 1 being the largest."""
    whole_image: bool = False
    """Look at all of the photo, not at faces or squares."""
    size: int = 256
    """Longer side of what is decomposed, in pixels."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""

    def change(self, before: Decomposition, mask: Tensor | None = None) -> Decomposition:
        """The decomposition as these settings want it.

        Raises:
            BioFaceNetError: a setting is out of range.
        """
        try:
            return before.edit(
                melanin=self.melanin,
                haemoglobin=self.haemoglobin,
                melanin_scale=self.melanin_scale,
                haemoglobin_scale=self.haemoglobin_scale,
                diffuse_scale=self.diffuse_scale,
                specular_scale=self.specular_scale,
                light=self.light,
                cct=self.cct,
                camera=self.camera,
                mask=mask,
            )
        except ValueError as error:
            raise BioFaceNetError(str(error)) from error

    def words(self) -> str:
        """What is changed, for the sheet."""
        plain = Settings(sources=())
        names = ("melanin", "haemoglobin", "melanin_scale", "haemoglobin_scale", "diffuse_scale")
        parts = [
            f"{name.replace('_', ' ')} {getattr(self, name)}"
            for name in (*names, "specular_scale", "light", "cct", "camera")
            if getattr(self, name) != getattr(plain, name)
        ]
        return ", ".join(parts) or "nothing changed"


def apply(
    image: Tensor, before: Decomposition, after: Decomposition, mask: Tensor | None = None
) -> Tensor:
    """An image with the difference that an edit makes; what the maps do not explain stays.

    Args:
        image: (B, 3, H, W), linear sRGB.
        before: maps, light and camera of the image.
        after: what they are changed to.
        mask: (B or 1, 1, H, W), 0..1, where the image changes; everywhere when not given.

    Returns:
        (B, 3, H, W), linear sRGB, not below 0.
    """
    return combine(image, before.render(), after.render(), mask)


def combine(image: Tensor, before: Tensor, after: Tensor, mask: Tensor | None = None) -> Tensor:
    """The same from what the maps render to, before and after: (B, 3, H, W), linear sRGB.

    Where the maps explain a pixel badly, such as dark eyes and hair at the edge of the skin, the whole
    difference would leave less than no light: no pixel loses a larger share than the rendering does.
    """
    difference = after - before
    share = (after / before.clamp(min=1e-4)).clamp(0.0, 1.0) - 1.0
    if mask is not None:
        weight = mask.to(difference)
        difference, share = difference * weight, share * weight
    return torch.maximum(image + difference, image + image * share)


def soft(mask: Tensor) -> Tensor:
    """A mask (1, 1, H, W) that fades beyond its outline, and within itself towards its holes.

    Masks of skin end a little before the skin does, and a fade within them would leave a pale rim; holes
    are eyes and teeth, which keep their colour.
    """
    inside = (mask[0, 0].cpu().numpy() > 0.5).astype(np.uint8)
    if not inside.any():
        return torch.zeros_like(mask, device="cpu")
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(inside), outlines, -1, 1, cv2.FILLED)
    width = max(inside.shape[1] / 100, 1.0)  # whole so far beyond the outline, nothing twice as far
    fading = np.clip(2.0 - cv2.distanceTransform(1 - filled, cv2.DIST_L2, 5) / width, 0.0, 1.0)
    if (filled > inside).any():
        holes = (filled > inside).astype(np.uint8)
        fading *= np.clip(cv2.distanceTransform(1 - holes, cv2.DIST_L2, 5) / width, 0.0, 1.0)
    return torch.from_numpy(fading.astype(np.float32))[None, None]


def paste(photo: Photo, box: Box, difference: Tensor) -> Tensor:
    """The whole photo, (3, H, W), sRGB-encoded, with a difference (3, h, w) of linear light in a box."""
    part, rows, columns = into_photo(difference, box, photo.height, photo.width)
    pixels = photo.pixels.clone()
    linear = srgb_to_linear(pixels[:, rows, columns])
    pixels[:, rows, columns] = linear_to_srgb((linear + part).clamp(0.0, 1.0))
    return pixels


def edit_photo(photo: Photo, results: Sequence[Result], settings: Settings, folder: Path) -> None:
    """Write the photo with its faces changed."""
    edited = photo
    for number, result in enumerate(results, start=1):
        before, mask = result.decomposition, None
        if not settings.everywhere:
            mask = soft(_skin(photo, result) if result.mask is None else result.mask)
        image = apply(result.image, before, settings.change(before), mask)
        pixels = paste(edited, result.box, (image - result.image)[0])
        edited = dataclasses.replace(edited, pixels=pixels)
        ending = "" if number == 1 else f"-{number}"
        edit_sheet(
            result.image,
            image,
            folder / f"figure{ending}.png",
            title=photo.path.name,
            note=settings.words(),
        )
        settings.change(before, mask).save(folder / f"maps{ending}.npz")
    write_photo(edited, folder / "edited.png")


def _skin(photo: Photo, result: Result) -> Tensor:
    """Where skin is in the part of a photo that a network looked at."""
    part = Part(result.box, result.framing)
    where = region(photo, part, *result.image.shape[2:])
    return seen_skin(result.image, result.framing, where)


def write_photo(photo: Photo, path: Path) -> None:
    """Write a photo as PNG: upright, in sRGB and saying so, with its EXIF data and opacity."""
    picture = eight_bit(photo.pixels)
    if photo.alpha is not None:
        opacity = (255.0 * photo.alpha).round().byte().permute(1, 2, 0).numpy()
        picture = np.concatenate((picture, opacity), axis=2)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with whole_file(path) as temporary:
        Image.fromarray(picture).save(
            temporary, format="PNG", icc_profile=profile, exif=photo.exif or None
        )


def edit_maps(path: Path, settings: Settings, folder: Path) -> None:
    """Write a stored decomposition with its maps changed, and what they render to."""
    before = Decomposition.load(path)[0]
    after = settings.change(before)
    rendered = after.render()
    write_image(display(rendered[0]), folder / "edited.png")
    edit_sheet(
        before.render(), rendered, folder / "figure.png", title=path.name, note=settings.words()
    )
    after.save(folder / "maps.npz")


def main() -> None:
    """Edit what the command line names."""
    settings = parse(Settings, program="biofacenet.edit")
    if not settings.sources:
        raise BioFaceNetError("nothing named to edit; name a photo, or the maps.npz of one")
    crop = "image" if settings.whole_image else settings.crop
    parse_crop(crop)
    parse_face(settings.face)
    sources = expand(settings.sources, endings=PHOTO_ENDINGS, without=settings.out)
    example = torch.zeros(1, 1, 1, 1)
    light = torch.full((1, 14), 1.0 / 14)
    # Settings out of range are told before anything is computed.
    settings.change(
        Decomposition(
            *(example,) * 4, Illuminant(light, torch.full((1,), 6500.0)), torch.zeros(1, 2)
        )
    )
    device = choose_device(settings.device)
    model = None
    if settings.model is not None:
        model = BioFaceNet.from_pretrained(settings.model).to(device)
    failed = 0
    folders = result_folders(settings.out, sources)
    for path, folder in track(
        list(zip(sources, folders, strict=True)),
        description="editing",
        console=console,
        transient=True,
        disable=len(sources) == 1 or not console.is_terminal,
    ):
        try:
            if path.suffix.lower() == MAPS:
                edit_maps(path, settings, folder)
            else:
                photo = read_photo(path)
                results = [
                    analyse(photo, part=part, size=settings.size, device=device)
                    if model is None
                    else decompose(model, photo, part=part, resolution=settings.size)
                    for part in choose_parts(photo, crop, settings.face)
                ]
                edit_photo(photo, results, settings, folder)
        except PhotoError as error:
            sys.stderr.write(f"error: {error}\n")
            failed += 1
        else:
            console.print(f"{path} -> {folder / 'edited.png'}  ({settings.words()})", markup=False)
    if failed:
        console.print(f"{failed} of {len(sources)} photos could not be used")
        raise SystemExit(2)


if __name__ == "__main__":
    run(main)
