"""Camera raw files, developed in linear light: without the tone curve that cameras put into JPEG.

By LibRaw through rawpy: the camera's own white balance, its colours to sRGB by the matrix that the file or
LibRaw has for it, no brightening and no curve.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from ..physics.colour import linear_to_srgb

__all__ = ["CAMERA_RAW", "NOTE", "NotInstalledError", "RawError", "read_raw"]

CAMERA_RAW = frozenset(
    {".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw"}
)
"""Endings. Raw files are TIFF inside: without this list their thumbnail would pass for the photo."""

NOTE = "raw, developed in linear light with the camera's white balance"

BAND = 2**20
"""Pixels that are converted at a time."""


class NotInstalledError(ImportError):
    """Rawpy is not there."""


class RawError(ValueError):
    """LibRaw cannot read a file; says why."""


def read_raw(
    path: Path, stream: BinaryIO, check_size: Callable[[Path, int, int], object]
) -> Tensor:
    """The picture of a raw file, upright: (3, H, W), float32, sRGB-encoded, 0..1.

    Args:
        path: its name, for people.
        stream: of the file.
        check_size: raises where width and height are too much or too little, before anything is decoded.

    Raises:
        NotInstalledError: rawpy is not installed.
        RawError: the file is damaged, or of a kind that LibRaw does not know.
    """
    try:
        rawpy: Any = import_module("rawpy")
    except ImportError as error:
        raise NotInstalledError from error
    try:
        with rawpy.imread(stream) as raw:
            sizes = raw.sizes
            check_size(path, int(sizes.width), int(sizes.height))
            values: np.ndarray = raw.postprocess(
                gamma=(1.0, 1.0),
                no_auto_bright=True,
                use_camera_wb=True,
                output_color=rawpy.ColorSpace.sRGB,
                output_bps=16,
            )
    except rawpy.LibRawError as error:
        words = error.args[0] if error.args else error
        raise RawError(words.decode() if isinstance(words, bytes) else str(words)) from error
    if values.ndim != 3 or values.shape[2] != 3:
        raise RawError(f"a picture of shape {values.shape}")
    pixels = torch.empty((3, *values.shape[:2]), dtype=torch.float32)
    rows = max(1, BAND // values.shape[1])
    for start in range(0, len(values), rows):
        band = values[start : start + rows].astype(np.float32).transpose(2, 0, 1) / 65535.0
        pixels[:, start : start + rows] = linear_to_srgb(torch.from_numpy(band))
    return pixels
