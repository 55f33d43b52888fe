"""Decompose photographs without a network, by synthesis: python -m biofacenet.fit PHOTO [PHOTO ...].

Maps, light and camera are sought that render to the photo and are plausible. Four numbers a pixel
cannot be read from three, and so the answer depends on the priors, all of which are named below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor

from .cli import choose_device, parse, run
from .decomposition import Decomposition
from .errors import BioFaceNetError
from .exports import Format, check_formats
from .inputs import expand
from .photo import Photo
from .physics.camera import COORDINATE_RANGE
from .physics.illuminant import CCT_RANGE, ILLUMINANT_NAMES, Illuminant
from .physics.skin import SkinName, skin_name
from .renderer import render
from .results import (
    Part,
    Result,
    choose_box,
    choose_parts,
    cut,
    parse_crop,
    parse_face,
    process,
    region,
)
from .skin_mask import eyes_and_teeth, face_region, skin_mask

__all__ = ["Fit", "Priors", "Settings", "Start", "analyse", "fit", "main", "seen_skin"]

COARSEST = 32
"""Side of the images that are fitted first, from every start."""
OUTSIDE = 0.02
"""Weight of pixels outside the mask: they get maps too, and hardly a say on light and camera."""
SIZES = (16, 2048)
USUAL_HAEMOGLOBIN: dict[SkinName, float] = {"published": -0.33, "measured": 0.3}
"""Map value of usual facial skin; that of the measured skin is the median of measured faces."""
GRID = 24
"""Steps of each pigment that the first guess chooses from."""


@dataclass(frozen=True)
class Priors:
    """What is plausible: each number weighs its term against the error of a pixel."""

    noise: float = 0.01
    """Error of linear RGB that counts as one; larger ones count by their size, not their square."""
    pigments: float = 10.0
    """Steps of melanin and haemoglobin from pixel to pixel: pigments are smooth but for edges."""
    shading: float = 40.0
    """Squared second differences of log diffuse shading: it bends smoothly."""
    specular: float = 4.0
    """Specular shading: highlights are rare."""
    highlights: float = 0.0
    """Squared second differences of log specular shading. 0 for photos, whose highlights it flattens;
    synthetic faces, whose highlights are soft, come out better with 2."""
    haemoglobin: float = 2.0
    """Squared distance of haemoglobin from its usual value."""
    usual_haemoglobin: float = -0.33
    """On the axis of the published skin; `Priors.of` knows that of others."""
    camera: float = 0.3
    """Squared camera coordinates: their Gaussian prior."""
    light: float = 0.15
    """Share of light that is not daylight."""
    temperature: float = 0.3
    """Squared distance of the daylight from 6500 K, in 3000 K."""

    @classmethod
    def of(cls, skin: SkinName) -> Priors:
        """The defaults for a skin."""
        return cls(usual_haemoglobin=USUAL_HAEMOGLOBIN[skin])


@dataclass(frozen=True)
class Start:
    """A light to begin with."""

    light: str = "D"
    """One of `ILLUMINANT_NAMES`."""
    cct: float = 6500.0


STARTS = (Start("D"), Start("A"), Start("F2"))


@dataclass
class Fit:
    """What was found for a batch of images."""

    decomposition: Decomposition
    reconstruction: Tensor
    """(B, 3, H, W), linear sRGB."""
    objective: Tensor
    """(B,), what was minimised: mean over the mask of the error, plus the priors."""
    rmse: Tensor
    """(B,), root mean square error of the reconstruction in the mask, linear RGB."""


# What is optimised ---------------------------------------------------------------------------


@dataclass
class _Unknowns:
    """Unbounded tensors, one for each quantity of a decomposition."""

    melanin: Tensor
    haemoglobin: Tensor
    diffuse: Tensor
    specular: Tensor
    weights: Tensor
    cct: Tensor
    camera: Tensor
    skin: SkinName = "published"

    @classmethod
    def of(cls, found: Decomposition) -> _Unknowns:
        """Those that a decomposition corresponds to."""
        low, high = CCT_RANGE
        least = 1e-4
        return cls(
            melanin=torch.atanh(found.melanin.clamp(-0.97, 0.97)),
            haemoglobin=torch.atanh(found.haemoglobin.clamp(-0.97, 0.97)),
            diffuse=found.diffuse.clamp(min=1e-3).log(),
            specular=found.specular.clamp(min=1e-3).log(),
            weights=found.illuminant.weights.clamp(min=least).log(),
            cct=torch.logit((found.illuminant.cct - low) / (high - low), eps=least),
            camera=torch.atanh((found.camera / COORDINATE_RANGE[1]).clamp(-0.97, 0.97)),
            skin=found.skin,
        )

    def decomposition(self) -> Decomposition:
        low, high = CCT_RANGE
        return Decomposition(
            melanin=torch.tanh(self.melanin),
            haemoglobin=torch.tanh(self.haemoglobin),
            diffuse=torch.exp(self.diffuse),
            specular=torch.exp(self.specular),
            illuminant=Illuminant(
                torch.softmax(self.weights, dim=1),
                low + (high - low) * torch.sigmoid(self.cct),
            ),
            camera=COORDINATE_RANGE[1] * torch.tanh(self.camera),
            skin=self.skin,
        )

    @property
    def maps(self) -> list[Tensor]:
        return [self.melanin, self.haemoglobin, self.diffuse, self.specular]

    @property
    def of_image(self) -> list[Tensor]:
        return [self.weights, self.cct, self.camera]

    def map(self, change: Callable[[Tensor], Tensor]) -> _Unknowns:
        changed = {name: change(value) for name, value in self.tensors.items()}
        return _Unknowns(**changed, skin=self.skin)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All but the skin, by name."""
        return {name: value for name, value in vars(self).items() if name != "skin"}

    def resized(self, size: tuple[int, int]) -> _Unknowns:
        """Maps of another size, light and camera as they are."""
        return self.map(lambda x: _resize(x, size) if x.ndim == 4 else x)

    def chosen(self, better: Tensor, other: _Unknowns) -> _Unknowns:
        """The other's where it is better."""
        return _Unknowns(
            **{
                name: torch.where(
                    better.reshape(-1, *[1] * (value.ndim - 1)), getattr(other, name), value
                )
                for name, value in self.tensors.items()
            },
            skin=self.skin,
        )


def _resize(values: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(values, size=size, mode="bilinear", align_corners=False)


# The objective -------------------------------------------------------------------------------


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of each image: (B,)."""
    return (values * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1e-6)


def _steps(values: Tensor, weight: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Differences of neighbours across and down, where both count."""
    for axis in (3, 2):
        count = values.shape[axis] - 1
        one, next_one = values.narrow(axis, 0, count), values.narrow(axis, 1, count)
        yield next_one - one, weight.narrow(axis, 0, count) * weight.narrow(axis, 1, count)


def _bends(values: Tensor, weight: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Second differences across and down, where all three pixels count."""
    for axis in (3, 2):
        count = values.shape[axis] - 2
        if count < 1:
            continue
        a, b, c = (values.narrow(axis, k, count) for k in range(3))
        parts = [weight.narrow(axis, k, count) for k in range(3)]
        yield a - 2.0 * b + c, parts[0] * parts[1] * parts[2]


def _objective(
    unknowns: _Unknowns, image: Tensor, mask: Tensor, weight: Tensor, priors: Priors
) -> tuple[Tensor, Decomposition, Tensor]:
    """What is minimised, for each image; the decomposition and its rendering."""
    found = unknowns.decomposition()
    rendered = found.render(bands=16)
    error = ((rendered - image) / priors.noise).square().sum(dim=1, keepdim=True)
    # Robust: what is no skin within the mask does not drag light and camera along.
    total = _mean(torch.sqrt(1.0 + error) - 1.0, weight)
    # Finer grids have smaller steps; the sums along a line stay the same.
    fine = image.shape[3] / 64
    edge = 0.02
    for pigment in (found.melanin, found.haemoglobin):
        for step, count in _steps(pigment, weight):
            size = torch.sqrt(step.square() + edge**2) - edge
            total = total + priors.pigments * fine * _mean(size, count)
    for log_shading, stiff in (
        (unknowns.diffuse, priors.shading),
        (unknowns.specular, priors.highlights),
    ):
        for bend, count in _bends(log_shading, weight):
            total = total + stiff * fine**2 * _mean(bend.square(), count)
    total = total + priors.specular * _mean(found.specular, weight)
    usual = (found.haemoglobin - priors.usual_haemoglobin).square()
    total = total + priors.haemoglobin * _mean(usual, weight)
    total = total + priors.camera * found.camera.square().sum(dim=1)
    daylight = found.illuminant.weights[:, ILLUMINANT_NAMES.index("D")]
    total = total + priors.light * (1.0 - daylight)
    warmth = (found.illuminant.cct - 6500.0) / 3000.0
    return total + priors.temperature * warmth.square(), found, rendered


# Finding it ----------------------------------------------------------------------------------


def _first_guess(image: Tensor, start: Start, priors: Priors, skin: SkinName) -> _Unknowns:
    """The skin of the nearest colour for each pixel, without highlights, and as bright as needed."""
    batch, _, height, width = image.shape
    line = torch.linspace(-0.95, 0.9, GRID, device=image.device)
    melanin, haemoglobin = (x[None, None] for x in torch.meshgrid(line, line, indexing="ij"))
    weights = torch.full((1, len(ILLUMINANT_NAMES)), 1e-2, device=image.device)
    weights[:, ILLUMINANT_NAMES.index(start.light)] = 1.0
    light = Illuminant(weights / weights.sum(), torch.full((1,), start.cct, device=image.device))
    one, camera = torch.ones_like(melanin), torch.zeros(1, 2, device=image.device)
    patches = render(melanin, haemoglobin, one, 0.0 * one, light, camera, skin=skin)
    colours = patches[0].flatten(1).T
    pixels = image.permute(0, 2, 3, 1).reshape(-1, 3).clamp(min=1e-3)
    seen, known = ((x / x.sum(dim=1, keepdim=True) + 1e-4).log() for x in (pixels, colours))
    unusual = 2e-3 * (haemoglobin.flatten() - priors.usual_haemoglobin).square()
    nearest = (torch.cdist(seen, known).square() + unusual).argmin(dim=1)

    def plane(values: Tensor) -> Tensor:
        return values.reshape(batch, 1, height, width)

    bright = pixels.sum(dim=1) / colours.sum(dim=1).clamp(min=1e-4)[nearest]
    return _Unknowns.of(
        Decomposition(
            melanin=plane(melanin.flatten()[nearest]),
            haemoglobin=plane(haemoglobin.flatten()[nearest]),
            diffuse=plane(bright.clamp(0.05, 20.0)),
            specular=torch.full((batch, 1, height, width), 0.02, device=image.device),
            illuminant=Illuminant(
                light.weights.expand(batch, -1).contiguous(), light.cct.expand(batch).contiguous()
            ),
            camera=camera.expand(batch, -1).contiguous(),
            skin=skin,
        )
    )


def _minimise(
    unknowns: _Unknowns,
    image: Tensor,
    mask: Tensor,
    priors: Priors,
    steps: int,
    tick: Callable[[], object],
    rate: float = 0.05,
) -> tuple[_Unknowns, Tensor]:
    """Some steps of Adam, the rate falling along a cosine; also the objective of each image."""
    unknowns = unknowns.map(lambda x: x.detach().clone().requires_grad_())
    weight = mask + OUTSIDE * (1.0 - mask)
    optimiser = torch.optim.Adam(
        [*unknowns.maps, *unknowns.of_image], lr=rate, betas=(0.9, 0.99), fused=True
    )
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * (0.5 + 0.5 * math.cos(math.pi * step / steps)) + 1e-4
        objective, _, _ = _objective(unknowns, image, mask, weight, priors)
        optimiser.zero_grad(set_to_none=True)
        objective.sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        tick()
    with torch.no_grad():
        objective, _, _ = _objective(unknowns, image, mask, weight, priors)
    return unknowns.map(Tensor.detach), objective


def _scales(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes from coarse to fine, each about twice the one before."""
    longer = max(height, width)
    found = [(height, width)]
    while longer > 1.5 * COARSEST:
        longer = -(-longer // 2)
        share = longer / max(height, width)
        found.append((max(4, round(height * share)), max(4, round(width * share))))
    return found[::-1]


def fit(
    image: Tensor,
    mask: Tensor | None = None,
    *,
    start: Decomposition | None = None,
    starts: tuple[Start, ...] = STARTS,
    priors: Priors | None = None,
    steps: int = 80,
    skin: SkinName = "published",
    progress: Callable[[int, int], object] | None = None,
) -> Fit:
    """Maps, light and camera that render to images, without a network.

    Adam on the fused renderer, coarse to fine. Coarsely, every start is tried, and each image goes
    on from the one that explains it best.

    Args:
        image: (B, 3, H, W), linear sRGB in 0..1, H and W at least 16.
        mask: (B or 1, 1, H, W), 1 where skin is, which light and camera are found from; other pixels
            get maps too. Everywhere when not given.
        start: refine this instead, at the full size alone.
        starts: lights to begin with.
        priors: what is plausible; `Priors.of` the skin when not given.
        steps: of each size, half as many again of the coarsest.
        skin: which constants of the skin model to fit, ``published`` or ``measured``; those of the
            start where there is one.
        progress: called with the steps done and all steps.

    Raises:
        ValueError: shapes do not fit, the skin is unknown, or there is no start or no step.
    """
    if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[2:]) < SIZES[0]:
        raise ValueError(
            f"image must have shape (B, 3, H, W) with H and W at least {SIZES[0]}, got "
            f"{tuple(image.shape)}"
        )
    batch, _, height, width = image.shape
    if mask is None:
        mask = torch.ones_like(image[:, :1])
    if mask.ndim != 4 or mask.shape[0] not in (1, batch) or mask.shape[1:] != (1, height, width):
        raise ValueError(
            f"mask must have shape ({batch} or 1, 1, {height}, {width}), got {tuple(mask.shape)}"
        )
    if steps < 1 or (start is None and not starts):
        raise ValueError("at least one step and one start are needed")
    mask = mask.to(image).expand(batch, 1, height, width)
    priors = priors or Priors.of(skin_name(skin) if start is None else start.skin)
    scales = _scales(height, width) if start is None else [(height, width)]
    coarse = steps + steps // 2
    total = (len(scales) - 1) * steps + (len(starts) * coarse if start is None else steps)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    def seen(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        return F.adaptive_avg_pool2d(image, size), F.adaptive_avg_pool2d(mask, size).round()

    if start is not None:
        # What was found already is changed by small steps.
        best, objective = _minimise(
            _Unknowns.of(start.to(image.device, image.dtype)),
            image,
            mask,
            priors,
            steps,
            tick,
            0.02,
        )
    else:
        pixels, where = seen(scales[0])
        tried = [
            _minimise(
                _first_guess(pixels, one, priors, skin_name(skin)),
                pixels,
                where,
                priors,
                coarse,
                tick,
            )
            for one in starts
        ]
        best, objective = tried[0]
        for other, its_objective in tried[1:]:
            better = its_objective < objective
            best = best.chosen(better, other)
            objective = torch.minimum(objective, its_objective)
        for size in scales[1:]:
            pixels, where = seen(size)
            best, objective = _minimise(best.resized(size), pixels, where, priors, steps, tick)
    with torch.no_grad():
        found = best.decomposition()
        rendered = found.render()
        error = _mean((rendered - image).square().mean(dim=1, keepdim=True), mask).sqrt()
    return Fit(found, rendered, objective, error)


# Command line --------------------------------------------------------------------------------


@dataclass
class Settings:
    """Decompose photos without a network: maps, light and camera that render to each photo.

    Leaves the same files as python -m biofacenet.predict. Slower than a network, a second or two a
    photo, and true to the photo to its last detail; needs no training.
    """

    photos: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Photos (JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF), folders of them, or patterns in quotes."""
    out: Path = Path("fits")
    """Folder for results, one folder in it for each face."""
    crop: str = "face"
    """What to look at: 'face' finds it, and takes the central square where there is none; 'whole'
    is the central square; LEFT,TOP,SIZE is a square in pixels."""
    face: str = "all"
    """Which face of several: all, largest, or a number, 1 being the largest."""
    whole_image: bool = False
    """Look at all of the photo, not at faces or squares."""
    size: int = 256
    """Longer side of what is fitted, in pixels."""
    steps: int = 80
    """Steps of each size, from coarse to fine; more are slower and closer."""
    skin: SkinName = "published"
    """Constants of the skin model: published, those of the paper's authors, or measured, tuned on
    measured spectra."""
    format: tuple[Format, ...] = ()
    """Other formats for the maps: png16 (16 bits), exr (OpenEXR, float)."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""


def analyse(
    photo: Photo,
    *,
    crop: str = "face",
    size: int = 256,
    steps: int = 80,
    skin: SkinName = "published",
    device: torch.device | str = "cpu",
    part: Part | None = None,
) -> Result:
    """What the face of a photo is made of, without a network.

    Args:
        photo: from `read_photo`.
        crop: ``face`` (the largest), ``whole``, ``image`` or ``LEFT,TOP,SIZE`` in pixels.
        size: longer side of what is fitted, 16 to 2048.
        steps: of each size.
        skin: which constants of the skin model to fit, ``published`` or ``measured``.
        device: where to compute.
        part: what to look at instead, from `results.choose_parts`.

    Raises:
        BioFaceNetError: ``crop``, ``size`` or ``steps`` cannot be used.
        PhotoError: a named square misses the photo.
    """
    check(size, steps)
    part = part or Part(*choose_box(photo, crop))
    image = cut(photo, part.box, size)
    framing = part.framing
    mask = seen_skin(image, framing, region(photo, part, *image.shape[2:]), skin)
    if mask.all():
        framing += ", no skin found, everything fitted"
    found = fit(image.to(device), mask.to(device), steps=steps, skin=skin)
    return Result(
        photo=photo,
        box=part.box,
        framing=framing,
        image=image,
        decomposition=found.decomposition.to("cpu"),
        reconstruction=found.reconstruction.cpu(),
        mask=mask,
    )


def seen_skin(
    image: Tensor, framing: str, where: Tensor | None = None, skin: SkinName = "published"
) -> Tensor:
    """Where skin is in a part that `results.cut` made; everywhere if next to none is seen.

    Args:
        image: (1, 3, H, W), linear sRGB.
        framing: how the part was found.
        where: (1, 1, H, W), where faces are, if it is known better than by the framing.
        skin: which constants of the skin model decide what has a colour of skin.
    """
    if where is None and framing.startswith("face"):
        where = face_region(*image.shape[2:])
    mask = skin_mask(image, region=where, skin=skin)
    if framing.startswith("face"):
        mask = mask * (1.0 - eyes_and_teeth(image, mask))
    return mask if mask.mean() >= 0.02 else torch.ones_like(mask)


def check(size: int, steps: int) -> None:
    """Raise BioFaceNetError where a setting is out of range."""
    if not SIZES[0] <= size <= SIZES[1]:
        raise BioFaceNetError(f"size {size}: expected {SIZES[0]} to {SIZES[1]} pixels, such as 256")
    if steps < 1:
        raise BioFaceNetError(f"steps must be at least 1, got {steps}")


def main() -> None:
    """Fit the photos that the command line names."""
    settings = parse(Settings, program="biofacenet.fit")
    check(settings.size, settings.steps)
    crop = "image" if settings.whole_image else settings.crop
    parse_crop(crop)
    parse_face(settings.face)
    check_formats(settings.format)
    device = choose_device(settings.device)

    def faces(photo: Photo) -> list[Result]:
        return [
            analyse(
                photo,
                part=part,
                size=settings.size,
                steps=settings.steps,
                skin=settings.skin,
                device=device,
            )
            for part in choose_parts(photo, crop, settings.face)
        ]

    process(
        expand(settings.photos, without=settings.out),
        settings.out,
        faces,
        method=f"fitted without a network, on {device}",
        formats=settings.format,
    )


if __name__ == "__main__":
    run(main)
