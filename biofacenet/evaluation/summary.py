"""From the errors of many faces to the figures of a table, for all of them and by skin tone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..decomposition import Decomposition
from .metrics import (
    COLUMNS,
    RANKED,
    SKIN_TONES,
    Errors,
    mean_square,
    measure,
    rank_correlation,
    rank_within,
    similarity,
)
from .polarised import PolarisedFaces
from .sets import KnownFaces

__all__ = ["PUBLISHED", "Estimate", "collect", "summarise", "summarise_polarised", "tone_groups"]

PUBLISHED = {
    "diffuse": 0.1720,
    "specular": 0.0875,
    "albedo": 0.1154,
    "melanin": 0.5972,
    "haemoglobin": 0.2912,
    "reconstruction": 0.0713,
}
"""RMSE of the paper's table 1, on 25 multispectral faces: other data, on scales it does not give."""

BATCH = 50

Estimate = Callable[[Tensor, Tensor], Decomposition]
"""Images (B, 3, H, W), linear sRGB, and masks (B, 1, H, W), to what they decompose into."""


def collect(
    estimate: Estimate, faces: KnownFaces, tick: Callable[[int], object] = lambda _: None
) -> tuple[Errors, Decomposition]:
    """What a method finds in faces, and its errors; ``tick`` is told of how many faces are done."""
    errors, found = [], []
    for start in range(0, len(faces), BATCH):
        part = faces[start : start + BATCH]
        one = estimate(part.image, part.mask)
        errors.append(measure(one, part.truth, part.image, part.mask))
        found.append(one)
        tick(len(part))
    return Errors.join(errors), Decomposition.join(found)


def summarise(errors: Errors) -> dict[str, Any]:
    """The figures of a method, ready for JSON: over all faces, and by skin tone."""
    groups = tone_groups(errors.tone)
    everyone = torch.ones_like(errors.tone, dtype=torch.bool)
    light = groups["very light"] | groups["light"]
    return {
        "faces": len(errors.tone),
        "rmse": rmse(errors, everyone),
        "ssim": {name: _mean(values) for name, values in errors.similarity.items()},
        "rank_within": {name: _mean(values) for name, values in errors.within.items()},
        "rank_between": {
            name: _number(rank_correlation(errors.found_mean[name], errors.true_mean[name]))
            for name in RANKED
        },
        "light": {
            "angle_degrees": _mean(errors.light_angle),
            "cct_kelvin": _mean(errors.light_kelvin),
            "cct_mired": _mean(errors.light_mired),
        },
        "camera": {
            "b_rmse": _number(float(errors.camera_square.mean().sqrt())),
            "curves_relative": _mean(errors.curves),
        },
        "by_skin_tone": {
            name: {"faces": int(which.sum()), "rmse": rmse(errors, which)}
            for name, which in groups.items()
        },
        "dark_to_light": _ratios(errors, groups["dark"], light),
        "brown_and_dark_to_light": _ratios(errors, groups["brown"] | groups["dark"], light),
    }


def summarise_polarised(
    estimate: Estimate, faces: PolarisedFaces, tick: Callable[[int], object] = lambda _: None
) -> dict[str, Any]:
    """The figures of a method on photo pairs, ready for JSON.

    What was found is compared as it is seen, in linear sRGB and without any scale: its body reflection
    (rendered without highlights) with the crossed photo, the rest of its rendering with the surface
    reflection, the whole with the photo.
    """
    square: dict[str, list[Tensor]] = {}
    likeness: dict[str, list[Tensor]] = {}
    order: list[Tensor] = []
    for start in range(0, len(faces), BATCH):
        part = faces[start : start + BATCH]
        found = estimate(part.image, part.mask)
        whole = found.render()
        body = found.edit(specular_scale=0.0).render()
        compared = {
            "body reflection": (body, part.diffuse),
            "surface reflection": (whole - body, part.specular),
            "reconstruction": (whole, part.image),
        }
        for name, both in compared.items():
            square.setdefault(name, []).append(mean_square(*both, part.mask))
            likeness.setdefault(name, []).append(similarity(*both, part.mask))
        # Grey after white balance: the three channels of the truth differ by noise only.
        order.append(
            rank_within(found.specular, part.specular.mean(dim=1, keepdim=True), part.mask)
        )
        tick(len(part))
    return {
        "faces": len(faces),
        "rmse": {
            name: _number(float(torch.cat(values).double().mean().sqrt()))
            for name, values in square.items()
        },
        "ssim": {name: _mean(torch.cat(values)) for name, values in likeness.items()},
        "rank_within": {"specular": _mean(torch.cat(order))},
    }


def tone_groups(tone: Tensor) -> dict[str, Tensor]:
    """Which faces are of which group of `SKIN_TONES`, by individual typology angle in degrees."""
    groups, above = {}, math.inf
    for name, bound in SKIN_TONES:
        groups[name] = (tone > bound) & (tone <= above)
        above = bound
    return groups


def rmse(errors: Errors, which: Tensor) -> dict[str, float | None]:
    """Root of the mean over chosen faces of each column's mean squared error; None without a face."""
    return {
        name: _number(float(square[which].double().mean().sqrt()))
        for name, square in errors.square.items()
    }


def _ratios(errors: Errors, one: Tensor, other: Tensor) -> dict[str, float | None]:
    above, below = rmse(errors, one), rmse(errors, other)
    found: dict[str, float | None] = {}
    for name in COLUMNS:
        numerator, denominator = above[name], below[name]
        known = numerator is not None and denominator
        found[name] = numerator / denominator if known else None  # type: ignore[operator]
    return found


def _mean(values: Tensor) -> float | None:
    """Over the faces for which there is a value."""
    return _number(float(values.double().nanmean()))


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None
