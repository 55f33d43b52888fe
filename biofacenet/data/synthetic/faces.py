"""Synthetic faces with known maps, light and camera.

A parametric head is met by viewing rays; pigments are painted on it in pose-free coordinates; skin
is rendered by this package's own renderer, hair, eyes, clothes and background as plain colours; the
result passes through sensor noise and 8-bit coding. Each face depends on its seed and index alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...decomposition import Decomposition
from ...decomposition.parts import part_index
from ...physics.colour import WHITE_ROW_SUMS, luminance
from ...physics.lighting import unit
from ...physics.names import SkinName
from ...system.device import plain_defaults
from ...system.workers import one_thread
from ..geometry import Geometry
from ..records import Faces
from .backdrops import paint_any_background
from .camera import draw_exposure, draw_light_and_camera
from .draws import Draws
from .dressing import Dressed, dress
from .grown import GrownHair
from .heads.reading import read_heads
from .identity import Identity, draw_identity
from .light import Lights, draw_lights
from .paint import label_person, paint_person
from .parts import commonest, divide_into_parts
from .photograph import eight_bits, photograph, second_colour
from .pigments import draw_pigments
from .shading import LEAST_SPECULAR, draw_shading
from .shape import Head
from .view import View, average_over, place_head, shrink
from .walls import paint_background

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
    skin: SkinName = "measured",
    melanin: float | None = None,
    yaw: float | None = None,
    heads: str | Path | None = None,
) -> Faces:
    """Make the faces of some indices.

    Args:
        indices: any non-negative numbers; each names one face of the seed's endless set.
        seed: another seed gives another set.
        size: side of the images in pixels.
        noise: add sensor noise and blur; without, images in the mask equal the rendered truth up to
            8-bit coding.
        skin: which constants of the skin model the maps are of: those of `synthesize` where none are named.
        melanin: map value in [-1, 1] of the skin of all faces, instead of a drawn one; shape, light and
            camera are the same for any.
        yaw: turn of all heads to the side, in degrees, instead of a drawn one.
        heads: a statistical head model to take heads from, instead of parametric ones: the folder
            FaceXModel of ICT-FaceKit, or an NPZ file of it.

    Returns:
        The faces, in the order of ``indices``; the same numbers whatever else is in the batch.

    Raises:
        ValueError: melanin is out of range.
        DataError: the head model is missing, damaged or of another kind.
    """
    if melanin is not None and not -1.0 <= melanin <= 1.0:
        raise ValueError(f"melanin must lie in [-1, 1], got {melanin}")
    model = None if heads is None else read_heads(heads)
    faces = []
    # Without what torch keeps for gradients. `join` copies, so that what is given back may have them.
    with one_thread(), torch.inference_mode():
        for index in indices:
            draws = Draws(seed, index)
            who = draw_identity(draws, skin, melanin, model)
            faces.append(_picture(draws, who, size, noise, yaw))
    return Faces.join(faces)


def draw_heads(count: int, seed: int = 0) -> list[Head]:
    """The shapes of the first faces of a seed, without their pictures."""
    drawn = [draw_identity(Draws(seed, index), "published").head for index in range(count)]
    return [head for head in drawn if isinstance(head, Head)]


def _picture(draws: Draws, who: Identity, size: int, noise: bool, yaw: float | None) -> Faces:
    """One face, as a batch of one. The order of draws is that of a seed's faces since the first."""
    worn = dress(draws, who, place_head(draws, who, size, yaw))
    view, clothes = worn.view, worn.clothes
    whole = divide_into_parts(view, worn.on_head, None if clothes is None else clothes.cover)
    fuzz = worn.hair.fuzz if isinstance(worn.hair, GrownHair) else None
    pigments = draw_pigments(draws, who, view, whole, fuzz)
    parts = worn.covers.over(whole)
    lights = draw_lights(draws)
    shading = draw_shading(draws, view, lights, pigments, who.age)
    illuminant, camera = draw_light_and_camera(draws)

    labels = label_person(parts, pigments, worn.covers, worn.behind)
    thin = _thin_hair(worn, parts.skin | (labels == 0))
    skin = parts.skin.float().unsqueeze(0) * (1.0 - thin)
    covered = shrink(skin)
    truth = Decomposition(
        melanin=average_over(skin, pigments.melanin).unsqueeze(0),
        haemoglobin=average_over(skin, pigments.haemoglobin).unsqueeze(0),
        diffuse=average_over(skin, shading.diffuse).unsqueeze(0),
        specular=average_over(skin, shading.specular).unsqueeze(0),
        illuminant=illuminant,
        camera=camera,
        skin=who.skin,
    )
    other = paint_person(draws, who, parts, worn, shading, lights)
    rendered, shown = truth.render(), covered > 0.5
    scene = _scene(draws, who, view, lights, _brightness(rendered, shown))
    scene = scene + thin * (other - scene)
    other = shrink(torch.where(labels == 0, scene, other) * (1.0 - skin))
    labels.masked_fill_(thin > 0.5, part_index("hair"))

    # One exposure for shading, maps and lighting alike.
    exposure = draw_exposure(draws, who.melanin, rendered, shown)
    truth.diffuse.mul_(exposure)
    truth.specular.mul_(exposure).clamp_(min=LEAST_SPECULAR)
    image = truth.render()[0] * covered + exposure * WHITE * other

    if noise:
        image = second_colour(image, shrink(shading.normal), lights)
    coded = photograph(draws, image, deep=who.modelled) if noise else eight_bits(image)
    mask = (shrink(parts.face_skin.float().unsqueeze(0) * (1.0 - thin)) > 0.999).float()
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
        geometry=_geometry(view, labels, size),
    )


def _thin_hair(worn: Dressed, where: Tensor) -> Tensor:
    """How much single hairs hide of samples (S, S), bool, that show skin or what is behind: (S, S), 0..1."""
    if isinstance(worn.hair, GrownHair):
        return worn.hair.sheer * where
    return torch.zeros(where.shape)


def _scene(draws: Draws, who: Identity, view: View, lights: Lights, face: float) -> Tensor:
    """What is behind a person whose skin is so bright: (3, S, S)."""
    if who.modelled:
        return paint_any_background(draws, view, lights, face)
    return paint_background(draws, view, lights)


def _brightness(rendered: Tensor, where: Tensor) -> float:
    """Median luminance of (1, 3, S, S), in the scale of the shading."""
    return float(luminance(rendered)[0][where].median()) / WHITE if where.any() else 0.3


def _geometry(view: View, labels: Tensor, size: int) -> Geometry:
    """What the pixels show of the head, as a batch of one."""
    hit = view.surface.hit.float().unsqueeze(0)
    covered = shrink(hit)
    normals = unit(average_over(hit, view.surface.normal)) * (covered > 0.5)
    occlusion = average_over(hit, view.surface.occlusion).masked_fill(covered <= 0.5, 1.0)
    return Geometry(
        normals=normals.unsqueeze(0),
        parts=commonest(labels).unsqueeze(0),
        occlusion=occlusion.unsqueeze(0),
        landmarks=view.frame.pixels(view.landmarks, size).unsqueeze(0),
    )
