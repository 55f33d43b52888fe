"""Light: a convex mixture of CIE illuminants A, D(cct) and F1..F12.

Source: BioFaceNet, section 3.2; CIE 15:2018 for the spectra and for the daylight formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..system.brief import Brief
from .names import CCT_RANGE, DAYLIGHTS, ILLUMINANT_NAMES
from .spectra import figures, unit_sum

__all__ = [
    "CCT_RANGE",
    "ILLUMINANT_NAMES",
    "Illuminant",
    "daylight",
    "daylight_table",
    "fixed_spectra",
    "spectrum",
]

DAYLIGHT_KNOTS = 22
"""Daylights at 4000, 5000, .. 25000 K."""


@dataclass(repr=False)
class Illuminant(Brief):
    """The light of a batch of images, as mixture weights and a daylight colour temperature."""

    weights: Tensor
    """(B, 14), convex, in the order of `ILLUMINANT_NAMES`."""
    cct: Tensor
    """(B,), kelvin, 4000..25000."""

    def __post_init__(self) -> None:
        if self.weights.ndim != 2 or self.weights.shape[1] != len(ILLUMINANT_NAMES):
            raise ValueError(
                f"Illuminant.weights must have shape (B, 14), got {tuple(self.weights.shape)}"
            )
        if self.cct.shape != self.weights.shape[:1]:
            raise ValueError(
                f"Illuminant.cct must have shape ({len(self.weights)},) like the weights, got "
                f"{tuple(self.cct.shape)}"
            )

    @classmethod
    def standard(cls, name: str, cct: float = 6504.0, batch: int = 1) -> Illuminant:
        """A single standard light.

        Args:
            name: ``A``, ``D``, ``F1`` .. ``F12``, or a daylight with its temperature in hundreds of
                kelvin, such as ``D65`` (6504 K by convention) or ``D50``.
            cct: kelvin, for ``D``.
            batch: number of images it lights.
        """
        if name in DAYLIGHTS:
            name, cct = "D", DAYLIGHTS[name]
        if name not in ILLUMINANT_NAMES:
            raise ValueError(
                f"unknown illuminant {name!r}: choose one of {', '.join(ILLUMINANT_NAMES)}, "
                f"{', '.join(DAYLIGHTS)}"
            )
        if not CCT_RANGE[0] <= cct <= CCT_RANGE[1]:
            raise ValueError(f"cct must lie in 4000..25000 K, got {cct}")
        weights = torch.zeros(batch, len(ILLUMINANT_NAMES))
        weights[:, ILLUMINANT_NAMES.index(name)] = 1.0
        return cls(weights, torch.full((batch,), cct))

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Illuminant:
        """The same light on another device or in another precision; itself where nothing changes."""
        weights = self.weights.to(device=device, dtype=dtype)
        cct = self.cct.to(device=device, dtype=dtype)
        if weights is self.weights and cct is self.cct:
            return self
        return Illuminant(weights, cct)


def daylight(cct: Tensor) -> Tensor:
    """CIE daylight of a correlated colour temperature, scaled to unit sum.

    Args:
        cct: kelvin, 4000..25000, any shape.

    Returns:
        Shape of ``cct`` + (33,). The factors M1 and M2 are not rounded to three decimals: the
        authors' table is matched to 1e-6 of its peak this way and to 1.4e-4 with rounding.
    """
    t = 1e3 / cct
    x = torch.where(
        cct <= 7000.0,
        0.244063 + 0.09911 * t + 2.9678 * t**2 - 4.6070 * t**3,
        0.237040 + 0.24748 * t + 1.9018 * t**2 - 2.0064 * t**3,
    )
    y = -3.000 * x**2 + 2.870 * x - 0.275
    m = 0.0241 + 0.2562 * x - 0.7341 * y
    m1 = ((-1.3515 - 1.7703 * x + 5.9114 * y) / m).unsqueeze(-1)
    m2 = ((0.0300 - 31.4424 * x + 30.0717 * y) / m).unsqueeze(-1)
    basis = {name: values.to(cct) for name, values in figures("daylight").items()}
    return unit_sum(basis["S0"] + m1 * basis["S1"] + m2 * basis["S2"])


def daylight_table() -> Tensor:
    """The 22 daylights at 4000, 5000, .. 25000 K: (22, 33), unit sums, float64."""
    return daylight(torch.linspace(*CCT_RANGE, DAYLIGHT_KNOTS, dtype=torch.float64))


def fixed_spectra() -> Tensor:
    """Illuminants A, F1, .. F12: (13, 33), unit sums, float64."""
    table = figures("illuminants")
    return unit_sum(torch.stack([table[name] for name in ILLUMINANT_NAMES if name != "D"]))


def spectrum(
    illuminant: Illuminant,
    fixed: Tensor,  # [13, 33]
    daylights: Tensor,  # [22, 33]
) -> Tensor:
    """Spectral power distribution e of a mixture: (B, 33), unit sums.

    D(cct) is read between the daylights by linear interpolation, so that the colour temperature has
    a gradient (one-sided at the knots); temperatures outside 4000..25000 K are clamped.
    """
    weights = illuminant.weights
    position = (illuminant.cct - CCT_RANGE[0]) / 1000.0
    position = position.clamp(0.0, len(daylights) - 1.0)
    # NaN must reach the result as NaN, not the index.
    lower = position.detach().nan_to_num(0.0).floor().clamp(max=len(daylights) - 2).long()
    fraction = (position - lower).unsqueeze(-1)
    day = torch.lerp(daylights[lower], daylights[lower + 1], fraction)
    others = torch.cat((weights[:, :1], weights[:, 2:]), dim=1)
    return weights[:, 1:2] * day + others @ fixed
