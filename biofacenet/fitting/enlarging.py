"""Maps that explain an image: the least change of maps for it, and maps at a photo's own resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decomposition import Decomposition

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


def enlarge(maps: Decomposition, small: Tensor, image: Tensor) -> Decomposition:
    """Maps of a small image at the resolution of a large one, edges where the large one has them.

    Maps are interpolated, and then changed as little as explains what the large image shows beyond the
    small one; what the maps do not explain of the small image they do not explain of the large one.

    Args:
        maps: of the small image, with its light and camera.
        small: (B, 3, h, w), linear sRGB.
        image: (B, 3, H, W), linear sRGB, of the same part of the photo.
    """
    size = image.shape[2:]

    def larger(plane: Tensor) -> Tensor:
        return F.interpolate(plane, size=size, mode="bilinear", align_corners=False)

    wide = maps.map(lambda tensor: larger(tensor) if tensor.ndim == 4 else tensor)
    left = larger(small - maps.render())
    return explain(wide, (image - left).clamp(min=0.0))
