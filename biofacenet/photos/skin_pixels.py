"""Which pixels are skin: those whose colour the skin model can explain, within the face."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from ..physics.colour import check_linear, luminance
from ..physics.illuminant import Illuminant
from ..physics.skin import SkinName
from ..rendering.renderer import render
from ..system.device import plain_defaults
from ..system.lasting import kept
from .boxes import Part

__all__ = [
    "eyes_and_teeth",
    "face_region",
    "seen_skin",
    "skin_mask",
]

FARTHEST = 0.12
"""Distance of log(R/G), log(B/G) from the nearest colour of skin that still counts as skin."""

PIGMENTS = 32

HIGHLIGHTS = (0.0, 0.05, 0.15)
"""Specular shares that skin colours are mixed with."""

OF_ONE_FACE = 0.36
"""The same distance from the median of the face: lips and highlights are nearer, hair and teeth not."""

DARKEST, BRIGHTEST = 0.15, 4.0
"""Luminance of skin, relative to the median of what has its colour."""

GLOSSIEST, PALEST = 0.2, 0.6
"""Saturation relative to the face's that highlights keep, and that holes in the mask must have to be
skin: shadows and lips have more than the face, eyes and teeth less."""

BESIDE = 0.15
"""Distance of a highlight from the line of log colours between skin and the light."""

FARTHEST_HOLE = 0.8
"""Distance of a hole's colour from the median of the face."""

FLOOR = 1e-3

# Of the framing that `face.find_face` gives, in shares of the side: from hairline to chin.
CENTRE, RADII = (0.5, 0.55), (0.22, 0.27)

EYES, EYE_RADII = ((0.365, 0.405), (0.635, 0.405)), (0.09, 0.038)

MOUTH, MOUTH_RADII = (0.5, 0.665), (0.15, 0.065)

PALE_EYES, PALE_TEETH = 0.12, 0.05
"""By how much their log(R/G) is below the median of the face; lips are above it."""

PUPIL = 0.3
"""Luminance of iris, lashes and the dark of the mouth, relative to the same median."""


@kept
def _skin_colours(skin: SkinName) -> Tensor:
    """log(R/G), log(B/G) of the model's skin under daylight, seen by the mean camera: (K, 2)."""
    line = torch.linspace(-1.0, 1.0, PIGMENTS)
    melanin, haemoglobin = (x[None, None] for x in torch.meshgrid(line, line, indexing="ij"))
    one, daylight, camera = torch.ones_like(melanin), Illuminant.standard("D65"), torch.zeros(1, 2)
    colours = [
        render(melanin, haemoglobin, one, share * one, daylight, camera, skin=skin)
        for share in HIGHLIGHTS
    ]
    return _chromaticity(torch.cat(colours)).permute(0, 2, 3, 1).reshape(-1, 2)


def _chromaticity(image: Tensor) -> Tensor:
    """log(R/G) and log(B/G) of linear images: (B, 2, H, W)."""
    logs = image.clamp(min=FLOOR).log()
    return torch.stack((logs[:, 0] - logs[:, 1], logs[:, 2] - logs[:, 1]), dim=1)


@plain_defaults()
def face_region(height: int, width: int) -> Tensor:
    """The middle of the face in a square that `face.find_face` framed: (1, 1, H, W), 0 or 1."""
    return _ellipse(height, width, CENTRE, RADII).float()[None, None]


def _ellipse(
    height: int, width: int, centre: tuple[float, float], radii: tuple[float, float]
) -> Tensor:
    y = (torch.arange(height).float() + 0.5) / height
    x = (torch.arange(width).float() + 0.5) / width
    across, down = (x - centre[0]) / radii[0], (y[:, None] - centre[1]) / radii[1]
    return across.square() + down.square() <= 1.0


@plain_defaults()
def eyes_and_teeth(image: Tensor, mask: Tensor) -> Tensor:
    """Where eyes and teeth are in squares that `face.find_face` framed: (B, 1, H, W), 0 or 1.

    Near the places of eyes and mouth, what is less red than most of the face, or far darker.

    Args:
        image: (B, 3, H, W), linear sRGB.
        mask: (B, 1, H, W), 1 where skin was seen, with or without eyes and teeth.
    """
    height, width = image.shape[2:]
    pixels = image.detach().float().cpu()
    redness = _chromaticity(pixels)[:, 0]
    light = luminance(pixels)[:, 0]
    left, right = (_ellipse(height, width, centre, EYE_RADII) for centre in EYES)
    mouth = _ellipse(height, width, MOUTH, MOUTH_RADII)
    near, paler = left | right | mouth, torch.where(mouth, PALE_TEETH, PALE_EYES)
    found = []
    for i, skin in enumerate(mask.cpu()[:, 0] > 0):
        if not skin.any():
            found.append(np.zeros((height, width), bool))
            continue
        pale = redness[i] < redness[i][skin].median() - paler
        dark = light[i] < PUPIL * light[i][skin].median()
        found.append(_without_specks((near & (pale | dark)).numpy()))
    return torch.from_numpy(np.stack(found))[:, None].to(image)


@plain_defaults()
def skin_mask(
    image: Tensor, *, region: Tensor | None = None, skin: SkinName = "measured"
) -> Tensor:
    """Where the model can explain a pixel as skin.

    A pixel counts whose ratios of R, G and B are those of some skin under daylight, whatever its
    brightness, unless it is far darker or brighter than most of these; specks and holes of a few
    pixels are filled in. With a region, it must also be like most of the face, and hang together with
    it: neck and ears belong, eyes, teeth, hair and background mostly do not.

    Args:
        image: (B, 3, H, W), linear sRGB, white-balanced as cameras do.
        region: (B or 1, 1, H, W), nonzero where mostly skin of the face is, as from `face_region`.
        skin: which constants of the skin model explain its colours.

    Returns:
        (B, 1, H, W), 0 or 1, of the type of the image.

    Raises:
        ValueError: integers, NaN, or values on another scale, such as 0..255.
    """
    check_linear(image)
    height, width = image.shape[2:]
    pixels = image.detach().float().cpu()
    ratios = _chromaticity(pixels).permute(0, 2, 3, 1)
    distance = torch.cat(
        [
            torch.cdist(part, _skin_colours(skin)).amin(dim=1)
            for part in torch.split(ratios.reshape(-1, 2), 8192)
        ]
    )
    # Deep reds of lips and shadows leave the gamut a little; near the face they are skin.
    farthest = FARTHEST if region is None else 2.0 * FARTHEST
    alike = distance.reshape(-1, height, width) < farthest
    masks = []
    for i, light in enumerate(luminance(pixels)[:, 0]):
        where = None if region is None else region.cpu()[i % len(region), 0] > 0
        masks.append(_of_one(ratios[i], light, alike[i], where))
    return torch.from_numpy(np.stack(masks))[:, None].to(image)


def _of_one(
    ratios: Tensor,  # [H, W, 2]
    light: Tensor,  # [H, W]
    alike: Tensor,  # [H, W]
    where: Tensor | None,  # [H, W]
) -> np.ndarray:
    """The mask of one image, from the pixels that have a colour of some skin."""
    if where is None or not (alike & where).any():
        usual = light[alike].median() if alike.any() else light.new_tensor(1.0)
        mask = _without_specks(_lit(alike, light, usual).numpy())
        return mask if where is None else _connected(mask, where.numpy())
    middle = ratios[alike & where].median(dim=0).values
    away = (ratios - middle).norm(dim=2)
    one = alike & (away < OF_ONE_FACE)
    usual = light[one & where].median() if (one & where).any() else light.new_tensor(1.0)
    saturation = (ratios @ middle) / middle.square().sum().clamp(min=FLOOR)
    beside = (ratios - saturation[..., None] * middle).norm(dim=2)
    glossy = where & (light > usual) & (saturation > GLOSSIEST) & (beside < BESIDE)
    mask = _without_specks(_lit(one | glossy, light, usual).numpy())
    mask = _connected(mask, where.numpy())
    return mask | _skin_in_holes(mask, saturation.numpy(), away.numpy())


def _lit(mask: Tensor, light: Tensor, usual: Tensor) -> Tensor:
    return mask & (light > DARKEST * usual) & (light < BRIGHTEST * usual)


def _skin_in_holes(mask: np.ndarray, saturation: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Holes in a mask whose colour is that of shadows, lips or blemishes of its skin."""
    _, labels = cv2.connectedComponents((~mask).astype(np.uint8), connectivity=4)
    outside = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    found = np.zeros_like(mask)
    for label in np.setdiff1d(np.unique(labels[~mask]), outside):
        hole = labels == label
        if np.median(saturation[hole]) > PALEST and np.median(away[hole]) < FARTHEST_HOLE:
            found |= hole
    return found


def _connected(mask: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The pieces of a mask that reach into a region."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8))
    reaching = np.unique(labels[mask & region])
    return np.isin(labels, reaching[reaching > 0])


def _without_specks(mask: np.ndarray) -> np.ndarray:
    """Holes and specks below a fortieth of the width go."""
    size = max(1, round(mask.shape[1] / 96))
    if size == 1 and mask.shape[1] < 48:
        return mask
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * size + 1, 2 * size + 1))
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc)
    return cv2.morphologyEx(closed, cv2.MORPH_OPEN, disc).astype(bool)


@plain_defaults()
def seen_skin(image: Tensor, part: Part, where: Tensor | None = None, *, skin: SkinName) -> Tensor:
    """Where skin is in a part that `biofacenet.photos.cut` made; everywhere if next to none is seen.

    Args:
        image: (1, 3, H, W), linear sRGB.
        part: what was cut out, from `biofacenet.photos.choose_parts`.
        where: (1, 1, H, W), where faces are, if it is known better than by the part.
        skin: which constants of the skin model decide what has a colour of skin.
    """
    if where is None and part.is_face:
        where = face_region(*image.shape[2:])
    mask = skin_mask(image, region=where, skin=skin)
    if part.is_face:
        mask = mask * (1.0 - eyes_and_teeth(image, mask))
    return mask if mask.mean() >= 0.02 else torch.ones_like(mask)
