"""Maps as files for other programs: PNG of 16 bits, and OpenEXR."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..decomposition import Decomposition
from ..decomposition.parts import PART_NAMES
from ..errors import BioFaceNetError
from ..system.files import whole_file
from .choices import Format

__all__ = [
    "check_formats",
    "write_formats",
]

FULL_SCALE = {"melanosomes": 0.5, "blood": 0.1}
"""Volume fraction at 65535 of a 16-bit PNG, of quantities whose range is fixed."""


def check_formats(formats: Sequence[Format]) -> None:
    """Raise BioFaceNetError where a format needs a library that is not installed."""
    if "exr" in formats:
        _openexr()


def _openexr() -> Any:
    try:
        import OpenEXR
    except ImportError as error:
        raise BioFaceNetError(
            "format exr needs the library OpenEXR; install it with pip install 'biofacenet[exr]'"
        ) from error
    return OpenEXR


def planes(decomposition: Decomposition) -> dict[str, np.ndarray]:
    """The first image's maps and volume fractions by name: float32 (H, W) each.

    Normals and parts are there plane by plane where there are some: normals.x, parts.skin and so on.
    """
    quantities = {
        "melanin": decomposition.melanin,
        "haemoglobin": decomposition.haemoglobin,
        "diffuse": decomposition.diffuse,
        "specular": decomposition.specular,
        "melanosomes": decomposition.melanosomes(),
        "blood": decomposition.blood(),
    }
    for name, values, letters in (
        ("normals", decomposition.normals, ("x", "y", "z")),
        ("parts", decomposition.parts, PART_NAMES),
    ):
        if values is not None:
            quantities |= {f"{name}.{one}": values[:, [i]] for i, one in enumerate(letters)}
    return {
        name: np.ascontiguousarray(tensor[0, 0].detach().cpu().float().numpy())
        for name, tensor in quantities.items()
    }


def write_formats(
    decomposition: Decomposition, folder: Path, formats: Sequence[Format]
) -> dict[str, Any]:
    """Write the first image's maps in other formats.

    A PNG of 16 bits holds, at 65535, the value that is returned for it, and 0 at 0; melanin and
    haemoglobin are written as volume fractions there (melanosomes, blood). OpenEXR holds the values
    themselves, a channel each, 32-bit float.

    Returns:
        What to add to a summary: the value of full scale of each 16-bit PNG.
    """
    found = planes(decomposition)
    said: dict[str, Any] = {}
    if "png16" in formats:
        full = {}
        for name in ("melanosomes", "blood", "diffuse", "specular"):
            values = found[name]
            most = FULL_SCALE.get(name, max(float(values.max(initial=0.0)), 1e-6))
            levels = np.clip(np.rint(65535.0 * values / most), 0, 65535).astype(np.uint16)
            with whole_file(folder / f"{name}-16.png") as temporary:
                temporary.write_bytes(cv2.imencode(".png", levels)[1].tobytes())
            full[f"{name}-16.png"] = most
        said["value_of_65535"] = full
    if "exr" in formats:
        library = _openexr()
        header = {"compression": library.ZIP_COMPRESSION, "type": library.scanlineimage}
        stream = io.BytesIO()  # the library takes no names that are not UTF-8
        with library.File(header, found) as file:
            file.write(stream)
        with whole_file(folder / "maps.exr") as temporary:
            temporary.write_bytes(stream.getvalue())
    return said
