"""Photographs that are in memory already: what other libraries hold, as a `Photo`."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..errors import PhotoError
from .reading import MIN_SIDE, Photo, read_photo

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Picture", "as_photo"]

Picture: TypeAlias = "Photo | str | PathLike[str] | Image.Image | np.ndarray | Tensor"
"""What may stand for a photo."""

RGB_ORDER = "R, G, B (OpenCV reads B, G, R: image[..., ::-1])"

FARTHEST = 0.5
"""Beyond 0..1 by more than this, a float image is on another scale; by less, it was resampled."""

PLAIN_MODES = {
    **dict.fromkeys(("HSV", "LAB", "RGBX", "YCbCr"), "RGB"),
    "La": "LA",
    "PA": "RGBA",
    "RGBa": "RGBA",
}
"""Modes of Pillow that no file format here has, and those that hold the same."""


def as_photo(image: Picture) -> Photo:
    """A photo of a file, of a Pillow image, or of an array or tensor.

    All are photos as they are stored: sRGB-encoded. Integers span their range, 255 or 65535 is white;
    floats lie in 0..1.

    Args:
        image: a path, read by `read_photo`; a Pillow image, whose orientation, profile, palette and
            transparency count; an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), in the order R, G,
            B and opacity; a tensor (3, H, W) or (1, H, W), also on a GPU; or a `Photo`, which is given
            back.

    Raises:
        PhotoError: as `read_photo`, or another shape, type or scale. One line.
        TypeError: another kind of object.

    Example:
        >>> import numpy as np
        >>> as_photo(np.zeros((32, 48, 3), np.uint8)).pixels.shape
        torch.Size([3, 32, 48])
    """
    if isinstance(image, Photo):
        return image
    if isinstance(image, str | PathLike):
        return read_photo(Path(image))
    if isinstance(image, np.ndarray):
        return _of_array(image)
    if isinstance(image, Tensor):
        return _of_tensor(image)
    from PIL import Image

    if isinstance(image, Image.Image):
        return _of_pillow(image)
    raise TypeError(
        f"a photo cannot be {type(image).__name__}: expected a path, a Pillow image, an array (H, W, 3) "
        "or a tensor (3, H, W)"
    )


def _of_pillow(image: Image.Image) -> Photo:
    """Through a file without loss, so that one reader knows all modes, profiles and palettes."""
    path = Path(getattr(image, "filename", "") or "image")
    profile, exif = image.info.get("icc_profile"), image.getexif()
    if image.mode in PLAIN_MODES:
        image = image.convert(PLAIN_MODES[image.mode])
    tiff = image.mode in ("CMYK", "F")
    with tempfile.TemporaryDirectory(prefix="biofacenet-") as folder:
        file = Path(folder) / ("image.tif" if tiff else "image.png")
        if tiff:
            image.save(file, icc_profile=profile, exif=exif)
        else:
            image.save(file, icc_profile=profile, exif=exif, compress_level=0)
        try:
            return replace(read_photo(file), path=path)
        except PhotoError as error:
            raise PhotoError(str(error).replace(str(file), str(path))) from error


def _of_tensor(image: Tensor) -> Photo:
    shape = tuple(image.shape)
    if image.ndim != 3 or shape[0] not in (1, 3):
        first = ": one at a time, image[0]" if image.ndim == 4 else ""
        raise PhotoError(
            f"a tensor {shape}: expected (3, H, W) or (1, H, W), in 0..1 or uint8{first}"
        )
    image = image.detach().cpu()
    if image.dtype == torch.bfloat16:
        image = image.float()
    return _of_array(image.permute(1, 2, 0).numpy())


def _of_array(array: np.ndarray) -> Photo:
    """Values as `read_photo` gives them."""
    shape = array.shape
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        remedy = ""
        if array.ndim == 3 and shape[0] in (1, 3, 4):
            remedy = "; channels come last here: image.transpose(1, 2, 0)"
        elif array.ndim == 4:
            remedy = "; one at a time: image[0]"
        raise PhotoError(f"an array {shape}: expected (H, W, 3) in the order {RGB_ORDER}{remedy}")
    if min(array.shape[:2]) < MIN_SIDE:
        raise PhotoError(
            f"an array {shape}: expected at least {MIN_SIDE} x {MIN_SIDE} pixels, use a larger photo"
        )
    values = torch.from_numpy(_in_floats(array).transpose(2, 0, 1).copy())
    notes = []
    if bool((values < 0.0).any() or (values > 1.0).any()):
        values = values.clamp(0.0, 1.0)
        notes.append("values beyond 0..1 clipped")
    colour, alpha = values[:3], None
    if len(values) == 4 and not bool((values[3] == 1.0).all()):
        alpha = values[3:]
        colour = colour.masked_fill(alpha == 0.0, 1.0)  # as in files: such pixels have no colour
        notes.append("transparent in places")
    if len(colour) == 1:
        colour = colour.repeat(3, 1, 1)
        notes.append("grey: three equal channels")
    return Photo(Path("image"), colour, alpha, tuple(notes))


def _in_floats(array: np.ndarray) -> np.ndarray:
    """float32 in which 1 is white."""
    if array.dtype in (np.uint8, np.uint16):
        return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    if array.dtype.kind != "f":
        raise PhotoError(
            f"an array of {array.dtype}: expected uint8, uint16 or floats in 0..1, for what is white in "
            "others is not known; give image.astype('uint8') where 255 is"
        )
    values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise PhotoError("an array with NaN or infinite values: expected numbers in 0..1")
    low, high = float(values.min()), float(values.max())
    if low < -FARTHEST or high > 1.0 + FARTHEST:
        raise PhotoError(
            f"an array of floats in {low:.4g}..{high:.4g}: expected 0..1, neither 0..255 (divide by 255, "
            "or give uint8) nor normalised"
        )
    return values
