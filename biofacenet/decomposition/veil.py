"""The even part of the surface's light, which one photograph hardly tells from the skin below."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["veil_of"]

FLOOR = 1e-3
"""Least diffuse shading that is divided by."""


def veil_of(diffuse: Tensor, specular: Tensor, mask: Tensor) -> Tensor:
    """Specular by diffuse shading, mean over the half of each mask that shines less: (B,), at least 0.

    Highlights do not count. Skin returns 0.028 head on (index of refraction 1.4), more at grazing angles.

    Args:
        diffuse: and
        specular: (B, 1, H, W), shadings.
        mask: (B, 1, H, W), over 0 where skin is; of one without any it is 0.
    """
    ratio = (specular / diffuse.clamp(min=FLOOR)).flatten(1)
    # Pixels beside the mask come last.
    inside = mask.flatten(1) > 0
    ordered = torch.where(inside, ratio, torch.full_like(ratio, torch.inf)).sort(dim=1).values
    half = (inside.sum(dim=1, keepdim=True) + 1) // 2
    counted = torch.arange(ratio.shape[1], device=ratio.device) < half
    return torch.where(counted, ordered, 0.0).sum(dim=1) / half.squeeze(1).clamp(min=1)
