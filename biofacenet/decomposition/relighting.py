"""Another direction of the light: geometry-consistent shading.

Diffuse shading is taken for the product of what a smooth light gives to the normals and a rest, which
holds occlusion and all that the normals do not tell:

    diffuse = harmonics(normals) * rest

Another light replaces the first factor and keeps the rest, and with it folds, pores and lashes.

Source: named as future work in BioFaceNet, section 6; the light is that of Ramamoorthi and Hanrahan, see
`biofacenet.physics.lighting`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..physics.lighting import directional_light, fit_harmonics, sh_shading
from .parts import part_index

__all__ = ["relit"]

AMBIENT = 0.25
"""Share of a lamp's irradiance that comes from all around, off walls and sky."""

LEAST_SHADE = 0.2
"""Of the mean shade: where the light gives less, the rest cannot be told from noise."""

MOST_REST = 3.0
"""By which the rest may brighten; what is brighter still is no shading."""

NOT_LIT = ("background", "cloth")
"""Parts that stay as they are: their normals are not known."""


def relit(
    diffuse: Tensor,
    specular: Tensor,
    normals: Tensor,
    parts: Tensor | None,
    direction: Sequence[float],
) -> tuple[Tensor, Tensor]:
    """Both shadings under a lamp from a direction; the head is as bright on average as before.

    Highlights fade where the lamp leaves the face darker; none are added.

    Args:
        diffuse: (B, 1, H, W), > 0.
        specular: (B, 1, H, W), > 0.
        normals: (B, 3, H, W), unit length; x right, y up, z to the viewer.
        parts: (B, 9, H, W), probabilities; all is taken for the head when not given.
        direction: x, y and z towards the lamp, unit length.
    """
    known = (normals.square().sum(dim=1, keepdim=True) > 0.25).to(diffuse)
    head = known if parts is None else known * (1.0 - sum(_of(parts, name) for name in NOT_LIT))
    skin = known if parts is None else known * _of(parts, "skin")
    old = fit_harmonics(diffuse, normals, skin + 1e-6 * head)
    before = _shade(normals, old)
    floor = LEAST_SHADE * _mean(before, head)
    rest = (diffuse / torch.maximum(before, floor)).clamp(max=MOST_REST)
    after = _shade(normals, _lamp(direction, diffuse))
    made = rest * after
    made = made * _mean(diffuse, head) / _mean(made, head).clamp(min=1e-6)
    fading = (made / diffuse.clamp(min=1e-6)).clamp(max=1.0)
    return (
        torch.lerp(diffuse, made.clamp(min=1e-3), head),
        torch.lerp(specular, specular * fading, head),
    )


def _lamp(direction: Sequence[float], like: Tensor) -> Tensor:
    """Coefficients (B, 9) of a lamp and what it leaves all around."""
    light = (1.0 - AMBIENT) * directional_light(like.new_tensor(direction))
    # Shading 1 from all around, as the constant harmonic gives it.
    light[0] = light[0] + AMBIENT / 0.886227
    return light.expand(len(like), 9)


def _shade(normals: Tensor, light: Tensor) -> Tensor:
    return sh_shading(normals, light.to(normals)[:, None].expand(-1, 3, -1))


def _of(parts: Tensor, name: str) -> Tensor:
    """Probability of a part: (B, 1, H, W)."""
    number = part_index(name)
    return parts[:, number : number + 1]


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """(B, 1, 1, 1)"""
    within = (1, 2, 3)
    whole = weight.sum(dim=within, keepdim=True).clamp(min=1e-6)
    return (values * weight).sum(dim=within, keepdim=True) / whole
