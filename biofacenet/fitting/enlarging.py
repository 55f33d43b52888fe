"""Maps that explain an image: the least change of maps for it, and maps at a photo's own resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decomposition import Decomposition
from ..system.device import plain_defaults
from .colour_noise import BLOCK, FLOOR, brightness_and_colour, quiet_colour, smooth
from .detail import share_out

__all__ = [
    "Changes",
    "enlarge",
    "explain",
]

STEP = 1e-2
"""Change of a map by which derivatives are measured: two entries of the skin table."""

LEAST_DIFFUSE, LEAST_SPECULAR = 1e-3, 1e-4


@dataclass(frozen=True)
class Changes:
    """How far each map usually differs, where an image differs: the shares in which it is explained."""

    melanin: float = 0.05
    haemoglobin: float = 0.05
    diffuse: float = 0.3
    """Of the logarithm of diffuse shading."""
    specular: float = 0.03
    noise: float = 0.004
    """Error of linear RGB that is left unexplained."""


@plain_defaults()
def explain(
    start: Decomposition, image: Tensor, changes: Changes | None = None, *, rounds: int = 3
) -> Decomposition:
    """The maps nearest to some others that render to an image, with the same light and camera.

    Each pixel for itself, by Gauss-Newton steps: with J the derivatives of R, G, B by the four maps
    and S the variances of their usual changes, a residual r changes the maps by
    S J^T (J S J^T + noise^2)^-1 r.

    Args:
        start: maps (B, 1, H, W), light and camera.
        image: (B, 3, H, W), linear sRGB.
        changes: how far maps usually differ.
        rounds: of linearising and solving.
    """
    changes = changes or Changes()
    usual = (changes.melanin, changes.haemoglobin, changes.diffuse, changes.specular)
    scale = image.new_tensor(usual)[None, :, None, None]
    found = start
    first = values = _values(start)
    for _ in range(rounds):
        rendered = found.render(accuracy="fast")
        slopes = []
        for index in range(4):
            moved = values.clone()
            # Toward the middle of the range, where the map can go.
            way = torch.where(moved[:, index] > 0.0, -STEP, STEP) if index < 2 else STEP
            moved[:, index] += way
            slope = (_decomposition(moved, start).render(accuracy="fast") - rendered) / (
                way[:, None] if isinstance(way, Tensor) else way
            )
            slopes.append(slope)
        jacobian = torch.stack(slopes, dim=2) * scale[:, None]  # [B, 3, 4, H, W]
        moved_so_far = (values - first) / scale
        # Around the start, not around the last step: the change as a whole is to be small.
        residual = image - rendered + (jacobian * moved_so_far[:, None]).sum(dim=2)
        gram = torch.einsum("bikhw,bjkhw->bhwij", jacobian, jacobian)
        gram = gram + changes.noise**2 * torch.eye(3, device=image.device)
        solved = torch.linalg.solve(gram, residual.permute(0, 2, 3, 1))
        step = torch.einsum("bikhw,bhwi->bkhw", jacobian, solved)
        # Farther than this, the derivatives say nothing.
        values = first + scale * step.clamp(-4.0, 4.0)
        found = _decomposition(values, start)
        values = _values(found)
    return found


def _values(maps: Decomposition) -> Tensor:
    """What is changed, side by side: (B, 4, H, W)."""
    diffuse = maps.diffuse.clamp(min=LEAST_DIFFUSE).log()
    return torch.cat((maps.melanin, maps.haemoglobin, diffuse, maps.specular), dim=1)


def _decomposition(values: Tensor, like: Decomposition) -> Decomposition:
    melanin, haemoglobin, diffuse, specular = (values[:, k : k + 1] for k in range(4))
    return replace(
        like,
        melanin=melanin.clamp(-1.0, 1.0).contiguous(),
        haemoglobin=haemoglobin.clamp(-1.0, 1.0).contiguous(),
        diffuse=diffuse.exp(),
        specular=specular.clamp(min=LEAST_SPECULAR).contiguous(),
    )


MISFIT = 0.3
"""Of log colour: where a network is farther off, something else than skin is seen."""

DOUBTED = 0.5
"""Share of that misfit by which the colour of a pixel may be wrong."""

USUAL_LIGHT = 0.25
"""Mean of linear RGB that an image is brought to."""

MISFIT_SCALE = 1.0 / 8.0
"""Standard deviation of the Gaussian that smooths what is left unexplained, in longer sides."""


@plain_defaults()
@torch.no_grad()
def enlarge(
    maps: Decomposition, small: Tensor, image: Tensor, *, shrunk: float = 1.0
) -> Decomposition:
    """Maps of a small image at the resolution of a large one, with all that the large one shows.

    Maps are interpolated; then fine contrast of the large image is shared out: coloured contrast, of
    spots, freckles, vessels and lips, to the pigments; uncoloured contrast to diffuse shading;
    highlights stay smooth (`biofacenet.fitting.detail`). Noise and JPEG blocks of colour are left out
    before. The level of pigments over the face stays that of the small image's maps: what they miss of
    its colour as a whole is left unexplained.

    Args:
        maps: of the small image, with its light and camera.
        small: (B, 3, h, w), linear sRGB.
        image: (B, 3, H, W), linear sRGB, of the same part of the photo; may be the small one itself.
        shrunk: pixels of the image for a pixel of the photo, at most 1: how large JPEG's blocks are.
    """
    size = image.shape[2:]
    # What counts as noise must not depend on how long the photo was exposed.
    light = small.mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3) / USUAL_LIGHT
    maps, small, image = _exposed(maps, 1.0 / light), small / light, image / light
    wide = maps.map(lambda tensor: _larger(tensor, size) if tensor.ndim == 4 else tensor)
    wide = wide.renormalised()
    left = _larger(_unexplained(maps, small), size)
    quiet = quiet_colour(image, round(shrunk * BLOCK / 2)).clamp(min=0.0)
    target = ((quiet + FLOOR) * (-left).exp() - FLOOR).clamp(min=0.0)
    # A network that misses the colour of the face altogether is not to be corrected by that of a pixel.
    doubt = DOUBTED * left.abs().amax(dim=1, keepdim=True) * quiet.mean(dim=1, keepdim=True)
    return _exposed(share_out(wide, target, doubt=doubt), light)


def _exposed(maps: Decomposition, factor: Tensor) -> Decomposition:
    """Maps of the same face under another exposure."""
    return replace(maps, diffuse=maps.diffuse * factor, specular=maps.specular * factor)


def _larger(plane: Tensor, size: torch.Size) -> Tensor:
    """Cubic interpolation, without new extremes."""
    if plane.shape[2:] == size:
        return plane
    low, high = plane.amin((2, 3), keepdim=True), plane.amax((2, 3), keepdim=True)
    larger = F.interpolate(plane, size=size, mode="bicubic", align_corners=False)
    return torch.maximum(torch.minimum(larger, high), low)


def _unexplained(maps: Decomposition, small: Tensor) -> Tensor:
    """What maps miss of an image's colour, in logarithms, where it is the same over much of a face.

    A mean over neighbours in which what is far off, such as hair and background, hardly counts.
    """
    seen, rendered = (x.clamp(min=0.0) + FLOOR for x in (small, maps.render()))
    _, colour = brightness_and_colour((seen / rendered).log())
    weight = 1.0 / (1.0 + (colour / MISFIT).square().sum(dim=1, keepdim=True)).square()
    scale = MISFIT_SCALE * max(small.shape[2:])
    return smooth(weight * colour, scale) / smooth(weight, scale).clamp(min=1e-3)
