"""Lights around a face, and the shading and highlights that they make on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...physics.lighting import directional_light, sh_shading, unit
from .draws import Draws
from .features import MOUTH_Y
from .view import View

__all__ = ["LEAST_SPECULAR", "Lights", "Shading", "draw_lights", "draw_shading"]

LEAST_SPECULAR = 1e-4


@dataclass(frozen=True)
class Lights:
    """Distant lights and an ambient one."""

    distant: list[tuple[Tensor, float]]
    """Directions (3,) and irradiances."""
    lighting: Tensor
    """(3, 9), spherical harmonics of all together, the same in each channel."""


@dataclass(frozen=True)
class Shading:
    """Shading of all samples."""

    normal: Tensor
    """(3, S, S), of head, neck and hair."""
    unoccluded: Tensor
    """(S, S), what the lighting gives to the normals."""
    diffuse: Tensor
    """(S, S), of skin, with its hollows darker."""
    specular: Tensor
    """(S, S), of skin."""


def draw_lights(draws: Draws) -> Lights:
    """One to three distant lights, mostly from the front and above, and ambient light."""
    ambient = draws.uniform(0.25, 0.7)
    lighting = torch.zeros(9)
    lighting[0] = ambient / 0.886227
    lighting[1] = draws.uniform(0.0, 0.15)  # the sky is brighter than the ground
    lights = []
    for number in range(1 + int(draws.rng.integers(0, 3))):
        strength = draws.uniform(0.5, 1.0) if number == 0 else draws.uniform(0.05, 0.4)
        azimuth = np.radians(draws.gaussian(38.0 if number == 0 else 70.0))
        elevation = np.radians(22.0 + draws.gaussian(20.0))
        direction = torch.tensor(
            [
                np.sin(azimuth) * np.cos(elevation),
                np.sin(elevation),
                np.cos(azimuth) * np.cos(elevation),
            ],
            dtype=torch.float32,
        )
        lights.append((direction, strength))
        lighting = lighting + strength * directional_light(direction)
    return Lights(lights, lighting.expand(3, 9).clone())


def draw_shading(draws: Draws, view: View, lights: Lights) -> Shading:
    """Shading under some lights; how oily the skin is and how sharp its highlights, is drawn."""
    x, y, _ = view.surface.point
    normal = _normals_everywhere(view)
    shade = sh_shading(normal.unsqueeze(0), lights.lighting.unsqueeze(0))[0, 0]
    open_sky = view.surface.occlusion
    diffuse = (shade * open_sky).clamp(min=0.02)

    sheen = float(np.exp(draws.uniform(np.log(0.02), np.log(0.45))))
    sharp = float(np.exp(draws.uniform(np.log(8.0), np.log(45.0))))
    oily = _oily_places(x, y)
    specular = torch.zeros_like(x)
    viewer = torch.tensor([0.0, 0.0, 1.0])
    for direction, strength in lights.distant:
        half = unit(direction + viewer)
        cosine = torch.einsum("c,chw->hw", half, normal).clamp(0.0, 1.0)
        lobes = cosine**sharp + 0.25 * cosine ** (0.25 * sharp)
        specular = specular + sheen * strength * lobes * (0.25 + oily)
    grazing = (1.0 - normal[2].clamp(0.0, 1.0)) ** 5
    specular = specular + 0.1 * sheen * grazing * shade
    specular = specular * (view.surface.hit & ~view.surface.neck) * open_sky
    return Shading(normal, shade, diffuse, specular.clamp(min=LEAST_SPECULAR))


def _oily_places(x: Tensor, y: Tensor) -> Tensor:
    """Forehead, bridge of the nose, cheek bones, chin and lower lip: (S, S)."""
    return (
        torch.exp(-((x / 0.3) ** 2) - ((y - 0.5) / 0.16) ** 2)
        + 1.2 * torch.exp(-((x / 0.07) ** 2) - ((y + 0.12) / 0.22) ** 2)
        + 0.9 * torch.exp(-(((x.abs() - 0.4) / 0.14) ** 2) - ((y + 0.02) / 0.1) ** 2)
        + 0.5 * torch.exp(-((x / 0.1) ** 2) - ((y + 0.85) / 0.07) ** 2)
        + 0.9 * torch.exp(-((x / 0.12) ** 2) - ((y - MOUTH_Y + 0.05) / 0.03) ** 2)
    )


def _normals_everywhere(view: View) -> Tensor:
    """Normals of the head and its neck, and of hair beside the head: (3, S, S)."""
    ball_x, ball_y = (view.x / 1.15).clamp(-0.95, 0.95), ((view.y - 0.1) / 1.5).clamp(-0.9, 0.9)
    ball = torch.stack((ball_x, ball_y, (1.0 - ball_x**2 - 0.5 * ball_y**2).clamp(min=0.05).sqrt()))
    return torch.where(view.surface.hit, view.surface.normal, unit(ball))
