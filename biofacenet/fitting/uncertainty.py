"""How far an estimate can be trusted: standard deviations of maps, by the curvature at the estimate.

Around an estimate the renderer is nearly linear, rgb = J x + G g, with x the four quantities of a pixel
(melanin, haemoglobin, log diffuse, log specular) and g the light and the camera of the image. Each
pixel's x is a level that the whole face shares plus its own deviation from it; levels, deviations, light
and camera are Gaussian with the spreads of `Spread`, and so is the noise. The posterior is then Gaussian
too (Laplace's approximation with the Gauss-Newton matrix), and splits in two:

    cov(x) = H^-1 + B cov(t) B^T,   H = P + J^T J / noise^2,   B = [1, 0] - H^-1 J^T [J, G] / noise^2

H^-1 is what one pixel's colour leaves open, t holds level, light and camera, which all pixels see
through the same three channels, and cov(t) is the inverse of

    prior precision + sum over skin of [J, G]^T (noise^2 + J P^-1 J^T)^-1 [J, G] * patches / pixels

where neighbours count as one, because they deviate together. The second part does not shrink with more
pixels: it is why a face's overall melanin is less certain than its pattern.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..decomposition import Calibration, Decomposition
from ..physics.camera import COORDINATE_RANGE
from ..physics.illuminant import CCT_RANGE, ILLUMINANT_NAMES, Illuminant
from ..physics.names import SkinName
from ..physics.skin import SKINS, blood_fraction, melanosome_fraction
from ..system.brief import Brief
from ..system.device import plain_defaults
from ..system.lasting import with_gradients

__all__ = [
    "LocalSlopes",
    "Spread",
    "Uncertainty",
    "estimate",
    "interval",
    "slopes",
]

UNKNOWNS = ("melanin", "haemoglobin", "diffuse", "specular")
"""Order of the four quantities of a pixel; the shadings by their logarithm."""

LEAST_SPECULAR = 1e-3
"""Below it a highlight is nothing that a picture shows, and its logarithm has no meaning."""


@dataclass(frozen=True)
class Spread:
    """How much everything varies: standard deviations.

    Deviations within a face are those of the synthetic faces (`biofacenet.data.synthetic`). Levels,
    noise and patches are wider than theirs (0.41, 0.12, 0.35, 1.1; 0.01), because an estimate is not the
    posterior mean and the model is not linear: with these, the 68 % intervals of `biofacenet.fit` hold
    the truth about as often as they say. What no Gaussian says, such as a beard that passes for
    melanin, is not in here.
    """

    noise: float = 0.02
    """Linear RGB: noise, and what the model does not explain."""
    level: tuple[float, float, float, float] = (1.0, 0.2, 0.5, 1.1)
    """Of the faces' means, in the order of `UNKNOWNS`."""
    deviation: tuple[float, float, float, float] = (0.1, 0.085, 0.36, 1.6)
    """Of pixels from the mean of their face."""
    light: float = 0.3
    """Share of another standard light in the mixture."""
    cct: float = 2500.0
    """Kelvin, of daylight."""
    camera: float = 1.0
    """Coordinates b."""
    patches: float = 4.0
    """Number of patches of a face that deviate from its mean independently."""


@dataclass(frozen=True)
class LocalSlopes:
    """Derivatives of linear RGB at an estimate, for the N = H W pixels of one image, in float64."""

    pixel: Tensor
    """(N, 3, 4), with respect to melanin, haemoglobin, log diffuse and log specular."""
    image: Tensor
    """(N, 3, 17), with respect to the share of each of 14 standard lights, which takes from the others
    in proportion, the CCT in kelvin, and the camera's b1 and b2."""


@dataclass(frozen=True, repr=False)
class Uncertainty(Brief):
    """Standard deviations at an estimate, of one image."""

    melanin: Tensor
    """(1, 1, H, W), of the map value, as for the others: float32."""
    haemoglobin: Tensor
    """(1, 1, H, W), of the map value."""
    diffuse: Tensor
    """(1, 1, H, W), of the logarithm: 0.1 is about 10 %."""
    specular: Tensor
    """(1, 1, H, W), of the logarithm."""
    face_melanin: float
    """Of the mean over the skin, in map values; the same for the others."""
    face_haemoglobin: float
    face_diffuse: float
    face_specular: float
    cct: float
    """Of the temperature of daylight, kelvin."""
    camera: tuple[float, float]
    """Of b1 and b2."""
    skin: SkinName
    """Of the maps."""

    def calibrated(self, calibration: Calibration, tone: float) -> Uncertainty:
        """The same, brought to hold the truth as often as it says.

        Args:
            calibration: of the method that the estimate is of.
            tone: mean of the found melanin map over the skin.
        """
        factor = calibration.factor
        return replace(
            self,
            **{q: getattr(self, q) * factor("pixels", q, tone) for q in UNKNOWNS},
            **{
                f"face_{q}": getattr(self, f"face_{q}") * factor("faces", q, tone) for q in UNKNOWNS
            },
            camera=(calibration.errors["b1"], calibration.errors["b2"]),
        )

    def melanosomes(self, melanin: Tensor) -> Tensor:
        """Half the width of the 68 % interval of the melanosome fraction, for a melanin map."""
        return _half_width("melanin", melanin, self.melanin, self.skin)

    def blood(self, haemoglobin: Tensor) -> Tensor:
        """Half the width of the 68 % interval of the blood fraction, for a haemoglobin map."""
        return _half_width("haemoglobin", haemoglobin, self.haemoglobin, self.skin)


def interval(name: str, value: float, deviation: float, *, skin: SkinName) -> tuple[float, float]:
    """The 68 % interval of a fraction, from a map value and its standard deviation.

    Args:
        name: ``melanin`` or ``haemoglobin``.
        value: of the map.
        deviation: of the map value.
        skin: of the map.

    Returns:
        Melanosome or blood volume fraction at both ends; wider upwards, as the axis is a cube.
    """
    ends = torch.tensor([value - deviation, value + deviation], dtype=torch.float64).clamp(-1, 1)
    low, high = _FRACTIONS[name](ends, SKINS[skin]).tolist()
    return low, high


def _half_width(name: str, values: Tensor, deviation: Tensor, skin: SkinName) -> Tensor:
    above, below = (values + deviation).clamp(-1, 1), (values - deviation).clamp(-1, 1)
    fraction, constants = _FRACTIONS[name], SKINS[skin]
    width: Tensor = (fraction(above, constants) - fraction(below, constants)) / 2.0
    return width


_FRACTIONS = {"melanin": melanosome_fraction, "haemoglobin": blood_fraction}

# Slopes --------------------------------------------------------------------------------------


def slopes(found: Decomposition) -> LocalSlopes:
    """Derivatives of what an estimate renders to; exact for pixels, by differences for the image.

    Args:
        found: of one image.

    Raises:
        ValueError: of several.
    """
    if len(found) != 1:
        raise ValueError(f"slopes are those of one image, got a batch of {len(found)}")
    found = found.detach().to("cpu", torch.float64)
    return LocalSlopes(_pixel_slopes(found), _image_slopes(found))


def _pixel_slopes(found: Decomposition) -> Tensor:
    melanin, haemoglobin, diffuse, specular = (
        getattr(found, name).clone().requires_grad_() for name in UNKNOWNS
    )
    maps = (melanin, haemoglobin, diffuse, specular)
    changed = dict(zip(UNKNOWNS, maps, strict=True))
    image = replace(found, **changed).render(accuracy="fast")
    # A pixel's colour depends on its own maps alone, so a sum over pixels keeps them apart.
    rows = [
        torch.autograd.grad(image[:, channel].sum(), maps, retain_graph=channel < 2)
        for channel in range(3)
    ]
    jacobian = torch.stack([torch.stack([g.flatten() for g in row]) for row in rows])  # [3, 4, N]
    scale = torch.ones(4, maps[0].numel(), dtype=torch.float64)
    scale[2] = found.diffuse.flatten()
    scale[3] = found.specular.flatten().clamp(min=LEAST_SPECULAR)
    return (jacobian * scale).permute(2, 0, 1)


def _image_slopes(found: Decomposition) -> Tensor:
    weights, cct, camera = found.illuminant.weights, found.illuminant.cct, found.camera
    share, kelvin, step = 1e-3, 10.0, 1e-3

    def colours(weights: Tensor, cct: Tensor, camera: Tensor) -> Tensor:
        moved = replace(found, illuminant=Illuminant(weights, cct), camera=camera)
        return moved.render(accuracy="fast")[0].flatten(1).T

    # At the ends of a range, differences are one-sided.
    columns = []
    here = colours(weights, cct, camera)
    for standard in torch.eye(len(ILLUMINANT_NAMES), dtype=torch.float64):
        moved = weights + share * (standard - weights)
        columns.append((colours(moved, cct, camera) - here) / share)
    ends = [(cct + sign * kelvin).clamp(*CCT_RANGE) for sign in (-1, 1)]
    below, above = (colours(weights, end, camera) for end in ends)
    columns.append((above - below) / (ends[1] - ends[0]))
    for axis in range(2):
        one = torch.zeros_like(camera)
        one[:, axis] = step
        ends = [(camera + sign * one).clamp(*COORDINATE_RANGE) for sign in (-1, 1)]
        below, above = (colours(weights, cct, end) for end in ends)
        columns.append((above - below) / (ends[1] - ends[0])[0, axis])
    return torch.stack(columns, dim=2)


# The posterior -------------------------------------------------------------------------------


@with_gradients()
@plain_defaults()
def estimate(
    found: Decomposition, mask: Tensor | None = None, *, spread: Spread | None = None
) -> Uncertainty:
    """Standard deviations of the maps of one image.

    Args:
        found: the estimate.
        mask: (1, 1, H, W), 1 where skin is, which tells of level, light and camera; everywhere when not
            given, or where it is empty. All pixels get deviations.
        spread: how much everything varies.

    Raises:
        ValueError: a batch of several, or a mask of another size.

    Example:
        >>> found = Decomposition.load("maps.npz")  # doctest: +SKIP
        >>> float(estimate(found).melanin.median())  # doctest: +SKIP
        0.12
    """
    spread = spread or Spread()
    if found.melanin.is_inference():
        found = found.map(Tensor.clone)
    height, width = found.melanin.shape[2:]
    if mask is None or not bool((mask > 0.5).any()):
        mask = torch.ones(1, 1, height, width)
    if mask.shape != (1, 1, height, width):
        raise ValueError(f"mask must have shape (1, 1, {height}, {width}), got {tuple(mask.shape)}")
    skin = mask.flatten().cpu() > 0.5
    deviation, face, shared = _posterior(slopes(found), skin, spread)
    planes = [column.reshape(1, 1, height, width).float() for column in deviation.T]
    light = shared.diagonal()[-3:].sqrt().tolist()
    return Uncertainty(
        melanin=planes[0],
        haemoglobin=planes[1],
        diffuse=planes[2],
        specular=planes[3],
        face_melanin=float(face[0]),
        face_haemoglobin=float(face[1]),
        face_diffuse=float(face[2]),
        face_specular=float(face[3]),
        cct=light[0],
        camera=(light[1], light[2]),
        skin=found.skin,
    )


def _posterior(local: LocalSlopes, skin: Tensor, spread: Spread) -> tuple[Tensor, Tensor, Tensor]:
    """Deviations of pixels (N, 4) and of the face's mean (4,), and the covariance of what pixels share."""
    identity = torch.eye(4, dtype=torch.float64)
    variance = torch.tensor(spread.deviation, dtype=torch.float64).square()
    both = torch.cat((local.pixel, local.image), dim=2)  # [N, 3, 4 + 17]

    # (noise^2 + J P^-1 J^T)^-1, 3 x 3, gives H^-1 and H^-1 J^T / noise^2 without another inverse.
    spanned = local.pixel * variance
    outer = spanned @ local.pixel.mT + spread.noise**2 * torch.eye(3, dtype=torch.float64)
    precision = torch.linalg.inv(outer)
    gain = spanned.mT @ precision  # [N, 4, 3]
    within = torch.diag(variance) - gain @ spanned
    sensitivity = torch.cat((identity.expand(len(both), 4, 4), both.new_zeros(len(both), 4, 17)), 2)
    sensitivity = sensitivity - gain @ both  # [N, 4, 21]

    own = [*spread.level, *[spread.light] * len(ILLUMINANT_NAMES), spread.cct, *[spread.camera] * 2]
    prior = torch.diag(torch.tensor(own, dtype=torch.float64) ** -2)
    seen = both[skin]
    weight = min(1.0, spread.patches / len(seen))
    information = torch.einsum("nci,ncd,ndj->ij", seen, precision[skin], seen)
    shared = torch.linalg.inv(prior + weight * information)

    common = torch.einsum("nai,ij,naj->na", sensitivity, shared, sensitivity)
    deviation = (within.diagonal(dim1=1, dim2=2) + common).clamp(min=0.0).sqrt()
    mean = sensitivity[skin].mean(dim=0)
    average = within[skin].mean(dim=0).diagonal() * max(1.0 / spread.patches, 1.0 / len(seen))
    face = ((mean @ shared @ mean.T).diagonal() + average).sqrt()
    return deviation, face, shared
