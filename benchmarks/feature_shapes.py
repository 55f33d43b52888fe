"""Where brows, eyes and lips of a face are and how large, by its labels: for `benchmarks.face_statistics`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from biofacenet.decomposition.parts import UNLABELLED, part_index
from biofacenet.preparation.landmarks import filled
from biofacenet.preparation.schemes import SCHEMES

__all__ = ["labels_of_points", "shapes_of"]

LEAST = 6
"""Pixels of each brow and eye."""

FINER = 8
"""Of outlines, pixels to a pixel's side."""

FRONTAL = 1.25
"""Most ratio of the widths of both eyes of a face that looks ahead."""


def labels_of_points(points: np.ndarray, size: int) -> np.ndarray:
    """Labels of brows, eyes and lips within the outlines of landmarks (N, 2): (size, size), uint8."""
    scheme = SCHEMES[len(points)]
    labels = np.full((size, size), UNLABELLED, np.uint8)

    def most_of(*outlines: Sequence[int]) -> np.ndarray:
        # Polygons that are filled cover all pixels that they touch: in fine ones, of which most count.
        fine = filled([FINER * points[list(outline)] for outline in outlines], FINER * size)
        return np.asarray(fine.reshape(size, FINER, size, FINER).mean(axis=(1, 3)) > 0.5)

    for name, outlines in (
        ("brows", scheme.brows),
        ("eyes", scheme.eyes),
        ("lips", (scheme.lips,)),
    ):
        labels[most_of(*outlines)] = part_index(name)
    labels[most_of(scheme.opening)] = UNLABELLED
    return labels


def shapes_of(labels: np.ndarray) -> dict[str, float] | None:
    """Measures of a face that looks ahead, in distances of its eyes; None for others.

    Args:
        labels: (S, S), of a face whose middle is near that of the picture.
    """
    eyes, brows, lips = (labels == part_index(name) for name in ("eyes", "brows", "lips"))
    rows, columns = np.mgrid[: labels.shape[0], : labels.shape[1]] + 0.5
    if eyes.sum() < 2 * LEAST or lips.sum() < LEAST:
        return None
    middle = 0.5 * (columns[eyes].min() + columns[eyes].max())
    sides = [columns < middle, columns >= middle]
    if min((part & side).sum() for part in (eyes, brows) for side in sides) < LEAST:
        return None
    widths = [float(np.ptp(columns[eyes & side])) + 1.0 for side in sides]
    if max(widths) > FRONTAL * min(widths):
        return None
    left, right = (columns[eyes & side].mean() for side in sides)
    unit, middle = float(right - left), 0.5 * float(left + right)
    found: dict[str, list[float]] = {}
    for side, width in zip(sides, widths, strict=True):
        eye, brow = eyes & side, brows & side
        outward = np.abs(columns - middle)
        ends = np.quantile(outward[brow], (0.05, 0.3, 0.7, 0.95))
        inner, outer = brow & (outward <= ends[1]), brow & (outward >= ends[2])
        measures = {
            "brows over eyes": rows[eye].mean() - rows[brow].mean(),
            "brows, inner ends from the middle": ends[0],
            "brows, outer ends from the middle": ends[3],
            "brows, fall to the outer ends": rows[outer].mean() - rows[inner].mean(),
            "eyes, width": width,
            "eyes, area by width": eye.sum() / width,
        }
        for name, value in measures.items():
            found.setdefault(name, []).append(float(value) / unit)
    shapes = {name: float(np.mean(values)) for name, values in found.items()}
    lip_width = float(np.ptp(columns[lips])) + 1.0
    shapes["lips, width"] = lip_width / unit
    shapes["lips, area by width"] = float(lips.sum()) / lip_width / unit
    return shapes
