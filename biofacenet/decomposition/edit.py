"""The numbers of an edit, once: for the library, the command, the page and settings files."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

from ..physics.measured import CameraCurves, Spectrum
from ..physics.names import CCT_RANGE, COORDINATE_RANGE, DAYLIGHTS, ILLUMINANT_NAMES
from ..system.settings import option

__all__ = [
    "AREA_NAMES",
    "DIRECTIONS",
    "LOOKS",
    "Edit",
    "Pigment",
    "areas_of_text",
    "direction_of",
    "pigment_of",
]


MAX_MELANOSOMES, MAX_BLOOD = 0.43, 0.07
"""Of the skin model, whose constants `biofacenet.physics.skin.SKINS` holds (it needs torch)."""


@dataclass(frozen=True)
class Edit:
    """What is changed in a decomposition; nothing by default."""

    melanin: str | float | None = option(0.0, shown="as it is", metavar="xN|+N%|-N%")
    """A factor on the melanosomes of the epidermis, such as x3 or x0.5; or an amount of them in percent of
    its volume, as maps show it, such as +2% or -1%. In Python also a number, which is added to the map of
    -1..1."""
    haemoglobin: str | float | None = option(0.0, shown="as it is", metavar="xN|+N%|-N%")
    """The same for blood, in percent of the dermis."""
    melanin_scale: float = 1.0
    """The same as --melanin xN."""
    haemoglobin_scale: float = 1.0
    """The same as --haemoglobin xN."""
    even_melanin: float = option(0.0, metavar="SHARE")
    """Share, 0..1, of the way on which melanin goes to its median: 1 leaves no freckles and no patches."""
    less_redness: float = option(0.0, metavar="SHARE")
    """Share, 0..1, of the way on which blood goes to its median where there is more."""
    look: str | None = option(None, shown="none", metavar="tan|pallor|even|blush|calm")
    """A change that people often want, for what is not said otherwise: a tan, a pale face, an even one,
    redder cheeks, or less redness."""
    areas: str | None = option(None, shown="skin", metavar="NAME[=STRENGTH],..")
    """Where pigments change, and how strongly, 0..1: skin, lips, brows, eyes, hair, or of the skin cheeks,
    forehead, nose, chin, neck; such as skin,lips=0.5 or skin,nose=0 or cheeks. Where none is named, lips
    get half of a change of melanin, too."""
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
        for name in SCALES:
            factor = getattr(self, name)
            if not (math.isfinite(factor) and 0.0 <= factor <= MOST):
                raise ValueError(f"{name} must lie in 0..{MOST:g}, got {factor}")
        for name in PIGMENT_RANGE:
            pigment_of(name, getattr(self, name))
        for name in ("even_melanin", "less_redness"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie in 0..1, got {getattr(self, name)}")
        if self.look is not None and self.look not in LOOKS:
            raise ValueError(f"unknown look {self.look!r}: choose one of {', '.join(LOOKS)}")
        areas_of_text(self.areas)
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

    def resolved(self) -> Edit:
        """The same with what its look stands for said, where it was not said otherwise.

        Raises:
            ValueError: there is no such look.
        """
        if self.look is None:
            return self
        if self.look not in LOOKS:
            raise ValueError(f"unknown look {self.look!r}: choose one of {', '.join(LOOKS)}")
        usual = Edit()
        meant = {
            name: value
            for name, value in LOOKS[self.look].items()
            if getattr(self, name) == getattr(usual, name)
        }
        found: Edit = replace(self, look=None, **cast(dict[str, Any], meant))
        return found

    def words(self) -> str:
        """What is changed, for people."""
        parts = [
            f"{field.name.replace('_', ' ')} {getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return ", ".join(parts) or "nothing changed"


@dataclass(frozen=True)
class Pigment:
    """A change of a pigment: first its fraction by a factor, then by an amount, then its map by another."""

    factor: float = 1.0
    amount: float = 0.0
    """Added to the fraction."""
    added: float = 0.0
    """Added to the map, which lies in -1..1."""


PIGMENT_RANGE = {"melanin": MAX_MELANOSOMES, "haemoglobin": MAX_BLOOD}
"""Largest fractions that maps can show."""

MOST = 20.0
"""Largest factor: more pigment than that has no skin, and no highlight is brighter."""

CHANGE = re.compile(r"x(?P<factor>\d*\.?\d+)|(?P<amount>[+-]\d*\.?\d+)%")


def pigment_of(name: str, change: str | float | None) -> Pigment:
    """What a change of a pigment says.

    Args:
        name: ``melanin`` or ``haemoglobin``.
        change: text such as ``x3`` or ``+2%``; a number is added to the map.

    Raises:
        ValueError: it is none of these, or out of range.
    """
    if change is None:
        return Pigment()
    if not isinstance(change, str):
        if not math.isfinite(change):
            raise ValueError(f"{name}: what is added must be finite, got {change}")
        return Pigment(added=float(change))
    found = CHANGE.fullmatch(change.strip())
    if found is None:
        raise ValueError(
            f"{name} {change}: expected a factor such as x1.5, or an amount in percent such as +2% or -1%"
            f"{_remark(change)}"
        )
    most = 100.0 * PIGMENT_RANGE[name]
    if found["factor"] is not None:
        factor = float(found["factor"])
        if not 0.0 <= factor <= MOST:
            raise ValueError(f"{name} {change}: expected a factor in x0..x{MOST:g}")
        return Pigment(factor=factor)
    amount = float(found["amount"])
    if abs(amount) > most:
        raise ValueError(f"{name} {change}: expected -{most:g}%..+{most:g}%, the range of skin")
    return Pigment(amount=amount / 100.0)


def _remark(change: str) -> str:
    """What to say to those who know the numbers of earlier versions."""
    try:
        float(change)
    except ValueError:
        return ""
    return "; plain numbers, in units of the map, are for Python alone since version 0.2"


LOOKS: dict[str, dict[str, object]] = {
    "tan": {"melanin": "x1.8"},
    "pallor": {"melanin": "x0.6", "haemoglobin": "x0.6"},
    "even": {"even_melanin": 0.8, "less_redness": 0.5},
    "blush": {"haemoglobin": "x2", "areas": "cheeks"},
    "calm": {"less_redness": 0.9},
}
"""What looks stand for."""

AREA_NAMES = (
    *("skin", "lips", "brows", "eyes", "hair"),
    *("cheeks", "forehead", "nose", "chin", "neck"),
)
"""Where pigments can change; the second line is of the skin."""


def areas_of_text(text: str | None) -> dict[str, float]:
    """Strengths of areas by name: of ``skin,lips=0.5`` skin 1 and lips 0.5; of None skin alone.

    Raises:
        ValueError: an area is unknown, or a strength out of 0..1.
    """
    found = {}
    for word in (text if text is not None else "skin").split(","):
        name, given, strength = (part.strip() for part in word.partition("="))
        try:
            value = float(strength) if given else 1.0
        except ValueError:
            value = math.nan
        if name not in AREA_NAMES or not 0.0 <= value <= 1.0:
            raise ValueError(
                f"areas {text}: expected names of {', '.join(AREA_NAMES)}, each with a strength in 0..1 if "
                "you like, such as skin,lips=0.5"
            )
        found[name] = value
    return found


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
