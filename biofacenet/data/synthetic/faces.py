"""Synthetic faces with known maps, light and camera.

A parametric head is met by viewing rays; pigments are painted on it in pose-free coordinates; skin
is rendered by this package's own renderer, hair, eyes, clothes and background as plain colours; the
result passes through sensor noise and 8-bit coding. Each face depends on its seed and index alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...decomposition import Decomposition
from ...physics.colour import WHITE_ROW_SUMS, linear_to_srgb
from ...physics.lighting import unit
from ...physics.names import SkinName
from ...system.device import plain_defaults
from ...system.workers import one_thread
from ..records import Faces
from .camera import draw_exposure, draw_light_and_camera, sense
from .draws import Draws
from .identity import Identity, draw_identity
from .light import LEAST_SPECULAR, draw_lights, draw_shading
from .paint import paint_background, paint_person
from .parts import divide_into_parts
from .pigments import draw_pigments
from .shape import Head, make_relief
from .view import average_over, place_head, shrink

__all__ = ["draw_heads", "generate"]

WHITE = float(WHITE_ROW_SUMS[1])
"""Luminance of a white surface under unit diffuse shading, in the renderer's scale."""


@plain_defaults()
def generate(
    indices: Sequence[int],
    seed: int = 0,
    *,
    size: int = 64,
    noise: bool = True,
    skin: SkinName = "published",
    melanin: float | None = None,
    yaw: float | None = None,
) -> Faces:
    """Make the faces of some indices.

    Args:
        indices: any non-negative numbers; each names one face of the seed's endless set.
        seed: another seed gives another set.
        size: side of the images in pixels.
        noise: add sensor noise and blur; without, images in the mask equal the rendered truth up to
            8-bit coding.
        skin: which constants of the skin model the maps are of.
        melanin: map value in [-1, 1] of the skin of all faces, instead of a drawn one; shape, light and
            camera are the same for any.
        yaw: turn of all heads to the side, in degrees, instead of a drawn one.

    Returns:
        The faces, in the order of ``indices``; the same numbers whatever else is in the batch.

    Raises:
        ValueError: melanin is out of range.
    """
    if melanin is not None and not -1.0 <= melanin <= 1.0:
        raise ValueError(f"melanin must lie in [-1, 1], got {melanin}")
    faces = []
    with one_thread():
        for index in indices:
            draws = Draws(seed, index)
            who = draw_identity(draws, skin, melanin)
            faces.append(_picture(draws, who, size, noise, yaw))
    return Faces.join(faces)


def draw_heads(count: int, seed: int = 0) -> list[Head]:
    """The shapes of the first faces of a seed, without their pictures."""
    return [draw_identity(Draws(seed, index), "published").head for index in range(count)]


def _picture(draws: Draws, who: Identity, size: int, noise: bool, yaw: float | None) -> Faces:
    """One face, as a batch of one. The order of draws is that of a seed's faces since the first."""
    relief = make_relief(who.head)
    view = place_head(draws, who, relief, size, yaw)
    parts = divide_into_parts(draws, who, view)
    melanin, haemoglobin = draw_pigments(draws, who, view, parts)
    lights = draw_lights(draws)
    shading = draw_shading(draws, view, parts.neck, relief, lights)
    illuminant, camera = draw_light_and_camera(draws)

    skin = parts.skin.float().unsqueeze(0)
    covered = shrink(skin)
    truth = Decomposition(
        melanin=average_over(skin, melanin).unsqueeze(0),
        haemoglobin=average_over(skin, haemoglobin).unsqueeze(0),
        diffuse=average_over(skin, shading.diffuse).unsqueeze(0),
        specular=average_over(skin, shading.specular).unsqueeze(0),
        illuminant=illuminant,
        camera=camera,
        skin=who.skin,
    )
    person, painted = paint_person(draws, who, view, parts, shading)
    other = shrink(person * (1.0 - skin))
    behind = shrink(paint_background(draws, view) * (1.0 - skin) * ~painted)

    # One exposure for shading, maps and lighting alike.
    exposure = draw_exposure(draws, who.melanin, truth.render(), covered > 0.5)
    truth.diffuse.mul_(exposure)
    truth.specular.mul_(exposure).clamp_(min=LEAST_SPECULAR)
    image = truth.render()[0] * covered + exposure * WHITE * other + behind

    image = sense(draws, image) if noise else image
    coded = torch.round(255.0 * linear_to_srgb(image)) / 255.0
    mask = (shrink(parts.face_skin.float().unsqueeze(0)) > 0.999).float()
    normals = unit(average_over(skin, view.surface.normal)) * mask
    place = ((average_over(skin, view.surface.point) + 1.3) / 2.6).clamp(0.0, 1.0)
    tint = 1.0 + torch.tensor([draws.gaussian(0.05) for _ in range(3)])
    tinted = exposure * lights.lighting * (tint / tint.mean()).unsqueeze(1)
    return Faces(
        image=coded.unsqueeze(0),
        normals=normals.unsqueeze(0),
        mask=mask.unsqueeze(0),
        coordinates=(place * mask).unsqueeze(0),
        lighting=tinted.unsqueeze(0),
        truth=truth,
    )
