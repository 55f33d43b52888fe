"""What makes a decomposition plausible: the error of the image, and priors, all of which are named here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decomposition import Decomposition
from ..physics.camera import COORDINATE_RANGE
from ..physics.illuminant import CCT_RANGE, ILLUMINANT_NAMES, Illuminant
from ..physics.skin import SkinName

__all__ = [
    "OUTSIDE",
    "Priors",
    "Unknowns",
    "objective_of",
    "weighted_mean",
]

OUTSIDE = 0.02
"""Weight of pixels outside the mask: they get maps too, and hardly a say on light and camera."""

USUAL_HAEMOGLOBIN: dict[SkinName, float] = {"published": -0.33, "measured": 0.3}
"""Map value of usual facial skin; that of the measured skin is the median of measured faces."""


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
    brightness: float = 0.0
    """Squared distance of the mean of log diffuse shading over the skin from its usual value. `Priors.of`
    the measured skin has 1: its darkest colours are less colourful again, so that dark skin and dim light
    differ in brightness alone."""
    usual_brightness: float = math.log(2.0)
    """Of log diffuse shading: well exposed."""
    camera: float = 0.3
    """Squared camera coordinates: their Gaussian prior."""
    light: float = 0.15
    """Share of light that is not daylight."""
    temperature: float = 0.3
    """Squared distance of the daylight from 6500 K, in 3000 K."""

    @classmethod
    def of(cls, skin: SkinName) -> Priors:
        """The defaults for a skin."""
        return cls(
            usual_haemoglobin=USUAL_HAEMOGLOBIN[skin],
            brightness=1.0 if skin == "measured" else 0.0,
        )


# What is optimised ---------------------------------------------------------------------------


@dataclass
class Unknowns:
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
    def of(cls, found: Decomposition) -> Unknowns:
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

    def map(self, change: Callable[[Tensor], Tensor]) -> Unknowns:
        changed = {name: change(value) for name, value in self.tensors.items()}
        return Unknowns(**changed, skin=self.skin)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All but the skin, by name."""
        return {name: value for name, value in vars(self).items() if name != "skin"}

    def resized(self, size: tuple[int, int]) -> Unknowns:
        """Maps of another size, light and camera as they are."""
        return self.map(lambda x: _resize(x, size) if x.ndim == 4 else x)

    def chosen(self, better: Tensor, other: Unknowns) -> Unknowns:
        """The other's where it is better."""
        return Unknowns(
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


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
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


def objective_of(
    unknowns: Unknowns, image: Tensor, mask: Tensor, weight: Tensor, priors: Priors
) -> tuple[Tensor, Decomposition, Tensor]:
    """What is minimised, for each image; the decomposition and its rendering."""
    found = unknowns.decomposition()
    rendered = found.render(accuracy="fast")
    error = ((rendered - image) / priors.noise).square().sum(dim=1, keepdim=True)
    # Robust: what is no skin within the mask does not drag light and camera along.
    total = weighted_mean(torch.sqrt(1.0 + error) - 1.0, weight)
    # Finer grids have smaller steps; the sums along a line stay the same.
    fine = image.shape[3] / 64
    edge = 0.02
    for pigment in (found.melanin, found.haemoglobin):
        for step, count in _steps(pigment, weight):
            size = torch.sqrt(step.square() + edge**2) - edge
            total = total + priors.pigments * fine * weighted_mean(size, count)
    for log_shading, stiff in (
        (unknowns.diffuse, priors.shading),
        (unknowns.specular, priors.highlights),
    ):
        for bend, count in _bends(log_shading, weight):
            total = total + stiff * fine**2 * weighted_mean(bend.square(), count)
    total = total + priors.specular * weighted_mean(found.specular, weight)
    usual = (found.haemoglobin - priors.usual_haemoglobin).square()
    total = total + priors.haemoglobin * weighted_mean(usual, weight)
    level = weighted_mean(unknowns.diffuse, mask) - priors.usual_brightness
    total = total + priors.brightness * level.square()
    total = total + priors.camera * found.camera.square().sum(dim=1)
    daylight = found.illuminant.weights[:, ILLUMINANT_NAMES.index("D")]
    total = total + priors.light * (1.0 - daylight)
    warmth = (found.illuminant.cct - 6500.0) / 3000.0
    return total + priors.temperature * warmth.square(), found, rendered
