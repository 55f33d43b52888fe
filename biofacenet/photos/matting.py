"""Soft masks: grown by a photo's own colours, with edges where the photo has them, and fields that go on."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["grown", "guided", "smooth_step", "spread", "with_holes_filled"]

ROUNDS = 3
"""Of growing: colours learned, pixels shared out."""

CHROMA = 2.0
"""Weight of colour beside lightness: a shadow is skin, a grey wall is not."""

LEAST_SEEDS = 24
"""Pixels of either kind from which colours can be learned."""


def smooth_step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 up to `low`, 1 from `high`, without corners between; falling where `low` is the larger."""
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    found: np.ndarray = share * share * (3.0 - 2.0 * share)
    return found.astype(np.float32)


def grown(
    picture: np.ndarray, likely: np.ndarray, sure: np.ndarray, never: np.ndarray
) -> np.ndarray:
    """What hangs together with sure pixels by the photo's own colours: (H, W), 0 or 1.

    By graph cuts between mixtures of colours, in which a shadow weighs less than another hue.

    Source: Rother, Kolmogorov and Blake, "GrabCut": interactive foreground extraction using iterated
    graph cuts, SIGGRAPH 2004, as OpenCV has it.

    Args:
        picture: (H, W, 3), sRGB-encoded, 0..1.
        likely: (H, W), where it is likely at first.
        sure: (H, W), where it certainly is.
        never: (H, W), where it certainly is not.
    """
    sure, never = sure & ~never, never.copy()
    if sure.sum() < LEAST_SEEDS or never.sum() < LEAST_SEEDS:
        return ((likely | sure) & ~never).astype(np.float32)
    labels = np.full(sure.shape, cv2.GC_PR_BGD, np.uint8)
    labels[likely] = cv2.GC_PR_FGD
    labels[never] = cv2.GC_BGD
    labels[sure] = cv2.GC_FGD
    lab = cv2.cvtColor(np.ascontiguousarray(picture, np.float32), cv2.COLOR_RGB2LAB)
    lab[..., 1:] = CHROMA * lab[..., 1:] + 128.0
    eight = np.clip(np.rint(lab), 0, 255).astype(np.uint8)
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(eight, labels, (0, 0, 1, 1), *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return _reached(found, sure).astype(np.float32)


def _reached(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The pieces of a mask that hold a seed."""
    _, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    held = np.unique(pieces[mask & seeds])
    return np.isin(pieces, held[held > 0])


def with_holes_filled(mask: np.ndarray) -> np.ndarray:
    """A mask (H, W), 0 or 1, without holes."""
    inside = (mask > 0.5).astype(np.uint8)
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(inside, outlines, -1, 1, cv2.FILLED).astype(np.float32)


def guided(guide: np.ndarray, plane: np.ndarray, radius: int, softness: float) -> np.ndarray:
    """A plane whose edges lie where those of a picture are: (H, W), float32.

    In each window the plane is taken for a linear function of the picture's colours, which is found on a
    smaller picture and used on the large one.

    Source: He, Sun and Tang, Guided image filtering, ECCV 2010; He and Sun, Fast guided filter, 2015.

    Args:
        guide: (H, W, 3), the picture.
        plane: (H, W), what is to get its edges.
        radius: of the windows, in pixels.
        softness: variance of colours below which an edge is none.
    """
    guide, plane = guide.astype(np.float32), plane.astype(np.float32)
    height, width = plane.shape
    shrunk = max(1, radius // 2)
    low = (max(1, width // shrunk), max(1, height // shrunk))
    small, level = (cv2.resize(x, low, interpolation=cv2.INTER_AREA) for x in (guide, plane))
    slope, shift = _lines(small, level, max(1, round(radius / shrunk)), softness)
    slope, shift = (
        cv2.resize(x, (width, height), interpolation=cv2.INTER_LINEAR) for x in (slope, shift)
    )
    return np.clip((slope * guide).sum(axis=2) + shift, 0.0, 1.0)


def _lines(
    guide: np.ndarray, plane: np.ndarray, radius: int, softness: float
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (H, W, 3) and shifts (H, W) of the linear functions, averaged over windows."""
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, -1, side, borderType=cv2.BORDER_REFLECT)

    middle, level = mean(guide), mean(plane)
    cross = mean(guide * plane[..., None]) - middle * level[..., None]
    covariance = np.empty((*plane.shape, 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            value = mean(guide[..., i] * guide[..., j]) - middle[..., i] * middle[..., j]
            covariance[..., i, j] = covariance[..., j, i] = value
    slope = _solved(covariance, cross, softness)
    return mean(slope), mean(level - (slope * middle).sum(axis=2))


def _solved(matrix: np.ndarray, right: np.ndarray, added: float) -> np.ndarray:
    """(matrix + added)^-1 right of symmetric (.., 3, 3), by cofactors: many small systems at once."""
    a, b, c = (matrix[..., i, i] + added for i in range(3))
    d, e, f = matrix[..., 0, 1], matrix[..., 0, 2], matrix[..., 1, 2]
    x, y, z = right[..., 0], right[..., 1], right[..., 2]
    first, second, third = b * c - f * f, e * f - d * c, d * f - e * b
    whole = a * first + d * second + e * third
    found = (
        first * x + second * y + third * z,
        second * x + (a * c - e * e) * y + (d * e - a * f) * z,
        third * x + (d * e - a * f) * y + (a * b - d * d) * z,
    )
    return np.stack([value / whole for value in found], axis=-1)


def spread(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Values that go on smoothly from where they are known: (H, W, C), float32.

    Pull and push through a pyramid: means of what is known fill what is not.

    Source: Gortler, Grzeszczuk, Szeliski and Cohen, The lumigraph, SIGGRAPH 1996, section 3.4.

    Args:
        values: (H, W, C).
        weight: (H, W), 0..1, how well each is known.
    """
    values, weight = values.astype(np.float32), weight.astype(np.float32)
    height, width = weight.shape
    if min(height, width) <= 2:
        whole = max(float(weight.sum()), 1e-6)
        middle = (values * weight[..., None]).sum(axis=(0, 1)) / whole
        below = np.broadcast_to(middle, values.shape)
    else:
        half = ((width + 1) // 2, (height + 1) // 2)
        small = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)
        sums = cv2.resize(values * weight[..., None], half, interpolation=cv2.INTER_AREA)
        sums = sums.reshape(half[1], half[0], -1)
        means = sums / np.maximum(small, 1e-6)[..., None]
        coarse = spread(means, np.minimum(4.0 * small, 1.0))
        below = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        below = below.reshape(height, width, -1)
    return below + weight[..., None] * (values - below)
