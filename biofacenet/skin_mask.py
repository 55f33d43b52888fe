"""Which pixels are skin: those whose colour the skin model can explain, within the face."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import torch
from torch import Tensor

from .physics.colour import luminance
from .physics.illuminant import Illuminant
from .physics.skin import SkinName
from .renderer import render

__all__ = ["face_region", "skin_mask"]

FARTHEST = 0.12
"""Distance of log(R/G), log(B/G) from the nearest colour of skin that still counts as skin."""
PIGMENTS = 32
HIGHLIGHTS = (0.0, 0.05, 0.15)
"""Specular shares that skin colours are mixed with."""
OF_ONE_FACE = 0.36
"""The same distance from the median of the face: lips and highlights are nearer, hair and teeth not."""
DARKEST, BRIGHTEST = 0.15, 4.0
"""Luminance of skin, relative to the median of what has its colour."""
FLOOR = 1e-3
# Of the framing that `face.find_face` gives, in shares of the side: from hairline to chin.
CENTRE, RADII = (0.5, 0.55), (0.22, 0.27)


@cache
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


def face_region(height: int, width: int) -> Tensor:
    """The middle of the face in a square that `face.find_face` framed: (1, 1, H, W), 0 or 1."""
    y = (torch.arange(height).float() + 0.5) / height
    x = (torch.arange(width).float() + 0.5) / width
    across, down = (x - CENTRE[0]) / RADII[0], (y[:, None] - CENTRE[1]) / RADII[1]
    return (across.square() + down.square() <= 1.0).float()[None, None]


def skin_mask(
    image: Tensor, *, region: Tensor | None = None, skin: SkinName = "published"
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
    """
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
        one, where = alike[i], None
        if region is not None:
            where = region.cpu()[i % len(region), 0] > 0
            if (one & where).any():
                middle = ratios[i][one & where].median(dim=0).values
                one = one & ((ratios[i] - middle).norm(dim=2) < OF_ONE_FACE)
        seen = one if where is None else one & where
        usual = light[seen].median() if seen.any() else light.new_tensor(1.0)
        one = one & (light > DARKEST * usual) & (light < BRIGHTEST * usual)
        mask = _without_specks(one.numpy())
        masks.append(mask if where is None else _connected(mask, where.numpy()))
    return torch.from_numpy(np.stack(masks))[:, None].to(image)


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
