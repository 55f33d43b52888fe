"""Decomposition without a network, by synthesis.

Maps, light and camera are sought that render to the image and are plausible. Four numbers a pixel
cannot be read from three, and so the answer depends on the priors (`fitting.objective`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decomposition import Decomposition
from ..physics.colour import check_linear
from ..physics.illuminant import ILLUMINANT_NAMES, Illuminant
from ..physics.skin import SkinName, skin_name
from ..rendering.renderer import render
from ..system.brief import Brief
from ..system.device import plain_defaults
from ..system.lasting import with_gradients
from .objective import OUTSIDE, Priors, Unknowns, objective_of, weighted_mean

__all__ = ["SIZES", "Fit", "Start", "fit"]

COARSEST = 32
"""Side of the images that are fitted first, from every start."""

SIZES = (16, 2048)

GRID = 24
"""Steps of each pigment that the first guess chooses from."""


@dataclass(frozen=True)
class Start:
    """A light to begin with."""

    light: str = "D"
    """One of `ILLUMINANT_NAMES`."""
    cct: float = 6500.0


STARTS = (Start("D"), Start("A"), Start("F2"))


@dataclass(repr=False)
class Fit(Brief):
    """What was found for a batch of images."""

    decomposition: Decomposition
    reconstruction: Tensor
    """(B, 3, H, W), linear sRGB."""
    objective: Tensor
    """(B,), what was minimised: mean over the mask of the error, plus the priors."""
    rmse: Tensor
    """(B,), root mean square error of the reconstruction in the mask, linear RGB."""


# Finding it ----------------------------------------------------------------------------------


def _first_guess(image: Tensor, start: Start, priors: Priors, skin: SkinName) -> Unknowns:
    """The skin of the nearest colour for each pixel, without highlights, and as bright as needed."""
    batch, _, height, width = image.shape
    line = torch.linspace(-0.95, 0.9, GRID, device=image.device)
    melanin, haemoglobin = (x[None, None] for x in torch.meshgrid(line, line, indexing="ij"))
    weights = torch.full((1, len(ILLUMINANT_NAMES)), 1e-2, device=image.device)
    weights[:, ILLUMINANT_NAMES.index(start.light)] = 1.0
    light = Illuminant(weights / weights.sum(), torch.full((1,), start.cct, device=image.device))
    one, camera = torch.ones_like(melanin), torch.zeros(1, 2, device=image.device)
    patches = render(melanin, haemoglobin, one, 0.0 * one, light, camera, skin=skin)
    colours = patches[0].flatten(1).T
    pixels = image.permute(0, 2, 3, 1).reshape(-1, 3).clamp(min=1e-3)
    seen, known = ((x / x.sum(dim=1, keepdim=True) + 1e-4).log() for x in (pixels, colours))
    unusual = 2e-3 * (haemoglobin.flatten() - priors.usual_haemoglobin).square()
    nearest = (torch.cdist(seen, known).square() + unusual).argmin(dim=1)

    def plane(values: Tensor) -> Tensor:
        return values.reshape(batch, 1, height, width)

    bright = pixels.sum(dim=1) / colours.sum(dim=1).clamp(min=1e-4)[nearest]
    return Unknowns.of(
        Decomposition(
            melanin=plane(melanin.flatten()[nearest]),
            haemoglobin=plane(haemoglobin.flatten()[nearest]),
            diffuse=plane(bright.clamp(0.05, 20.0)),
            specular=torch.full((batch, 1, height, width), 0.02, device=image.device),
            illuminant=Illuminant(
                light.weights.expand(batch, -1).contiguous(), light.cct.expand(batch).contiguous()
            ),
            camera=camera.expand(batch, -1).contiguous(),
            skin=skin,
        )
    )


def _minimise(
    unknowns: Unknowns,
    image: Tensor,
    mask: Tensor,
    priors: Priors,
    steps: int,
    tick: Callable[[], object],
    rate: float = 0.05,
) -> tuple[Unknowns, Tensor]:
    """Some steps of Adam, the rate falling along a cosine; also the objective of each image."""
    unknowns = unknowns.map(lambda x: x.detach().clone().requires_grad_())
    weight = mask + OUTSIDE * (1.0 - mask)
    optimiser = torch.optim.Adam(
        [*unknowns.maps, *unknowns.of_image], lr=rate, betas=(0.9, 0.99), fused=True
    )
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * (0.5 + 0.5 * math.cos(math.pi * step / steps)) + 1e-4
        objective, _, _ = objective_of(unknowns, image, mask, weight, priors)
        optimiser.zero_grad(set_to_none=True)
        objective.sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        tick()
    with torch.no_grad():
        objective, _, _ = objective_of(unknowns, image, mask, weight, priors)
    return unknowns.map(Tensor.detach), objective


def _coarse_to_fine(
    image: Tensor,
    mask: Tensor,
    starts: tuple[Start, ...],
    priors: Priors,
    steps: int,
    skin: SkinName,
    progress: Callable[[int, int], object] | None,
) -> tuple[Unknowns, Tensor]:
    """Unknowns and objective of each image: the best start of the coarsest size, made finer."""
    scales = _scales(*image.shape[2:])
    coarse = steps + steps // 2
    tick = _counter((len(scales) - 1) * steps + len(starts) * coarse, progress)

    def seen(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        return F.adaptive_avg_pool2d(image, size), F.adaptive_avg_pool2d(mask, size).round()

    pixels, where = seen(scales[0])
    tried = []
    for start in starts:
        guess = _first_guess(pixels, start, priors, skin)
        tried.append(_minimise(guess, pixels, where, priors, coarse, tick))
    best, objective = tried[0]
    for other, its_objective in tried[1:]:
        best = best.chosen(its_objective < objective, other)
        objective = torch.minimum(objective, its_objective)
    for size in scales[1:]:
        pixels, where = seen(size)
        best, objective = _minimise(best.resized(size), pixels, where, priors, steps, tick)
    return best, objective


def _scales(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes from coarse to fine, each about twice the one before."""
    longer = max(height, width)
    found = [(height, width)]
    while longer > 1.5 * COARSEST:
        longer = -(-longer // 2)
        share = longer / max(height, width)
        found.append((max(4, round(height * share)), max(4, round(width * share))))
    return found[::-1]


def _counter(total: int, progress: Callable[[int, int], object] | None) -> Callable[[], None]:
    """What to call after each step, to tell of steps done and all steps."""
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return tick


@with_gradients()
@plain_defaults()
def fit(
    image: Tensor,
    mask: Tensor | None = None,
    *,
    start: Decomposition | None = None,
    starts: tuple[Start, ...] = STARTS,
    priors: Priors | None = None,
    steps: int = 80,
    skin: SkinName = "measured",
    progress: Callable[[int, int], object] | None = None,
) -> Fit:
    """Maps, light and camera that render to images, without a network.

    Adam on the fused renderer, coarse to fine. Coarsely, every start is tried, and each image goes
    on from the one that explains it best.

    Args:
        image: (B, 3, H, W), linear sRGB in 0..1, H and W at least 16.
        mask: (B or 1, 1, H, W), 1 where skin is, which light and camera are found from; other pixels
            get maps too. Everywhere when not given.
        start: refine this instead, at the full size alone.
        starts: lights to begin with.
        priors: what is plausible; `Priors.of` the skin when not given.
        steps: of each size, half as many again of the coarsest.
        skin: which constants of the skin model to fit, ``published`` or ``measured``; those of the
            start where there is one.
        progress: called with the steps done and all steps.

    Raises:
        ValueError: shapes do not fit, values are on another scale, such as 0..255, the skin is unknown,
            or there is no start or no step.
    """
    with torch.inference_mode(False), torch.enable_grad():
        mask = _mask_of(image, mask)
        check_linear(image)
        start = None if start is None else start.map(_ordinary)
        image, mask = _ordinary(image), _ordinary(mask)
        return _fit(image, mask, start, starts, priors, steps, skin, progress)


def _ordinary(tensor: Tensor) -> Tensor:
    """A copy of a tensor of inference mode, which itself cannot take part in gradients."""
    return tensor.clone() if tensor.is_inference() else tensor


def _fit(
    image: Tensor,
    mask: Tensor,
    start: Decomposition | None,
    starts: tuple[Start, ...],
    priors: Priors | None,
    steps: int,
    skin: SkinName,
    progress: Callable[[int, int], object] | None,
) -> Fit:
    """The same with gradients on."""
    if steps < 1 or (start is None and not starts):
        raise ValueError("at least one step and one start are needed")
    if start is None:
        skin = skin_name(skin)
        priors = priors or Priors.of(skin)
        best, objective = _coarse_to_fine(image, mask, starts, priors, steps, skin, progress)
    else:
        # What was found already is changed by small steps.
        unknowns = Unknowns.of(start.to(image.device, image.dtype))
        priors, tick = priors or Priors.of(start.skin), _counter(steps, progress)
        best, objective = _minimise(unknowns, image, mask, priors, steps, tick, rate=0.02)
    with torch.no_grad():
        found = best.decomposition()
        rendered = found.render()
        error = weighted_mean((rendered - image).square().mean(dim=1, keepdim=True), mask).sqrt()
    return Fit(found, rendered, objective, error)


def _mask_of(image: Tensor, mask: Tensor | None) -> Tensor:
    """The mask of each image, (B, 1, H, W), once it is checked that it fits and that images do."""
    if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[2:]) < SIZES[0]:
        raise ValueError(
            f"image must have shape (B, 3, H, W) with H and W at least {SIZES[0]}, got "
            f"{tuple(image.shape)}"
        )
    batch, _, height, width = image.shape
    if mask is None:
        mask = torch.ones_like(image[:, :1])
    if mask.ndim != 4 or mask.shape[0] not in (1, batch) or mask.shape[1:] != (1, height, width):
        raise ValueError(
            f"mask must have shape ({batch} or 1, 1, {height}, {width}), got {tuple(mask.shape)}"
        )
    return mask.to(image).expand(batch, 1, height, width)
