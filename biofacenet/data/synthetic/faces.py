"""Synthetic faces with known maps, light and camera.

A parametric head is met by viewing rays; pigments are painted on it in pose-free coordinates; skin
is rendered by this package's own renderer, hair, eyes, clothes and background as plain colours; the
result passes through sensor noise and 8-bit coding. Each face depends on its seed and index alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...decomposition import Decomposition
from ...physics.colour import WHITE_ROW_SUMS, linear_to_srgb, luminance
from ...physics.illuminant import ILLUMINANT_NAMES, Illuminant
from ...physics.lighting import directional_light, sh_shading
from ...physics.skin import SkinName, melanosome_fraction
from ...system.workers import one_thread
from ..records import Faces
from .shape import (
    TEXTURE,
    Bump,
    Head,
    Relief,
    Surface,
    find_surface,
    make_relief,
    read_texture,
    rotation,
    unit,
)

__all__ = [
    "EYE_X",
    "EYE_Y",
    "FRAME_CENTRE_Y",
    "HALF_FRAME",
    "SUPERSAMPLING",
    "draw_heads",
    "generate",
    "one_thread",
]

SUPERSAMPLING = 2

HALF_FRAME = 1.17
"""Half the side of the frame, in canonical units: the face fills three quarters of its height."""

FRAME_CENTRE_Y = -0.13

LEAST_SPECULAR = 1e-4

WHITE = float(WHITE_ROW_SUMS[1])
"""Luminance of a white surface under unit diffuse shading, in the renderer's scale."""

MOUTH_Y, EYE_X, EYE_Y = -0.56, 0.28, 0.1

MELANIN_RANGES = {"published": (-0.85, 0.85), "measured": (-0.35, 0.6)}
"""Melanin of faces from very light to dark, by skin; measured faces lie within the second."""

USUAL_BLOOD = {"published": -0.16, "measured": 0.4}
"""Middle of the haemoglobin of faces; the measured faces' median is 0.32, of more dark skins."""

HAIR_COLOURS = np.array(
    [
        [0.012, 0.009, 0.008],
        [0.03, 0.018, 0.012],
        [0.075, 0.036, 0.018],
        [0.16, 0.085, 0.04],
        [0.36, 0.24, 0.12],
        [0.2, 0.06, 0.02],
        [0.22, 0.215, 0.21],
    ]
)
"""Linear RGB: black, dark brown, brown, light brown, blond, red, grey."""

EYE_COLOURS = np.array(
    [
        [0.03, 0.014, 0.007],
        [0.09, 0.045, 0.02],
        [0.1, 0.11, 0.05],
        [0.1, 0.16, 0.25],
        [0.15, 0.17, 0.18],
    ]
)
"""Linear RGB of the iris: dark brown, brown, green, blue, grey."""


def generate(
    indices: Sequence[int],
    seed: int = 0,
    *,
    size: int = 64,
    noise: bool = True,
    skin: SkinName = "published",
) -> Faces:
    """Make the faces of some indices.

    Args:
        indices: any non-negative numbers; each names one face of the seed's endless set.
        seed: another seed gives another set.
        size: side of the images in pixels.
        noise: add sensor noise and blur; without, images in the mask equal the rendered truth up to
            8-bit coding.
        skin: which constants of the skin model the maps are of.

    Returns:
        The faces, in the order of ``indices``; the same numbers whatever else is in the batch.
    """
    with one_thread():
        faces = [_Face(seed, index, size, skin).make(noise) for index in indices]
    return Faces.join(faces)


def draw_heads(count: int, seed: int = 0) -> list[Head]:
    """The shapes of the first faces of a seed, without their pictures."""
    faces = [_Face(seed, index, 16) for index in range(count)]
    for face in faces:
        face.draw_identity()
    return [face.head for face in faces]


def smoothstep(low: float, high: float, value: Tensor) -> Tensor:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = ((value - low) / (high - low)).clamp(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def shrink(value: Tensor) -> Tensor:
    """(C, S*k, S*k) to (C, S, S) by averaging."""
    return F.avg_pool2d(value.unsqueeze(0), SUPERSAMPLING)[0]


class _Face:
    """One face: draws its parameters from a generator of its own, then paints itself."""

    def __init__(
        self, seed: int, index: int, size: int, skin_model: SkinName = "published"
    ) -> None:
        self.skin_model = skin_model
        self.rng = np.random.default_rng([seed, index])
        self.size = size

    # Random numbers -------------------------------------------------------------------------

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def gaussian(self, scale: float, limit: float = 2.0) -> float:
        return scale * float(np.clip(self.rng.normal(), -limit, limit))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.uniform() < probability)

    def field(self, cells: int) -> Tensor:
        """Smooth noise of unit variance over the canonical area: (1, 1, *TEXTURE)."""
        coarse = torch.from_numpy(self.rng.normal(size=(1, 1, cells, cells)).astype(np.float32))
        return F.interpolate(coarse, size=TEXTURE, mode="bicubic", align_corners=True)

    def spots(self, share: float) -> Tensor:
        """Small soft spots over the canonical area, in 0..1: (1, 1, *TEXTURE)."""
        grains = (self.rng.uniform(size=(1, 1, *TEXTURE)) < share).astype(np.float32)
        return (2.2 * F.avg_pool2d(torch.from_numpy(grains), 3, 1, 1)).clamp(max=1.0)

    # The face -------------------------------------------------------------------------------

    def make(self, noise: bool) -> Faces:
        """The face, as a batch of one."""
        self.draw_identity()
        relief = make_relief(self.head)
        self.place(relief)
        self.divide_into_parts()
        melanin, haemoglobin = self.pigments()
        lights, lighting = self.lights()
        diffuse, specular, shade = self.shadings(relief, lights, lighting)
        illuminant, camera = self.light_and_camera()

        skin = self.skin.float().unsqueeze(0)
        covered = shrink(skin)
        truth = Decomposition(
            melanin=self.average_over(skin, melanin).unsqueeze(0),
            haemoglobin=self.average_over(skin, haemoglobin).unsqueeze(0),
            diffuse=self.average_over(skin, diffuse).unsqueeze(0),
            specular=self.average_over(skin, specular).unsqueeze(0),
            illuminant=illuminant,
            camera=camera,
            skin=self.skin_model,
        )
        other = shrink(self.other_colours(shade) * (1.0 - skin))
        behind = shrink(self.background() * (1.0 - skin) * ~self.painted)

        # One exposure for shading, maps and lighting alike.
        exposure = self.exposure(truth.render(), covered > 0.5)
        truth.diffuse.mul_(exposure)
        truth.specular.mul_(exposure).clamp_(min=LEAST_SPECULAR)
        image = truth.render()[0] * covered + exposure * WHITE * other + behind

        image = self.sensor(image) if noise else image
        coded = torch.round(255.0 * linear_to_srgb(image)) / 255.0
        mask = (shrink(self.face_skin.float().unsqueeze(0)) > 0.999).float()
        normals = unit(self.average_over(skin, self.surface.normal)) * mask
        place = ((self.average_over(skin, self.surface.point) + 1.3) / 2.6).clamp(0.0, 1.0)
        tint = 1.0 + torch.tensor([self.gaussian(0.05) for _ in range(3)])
        tinted = exposure * lighting * (tint / tint.mean()).unsqueeze(1)
        return Faces(
            image=coded.unsqueeze(0),
            normals=normals.unsqueeze(0),
            mask=mask.unsqueeze(0),
            coordinates=(place * mask).unsqueeze(0),
            lighting=tinted.unsqueeze(0),
            truth=truth,
        )

    def average_over(self, where: Tensor, value: Tensor) -> Tensor:
        """Shrink a map, averaging over the part of each pixel that lies in ``where`` (1, S, S).

        Pixels without any take the mean of the others.
        """
        value = value if value.ndim == 3 else value.unsqueeze(0)
        share = shrink(where)
        mean = (value * where).sum(dim=(1, 2)) / where.sum().clamp(min=1.0)
        averaged = shrink(value * where) / share.clamp(min=1e-6)
        return torch.where(share > 0.0, averaged, mean[:, None, None])

    def draw_identity(self) -> None:
        """Age, sex, ancestry and expression, as far as they show."""
        self.melanin_base = self.uniform(*MELANIN_RANGES[self.skin_model])
        self.masculine = self.uniform(0.0, 1.0)
        self.child = self.chance(0.08)
        self.smile = max(0.0, self.uniform(-0.5, 1.0))
        self.open_mouth = self.uniform(0.02, 0.075) if self.chance(0.3) else 0.0
        self.lip_width = self.uniform(0.2, 0.26) + 0.05 * self.smile
        self.lip_upper = self.uniform(0.035, 0.06)
        self.lip_lower = self.uniform(0.05, 0.085)
        self.eye_width = self.uniform(0.105, 0.13)
        self.eye_open = 0.002 if self.chance(0.03) else self.uniform(0.035, 0.058)
        self.eye_tilt = self.gaussian(0.06)
        self.brow_height = 0.29 + self.gaussian(0.015)
        self.brow_thickness = self.uniform(0.014, 0.034) + 0.012 * self.masculine
        dark_hair = self.melanin_base > 0.1
        self.grey = self.chance(0.1) and not self.child
        choice = int(self.rng.integers(0, 3 if dark_hair else 6))
        self.hair_colour = HAIR_COLOURS[6 if self.grey else choice] * self.uniform(0.7, 1.3)
        nose, brow, chin = (self.uniform(0.8, 1.25) for _ in range(3))
        nose_wide, male = self.uniform(0.85, 1.3), self.masculine
        full = self.uniform(0.7, 1.3)
        y = MOUTH_Y
        bumps = (
            Bump(0.27, 0.27, 0.2, 0.06, 0.05 * brow * (0.5 + male)),  # brow ridge
            Bump(EYE_X, 0.09, 0.17, 0.1, -0.12),  # eye socket
            Bump(EYE_X, EYE_Y, 0.085, 0.065, 0.075),  # eyeball
            Bump(0.0, 0.14, 0.055, 0.16, 0.06 * nose),  # root of the nose
            Bump(0.0, -0.1, 0.065 * nose_wide, 0.15, 0.15 * nose),  # bridge of the nose
            Bump(0.0, -0.27, 0.085 * nose_wide, 0.075, 0.2 * nose),  # tip of the nose
            Bump(0.115 * nose_wide, -0.31, 0.05, 0.05, 0.085),  # wing of the nose
            Bump(0.05 * nose_wide, -0.365, 0.03, 0.02, -0.05),  # nostril
            Bump(0.0, y + 0.04, 0.16, 0.045, 0.065 * full),  # upper lip
            Bump(0.0, y + 0.1, 0.025, 0.05, -0.014),  # philtrum
            Bump(0.0, y - 0.06, 0.13, 0.045, 0.07 * full),  # lower lip
            Bump(0.0, y, 0.5 * self.lip_width, 0.016, -0.04),  # mouth
            Bump(0.0, y - 0.155, 0.14, 0.035, -0.045),  # fold below the lips
            Bump(0.0, y - 0.32, 0.14, 0.09, 0.09 * chin),  # chin
            Bump(0.42, -0.1 - 0.03 * self.smile, 0.16, 0.14, 0.05 + 0.04 * self.smile),  # cheek
            Bump(0.29, -0.46, 0.035, 0.11, -0.02 - 0.02 * self.smile),  # fold from nose to mouth
            Bump(0.3, y, 0.04, 0.05, -0.02 - 0.02 * self.smile),  # corner of the mouth
            Bump(0.66, 0.4, 0.12, 0.16, -0.03),  # temple
        )
        self.head = Head(
            half_width=self.uniform(0.69, 0.77),
            depth=self.uniform(0.8, 0.9),
            jaw=self.uniform(0.42, 0.56) + 0.12 * male - (0.05 if self.child else 0.0),
            bumps=bumps,
        )

    def place(self, relief: Relief) -> None:
        """Pose the head before the camera and find what each sample of the picture sees."""
        yaw, pitch = np.radians([self.gaussian(16.0), self.gaussian(7.0)])
        roll = np.radians(self.gaussian(4.0))
        self.pose = rotation(float(yaw), float(pitch), float(roll))
        half = HALF_FRAME * self.uniform(0.93, 1.08) * (1.04 if self.child else 1.0)
        across, down = self.gaussian(0.04), FRAME_CENTRE_Y + self.gaussian(0.035)
        samples = self.size * SUPERSAMPLING
        steps = (torch.arange(samples) + 0.5) / samples * 2.0 - 1.0
        self.x = (half * steps[None, :] + across).expand(samples, samples)
        self.y = (down - half * steps[:, None]).expand(samples, samples)
        self.surface: Surface = find_surface(relief, self.pose, self.x, self.y)

    def divide_into_parts(self) -> None:
        """Hair, eyes, mouth, skin: one label each for every sample, on the surface."""
        x, y, z = self.surface.point
        hit, ear = self.surface.hit, self.surface.ear
        ax = x.abs()
        # Hair: above a hairline that falls toward the temples, and all behind the ears.
        self.bald = self.masculine > 0.6 and self.chance(0.15)
        strands = read_texture(self.field(24), x, y)[0]
        crest = self.uniform(0.6, 0.78)
        line = crest - (ax / 0.72) ** 3 * self.uniform(0.25, 0.5) + 0.03 * strands
        if not self.bald and self.chance(0.25):  # a fringe
            line = line - self.uniform(0.1, 0.32) * (1.0 - 0.5 * (ax / 0.7) ** 2)
        # The front edge draws back behind the ear toward its lower end: a sideburn has a tip.
        tip = ((self.uniform(-0.35, 0.1) + 0.2 - y) / 0.2).clamp(min=0.0)
        sides = (z < 0.08 + 0.04 * strands - 0.22 * tip) & (y > -0.7) & ~ear
        hair = (y > line) | sides
        if self.bald:
            hair = (z < -0.05) & (y > -0.2) & (y < 0.55) & ~ear
        self.hair = hit & hair
        self.eye, self.iris_distance, self.lid = self.eyes(x, y)
        self.mouth = self.mouth_inside(x, y)
        on_front = z > 0.0
        opening = hit & on_front & (self.eye | self.mouth) & ~self.hair
        self.eye, self.mouth = opening & self.eye, opening & self.mouth
        self.nostril = torch.exp(-((ax - 0.06) / 0.028).square() - ((y + 0.372) / 0.018).square())
        self.neck = ~hit & self.neck_behind()
        self.face_skin = hit & ~self.hair & ~self.eye & ~self.mouth & (y > -1.05)
        throat = hit & ~self.hair & (y <= -1.05)
        self.skin = self.face_skin | self.neck | throat

    def eyes(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Almond openings, distance from the iris's middle in its radius, nearness of the lid."""
        side = torch.where(x < 0.0, -1.0, 1.0)
        dx = (x.abs() - EYE_X) / self.eye_width
        dy = y - EYE_Y - self.eye_tilt * dx * self.eye_width
        arch = (1.0 - dx.square()).clamp(min=0.0)
        upper, lower = self.eye_open * arch**0.8, -0.8 * self.eye_open * arch
        opening = (dy < upper) & (dy > lower) & (dx.abs() < 1.0)
        gaze = self.gaussian(0.015) * side
        radius = 0.055
        iris = ((x.abs() - EYE_X - gaze).square() + (dy - 0.004).square()).sqrt() / radius
        lid = torch.exp(-((dy - upper - 0.004) / 0.011).square()) * (dx.abs() < 1.08)
        return opening, iris, lid

    def mouth_line(self, x: Tensor) -> Tensor:
        """Height of the closed mouth: the corners rise with a smile."""
        return MOUTH_Y + (0.25 + 1.0 * self.smile) * x.square() - 0.02 * self.smile

    def mouth_inside(self, x: Tensor, y: Tensor) -> Tensor:
        """Where an open mouth shows teeth or dark."""
        arch = (1.0 - (x / (0.85 * self.lip_width)).square()).clamp(min=0.0)
        return (y - self.mouth_line(x)).abs() < self.open_mouth * arch

    def lips(self, x: Tensor, y: Tensor) -> Tensor:
        """Softly bounded lips, 0..1."""
        across = x / self.lip_width
        arch = (1.0 - across.square()).clamp(min=0.0)
        bow = 1.0 - 0.3 * torch.exp(-((x / 0.035) ** 2))
        dy = y - self.mouth_line(x)
        upper = (self.open_mouth + self.lip_upper * bow) * arch**0.75
        lower = (self.open_mouth + self.lip_lower) * arch**0.6
        softness = 0.012
        return (
            torch.sigmoid((upper - dy) / softness)
            * torch.sigmoid((dy + lower) / softness)
            * (arch > 0.0)
        )

    def brows(self, x: Tensor, y: Tensor) -> Tensor:
        """Softly bounded eyebrows, 0..1."""
        ax = x.abs()
        arch = self.brow_height + 0.035 - 1.1 * (ax - 0.31).square()
        thickness = self.brow_thickness * (1.15 - 0.9 * ((ax - 0.12) / 0.4).clamp(0.0, 1.0))
        inside = torch.sigmoid((thickness - (y - arch).abs()) / 0.008)
        return inside * smoothstep(0.07, 0.12, ax) * (1.0 - smoothstep(0.44, 0.5, ax))

    def beard(self, point: Tensor) -> Tensor:
        """Where a beard grows, 0..1: moustache, chin, jaw, and a strip up to the ear."""
        x, y, z = point
        ax = x.abs()
        # By depth, since the side of a head has one x and many z: the cheek stays bare, and the
        # edge climbs only where the sideburn is.
        back = ((0.55 - z) / 0.5).clamp(0.0, 1.0)
        edge = MOUTH_Y - 0.02 + 0.6 * back**4
        # Where the edge climbs, a wider transition in y keeps the same one across it.
        jaw = torch.sigmoid((edge - y) / (0.035 + 0.1 * back**2))
        jaw = jaw * smoothstep(0.12, 0.24, ax + (y < -0.64) * 0.3)
        moustache = torch.exp(-((y - MOUTH_Y - 0.095) / 0.035).square()) * (
            1.0 - smoothstep(0.2, 0.27, ax)
        )
        return torch.maximum(jaw, moustache) * ~self.surface.ear

    def neck_behind(self) -> Tensor:
        """Samples of the neck below the head, in the picture."""
        self.neck_middle = float(self.pose[0, 1]) * -0.9
        self.neck_width = self.uniform(0.36, 0.42) + 0.08 * self.masculine
        flare = 0.12 * ((-1.0 - self.y) / 0.3).clamp(min=0.0).square()
        inside = (self.x - self.neck_middle).abs() < self.neck_width + flare
        self.collar = -1.12 - 0.22 * (1.0 - ((self.x - self.neck_middle) / 0.5).square()).clamp(0.0)
        return inside & (self.y < -0.4) & (self.y > self.collar)

    # Pigments -------------------------------------------------------------------------------

    def pigments(self) -> tuple[Tensor, Tensor]:
        """Melanin and haemoglobin map values on all samples: two (S, S)."""
        x, y, _ = self.surface.point
        behind = self.neck
        x = torch.where(behind, self.x - self.neck_middle, x)
        y = torch.where(behind, self.y, y)
        ax = x.abs()
        fields = torch.cat((self.field(5), self.field(9), self.field(5), self.field(10)), dim=1)
        low_m, high_m, low_h, high_h = read_texture(fields, x, y)
        front = (~behind).float()
        lips, brows = self.lips(x, y) * front, self.brows(x, y) * front

        base = self.melanin_base
        melanin = base + 0.05 * low_m + 0.025 * high_m
        melanin = melanin - 0.05 * torch.exp(-(((ax - 0.4) / 0.2) ** 2) - ((y + 0.12) / 0.2) ** 2)
        melanin = melanin + self.uniform(0.0, 0.1) * torch.exp(
            -(((ax - EYE_X) / 0.14) ** 2) - ((y - EYE_Y + 0.02) / 0.09) ** 2
        )
        if base < 0.0 and self.chance(0.25):  # freckles, most on nose and cheeks
            where = torch.exp(-(((y + 0.08) / 0.25) ** 2)) * front
            melanin = melanin + 0.4 * read_texture(self.spots(0.03), x, y)[0] * where
        if self.chance(0.3):  # moles
            melanin = melanin + 0.7 * read_texture(self.spots(0.0006), x, y)[0] * front
        haemoglobin = (
            USUAL_BLOOD[self.skin_model]
            + self.uniform(-0.18, 0.18)
            - 0.1 * max(base, 0.0)
            + 0.05 * low_h
            + 0.03 * high_h
            + self.uniform(0.02, 0.2) * self.flush(ax, y) * front
        )
        if self.chance(0.25):  # blemishes
            haemoglobin = haemoglobin + 0.3 * read_texture(self.spots(0.004), x, y)[0] * front
        under_eyes = torch.exp(-(((ax - EYE_X) / 0.11) ** 2) - ((y - EYE_Y + 0.11) / 0.04) ** 2)
        haemoglobin = haemoglobin + self.uniform(0.0, 0.12) * under_eyes * front
        haemoglobin = haemoglobin + 0.12 * self.surface.ear

        redness = self.uniform(0.32, 0.7)
        haemoglobin = haemoglobin + redness * lips
        melanin = melanin + lips * self.uniform(-0.05, 0.12)
        hairs = float(np.clip(0.75 - 1.6 * self.hair_colour.mean(), 0.15, 0.8))
        hairs = max(hairs, base + 0.08)
        melanin = melanin + brows * self.uniform(0.55, 0.95) * (hairs - melanin)
        if self.masculine > 0.55 and not self.child and self.chance(0.5):
            thickness = (0.85 + 0.2 * read_texture(self.field(60), x, y)[0]).clamp(0.2, 1.0)
            density = self.uniform(0.1, 0.95) * thickness * self.beard(self.surface.point)
            density = density * (1.0 - lips) * front
            melanin = melanin + density * (hairs - melanin)
            haemoglobin = haemoglobin - 0.2 * density
        # Lashes and the shadow of the lid's edge.
        melanin = melanin + 0.7 * self.lid * front * (0.85 - melanin)
        melanin = melanin + 0.75 * self.nostril * front * (0.9 - melanin)
        return melanin.clamp(-0.98, 0.98), haemoglobin.clamp(-0.98, 0.98)

    def flush(self, ax: Tensor, y: Tensor) -> Tensor:
        """Places that blush: cheeks, tip of the nose, chin."""
        cheeks = torch.exp(-(((ax - 0.4) / 0.17) ** 2) - ((y + 0.2) / 0.16) ** 2)
        nose = torch.exp(-((ax / 0.12) ** 2) - ((y + 0.27) / 0.11) ** 2)
        chin = 0.5 * torch.exp(-((ax / 0.15) ** 2) - ((y + 0.85) / 0.1) ** 2)
        return cheeks + nose + chin

    # Light ----------------------------------------------------------------------------------

    def lights(self) -> tuple[list[tuple[Tensor, float]], Tensor]:
        """Distant lights as (direction, irradiance), and the lighting they make with the rest."""
        ambient = self.uniform(0.25, 0.7)
        lighting = torch.zeros(9)
        lighting[0] = ambient / 0.886227
        lighting[1] = self.uniform(0.0, 0.15)  # the sky is brighter than the ground
        lights = []
        for number in range(1 + int(self.rng.integers(0, 3))):
            strength = self.uniform(0.5, 1.0) if number == 0 else self.uniform(0.05, 0.4)
            azimuth = np.radians(self.gaussian(38.0 if number == 0 else 70.0))
            elevation = np.radians(22.0 + self.gaussian(20.0))
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
        return lights, lighting.expand(3, 9).clone()

    def shadings(
        self, relief: Relief, lights: list[tuple[Tensor, float]], lighting: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Diffuse, specular and unoccluded shading on all samples: three (S, S)."""
        x, y, z = self.surface.point
        self.normal = normal = self.normals_everywhere()
        shade = sh_shading(normal.unsqueeze(0), lighting.unsqueeze(0))[0, 0]
        cavity, overhang = read_texture(torch.cat((relief.cavity, relief.overhang), dim=1), x, y)
        front = smoothstep(0.0, 0.3, z) * self.surface.hit
        open_sky = 1.0 - front * (2.2 * cavity.clamp(0.0, 0.2) + 1.1 * overhang.clamp(0.0, 0.3))
        under_chin = smoothstep(-1.3, -0.75, self.y) * self.neck
        diffuse = (shade * open_sky.clamp(0.3, 1.0) * (1.0 - 0.55 * under_chin)).clamp(min=0.02)

        oily = (
            torch.exp(-((x / 0.3) ** 2) - ((y - 0.5) / 0.16) ** 2)
            + 1.2 * torch.exp(-((x / 0.07) ** 2) - ((y + 0.12) / 0.22) ** 2)
            + 0.9 * torch.exp(-(((x.abs() - 0.4) / 0.14) ** 2) - ((y + 0.02) / 0.1) ** 2)
            + 0.5 * torch.exp(-((x / 0.1) ** 2) - ((y + 0.85) / 0.07) ** 2)
            + 0.9 * torch.exp(-((x / 0.12) ** 2) - ((y - MOUTH_Y + 0.05) / 0.03) ** 2)
        )
        sheen = float(np.exp(self.uniform(np.log(0.02), np.log(0.45))))
        sharp = float(np.exp(self.uniform(np.log(8.0), np.log(45.0))))
        specular = torch.zeros_like(x)
        viewer = torch.tensor([0.0, 0.0, 1.0])
        for direction, strength in lights:
            half = unit(direction + viewer)
            cosine = torch.einsum("c,chw->hw", half, normal).clamp(0.0, 1.0)
            lobes = cosine**sharp + 0.25 * cosine ** (0.25 * sharp)
            specular = specular + sheen * strength * lobes * (0.25 + oily)
        grazing = (1.0 - normal[2].clamp(0.0, 1.0)) ** 5
        specular = (
            (specular + 0.1 * sheen * grazing * shade) * self.surface.hit * open_sky.clamp(0.2, 1)
        )
        return diffuse, specular.clamp(min=LEAST_SPECULAR), shade

    def normals_everywhere(self) -> Tensor:
        """Normals of the head, of the neck as a cylinder, and of hair beside the head: (3, S, S)."""
        x = ((self.x - self.neck_middle) / self.neck_width).clamp(-0.97, 0.97)
        cylinder = torch.stack((x, torch.full_like(x, -0.1), (1.0 - x.square()).sqrt()))
        ball_x, ball_y = (self.x / 1.15).clamp(-0.95, 0.95), ((self.y - 0.1) / 1.5).clamp(-0.9, 0.9)
        ball = torch.stack(
            (ball_x, ball_y, (1.0 - ball_x**2 - 0.5 * ball_y**2).clamp(min=0.05).sqrt())
        )
        elsewhere = torch.where(self.neck, unit(cylinder), unit(ball))
        return torch.where(self.surface.hit, self.surface.normal, elsewhere)

    # Everything that is not skin ------------------------------------------------------------

    def other_colours(self, shade: Tensor) -> Tensor:
        """Linear RGB of background, clothes, hair, eyes and mouth: (3, S, S)."""
        x, y, _ = self.surface.point
        picture = torch.zeros(3, *self.x.shape)
        shoulders = (self.y < self.collar) & (self.y < -0.98 - 0.35 * (self.x / 1.1).abs() ** 3)
        cloth = torch.from_numpy(self.rng.uniform(0.01, 0.5, 3).astype(np.float32))
        cloth = cloth * (0.4 + 0.6 * self.uniform(0.0, 1.0))
        picture = torch.where(shoulders, cloth[:, None, None] * shade, picture)
        colour = torch.from_numpy(self.hair_colour.astype(np.float32))[:, None, None]
        strands = 1.0 + 0.35 * read_texture(self.field(40), self.x * 0.8, 0.25 * self.y)[0]
        gloss = torch.einsum("c,chw->hw", torch.tensor([0.0, 0.55, 0.83]), self.normal)
        gloss = 0.04 * gloss.clamp(min=0.0) ** 12
        strand_colour = (colour * strands.clamp(0.3, 2.0) + gloss) * (0.3 + 0.7 * shade)
        self.painted = shoulders | self.surface.hit
        if not self.bald:
            behind = self.hair_behind()
            picture = torch.where(behind, 0.75 * strand_colour, picture)
            self.painted = self.painted | behind
        picture = torch.where(self.hair, strand_colour, picture)
        return self.paint_eyes_and_mouth(picture, x, y, shade)

    def background(self) -> Tensor:
        """Two colours blended along a gradient with soft blobs: (3, S, S)."""
        ends = torch.from_numpy(self.rng.uniform(0.0, 1.0, (2, 3)) ** 2).float()
        ends = ends * self.uniform(0.05, 0.9)
        if self.chance(0.8):  # greyish
            ends = 0.3 * ends + 0.7 * ends.mean(dim=1, keepdim=True)
        angle = self.uniform(0.0, 6.28)
        ramp = 0.5 + 0.4 * (np.cos(angle) * self.x + np.sin(angle) * self.y)
        blobs = read_texture(self.field(int(self.rng.integers(3, 14))), 0.8 * self.x, 0.8 * self.y)[
            0
        ]
        blend = (ramp + self.uniform(0.0, 0.35) * blobs).clamp(0.0, 1.0)
        return ends[0][:, None, None] * blend + ends[1][:, None, None] * (1.0 - blend)

    def hair_behind(self) -> Tensor:
        """Samples of hair beside and behind the head, in the picture."""
        volume = self.uniform(0.02, 0.16)
        wide, tall = self.head.half_width + volume, 1.12 + volume
        shift = float(self.pose[0, 2]) * -0.25
        x, y = self.x - shift, self.y - 0.1
        wave = 0.03 * read_texture(self.field(12), self.x * 0.7, self.y * 0.7)[0]
        crown = (x / wide).square() + (y / tall).square() < 1.0 + 2.0 * wave
        crown = crown & (y > self.uniform(-0.2, 0.1))
        if self.masculine < 0.55 and self.chance(0.75):  # long, down the sides
            length = self.uniform(-1.3, -0.3)
            flare = wide + 0.12 * (0.1 - y).clamp(0.0, 1.0) + wave
            crown = crown | ((x.abs() < flare) & (y < 0.1) & (self.y > length + 0.1 * wave))
        return crown & ~self.surface.hit & ~(self.neck & (self.x - self.neck_middle).abs().lt(0.3))

    def paint_eyes_and_mouth(self, picture: Tensor, x: Tensor, y: Tensor, shade: Tensor) -> Tensor:
        """Sclera, iris, pupil and catch light; teeth and the dark behind them."""
        iris = torch.from_numpy(EYE_COLOURS[self.rng.integers(len(EYE_COLOURS))]).float()
        if self.melanin_base > 0.0:
            iris = torch.from_numpy(EYE_COLOURS[0]).float()
        white = torch.tensor([0.62, 0.56, 0.53])[:, None, None] * (0.35 + 0.4 * shade)
        distance = self.iris_distance
        eye = torch.where(distance < 1.0, iris[:, None, None] * (0.4 + 0.6 * shade), white)
        eye = torch.where(distance < 0.42, torch.full_like(eye, 0.004), eye)
        glint = ((x.abs() - EYE_X - 0.016).square() + (y - EYE_Y - 0.02).square()).sqrt() < 0.013
        eye = torch.where(glint, torch.full_like(eye, 0.8), eye)
        picture = torch.where(self.eye, eye, picture)
        teeth = self.chance(0.7)
        low = y < self.mouth_line(x) - (0.3 * self.open_mouth if teeth else -1.0)
        enamel = torch.tensor([0.4, 0.37, 0.32])[:, None, None] * (0.3 + 0.5 * shade)
        dark = torch.tensor([0.025, 0.006, 0.006])[:, None, None].expand_as(enamel)
        return torch.where(self.mouth, torch.where(low, dark, enamel), picture)

    # Light source, camera and sensor --------------------------------------------------------

    def light_and_camera(self) -> tuple[Illuminant, Tensor]:
        """Mostly one kind of light, sometimes two; a camera from the Gaussian prior."""
        weights = torch.zeros(1, len(ILLUMINANT_NAMES))
        kinds = [0, 1, int(self.rng.integers(2, len(ILLUMINANT_NAMES)))]
        first, second = self.rng.choice(kinds, size=2, p=[0.2, 0.5, 0.3])
        share = 1.0 if self.chance(0.6) else self.uniform(0.5, 1.0)
        weights[0, first] += share
        weights[0, second] += 1.0 - share
        cct = float(np.exp(self.uniform(np.log(4000.0), np.log(12000.0))))
        camera = np.clip(self.rng.normal(size=(1, 2)), -2.5, 2.5).astype(np.float32)
        return Illuminant(weights, torch.tensor([cct])), torch.from_numpy(camera)

    def brightness(self) -> float:
        """Luminance that the bright parts of the face reach: between that of one exposure for all
        skins and that of an exposure for each.
        """
        fraction = float(melanosome_fraction(torch.tensor(self.melanin_base)))
        return self.uniform(0.4, 0.8) * float(np.exp(-6.0 * fraction))

    def exposure(self, rendered: Tensor, skin: Tensor) -> float:
        """Factor that brings the bright skin of (1, 3, S, S) to the brightness drawn for this face.

        Less where a channel would leave the range on more than a few pixels: the red of orange skin
        saturates long before its luminance does.
        """
        reached = self.brightness()
        if not skin.any():
            return reached
        bright = float(torch.quantile(luminance(rendered)[0][skin], 0.95))
        strongest = float(torch.quantile(rendered.amax(dim=1, keepdim=True)[0][skin], 0.98))
        return min(reached / max(bright, 1e-4), 1.0 / max(strongest, 1e-4))

    def sensor(self, image: Tensor) -> Tensor:
        """Blur of some lenses, shot and read noise of a random sensor."""
        if self.chance(0.3):
            spread = self.uniform(0.05, 0.2)
            kernel = torch.tensor([spread, 1.0 - 2.0 * spread, spread])
            kernel = (kernel[:, None] * kernel[None, :]).expand(3, 1, 3, 3)
            image = F.conv2d(F.pad(image[None], (1, 1, 1, 1), mode="replicate"), kernel, groups=3)[
                0
            ]
        level = (
            0.0 if self.chance(0.2) else float(np.exp(self.uniform(np.log(0.001), np.log(0.02))))
        )
        grain = torch.from_numpy(self.rng.normal(size=(2, *image.shape)).astype(np.float32))
        return image + level * (image.clamp(min=0.0).sqrt() * grain[0] + 0.15 * grain[1])
