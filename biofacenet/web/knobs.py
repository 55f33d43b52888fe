"""What the page's knobs mean: values in the order in which they travel, and the edit they stand for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..decomposition import Edit
from ..decomposition.edit import DIRECTIONS
from ..errors import BioFaceNetError
from ..photos.white_choice import WhiteChoice
from .session import Session

__all__ = [
    "AREAS",
    "CARDS",
    "CHOICES",
    "KNOBS",
    "LIGHTS",
    "LIGHT_NAMES",
    "LOOK_NAMES",
    "SIDES",
    "Knob",
    "at_rest",
    "edit_of",
    "spoken",
    "white_of",
]


@dataclass(frozen=True)
class Knob:
    """A slider in percent, of one number of an `Edit`; 0 changes nothing."""

    field: str
    """Which number of the edit."""
    label: str
    more: str
    less: str = ""
    """What a positive and a negative number is, after its percent."""
    low: float = -100.0
    high: float = 300.0

    @property
    def is_share(self) -> bool:
        """Whether it is a share, 0..1, and not a factor: 100 % more is 2."""
        return self.low == 0.0

    def value(self, percent: float) -> float:
        """What the edit has for a place of the slider."""
        return percent / 100.0 + (0.0 if self.is_share else 1.0)

    def percent(self, value: float) -> float:
        """The slider's place for what the edit has."""
        return 100.0 * (value - (0.0 if self.is_share else 1.0))


KNOBS = (
    Knob("melanin_scale", "Melanin: more or less, %", "more melanin", "less melanin"),
    Knob("haemoglobin_scale", "Blood: more or less, %", "more blood", "less blood"),
    Knob("even_melanin", "Evener melanin, %", "evener", low=0.0, high=100.0),
    Knob("less_redness", "Less redness, %", "less redness", low=0.0, high=100.0),
    Knob("diffuse_scale", "Light: more or less, %", "more light", "less light", high=100.0),
    Knob("specular_scale", "Highlights: more or less, %", "more highlights", "less highlights"),
)
"""The first knobs; after them come `CHOICES`, the light's temperature, b1, b2 and `everywhere`."""

NONE = "none"
"""What changes nothing, of looks and sides of the light."""

LOOK_NAMES = {
    NONE: "as it is",
    "tan": "a tan",
    "pallor": "pale",
    "even": "even",
    "blush": "blushing cheeks",
    "calm": "calm, less redness",
}

AREAS = {
    "skin": "all skin",
    "skin,lips": "skin and lips",
    "cheeks": "the cheeks",
    "forehead": "the forehead",
    "nose": "the nose",
    "chin": "the chin",
    "neck": "the neck",
    "lips": "the lips",
    "hair": "the hair",
}
"""Where pigments change, as `Edit.areas` has it, and in words."""

SIDES = {NONE: "as found in the photo", **{name: f"from {name}" for name in DIRECTIONS}}
SIDES.update(left="from the left", right="from the right", front="from the front")
"""Where the light comes from."""

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


CHOICES = {"look": tuple(LOOK_NAMES), "areas": tuple(AREAS), "side": tuple(SIDES), "light": LIGHTS}
"""Knobs that are one of several words, in order; the first word changes nothing."""


USUAL = "usual"

CARDS = {
    USUAL: "white, or as found",
    "white": "white card, 90 %",
    "grey": "grey card, 18 %",
    "paper": "white paper, 85 %",
    "diffuser": "white standard, 99 %",
}
"""What the box of white is of, as `biofacenet.photos.white_choice` has it, and in words."""


def white_of(box: Any = "", card: Any = USUAL) -> WhiteChoice:
    """What the page's fields say of white; not known where the box is empty.

    Raises:
        BioFaceNetError: they hold something else.
    """
    if not isinstance(box, str) or card not in CARDS:
        raise BioFaceNetError(
            "what white is, is no text; expected auto, or a box, load the page again"
        )
    if not box.strip():
        return WhiteChoice()
    return WhiteChoice(box.strip(), None, "" if card == USUAL else card)


def at_rest(session: Session) -> list[Any]:
    """Values of all knobs at which nothing changes."""
    found = session.found
    return [
        *(knob.percent(getattr(Edit(), knob.field)) for knob in KNOBS),
        *(words[0] for words in CHOICES.values()),
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
    rest, count = at_rest(session), len(KNOBS)
    if len(values) != len(rest):
        raise BioFaceNetError(f"{len(values)} knobs; expected {len(rest)}, load the page again")
    chosen = dict(zip(CHOICES, values[count:-4], strict=True))
    for name, words in CHOICES.items():
        if chosen[name] not in words:
            raise BioFaceNetError(f"this {name} is unknown; expected one of {', '.join(words)}")
    numbers, (cct, b1, b2) = [_number(one) for one in values[:count]], map(_number, values[-4:-1])
    for knob, percent in zip(KNOBS, numbers, strict=True):
        if not knob.low <= percent <= knob.high:
            raise BioFaceNetError(
                f"{knob.label} {percent:g}: expected {knob.low:g} to {knob.high:g}, put all back"
            )
    said = {name: None if word == CHOICES[name][0] else word for name, word in chosen.items()}
    edit = Edit(
        **{knob.field: knob.value(one) for knob, one in zip(KNOBS, numbers, strict=True)},
        look=said["look"],
        areas=said["areas"],
        light_from=said["side"],
        light=session.lamp or said["light"],
        cct=cct if said["light"] == "D" and session.lamp is None else None,
        camera=session.curves or _moved(session, rest[-3:-1], (b1, b2)),
    )
    return edit, values[-1] is True


def _number(value: Any) -> float:
    """What a slider holds."""
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not real or not math.isfinite(value):
        raise BioFaceNetError("a slider holds no number; expected one, put all back")
    return float(value)


def _moved(
    session: Session, resting: Sequence[float], chosen: tuple[float, float]
) -> tuple[float, float] | None:
    """The camera where its sliders are; what was not moved is as it was found, to the last digit."""
    if list(chosen) == list(resting):
        return None
    found = session.found.camera[0].tolist()
    b1, b2 = (found[i] if chosen[i] == resting[i] else chosen[i] for i in range(2))
    return b1, b2


def spoken(edit: Edit) -> str:
    """What is changed, in words: 50 % more melanin."""
    said = [] if edit.look is None else [LOOK_NAMES[edit.look]]
    for knob in KNOBS:
        percent = round(knob.percent(getattr(edit, knob.field)))
        if percent:
            said.append(f"{abs(percent)} % {knob.more if percent > 0 else knob.less}")
    if edit.areas is not None:
        said.append(f"of {AREAS[edit.areas]}")
    if edit.light_from is not None:
        said.append(f"light {SIDES[edit.light_from]}")
    if edit.light is not None:
        temperature = "" if edit.cct is None else f" of {edit.cct:g} K"
        said.append(f"light {edit.light}{temperature}")
    if isinstance(edit.camera, tuple):
        said.append(f"camera {edit.camera[0]:.2f}, {edit.camera[1]:.2f}")
    elif edit.camera is not None:
        said.append(f"camera {edit.camera}")
    return ", ".join(said)
