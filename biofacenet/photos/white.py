"""What white is in a photo: the light that a perfect white surface would return there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from PIL import ExifTags, Image

from ..errors import PhotoError
from ..physics.colour import linear_to_srgb, srgb_to_linear
from ..system.device import plain_defaults
from ..system.names import shown
from .greys import Grey, ToneCurve, tone_curve
from .reading import Photo, read_photo
from .white_choice import REFLECTANCES, WhiteChoice, parse_box, parse_reflectance

__all__ = ["White", "balanced", "of_box", "of_checker", "read_white", "with_greys"]

SATURATED = 0.99
"""sRGB-encoded, from which a channel counts as cut off."""

MOST_SATURATED = 0.02
"""Share of a box's pixels."""

DARKEST = 0.01
"""Linear light of a box, below which noise and stray light are what is seen."""

DARKEST_GREY = 0.003
"""The same of the greys of a chart: below, 8 bits are steps."""

MOST_UNEVEN = 0.25
"""Of a box, as the half width of what its middle 68 % of pixels span, in their median."""

MOST_COLOURED = 6.0
"""Strongest by weakest channel, linear: candle light seen by a camera that is set to daylight."""

SAME_EXPOSURE = 0.04
"""Relative difference that rounded numbers of EXIF leave."""

Kind = Literal["box", "card", "checker"]


@dataclass(frozen=True)
class White:
    """What a perfect white surface, in the place of a card and facing as it does, would be in a photo."""

    light: tuple[float, float, float]
    """Linear sRGB, above 0; over 1 where such a surface would be overexposed."""
    kind: Kind
    """Whether it was a box that a person named, or a grey card or ColorChecker that was found."""
    reflectance: float
    """Share of light that it returned, of what the light was read from."""
    box: tuple[int, int, int, int]
    """Left, top, width and height in pixels of the upright photo."""
    path: Path
    """The photo that it was seen in."""
    notes: tuple[str, ...] = ()
    """What a person should know."""
    curve: ToneCurve | None = None
    """By which the photo was developed, where greys told it; then `light` is what it was before."""

    @property
    def cast(self) -> float:
        """How far the photo's white balance was off: strongest by weakest channel, less 1."""
        return max(self.light) / min(self.light) - 1.0

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        curve = None
        if self.curve is not None:
            curve = {"seen_log": list(self.curve.seen), "scene_log": list(self.curve.scene)}
        return {
            "tone_curve": curve,
            "kind": self.kind,
            "photo": str(self.path),
            "box": list(self.box),
            "reflectance": self.reflectance,
            "light_linear_rgb": [round(value, 5) for value in self.light],
            "notes": list(self.notes),
        }

    def told(self) -> str:
        """For a table, in a word or two."""
        rgb = ",".join(f"{value:.4g}" for value in self.light)
        undone = (
            "" if self.curve is None else f", tone curve undone by {len(self.curve.seen)} greys"
        )
        place = ",".join(map(str, self.box))
        return f"{self.kind} at {place}, reflectance {self.reflectance:g}, light {rgb}{undone}"

    def words(self) -> str:
        """For people, in a line."""
        left, top, width, height = self.box
        what = {"box": "box", "card": "grey card", "checker": "ColorChecker"}[self.kind]
        rgb = ", ".join(f"{value:.3g}" for value in self.light)
        return (
            f"white by a {what} at {left},{top},{width},{height} of {shown(self.path.name)}, reflectance "
            f"{self.reflectance:g}: light {rgb}"
        )


@plain_defaults()
def read_white(photo: Photo, choice: WhiteChoice) -> White:
    """What white is in a photo.

    Args:
        photo: of a face.
        choice: the box, or to look for a card; in the photo, or in one of reference.

    Raises:
        PhotoError: the reference cannot be read or is of another exposure, there is no card or box in it, or
            what is there cannot be white: overexposed, dark, uneven, coloured. One line.
    """
    seen = photo if choice.reference is None else read_photo(choice.reference)
    if choice.reference is not None:
        _check_same_exposure(photo, seen)
    given = parse_reflectance(choice.reflectance)
    box = parse_box(choice.white) if choice.white else _middle(seen)
    if box is not None:
        return of_box(seen, box, REFLECTANCES["white"] if given is None else given)
    from .charts import find_card

    found = find_card(seen)
    if found.kind == "card" or given:
        return of_box(seen, found.box, given or found.reflectance, kind=found.kind)
    return of_checker(seen, found.greys)


Greys: TypeAlias = Sequence[tuple[float, tuple[int, int, int, int]]]
"""Reflectance and box of each neutral patch of a chart, from white to black."""


def of_checker(photo: Photo, greys: Greys) -> White:
    """The light on a ColorChecker: by its second grey, or a darker one where that is overexposed.

    Raises:
        PhotoError: of the second grey, where none can be read.
    """
    first: PhotoError | None = None
    for share, box in greys[1:]:
        try:
            white = of_box(photo, box, share, kind="checker")
        except PhotoError as error:
            first = first or error
            continue
        # Raw files have no tone curve.
        return white if photo.linear else with_greys(white, photo, greys)
    assert first is not None
    raise first


def with_greys(white: White, photo: Photo, greys: Greys) -> White:
    """A white with the tone curve that greys beside it tell, where they tell one.

    Args:
        white: one of the greys.
        photo: that it was read from.
        greys: reflectance and box of each; what is cut off, black or uneven does not count.
    """
    seen = []
    for share, box in greys:
        try:
            seen.append(Grey(share, of_box(photo, box, 1.0, darkest=DARKEST_GREY).light))
        except PhotoError:
            continue
    curve = tone_curve(seen, white.reflectance)
    if curve is None:
        said = "its greys tell no tone curve: it is cut off, uneven, or a shadow lies on it"
        return replace(white, notes=(*white.notes, said)) if greys else white
    light = curve.undone(white.reflectance * torch.tensor(white.light, dtype=torch.float64))
    red, green, blue = (light / white.reflectance).tolist()
    return replace(
        white,
        light=(red, green, blue),
        curve=curve,
        notes=(*white.notes, f"tone curve undone by {len(curve.seen)} greys"),
    )


def of_box(
    photo: Photo,
    box: tuple[int, int, int, int],
    reflectance: float,
    *,
    kind: Kind = "box",
    darkest: float = DARKEST,
) -> White:
    """The light on a box of a photo, by the medians of its channels.

    Raises:
        PhotoError: see `read_white`.
    """
    left, top, width, height = box
    if left + width > photo.width or top + height > photo.height:
        raise _problem(
            photo,
            box,
            f"does not lie in the photo; expected pixels of the upright photo of {photo.width} x "
            f"{photo.height}",
        )
    encoded = photo.pixels[:, top : top + height, left : left + width].flatten(1)
    cut_off = float((encoded >= SATURATED).any(dim=0).float().mean())
    if cut_off > MOST_SATURATED:
        raise _problem(
            photo,
            box,
            f"is overexposed in {cut_off:.0%} of its pixels; expected none at the end of the range, use a "
            "grey card or expose less",
        )
    linear = srgb_to_linear(encoded)
    low, middle, high = linear.double().quantile(
        torch.tensor([0.16, 0.5, 0.84], dtype=torch.float64), dim=1
    )
    if float(middle.min()) < darkest:
        raise _problem(
            photo,
            box,
            f"is dark, {float(middle.min()):.3f} of the range in one channel; expected {darkest} or more, "
            "name a box of the lit card",
        )
    uneven = float(((high - low) / (2.0 * middle)).max())
    if uneven > MOST_UNEVEN:
        raise _problem(
            photo,
            box,
            f"is uneven by {uneven:.0%}; expected one even surface, name a box within the card, without "
            "its edge, print or shadow",
        )
    coloured = float(middle.max() / middle.min())
    if coloured > MOST_COLOURED:
        raise _problem(
            photo,
            box,
            f"is coloured, its strongest channel {coloured:.1f} times the weakest; expected white or grey",
        )
    red, green, blue = (middle / reflectance).tolist()
    notes = (f"white uneven by {uneven:.0%}",) if uneven > MOST_UNEVEN / 4.0 else ()
    return White((red, green, blue), kind, reflectance, box, photo.path, notes)


def balanced(photo: Photo, white: White) -> Photo:
    """A photo in which a perfect white surface in the card's place would be 1 in each channel.

    By the tone curve undone, where it is known, and by a factor for each channel of linear sRGB. What is
    brighter than white is cut off, as highlights may be.
    """
    scale = 1.0 / torch.tensor(white.light)
    pixels = torch.empty_like(photo.pixels)
    undone = srgb_to_linear if white.curve is None else white.curve.undone_encoded
    for plane, factor, place in zip(photo.pixels, scale, pixels, strict=True):
        place.copy_(linear_to_srgb((factor * undone(plane)).clamp(0.0, 1.0)))
    return replace(photo, pixels=pixels, notes=(*photo.notes, white.words(), *white.notes))


def _middle(photo: Photo) -> tuple[int, int, int, int]:
    """The middle ninth: a card fills a photo of reference."""
    return photo.width // 3, photo.height // 3, photo.width // 3, photo.height // 3


def _problem(photo: Photo, box: tuple[int, int, int, int], what: str) -> PhotoError:
    place = ",".join(map(str, box))
    return PhotoError(f"{shown(photo.path)}: white box {place} {what}")


# Exposure ------------------------------------------------------------------------------------


def _check_same_exposure(photo: Photo, reference: Photo) -> None:
    """Raise PhotoError where EXIF says that two photos were exposed otherwise."""
    ours, theirs = exposure(photo.exif), exposure(reference.exif)
    if ours is None or theirs is None:
        return
    if abs(math.log(ours / theirs)) > SAME_EXPOSURE:
        raise PhotoError(
            f"{shown(reference.path)}: exposed {theirs / ours:.3g} times as much as {shown(photo.path)}, as "
            "their EXIF says; expected the same time, aperture and ISO, set the camera to manual"
        )


def exposure(exif: bytes) -> float | None:
    """Seconds times ISO by the square of the aperture, of an EXIF block; None where it does not say."""
    if not exif:
        return None
    try:
        block = Image.Exif()
        block.load(exif)
        inner = block.get_ifd(ExifTags.IFD.Exif)
        iso = inner[ExifTags.Base.ISOSpeedRatings]
        iso = iso[0] if isinstance(iso, tuple) else iso
        aperture = float(inner[ExifTags.Base.FNumber])
        found = float(inner[ExifTags.Base.ExposureTime]) * float(iso) / aperture**2
    except Exception:  # damaged EXIF spoils no photo
        return None
    return found if math.isfinite(found) and found > 0.0 else None
