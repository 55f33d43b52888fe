"""The numbers of an edit, once: for the library, the command, the page and settings files."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path

from ..physics.measured import CameraCurves, Spectrum
from ..physics.names import CCT_RANGE, COORDINATE_RANGE, DAYLIGHTS, ILLUMINANT_NAMES
from ..system.settings import option

__all__ = ["DIRECTIONS", "Edit", "direction_of"]


@dataclass(frozen=True)
class Edit:
    """What is changed in a decomposition; nothing by default."""

    melanin: float = 0.0
    """Added to the melanin map, which lies in -1..1."""
    haemoglobin: float = 0.0
    """Added to the haemoglobin map, which lies in -1..1."""
    melanin_scale: float = 1.0
    """Factor on the fraction of melanosomes in the epidermis."""
    haemoglobin_scale: float = 1.0
    """Factor on the fraction of blood in the dermis."""
    diffuse_scale: float = 1.0
    """Factor on the diffuse shading."""
    specular_scale: float = 1.0
    """Factor on highlights; 0 removes them."""
    light: str | Spectrum | None = option(None, shown="as it is", metavar="NAME|FILE.csv")
    """Another light: A, D, F1 .. F12, D50, D55, D65 or D75, or a CSV file of wavelengths and power. White
    stays white: cameras see to that."""
    cct: float | None = option(None, shown="as it is", metavar="KELVIN")
    """Another temperature of daylight, 4000..25000 K."""
    light_from: str | None = option(
        None, shown="as it is", metavar="left|right|above|below|DEGREES"
    )
    """Where the light comes from, as the viewer sees it, in place of the light there is: a word, or degrees
    to the right of the camera, and if you like above it, such as 40 or -40,30. Needs normals, which
    networks tell."""
    camera: tuple[float, float] | str | CameraCurves | None = option(
        None, shown="as it is", metavar="B1 B2|FILE.csv"
    )
    """Another camera, by its coordinates b1 b2 in -3..3, or by a CSV file of wavelengths and the
    sensitivities R, G and B."""

    def read(self) -> Edit:
        """The same edit with the files that it names read.

        Raises:
            DataError: a file is missing or not of its form.
        """
        light, camera = self.light, self.camera
        if isinstance(light, str) and names_file(light):
            light = Spectrum.from_csv(Path(light).expanduser())
        if isinstance(camera, str):
            camera = CameraCurves.from_csv(Path(camera).expanduser())
        return replace(self, light=light, camera=camera)

    def check(self) -> None:
        """Raise ValueError where a number is out of range, or the light is unknown."""
        factors = {name: getattr(self, name) for name in SCALES}
        for name, factor in factors.items():
            if not (math.isfinite(factor) and factor >= 0.0):
                raise ValueError(f"{name} must be finite and at least 0, got {factor}")
        if not (math.isfinite(self.melanin) and math.isfinite(self.haemoglobin)):
            raise ValueError(
                f"what is added must be finite, got {self.melanin} and {self.haemoglobin}"
            )
        known = (*ILLUMINANT_NAMES, *DAYLIGHTS)
        if isinstance(self.light, str) and self.light not in known and not names_file(self.light):
            raise ValueError(
                f"unknown light {self.light!r}: choose one of {', '.join(known)}, or a CSV file"
            )
        if self.cct is not None:
            if self.light not in (None, "D"):
                raise ValueError(f"only light D has a temperature, and '{self.light}' none")
            if not CCT_RANGE[0] <= self.cct <= CCT_RANGE[1]:
                raise ValueError(f"cct must lie in 4000..25000 K, got {self.cct}")
        if self.light_from is not None:
            direction_of(self.light_from)
        low, high = COORDINATE_RANGE
        coordinates = self.camera if isinstance(self.camera, tuple) else ()
        if not all(low <= value <= high for value in coordinates):
            raise ValueError(f"camera coordinates must lie in {low:g}..{high:g}, got {self.camera}")

    def words(self) -> str:
        """What is changed, for people."""
        parts = [
            f"{field.name.replace('_', ' ')} {getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return ", ".join(parts) or "nothing changed"


DIRECTIONS = {
    "left": (-65.0, 15.0),
    "right": (65.0, 15.0),
    "above": (0.0, 65.0),
    "below": (0.0, -50.0),
    "front": (0.0, 0.0),
}
"""Degrees to the right and above the camera that words stand for."""

USUAL_HEIGHT = 15.0
"""Degrees above the camera where none are given."""


def direction_of(text: str) -> tuple[float, float, float]:
    """Unit vector towards a lamp: x right, y up, z to the viewer.

    Args:
        text: a word of `DIRECTIONS`, or degrees to the right, -180..180, and if you like above, -90..90.

    Raises:
        ValueError: it is neither.
    """
    if text in DIRECTIONS:
        across, up = DIRECTIONS[text]
    else:
        try:
            numbers = [float(word) for word in text.split(",")]
            across, up = numbers if len(numbers) > 1 else (numbers[0], USUAL_HEIGHT)
            known = abs(across) <= 180.0 and abs(up) <= 90.0
        except ValueError:
            known = False
        if not known:
            raise ValueError(
                f"light_from {text!r}: expected {', '.join(DIRECTIONS)}, or degrees such as 40 or -40,30 "
                "(to the right within 180, above within 90)"
            )
    across, up = math.radians(across), math.radians(up)
    return (math.sin(across) * math.cos(up), math.sin(up), math.cos(across) * math.cos(up))


def names_file(light: str) -> bool:
    """Whether a light is a file's name: it has an ending, or a folder before it."""
    return Path(light).suffix != "" or Path(light).name != light


SCALES = ("melanin_scale", "haemoglobin_scale", "diffuse_scale", "specular_scale")
"""Which of the numbers are factors."""
