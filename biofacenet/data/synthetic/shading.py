"""The shading and the highlights that lights make on a head.

Highlights are those of a rough dielectric: Torrance and Sparrow's microfacets with the GGX distribution
and Smith's shadowing (Walter et al., Microfacet Models for Refraction through Rough Surfaces, EGSR 2007;
Heitz, JCGT 3(2), 2014), Fresnel's factor after Schlick (Computer Graphics Forum 13(3), 1994). That skin's
roughness differs between regions of the face is measured in Weyrich et al., SIGGRAPH 2006.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...physics.lighting import sh_shading, unit
from .draws import Draws
from .folds import draw_folds
from .light import Lights, Source
from .pigments import Pigments
from .view import View, ball_normals

__all__ = ["LEAST_SPECULAR", "SKIN_REFLECTANCE", "Shading", "draw_shading", "highlight", "light_on"]

LEAST_SPECULAR = 1e-4

SKIN_REFLECTANCE = 0.028
"""Of skin seen head on, from its refractive index of 1.4 (Tuchin 2007)."""

WIDE = 0.8
"""Most of a light that depends on how much of its surroundings a place sees, on heads of a model."""

USUAL_ROUGHNESS = 0.24, 0.44
"""Of dry skin on heads of a model, about the 0.3 that d'Eon and Luebke render faces with (GPU Gems 3, 2007,
chapter 14)."""

FULL_ROUGHNESS = 0.95


@dataclass(frozen=True)
class Shading:
    """Shading of all samples."""

    normal: Tensor
    """(3, S, S), of head, neck and hair, without pores."""
    unoccluded: Tensor
    """(S, S), what the lighting gives to the normals, where nothing stands in its way."""
    open: Tensor
    """(S, S), the same with shadows: what falls on anything there."""
    diffuse: Tensor
    """(S, S), of skin, with its pores and lines."""
    specular: Tensor
    """(S, S), of skin."""
    sources: tuple[Source, ...]
    """The distant lights."""


def highlight(normal: Tensor, direction: Tensor, roughness: Tensor, reflectance: float) -> Tensor:
    """What a distant light of unit irradiance returns to the viewer, where a white surface that faces
    it returns 1.

    Args:
        normal: (3, S, S), unit length.
        direction: (3,), towards the light; the viewer is at (0, 0, 1).
        roughness: (S, S), GGX's alpha, over 0.
        reflectance: share of light that the surface returns head on.

    Returns:
        (S, S), pi times the microfacet term times the cosine.
    """
    half = unit(direction + torch.tensor([0.0, 0.0, 1.0]))
    at_light = torch.einsum("c,chw->hw", direction, normal).clamp(min=0.0)
    at_viewer = normal[2].clamp(min=0.02)
    at_half = torch.einsum("c,chw->hw", half, normal).clamp(0.0, 1.0)
    square = roughness.square()
    distribution = square / (at_half.square() * (square - 1.0) + 1.0).square()  # times pi
    masked_light = at_viewer * (at_light.square() * (1.0 - square) + square).sqrt()
    masked_viewer = at_light * (at_viewer.square() * (1.0 - square) + square).sqrt()
    visible = 0.5 / (masked_light + masked_viewer).clamp(min=1e-4)
    angle = float((1.0 - half[2]).clamp(0.0, 1.0))
    fresnel = reflectance + (1.0 - reflectance) * angle**5
    return distribution * visible * fresnel * at_light


def draw_shading(
    draws: Draws, view: View, lights: Lights, pigments: Pigments, age: float = 0.0
) -> Shading:
    """Shade a head; how oily its skin is and how deep its relief, is drawn.

    Args:
        draws: of this face.
        view: what the samples see.
        lights: around it.
        pigments: of its skin, with the relief of pores and lines.
        age: 0 for the young to 1 for the old, whose skin is rougher and less oily.
    """
    surface, modelled = view.surface, view.shells is not None
    normal = _normals_everywhere(view)
    pores = draws.uniform(0.025, 0.08) * (1.0 + age) * (1.5 if modelled else 1.0)
    rough = _with_relief(normal, pores * pigments.relief)
    ambient = sh_shading(normal.unsqueeze(0), lights.ambient.unsqueeze(0))[0, 0]
    unoccluded, lit, diffuse = ambient, ambient * surface.occlusion, ambient * surface.occlusion
    specular = _of_surroundings(rough, ambient, surface.occlusion)
    alpha = _roughness(draws, pigments, age, modelled=modelled)
    for source in lights.sources:
        cosine = torch.einsum("c,chw->hw", source.direction, normal)
        reaches = surface.shadow(source.direction)
        if modelled:  # of a wide light, hollows see a part
            reaches = reaches * (1.0 - min(WIDE, 2.0 * source.size) * (1.0 - surface.occlusion))
        # A wide light reaches round the edge of the shadow and past the cosine's end.
        wrap = 0.25 * source.size
        direct = source.strength * ((cosine + wrap) / (1.0 + wrap)).clamp(min=0.0)
        unoccluded = unoccluded + direct
        lit = lit + reaches * direct
        relit = torch.einsum("c,chw->hw", source.direction, rough)
        relit = source.strength * ((relit + wrap) / (1.0 + wrap)).clamp(min=0.0)
        diffuse = diffuse + reaches * (0.4 * direct + 0.6 * relit)
        wide = (alpha.square() + source.size**2).sqrt().clamp(max=FULL_ROUGHNESS)
        lobe = highlight(rough, source.direction, wide, SKIN_REFLECTANCE)
        specular = specular + source.strength * reaches * lobe
    least, most = (0.5, 2.6) if modelled else (0.4, 1.8)
    oily = math.exp(draws.uniform(math.log(least), math.log(most)))
    shine = oily * (1.0 - 0.9 * pigments.hairy)
    crevice = surface.crevice
    if modelled:
        crevice = crevice * draw_folds(draws, surface.point, age)
    specular = shine * specular * surface.hit * crevice
    # Hairs keep light from what is between them.
    diffuse = diffuse * (1.0 - (0.7 if modelled else 0.5) * pigments.hairy) * crevice
    return Shading(
        normal,
        unoccluded,
        (lit * crevice).clamp(min=0.02),
        diffuse.clamp(min=0.02),
        specular.clamp(LEAST_SPECULAR, 4.0),
        lights.sources,
    )


def light_on(normal: Tensor, lights: Lights) -> Tensor:
    """What falls on surfaces with unit normals (3, S, S), where nothing stands in its way: (S, S)."""
    found = sh_shading(normal[None], lights.ambient[None])[0, 0].clamp(min=0.0)
    for source in lights.sources:
        wrap = 0.1 + 0.25 * source.size
        cosine = torch.einsum("c,chw->hw", source.direction, normal)
        found = found + source.strength * ((cosine + wrap) / (1.0 + wrap)).clamp(min=0.0)
    return found.clamp(min=0.02)


def _of_surroundings(normal: Tensor, ambient: Tensor, occlusion: Tensor) -> Tensor:
    """Reflection of what is all around: more at the edges of the head."""
    grazing = (1.0 - normal[2].clamp(0.0, 1.0)) ** 5
    return (SKIN_REFLECTANCE + 0.25 * grazing) * ambient * occlusion.square()


def _roughness(draws: Draws, pigments: Pigments, age: float, *, modelled: bool) -> Tensor:
    """GGX's alpha: least on an oily forehead and nose and on moist lips: (S, S)."""
    dry = draws.uniform(*(USUAL_ROUGHNESS if modelled else (0.36, 0.55))) + 0.06 * age
    oil = draws.uniform(0.0, 0.26) * (1.0 - 0.5 * age)
    moist = draws.uniform(0.0, 0.2) * (0.4 if modelled else 1.0)
    return (dry - oil * pigments.oily - moist * pigments.lips).clamp(min=0.14)


def _with_relief(normal: Tensor, height: Tensor) -> Tensor:
    """Normals (3, S, S) tilted by the slope of a height (S, S), in units of one sample's width."""
    across = torch.zeros_like(height)
    up = torch.zeros_like(height)
    across[:, 1:-1] = height[:, 2:] - height[:, :-2]
    up[1:-1] = height[:-2] - height[2:]
    tilt = torch.stack((across, up, torch.zeros_like(height)))
    return unit(normal - tilt * normal[2].clamp(min=0.2))


def _normals_everywhere(view: View) -> Tensor:
    """Normals of the head and its neck, and of hair beside the head: (3, S, S)."""
    return torch.where(view.surface.hit, view.surface.normal, ball_normals(view))
