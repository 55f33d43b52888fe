"""What backends compute, in plain PyTorch: maps, weights and a basis of the skin to an image.

    skin_c = sum_pq e_p(x) D_q(y) V_qpc,    V_qpc = sum_l Z_qp(l) W_c(l)
    rgb_c  = max(0, diffuse * skin_c + specular * k_c)

Differentiable any number of times: derivatives that the kernels have no rule for come from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..physics.camera import COORDINATE_RANGE
from ..physics.colour import XYZ_TO_SRGB
from ..physics.illuminant import CCT_RANGE, Illuminant
from ..physics.tables import Tables
from .basis import Basis
from .folding import fold

__all__ = ["LIGHT_NUMBERS", "HalfFolded", "read", "render", "render_lit"]

LIGHT_NUMBERS = (CCT_RANGE[0], 1000.0, COORDINATE_RANGE[1])
"""First colour temperature and step of the daylights in kelvin, and the largest camera coordinate."""


@dataclass(frozen=True)
class HalfFolded:
    """What rendering needs, on one device and in one precision."""

    tables: Tables
    basis: Basis
    native: list[Tensor]
    """As backends take them (csrc/fold.h): fixed illuminants (14, 33), zeros for D; daylights (22, 33);
    mean (3, 33) and slopes (3, 33, 2) of cameras; raw to linear sRGB (grid * grid, 9); and of the skin
    functions (N, P), others (N, Q) and mixing (33, Q, P)."""

    @classmethod
    def of(cls, tables: Tables, basis: Basis) -> HalfFolded:
        """Laid out for backends; products with constants are taken in the precision of the tables."""
        fixed = tables.fixed_illuminants
        raw_to_srgb = (XYZ_TO_SRGB.to(tables.raw_to_xyz) @ tables.raw_to_xyz).reshape(-1, 9)
        native = [
            torch.cat((fixed[:1], torch.zeros_like(fixed[:1]), fixed[1:])),
            *(tables.daylights, tables.camera_mean, tables.camera_components, raw_to_srgb),
            *(basis.functions, basis.others, basis.mixing),
        ]
        return cls(tables, basis, [tensor.contiguous() for tensor in native])

    def to(self, device: torch.device | str, dtype: torch.dtype) -> HalfFolded:
        """The same on another device or in another precision."""
        return self.map(lambda tensor: tensor.to(device, dtype).contiguous())

    def map(self, change: Callable[[Tensor], Tensor]) -> HalfFolded:
        """The same with a function applied to each tensor."""
        native = [change(tensor) for tensor in self.native]
        return HalfFolded(self.tables.map(change), self.basis.map(change), native)


def read(table: Tensor, values: Tensor) -> Tensor:
    """Rows of a table (N, K) at map values (B, 1, H, W) in [-1, 1]: (B, H, W, K); NaN at what is not
    finite.
    """
    last = table.shape[0] - 1
    values = values.squeeze(1)
    place = ((values + 1.0) * (last / 2.0)).clamp(0.0, float(last))
    known = torch.where(place > 0.0, place, torch.zeros_like(place)).detach()  # a NaN is not
    lower = known.floor().clamp(max=float(last - 1))
    row = lower.long()
    share = (place - lower) + (values - values)
    return torch.lerp(table[row], table[row + 1], share.unsqueeze(-1))


def render(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    weights: Tensor,
    highlight: Tensor,
    basis: Basis,
) -> Tensor:
    """Linear sRGB (B, 3, H, W).

    Args:
        melanin: (B or 1, 1, H, W), in [-1, 1], as the other maps.
        haemoglobin: (B or 1, 1, H, W).
        diffuse: (B or 1, 1, H, W).
        specular: (B or 1, 1, H, W).
        weights: (B or 1, 3, 33), see `fold`.
        highlight: (B or 1, 3).
        basis: in the dtype and on the device of the others.
    """
    x, y = (melanin, haemoglobin) if basis.melanin_fixed else (haemoglobin, melanin)
    functions, others = read(basis.functions, x), read(basis.others, y)  # [B, H, W, P], [.., Q]
    mixed = torch.einsum("lqp,bcl->bqpc", basis.mixing, weights)
    table = others.flatten(1, 2) @ mixed.flatten(2)  # [B, H W, P 3]
    rows = table.reshape(*others.shape[:3], functions.shape[3], 3)
    skin = (rows * functions.unsqueeze(-1)).sum(dim=3).permute(0, 3, 1, 2)
    finite = (diffuse - diffuse) + (specular - specular)  # NaN where one is infinite
    return torch.relu(diffuse * skin + specular * highlight[:, :, None, None] + finite)


def render_lit(tensors: tuple[Tensor | None, ...], half_folded: HalfFolded) -> Tensor:
    """The same of the ten tensors that `biofacenet.rendering.operator` takes, in the maps' dtype."""
    melanin, haemoglobin, diffuse, specular, mixture, cct, spectrum, camera, weights, highlight = (
        tensors
    )
    maps = (melanin, haemoglobin, diffuse, specular)
    number = half_folded.basis.functions.dtype
    if weights is None or highlight is None:
        light = Illuminant(mixture, cct) if mixture is not None else spectrum  # type: ignore[arg-type]
        weights, highlight = fold(light, camera, half_folded.tables)  # type: ignore[arg-type]
    m, h, d, s = (values.to(number) for values in maps if values is not None)
    image = render(m, h, d, s, weights, highlight, half_folded.basis)
    return image.to(melanin.dtype)  # type: ignore[union-attr]
