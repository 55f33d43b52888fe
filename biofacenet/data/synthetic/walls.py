"""What is behind a person: walls, rooms, and outdoors, out of focus."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .draws import Draws
from .light import Lights
from .shape import read_texture
from .view import View

__all__ = ["BRIGHTNESS", "light_on_wall", "outdoors", "paint_background", "room"]

BRIGHTNESS = {
    "front": (0.3, 1.2),
    "side": (0.05, 0.9),
    "below": (0.05, 0.5),
    "flash": (0.03, 0.7),
    "overcast": (0.4, 1.1),
    "sun": (0.4, 1.4),
    "back": (0.9, 3.0),
}
"""Light that falls on what is behind, beside that on a face, by the kind of light."""


def paint_background(draws: Draws, view: View, lights: Lights) -> Tensor:
    """Linear RGB of what is behind, in the scale of the shading: (3, S, S)."""
    level = draws.uniform(*BRIGHTNESS[lights.kind])
    kind = draws.uniform(0.0, 1.0)
    if kind < 0.5:
        return level * _wall(draws, view)
    if kind < 0.75:
        return level * room(draws, view)
    return level * outdoors(draws, view)


def _colour(draws: Draws, low: float, high: float, greyish: float) -> Tensor:
    colour = torch.from_numpy(draws.rng.uniform(low, high, 3)).float()
    return greyish * colour.mean() + (1.0 - greyish) * colour


def _wall(draws: Draws, view: View) -> Tensor:
    """White, grey or coloured, brighter on one side, darker toward the corners."""
    greyish = draws.uniform(0.85, 1.0) if draws.chance(0.65) else draws.uniform(0.0, 0.8)
    colour = _colour(draws, 0.05, 0.85, greyish)
    if draws.chance(0.35):
        colour = _colour(draws, 0.6, 0.85, 0.95)
    return colour[:, None, None] * light_on_wall(draws, view)


def light_on_wall(draws: Draws, view: View) -> Tensor:
    """How bright a wall is from place to place, about 1: (S, S)."""
    angle = draws.uniform(0.0, 2.0 * np.pi)
    ramp = float(np.cos(angle)) * view.x + float(np.sin(angle)) * view.y
    light = 1.0 + draws.uniform(0.0, 0.3) * ramp
    light = light - draws.uniform(0.0, 0.12) * (view.x.square() + view.y.square())
    if draws.chance(0.3):  # plaster, paper or cloth
        light = light + 0.06 * read_texture(draws.field(70), 0.8 * view.x, 0.8 * view.y)[0]
    if draws.chance(0.25):  # the shadow of the head
        x, y = view.x - draws.gaussian(0.4), view.y + draws.uniform(0.0, 0.3)
        head = ((x / 0.85).square() + (y / 1.25).square()).sqrt()
        light = light * (1.0 - draws.uniform(0.1, 0.5) * torch.sigmoid((1.0 - head) / 0.08))
    return light.clamp(0.1, 2.0)


def room(draws: Draws, view: View) -> Tensor:
    """Soft rectangles: furniture, pictures, doors, windows."""
    picture = _colour(draws, 0.05, 0.7, 0.7)[:, None, None].expand(3, *view.x.shape)
    blur = draws.uniform(0.01, 0.12)
    for _ in range(int(draws.rng.integers(2, 9))):
        x, y = draws.uniform(-1.3, 1.3), draws.uniform(-1.3, 1.3)
        wide, tall = draws.uniform(0.08, 0.8), draws.uniform(0.1, 1.2)
        inside = torch.sigmoid((wide - (view.x - x).abs()) / blur)
        inside = inside * torch.sigmoid((tall - (view.y - y).abs()) / blur)
        bright = draws.uniform(0.6, 2.0) if draws.chance(0.2) else 1.0
        colour = bright * _colour(draws, 0.01, 0.8, draws.uniform(0.3, 1.0))
        picture = picture + inside * (colour[:, None, None] - picture)
    return picture


def outdoors(draws: Draws, view: View) -> Tensor:
    """Sky over leaves, stone or water, with discs of light where it is far out of focus."""
    sky = torch.tensor([0.35, 0.5, 0.8]) * draws.uniform(0.6, 1.3)
    sky = sky + draws.uniform(0.0, 1.0) * (sky.mean() * 1.2 - sky)
    green = torch.tensor([0.08, 0.12, 0.03]) * draws.uniform(0.4, 2.0)
    stone = _colour(draws, 0.1, 0.4, 0.8)
    ground = green if draws.chance(0.6) else stone
    cells = int(draws.rng.integers(5, 40))
    fields = torch.cat((draws.field(4), draws.field(cells)), dim=1)
    large, small = read_texture(fields, 0.8 * view.x, 0.8 * view.y)
    horizon = draws.uniform(-0.6, 1.4)
    share = torch.sigmoid((view.y - horizon + 0.3 * large) / draws.uniform(0.03, 0.3))
    mottled = (1.0 + 0.35 * large + 0.4 * small).clamp(0.1, 3.0)
    return share * sky[:, None, None] + (1.0 - share) * mottled * ground[:, None, None]
