"""What the page's knobs mean: values in the order in which they travel, and the edit they stand for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..decomposition import Edit
from ..errors import BioFaceNetError
from .session import Session

__all__ = ["AS_FOUND", "KNOBS", "LIGHTS", "LIGHT_NAMES", "Knob", "at_rest", "edit_of", "spoken"]


@dataclass(frozen=True)
class Knob:
    """A slider in percent: 0 leaves a quantity as it was found, 100 doubles it, -50 halves it."""

    field: str
    """Which factor of an `Edit` it is."""
    label: str
    more: str
    less: str
    """What a positive and a negative number is, after its percent."""
    high: float = 300.0
    """Largest percent; the least, -100, leaves nothing."""

    def factor(self, percent: float) -> float:
        """What the edit has for a place of the slider."""
        return 1.0 + percent / 100.0

    def percent(self, factor: float) -> float:
        """The slider's place for what the edit has."""
        return 100.0 * (factor - 1.0)


KNOBS = (
    Knob("melanin_scale", "Melanin", "more melanin", "less melanin"),
    Knob("haemoglobin_scale", "Blood", "more blood", "less blood"),
    Knob("diffuse_scale", "Light on the skin", "more light", "less light", high=100.0),
    Knob("specular_scale", "Highlights", "more highlights", "less highlights"),
)
"""The first knobs; light, temperature, b1, b2 and `everywhere` follow."""

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


def at_rest(session: Session) -> list[Any]:
    """Values of all knobs at which nothing changes."""
    found = session.found
    return [
        *(knob.percent(getattr(Edit(), knob.field)) for knob in KNOBS),
        AS_FOUND,
        round(float(found.illuminant.cct[0]) / 50) * 50,
        *(round(value, 2) for value in found.camera[0].tolist()),
        False,
    ]


def edit_of(session: Session, values: Sequence[Any]) -> tuple[Edit, bool]:
    """The edit that knobs stand for, and whether it is for more than skin.

    A camera slider that was not moved changes nothing; a measured light or camera of the session goes
    before the knobs for it.

    Raises:
        BioFaceNetError: the values are not those of the page's knobs.
    """
    rest = at_rest(session)
    if len(values) != len(rest):
        raise BioFaceNetError(f"{len(values)} knobs; expected {len(rest)}, load the page again")
    *numbers, light, cct, b1, b2, everywhere = values
    if light not in LIGHTS:
        raise BioFaceNetError(f"this light is unknown; expected one of {', '.join(LIGHTS)}")
    for value in (*numbers, cct, b1, b2):
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise BioFaceNetError("a slider holds no number; expected one, put all back")
    for knob, value in zip(KNOBS, numbers, strict=True):
        if not -100.0 <= value <= knob.high:
            raise BioFaceNetError(
                f"{knob.label.lower()} {value:g} %; expected -100 to {knob.high:g}, put all back"
            )
    resting, found = rest[-3:-1], session.found.camera[0].tolist()
    moved = [b1, b2] != resting
    camera = [
        found[i] if chosen == resting[i] else float(chosen) for i, chosen in enumerate((b1, b2))
    ]
    edit = Edit(
        **{knob.field: knob.factor(value) for knob, value in zip(KNOBS, numbers, strict=True)},
        light=None if light == AS_FOUND else light,
        cct=cct if light == "D" else None,
        camera=(camera[0], camera[1]) if moved else None,
    )
    if session.lamp is not None:
        edit = replace(edit, light=session.lamp, cct=None)
    if session.curves is not None:
        edit = replace(edit, camera=session.curves)
    return edit, everywhere is True


def spoken(edit: Edit) -> str:
    """What is changed, in words: 50 % more melanin."""
    said = []
    for knob in KNOBS:
        percent = round(knob.percent(getattr(edit, knob.field)))
        if percent:
            said.append(f"{abs(percent)} % {knob.more if percent > 0 else knob.less}")
    if edit.light is not None:
        temperature = "" if edit.cct is None else f" of {edit.cct:g} K"
        said.append(f"light {edit.light}{temperature}")
    if edit.camera is not None:
        if isinstance(edit.camera, tuple):
            said.append(f"camera {edit.camera[0]:.2f}, {edit.camera[1]:.2f}")
        else:
            said.append(f"camera {edit.camera}")
    return ", ".join(said)
