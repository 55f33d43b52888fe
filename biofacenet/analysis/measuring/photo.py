"""One photo's rows: its faces, decomposed, cut into regions, and each region's numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..._version import __version__
from ...decomposition import Decomposition
from ...errors import NoFaceError
from ...fitting.absolute import Known
from ...fitting.uncertainty import Uncertainty
from ...photos.boxes import Part
from ...photos.framing import Wanted
from ...photos.reading import Photo
from ...physics.colour import luminance
from ...physics.temperature import correlated_temperature
from ..methods import Method
from ..results import Result
from ..trust import knowledge
from . import cautions
from .colours import colour_numbers
from .columns import ita_class
from .numbers import skin_numbers
from .regions import MIRRORED, REGIONS, WHOLE, Regions, regions_of
from .rows import Row, Value, problem_row
from .spots import FEWEST_EYE_PIXELS, find_spots

__all__ = ["NO_FACE", "MeasuredFace", "measure_photo", "measured_faces"]

NO_FACE = (
    "no face found; expected one of about frontal view; --crop LEFT,TOP,SIZE names a square, "
    "--crop whole takes the central one"
)

SPOTTED = ("forehead", "left_cheek", "right_cheek", "nose", "chin", "around_eyes")
"""Regions whose spots are those of the whole skin."""

SHOWN_TURN = 0.72
"""Of a head's turn, what the mean normal of those regions shows, as the far side is seen less: on heads of
ICT-FaceKit that are turned by 20 degrees."""

GLOSSY = 0.25
"""Share of a pixel's light from the surface, above which it is a highlight."""


@dataclass(frozen=True)
class MeasuredFace:
    """A face and its numbers."""

    result: Result
    regions: Regions
    rows: tuple[Row, ...]
    """One for each of `REGIONS`, in their order; a region that is not seen has 0 pixels and no numbers."""


def measured_faces(
    photo: Photo, method: Method, wanted: Wanted | None = None, *, said: str = ""
) -> Iterator[MeasuredFace | Row]:
    """The faces of a photo, measured one at a time; a row with a problem where there is none.

    Args:
        photo: from `biofacenet.photos.read_photo`.
        method: what decomposes a face, such as `biofacenet.analysis.ByNetwork`.
        wanted: which faces; all when not given.
        said: the method in words, for the table.

    Raises:
        PhotoError: the part that is wanted cannot be looked at.
    """
    wanted = wanted or Wanted()
    try:
        parts = wanted.of(photo)
    except NoFaceError:
        yield problem_row(
            str(photo.path), NO_FACE, faces=0, method=said, biofacenet_version=__version__
        )
        return
    for number, part in enumerate(parts, 1):
        yield measure_face(method(photo, part), _which(part, number, len(parts)), said=said)


def measure_photo(
    photo: Photo, method: Method, wanted: Wanted | None = None, *, said: str = ""
) -> list[Row]:
    """The rows of a photo: one for each face and region; see `measured_faces`."""
    rows: list[Row] = []
    for found in measured_faces(photo, method, wanted, said=said):
        rows.extend([found] if isinstance(found, Row) else found.rows)
    return rows


def _which(part: Part, number: int, count: int) -> dict[str, Value]:
    """The columns that name a face."""
    if not part.is_face:
        return {"face": 1, "faces": None}
    return {"face": number, "faces": count}


def measure_face(result: Result, which: Mapping[str, Value], *, said: str = "") -> MeasuredFace:
    """The numbers of a face that is decomposed.

    Args:
        result: of it.
        which: columns that name it: face, faces, and seconds of a video.
        said: the method in words.
    """
    found = result.decomposition
    regions = regions_of(result)
    sure = result.deviations
    shared, warned = _of_face(result, regions)
    highlights = _surface_light(found)
    rows = []
    for name in REGIONS:
        inside = regions.masks[name][0, 0].numpy() > 0.5
        values: dict[str, Value] = {"photo": str(result.photo.path), **which, "region": name}
        values["pixels"] = int(inside.sum())
        if inside.any():
            values |= _pigments(found, regions.masks[name], _said(name, regions, result) or sure)
            values |= colour_numbers(found, result.image, torch.from_numpy(inside))
            values["ita_class"] = ita_class(float(values["ita_degrees"] or 0.0))
            values |= _spots(name, regions, result)
            values |= _asymmetry(found, name, regions)
            values |= _gloss(highlights, inside)
        own = cautions.of_region(result, inside)
        words = [code for code in cautions.CAUTIONS if code in (*own, *warned)]
        values |= {**shared, "warnings": ";".join(words)}
        values |= {"method": said, "biofacenet_version": __version__}
        rows.append(Row(values))
    return MeasuredFace(result, regions, tuple(rows))


# A face --------------------------------------------------------------------------------------


def _of_face(result: Result, regions: Regions) -> tuple[dict[str, Value], list[str]]:
    """Columns and cautions that all regions share."""
    known = knowledge(result)
    kelvin, _ = correlated_temperature(result.decomposition.spectrum())
    geometry = {
        "eye_distance_pixels": _eye_distance(result, regions),
        "turned_degrees": _turned(result.decomposition, regions),
    }
    warned = cautions.of_face(result, regions, known, geometry)
    shared: dict[str, Value] = {
        "light_cct_kelvin": float(kelvin[0]),
        "light_cct_kelvin_low": known.kelvin[0],
        "light_cct_kelvin_high": known.kelvin[1],
        "light_from": known.light,
        "level": "relative" if result.white is None else "absolute",
        "white": "" if result.white is None else result.white.told(),
        **geometry,
    }
    return shared, warned


def _eye_distance(result: Result, regions: Regions) -> float | None:
    """In pixels of the photo."""
    if regions.placement is None:
        return None
    box = result.part.box
    return regions.placement.eye_distance * max(box.width, box.height) / max(result.image.shape[2:])


def _turned(found: Decomposition, regions: Regions) -> float | None:
    """Degrees to the person's own left, by the normals of regions that lie on both sides alike."""
    if found.normals is None:
        return None
    ahead = sum(regions.masks[name] for name in SPOTTED)[0, 0] > 0.5  # type: ignore[index]
    if not bool(ahead.any()):
        return None
    x, _, z = found.normals[0][:, ahead].mean(dim=1).tolist()
    return math.degrees(math.atan2(x, z)) / SHOWN_TURN


# A region ------------------------------------------------------------------------------------


def _said(name: str, regions: Regions, result: Result) -> Known | None:
    """What a white tells of a region; none of lips and few pixels."""
    if result.absolute is None:
        return None
    mask = regions.masks[name]
    if name != "lips" and float(mask.sum()) >= cautions.FEWEST_PIXELS:
        return result.absolute.known(mask)
    return None


def _pigments(found: Decomposition, mask: Tensor, sure: Uncertainty | Known) -> dict[str, Value]:
    numbers = skin_numbers(found, mask, sure)
    values: dict[str, Value] = {}
    for name in ("melanosomes", "blood"):
        one = getattr(numbers, name)
        column = f"{name}_percent"
        values |= {
            column: one.median,
            f"{column}_q1": one.quartiles[0],
            f"{column}_q3": one.quartiles[1],
            f"{column}_low": one.interval[0],
            f"{column}_high": one.interval[1],
        }
    return values


def _spots(name: str, regions: Regions, result: Result) -> dict[str, Value]:
    """Columns of spots; none where the face is too small for them, and of lips."""
    laid, eyes = regions.placement, _eye_distance(result, regions)
    if laid is None or eyes is None or name == "lips":
        return {}
    if min(laid.eye_distance, eyes) < FEWEST_EYE_PIXELS:
        return {}
    # At the edges of skin as a whole, hair and nostrils would be spots.
    names = SPOTTED if name == WHOLE else (name,)
    inside = sum(regions.masks[one] for one in names)[0, 0].numpy() > 0.5  # type: ignore[index]
    if not inside.any():
        return {}
    found = result.decomposition
    values: dict[str, Value] = {}
    for pigment, fraction in (("melanin", found.melanosomes()), ("blood", found.blood())):
        spots = find_spots(fraction[0, 0].numpy(), inside, laid.eye_distance)
        values[f"{pigment}_spots"] = spots.number
        values[f"{pigment}_spots_area_percent"] = 100.0 * spots.area
        if spots.contrast is not None:
            values[f"{pigment}_spots_contrast_percent"] = 100.0 * spots.contrast
    return values


def _asymmetry(found: Decomposition, name: str, regions: Regions) -> dict[str, Value]:
    """Differences between the person's left and right; none where a side is not seen."""
    half = regions.left_half > 0.5
    both = regions.masks[name] > 0.5
    if name in MIRRORED:
        both = both | (regions.masks[MIRRORED[name]] > 0.5)
    values: dict[str, Value] = {}
    for quantity, fraction in (("melanosomes", found.melanosomes()), ("blood", found.blood())):
        left, right = fraction[both & half], fraction[both & ~half]
        if min(left.numel(), right.numel()) >= cautions.FEWEST_PIXELS // 2:
            a, b = float(left.median()), float(right.median())
            values[f"{quantity}_asymmetry_percent"] = 200.0 * (a - b) / (a + b)
    return values


def _surface_light(found: Decomposition) -> tuple[Tensor, Tensor]:
    """Luminance from the surface, and of everything: (H, W) each."""
    whole = luminance(found.render())[0, 0]
    body = luminance(found.edit(specular_scale=0.0).render())[0, 0]
    return (whole - body).clamp(min=0.0), whole


def _gloss(light: tuple[Tensor, Tensor], inside: np.ndarray) -> dict[str, Value]:
    surface, whole = (plane[torch.from_numpy(inside)] for plane in light)
    share = surface / whole.clamp(min=1e-6)
    return {
        "highlights_percent": 100.0 * float((share > GLOSSY).float().mean()),
        "surface_light_percent": 100.0 * float(surface.sum() / whole.sum().clamp(min=1e-6)),
    }
