"""What the page's knobs mean: values in the order in which they travel, and the edit they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..decomposition import Edit
from ..errors import BioFaceNetError, DataError
from ..physics.measured import CameraCurves, Spectrum
from .session import Session

__all__ = ["AS_FOUND", "LIGHTS", "LIGHT_NAMES", "at_rest", "edit_of"]

AS_FOUND = "as found"
LIGHT_NAMES = {
    AS_FOUND: "as found in the photo",
    "D": "D: daylight of the temperature below",
    "D50": "D50: daylight, 5003 K",
    "D55": "D55: daylight, 5503 K",
    "D65": "D65: daylight, 6504 K",
    "D75": "D75: daylight, 7504 K",
    "A": "A: incandescent lamp, 2856 K",
    "F2": "F2: cool white fluorescent",
    "F7": "F7: daylight fluorescent",
    "F11": "F11: three-band fluorescent, 4000 K",
}
LIGHTS = (AS_FOUND, "D", "D50", "D55", "D65", "D75", "A", *(f"F{i}" for i in range(1, 13)))
"""Lights to choose from; D is daylight of the chosen temperature."""

NUMBERS = (
    *("melanin", "melanin_scale", "haemoglobin", "haemoglobin_scale"),
    *("diffuse_scale", "specular_scale"),
)
"""The first knobs are numbers of an edit; light, temperature, b1, b2, two files and `everywhere` follow."""


def at_rest(session: Session) -> list[Any]:
    """Values of all knobs at which nothing changes."""
    rest, found = Edit(), session.found
    return [
        *(rest.melanin, rest.melanin_scale, rest.haemoglobin, rest.haemoglobin_scale),
        *(rest.diffuse_scale, rest.specular_scale, AS_FOUND),
        round(float(found.illuminant.cct[0]) / 50) * 50,
        *(round(value, 2) for value in found.camera[0].tolist()),
        *(None, None),
        False,
    ]


def edit_of(session: Session, values: Sequence[Any]) -> tuple[Edit, bool]:
    """The edit that knobs stand for, and whether it is for more than skin.

    A camera slider that was not moved changes nothing; a file goes before the knobs for what it holds.

    Raises:
        BioFaceNetError: the light is not one of the page's, or a file is no light or camera.
    """
    *numbers, light, cct, b1, b2, light_file, camera_file, everywhere = values
    if light not in LIGHTS:
        raise BioFaceNetError(f"light {light!r}: expected one of {', '.join(LIGHTS)}")
    resting = at_rest(session)[8:10]
    found = session.found.camera[0].tolist()
    moved = (b1, b2) != tuple(resting)
    camera = tuple(
        found[i] if chosen == resting[i] else float(chosen) for i, chosen in enumerate((b1, b2))
    )
    edit = Edit(
        **dict(zip(NUMBERS, numbers, strict=True)),
        light=None if light == AS_FOUND else light,
        cct=cct if light == "D" else None,
        camera=(camera[0], camera[1]) if moved else None,
    )
    if light_file:
        edit = replace(edit, light=_held(Spectrum, str(light_file)), cct=None)
    if camera_file:
        edit = replace(edit, camera=_held(CameraCurves, str(camera_file)))
    return edit, bool(everywhere)


def _held(kind: Any, path: str) -> Any:
    """What an upload holds; of its path people know the name only."""
    try:
        return _read(kind, path)
    except DataError as error:
        raise DataError(str(error).replace(path, Path(path).name)) from error


@lru_cache(maxsize=16)
def _read(kind: Any, path: str) -> Any:
    """The file of an upload, read once and not at each move of a slider."""
    return kind.from_csv(path)
