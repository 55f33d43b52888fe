"""How far a method's intervals are right: measured once on faces with known maps, kept with the method."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

__all__ = ["BANDS", "LIGHT_AND_CAMERA", "QUANTITIES", "Calibration"]

QUANTITIES = ("melanin", "haemoglobin", "diffuse", "specular")
"""Of a pixel; the shadings by their logarithm."""

LIGHT_AND_CAMERA = ("temperature", "b1", "b2")
"""Of an image: the light's correlated colour temperature in mired (1e6 / kelvin), and the camera."""

BANDS = 33

BETTER = 0.9
"""Share of the prior's error that a method must be below to count as having seen something."""

LARGEST = 1e4
"""Of numbers in a file: more is a mistake."""


@dataclass(frozen=True, repr=False)
class Calibration:
    """What brings intervals to 68 %: factors of deviations by skin, and errors of light and camera."""

    tones: tuple[float, ...]
    """Means of the found melanin map over a face's skin, rising, at which the factors are known."""
    pixels: Mapping[str, tuple[float, ...]]
    """By quantity and tone: of the deviation of single pixels."""
    faces: Mapping[str, tuple[float, ...]]
    """The same of the deviation of a face's mean."""
    errors: Mapping[str, float]
    """By name: 68 % of the method's errors of light and camera are below this."""
    usual: Mapping[str, float]
    """The same of one who does not look at photos, and always says the same: the prior."""
    bands: tuple[float, ...]
    """Of the light's power in each band of 10 nm, in shares of all: 68 % of errors are below."""
    usual_bands: tuple[float, ...]
    """The same of one who does not look."""
    count: int
    """Faces that it was measured on."""

    def __repr__(self) -> str:
        return f"Calibration(count={self.count})"

    def factor(self, kind: str, name: str, tone: float) -> float:
        """Of a deviation, in straight lines between tones and level beyond them.

        Args:
            kind: ``pixels`` or ``faces``.
            name: one of `QUANTITIES`.
            tone: mean of the found melanin map over the skin.
        """
        values = {"pixels": self.pixels, "faces": self.faces}[kind][name]
        place = bisect_right(self.tones, tone)
        if place in (0, len(self.tones)):
            return values[min(place, len(values) - 1)]
        low, high = self.tones[place - 1], self.tones[place]
        share = (tone - low) / (high - low)
        return values[place - 1] + share * (values[place] - values[place - 1])

    def knows(self, name: str) -> bool:
        """Whether the method says more of light or camera than one who does not look."""
        return self.errors[name] < BETTER * self.usual[name]

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON; `from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: object) -> Calibration:
        """What `as_json` gave, checked.

        Raises:
            ValueError: it is something else, in a few words.
        """
        if not isinstance(stored, dict) or set(stored) != set(cls.__dataclass_fields__):
            raise ValueError(f"expected the entries {', '.join(cls.__dataclass_fields__)}")
        tones = _numbers(stored["tones"], "tones", least=-1.0)
        if not tones or any(b <= a for a, b in pairwise(tones)):
            raise ValueError("tones do not rise")
        count = stored["count"]
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ValueError("count is no number of faces")
        factors = {
            kind: _table(stored, kind, QUANTITIES, len(tones)) for kind in ("pixels", "faces")
        }
        errors = {kind: _table(stored, kind, LIGHT_AND_CAMERA, 0) for kind in ("errors", "usual")}
        bands = {kind: _numbers(stored[kind], kind, BANDS) for kind in ("bands", "usual_bands")}
        single = {kind: {k: v[0] for k, v in each.items()} for kind, each in errors.items()}
        return cls(tones=tones, count=count, **factors, **single, **bands)  # type: ignore[arg-type]


def _numbers(
    values: object, what: str, count: int | None = None, *, least: float = 0.0
) -> tuple[float, ...]:
    listed = list(values) if isinstance(values, Sequence) and not isinstance(values, str) else None
    good = listed is not None and all(
        isinstance(x, (int, float))
        and not isinstance(x, bool)
        and math.isfinite(x)
        and least <= x <= LARGEST
        for x in listed
    )
    if listed is None or not good or (count is not None and len(listed) != count):
        raise ValueError(f"{what} is no list of {'' if count is None else count} numbers in range")
    return tuple(float(x) for x in listed)


def _table(
    stored: Mapping[str, Any], kind: str, names: Sequence[str], count: int
) -> dict[str, tuple[float, ...]]:
    """Numbers by name; single ones where the count is 0, as a tuple of one."""
    rows = stored[kind]
    if not isinstance(rows, dict) or set(rows) != set(names):
        raise ValueError(f"{kind}: expected {', '.join(names)}")
    return {
        name: _numbers(rows[name] if count else [rows[name]], f"{kind} of {name}", count or 1)
        for name in names
    }
