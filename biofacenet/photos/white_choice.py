"""What is white in photos, as it is asked for; to be read without torch."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import BioFaceNetError

__all__ = ["AUTO", "REFLECTANCES", "WhiteChoice", "parse_box", "parse_reflectance", "white_choice"]

AUTO = "auto"

LEAST_SIDE = 4
"""Pixels of a box."""

REFLECTANCES = {"white": 0.9, "grey": 0.18, "gray": 0.18, "paper": 0.85, "diffuser": 0.99}
"""Shares of light that usual references return: white patches of charts and white cards, the grey card of
photographers, white paper without brighteners, white standards of sintered PTFE."""

EXPECTED_REFLECTANCE = (
    "expected a share of light above 0 up to 1, such as 0.18, or white (0.9), grey (0.18), paper (0.85) or "
    "diffuser (0.99)"
)


def parse_box(text: str) -> tuple[int, int, int, int] | None:
    """Left, top, width and height that ``X,Y,W,H`` means; None for ``auto``.

    Raises:
        BioFaceNetError: the text is neither.
    """
    if text == AUTO:
        return None
    found = re.fullmatch(
        r"(\d{1,6}),(\d{1,6}),(\d{1,6}),(\d{1,6})", text.replace(" ", ""), re.ASCII
    )
    if found is not None:
        left, top, width, height = (int(number) for number in found.groups())
        if min(width, height) >= LEAST_SIDE:
            return left, top, width, height
    raise BioFaceNetError(
        f"white {text!r}: expected auto, or LEFT,TOP,WIDTH,HEIGHT of a white or grey box in whole pixels "
        f"of the upright photo, each side at least {LEAST_SIDE}, such as 40,60,120,80"
    )


def parse_reflectance(text: str) -> float | None:
    """The share of light that a reference returns: a number or a name; None for ``""``, not given.

    Raises:
        BioFaceNetError: the text is neither.
    """
    if not text:
        return None
    if text.lower() in REFLECTANCES:
        return REFLECTANCES[text.lower()]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value <= 1.0:
        raise BioFaceNetError(f"white-reflectance {text!r}: {EXPECTED_REFLECTANCE}")
    return value


@dataclass(frozen=True)
class WhiteChoice:
    """What is white, checked: see `biofacenet.photos.white.read_white`."""

    white: str = ""
    """``LEFT,TOP,WIDTH,HEIGHT`` of a box, ``auto``, or empty: the middle of the reference."""
    reference: Path | None = None
    """Another photo, under the same light and exposure, that the box is in."""
    reflectance: str = ""
    """As of `parse_reflectance`; that of the kind of card when empty, and of white for a box."""

    def __post_init__(self) -> None:
        if self.white:
            parse_box(self.white)
        parse_reflectance(self.reflectance)
        if self.reflectance and not self.given:
            raise BioFaceNetError(
                "white-reflectance is given, but not what is white; expected --white LEFT,TOP,WIDTH,HEIGHT, "
                "--white auto or --reference PHOTO beside it"
            )

    @property
    def given(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.white) or self.reference is not None


def white_choice(white: str, reference: Path | None, reflectance: str) -> WhiteChoice:
    """What a command's options say of white, checked before anything is computed.

    Args:
        white: as of `WhiteChoice`.
        reference: likewise.
        reflectance: likewise.

    Raises:
        BioFaceNetError: they do not go together, cannot be read, or there is no such photo of reference.
    """
    choice = WhiteChoice(white, reference, reflectance)
    if reference is not None and not reference.is_file():
        raise BioFaceNetError(
            f"reference {str(reference)!r}: no such photo; expected one of the card, in the light of the face"
        )
    return choice
