"""What is behind a head of a model: walls, rooms and outdoors whose brightness says nothing of the skin.

How bright a face is beside a wall is a cue to how dark its skin is, and a false one where the light on
both differs. Half of these surroundings have a reflectance and a light of their own; the others are
brighter or darker than the face by a factor that is drawn, whatever its skin.
"""

from __future__ import annotations

import math
from dataclasses import replace

from torch import Tensor

from ...physics.colour import luminance
from .colours import any_colour
from .draws import Draws
from .light import Lights
from .view import View
from .walls import BRIGHTNESS, light_on_wall, outdoors, room

__all__ = ["paint_any_background"]

BESIDE_FACE = (0.03, 8.0)
"""Brightness as a part of the face's."""


def paint_any_background(draws: Draws, view: View, lights: Lights, face: float) -> Tensor:
    """Linear RGB of what is behind, in the scale of the shading: (3, S, S).

    Args:
        draws: of this face.
        view: what the samples see.
        lights: around the face.
        face: brightness of its skin, in the same scale.
    """
    kind, colour = draws.uniform(0.0, 1.0), any_colour(draws)[:, None, None]
    # Larger, so that no texture ends within a frame that shows more than that of parametric heads.
    wide = replace(view, x=0.85 * view.x, y=0.85 * view.y)
    if kind < 0.4:
        scene = colour * light_on_wall(draws, wide)
    else:
        blurred = draws.uniform(0.08, 0.45)
        scene = room(draws, wide) if kind < 0.72 else outdoors(draws, wide, blurred)
        if draws.chance(0.5):  # in light of another colour
            scene = scene * (colour / colour.mean()) ** draws.uniform(0.1, 0.5)
    own = draws.uniform(*BRIGHTNESS[lights.kind]) * math.exp(draws.gaussian(0.5))
    beside = math.exp(draws.uniform(*map(math.log, BESIDE_FACE)))
    if draws.chance(0.5):
        return own * scene
    return scene * (beside * face / float(luminance(scene[None]).mean().clamp(min=1e-4)))
