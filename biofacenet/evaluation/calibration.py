"""How often intervals hold the truth on faces that nobody trained on, and what brings them to 68 %."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..decomposition import Calibration, Decomposition
from ..decomposition.calibration import LIGHT_AND_CAMERA, QUANTITIES
from ..fitting.uncertainty import estimate
from ..physics.temperature import correlated_temperature
from .sets import KnownFaces
from .summary import BATCH, Estimate

__all__ = ["CALIBRATION_SEED", "Held", "calibrate", "coverage", "held"]

CALIBRATION_SEED = 20191110
"""Of the faces that intervals are calibrated on: neither of training nor of the test set."""

SHARE = 0.68
"""How often an interval is to hold the truth."""

TONES = 3
"""Groups of faces by the melanin that was found, as many in each."""

LEAST = 1e-3
"""Shading that a logarithm is taken of."""


@dataclass(frozen=True)
class Held:
    """How far estimates of N faces are from the truth, in units of what was said."""

    tone: Tensor
    """(N,), mean of the found melanin map over the skin."""
    pixels: dict[str, list[Tensor]]
    """By quantity: of each face, of each pixel of the mask."""
    faces: dict[str, Tensor]
    """By quantity: (N,), of the face's mean."""
    errors: dict[str, Tensor]
    """(N,), of light and camera, in their own units."""
    usual: dict[str, Tensor]
    """(N,), of the best constant instead."""
    bands: Tensor
    """(N, 33), of the light's spectrum."""
    usual_bands: Tensor
    """(N, 33), of the best constants instead."""


def _logs(found: Decomposition, name: str) -> Tensor:
    values: Tensor = getattr(found, name)
    return values.clamp(min=LEAST).log() if name in ("diffuse", "specular") else values


def _vector(found: Decomposition) -> dict[str, Tensor]:
    kelvin, _ = correlated_temperature(found.spectrum())
    return {"temperature": 1e6 / kelvin, "b1": found.camera[:, 0], "b2": found.camera[:, 1]}


def held(
    method: Estimate,
    faces: KnownFaces,
    *,
    calibration: Calibration | None = None,
    tick: Callable[[int], object] = lambda _: None,
) -> Held:
    """What a method says of faces, beside the truth.

    Args:
        method: what decomposes.
        faces: with their truth.
        calibration: of the method, where it is to be tested; as they come when not given.
        tick: told of how many faces are done.
    """
    found_ones = []
    pixels: dict[str, list[Tensor]] = {name: [] for name in QUANTITIES}
    means: dict[str, list[float]] = {name: [] for name in QUANTITIES}
    tones = []
    for start in range(0, len(faces), BATCH):
        part = faces[start : start + BATCH]
        batch = method(part.image, part.mask)
        found_ones.append(batch)
        for i in range(len(part)):
            found, mask = batch[i], part.mask[i : i + 1]
            inside = mask > 0.5
            tones.append(float(found.melanin[inside].mean()))
            said = estimate(found, mask)
            if calibration is not None:
                said = said.calibrated(calibration, tones[-1])
            for name in QUANTITIES:
                off = (_logs(found, name) - _logs(part.truth[i], name))[inside]
                pixels[name].append(off.abs() / getattr(said, name)[inside])
                means[name].append(abs(float(off.mean())) / getattr(said, f"face_{name}"))
        tick(len(part))
    found, truth = Decomposition.join(found_ones), faces.truth
    ours, true = _vector(found), _vector(truth)
    spectra = truth.spectrum()
    return Held(
        tone=torch.tensor(tones),
        pixels=pixels,
        faces={name: torch.tensor(each) for name, each in means.items()},
        errors={name: (ours[name] - true[name]).abs() for name in LIGHT_AND_CAMERA},
        usual={name: (true[name] - _guess(true[name])).abs() for name in LIGHT_AND_CAMERA},
        bands=(found.spectrum() - spectra).abs(),
        usual_bands=(spectra - torch.stack([_guess(x) for x in spectra.unbind(dim=1)])).abs(),
    )


def _guess(values: Tensor) -> Tensor:
    """The best constant: the middle of the shortest interval that holds 68 % of values."""
    ordered = values.sort().values
    count = max(1, math.ceil(SHARE * len(ordered)))
    widths = ordered[count - 1 :] - ordered[: len(ordered) - count + 1]
    start = int(widths.argmin())
    return (ordered[start] + ordered[start + count - 1]) / 2.0


def _quantile(values: Tensor) -> float:
    """Below which 68 % are; of very many, of every so many."""
    values = values.float()[:: max(1, len(values) // 1_000_000)]
    return max(round(float(values.quantile(SHARE)), 6), 1e-6)


def calibrate(measured: Held) -> Calibration:
    """What brings a method's intervals to 68 % on the faces that were measured, by the skin found.

    Factors are quantiles of errors over deviations, as in conformal prediction (Angelopoulos and Bates, A
    gentle introduction to conformal prediction and distribution-free uncertainty quantification, 2021,
    section 2.3.2), in three groups of faces from light to dark.

    Args:
        measured: without a calibration, of a hundred faces or more.
    """
    groups = [part for part in measured.tone.argsort().chunk(TONES) if len(part)]

    def by_group(values: Callable[[list[int]], Tensor]) -> tuple[float, ...]:
        return tuple(_quantile(values(group.tolist())) for group in groups)

    middles = [float(measured.tone[group].median()) for group in groups]
    for i in range(1, len(middles)):
        middles[i] = max(middles[i], middles[i - 1] + 1e-4)
    return Calibration(
        tones=tuple(middles),
        pixels={
            name: by_group(lambda group, each=each: torch.cat([each[i] for i in group]))  # type: ignore[misc]
            for name, each in measured.pixels.items()
        },
        faces={
            name: by_group(lambda group, each=each: each[group])  # type: ignore[misc]
            for name, each in measured.faces.items()
        },
        errors={name: _quantile(each) for name, each in measured.errors.items()},
        usual={name: _quantile(each) for name, each in measured.usual.items()},
        bands=tuple(_quantile(band) for band in measured.bands.unbind(dim=1)),
        usual_bands=tuple(_quantile(band) for band in measured.usual_bands.unbind(dim=1)),
        count=len(measured.tone),
    )


def coverage(measured: Held) -> dict[str, dict[str, list[float]]]:
    """How often intervals held the truth, of ``pixels`` and ``faces``, by quantity.

    Of all, then of three groups of faces from light to dark by what was found.
    """
    groups = [measured.tone.argsort(), *measured.tone.argsort().chunk(TONES)]
    pixels = {
        name: [
            float(torch.cat([each[i] for i in group.tolist()]).lt(1.0).float().mean())
            for group in groups
        ]
        for name, each in measured.pixels.items()
    }
    faces = {
        name: [float(each[group].lt(1.0).float().mean()) for group in groups]
        for name, each in measured.faces.items()
    }
    return {"pixels": pixels, "faces": faces}
