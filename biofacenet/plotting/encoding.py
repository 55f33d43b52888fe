"""Pictures as 8-bit arrays and as files."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor

from ..photos.reading import Photo
from ..physics.colour import linear_to_srgb
from ..system.files import whole_file

__all__ = [
    "data_uri",
    "display",
    "eight_bit",
    "jpeg",
    "png",
    "write_image",
    "write_photo",
]


def display(linear: Tensor) -> np.ndarray:
    """Linear sRGB (3, H, W) as an 8-bit sRGB picture (H, W, 3)."""
    return eight_bit(linear_to_srgb(linear.detach().float().cpu()))


def eight_bit(encoded: Tensor) -> np.ndarray:
    """sRGB-encoded (3, H, W) in 0..1 as an 8-bit picture (H, W, 3)."""
    scaled = (255.0 * encoded.detach().cpu().clamp(0.0, 1.0)).round()
    return scaled.permute(1, 2, 0).to(torch.uint8).numpy()


def write_image(picture: np.ndarray, path: str | Path) -> None:
    """Write an 8-bit picture as PNG."""
    with whole_file(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


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


QUALITY = 90
"""Of JPEG, for what is shown; what is downloaded is PNG."""


def jpeg(picture: np.ndarray) -> bytes:
    """An 8-bit picture (H, W, 3) as JPEG, without subsampling of colour: pigments are colour."""
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, QUALITY),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    _, stored = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return stored.tobytes()


def png(picture: np.ndarray) -> bytes:
    """An 8-bit picture as PNG, quickly packed."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", compress_level=1)
    return stream.getvalue()


def data_uri(stored: bytes, kind: str = "jpeg") -> str:
    """A picture inside an address, so that showing it needs no second request and no file."""
    return f"data:image/{kind};base64,{base64.b64encode(stored).decode()}"
