"""Light, camera, white balance and colour folded into a few weights for each image.

Everything after the skin table is linear: white balance divides by the light's colour, T and the
matrix to sRGB are 3 x 3. So one (3, K) matrix and one highlight colour for each image are all that a
pixel needs to know of them:

    W[b] = M diag(1/L) S diag(e) Z^T     (3, K)      M: raw to linear sRGB, L = S e: light colour,
    k[b] = M 1                           (3,)        S: camera, e: light, Z: bands from components

The gradient is written out: left to autograd, its many small steps took longer than rendering a batch.
A backend computes either direction in one call, on a GPU one launch (csrc/fold.h).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...kernels.registry import kernel
from ...physics.camera import COORDINATE_RANGE
from ...physics.colour import XYZ_TO_SRGB, response
from ...physics.illuminant import CCT_RANGE, Illuminant
from ...physics.tables import Tables

__all__ = [
    "FoldTables",
    "fold",
]

KNOT_SPACING = 1000.0
"""Kelvin between two daylights of the table."""

MAX_COMPONENTS = 512
"""Most components that a backend folds; it has them on the stack, or in shared memory."""


class FoldTables:
    """The tables that folding reads, laid out for it, on one device and in one precision."""

    def __init__(self, tables: Tables, mixing: Tensor) -> None:
        # Products with constants are taken once, in the precision that the tables come in.
        to_srgb = XYZ_TO_SRGB.to(tables.raw_to_xyz)
        self.grid = tables.raw_to_xyz.shape[0]
        self.raw_to_srgb = (to_srgb @ tables.raw_to_xyz).reshape(-1, 9)  # [grid * grid, 9]
        self.neighbours = torch.tensor([0, 1, self.grid, self.grid + 1], device=mixing.device)
        self.sensitivity_mean = tables.camera_mean.reshape(-1)  # [99]
        self.sensitivity_slopes = tables.camera_components.reshape(-1, 2)  # [99, 2]
        # A row of zeros stands where D is among the 14 weights.
        fixed = tables.fixed_illuminants
        self.fixed = torch.cat((fixed[:1], torch.zeros_like(fixed[:1]), fixed[1:]))  # [14, 33]
        self.daylights = tables.daylights  # [22, 33]
        self.mixing = mixing  # [K, 33]
        self.mixing_columns = mixing.T.contiguous()  # [33, K]

    def to(self, device: torch.device | str, dtype: torch.dtype) -> FoldTables:
        """The same tables on another device or in another precision."""
        other = object.__new__(FoldTables)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                value = value.to(device, dtype if value.is_floating_point() else None)
            setattr(other, name, value)
        return other

    @property
    def native(self) -> tuple[list[Tensor], float, float, float]:
        """As backends take them."""
        tables = [
            *(self.fixed, self.daylights, self.sensitivity_mean, self.sensitivity_slopes),
            *(self.raw_to_srgb, self.mixing, self.mixing_columns),
        ]
        return tables, CCT_RANGE[0], KNOT_SPACING, COORDINATE_RANGE[1]


def _apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    return function.apply(*arguments)  # type: ignore[no-untyped-call]


def fold(
    illuminant: Tensor | Illuminant,
    camera: Tensor,
    tables: FoldTables,
    *,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Weights and highlight colour of each image, differentiable in light and camera.

    Args:
        illuminant: (B, 33) spectra, or an `Illuminant`.
        camera: (B, 2), coordinates b, or (B, 3, 33), curves.
        tables: in the dtype and on the device of the others.
        backend: compute it in one call of this backend. torch.compile sees the torch operations all
            the same, and fuses them itself.

    Returns:
        Weights (B, 3, K) and highlight colour (B, 3).
    """
    t = tables
    if camera.ndim == 3:
        e: Any = illuminant
        if isinstance(e, Illuminant):
            e = _apply(_Spectrum, e.weights, e.cct, t.fixed, t.daylights)
        by_band, white = response(e, camera)
        return by_band @ t.mixing_columns, white
    if backend and not torch.compiler.is_compiling() and len(t.mixing) <= MAX_COMPONENTS:
        if isinstance(illuminant, Illuminant):
            light: tuple[Tensor | None, ...] = (illuminant.weights, illuminant.cct, None)
        else:
            light = (None, None, illuminant)
        folded = _apply(_InOneCall, *light, camera, t, backend)
        return folded[0], folded[1]
    if isinstance(illuminant, Illuminant):
        spectrum = _apply(_Spectrum, illuminant.weights, illuminant.cct, t.fixed, t.daylights)
    else:
        spectrum = illuminant
    weights, highlight = _apply(
        _Fold,
        spectrum,
        camera,
        t.sensitivity_mean,
        t.sensitivity_slopes,
        t.raw_to_srgb,
        t.neighbours,
        t.mixing,
        t.grid,
    )
    return weights, highlight


class _Spectrum(torch.autograd.Function):
    """e = sum_i w_i E_i + w_D D(cct), D read linearly between the daylights."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, cct: Tensor, fixed: Tensor, daylights: Tensor) -> Tensor:
        last = len(daylights) - 1
        position = (cct - CCT_RANGE[0]) / KNOT_SPACING
        clamped = position.clamp(0.0, float(last))
        # NaN must reach the result as NaN, not the index.
        lower = clamped.nan_to_num(0.0).long().clamp_(max=last - 1)
        cold = daylights[lower]
        slope = daylights[lower + 1] - cold
        day = torch.addcmul(cold, slope, (clamped - lower).unsqueeze(1))
        inside = (position >= 0.0) & (position <= last)
        ctx.save_for_backward(weights, fixed, day, slope, inside)
        return torch.addcmul(weights @ fixed, weights[:, 1:2], day)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, fixed, day, slope, inside = ctx.saved_tensors
        of_weights = gradient @ fixed.T
        of_weights[:, 1] = (gradient * day).sum(dim=1)
        of_cct = (gradient * slope).sum(dim=1) * weights[:, 1] * inside / KNOT_SPACING
        return of_weights, of_cct, None, None


class _Fold(torch.autograd.Function):
    """The two equations at the head of this file."""

    @staticmethod
    def forward(
        ctx: Any,
        spectrum: Tensor,  # [B, 33]
        camera: Tensor,  # [B, 2]
        mean: Tensor,  # [99]
        slopes: Tensor,  # [99, 2]
        raw_to_srgb: Tensor,  # [grid * grid, 9]
        neighbours: Tensor,  # [4]
        mixing: Tensor,  # [K, 33]
        grid: int,
    ) -> tuple[Tensor, Tensor]:
        batch = camera.shape[0]
        sensitivity = torch.addmm(mean, camera, slopes.T).relu_().view(batch, 3, len(mean) // 3)
        seen = sensitivity * spectrum.unsqueeze(1)
        light = seen.sum(dim=2).unsqueeze(1)  # [B, 1, 3]
        # Bilinear read of M: four neighbours of each camera.
        half = COORDINATE_RANGE[1]
        place = (camera + half) * ((grid - 1) / (2.0 * half))
        clamped = place.clamp(0.0, grid - 1.0)
        lower = clamped.nan_to_num(0.0).long().clamp_(max=grid - 2)
        f = clamped - lower
        start = lower[:, 0] * grid + lower[:, 1]
        corners = raw_to_srgb[start.unsqueeze(1) + neighbours]  # [B, 4, 9]
        shares = torch.stack((1.0 - f, f), dim=2)  # [B, 2, 2]: axis, side
        products = shares[:, 0].unsqueeze(2) * shares[:, 1].unsqueeze(1)  # [B, 2, 2]
        matrix = torch.bmm(products.view(batch, 1, 4), corners).view(batch, 3, 3)
        balanced = matrix / light
        mixed = seen @ mixing.T
        inside = (place > 0.0) & (place < grid - 1.0)
        ctx.save_for_backward(
            spectrum, slopes, mixing, sensitivity, light, corners, shares, balanced, mixed, inside
        )
        ctx.rows_per_unit = (grid - 1) / (2.0 * half)
        return torch.bmm(balanced, mixed), matrix.sum(dim=2)

    @staticmethod
    def backward(ctx: Any, of_weights: Tensor, of_highlight: Tensor) -> tuple[Tensor | None, ...]:
        (
            spectrum,
            slopes,
            mixing,
            sensitivity,
            light,
            corners,
            shares,
            balanced,
            mixed,
            inside,
        ) = ctx.saved_tensors
        batch = spectrum.shape[0]
        of_balanced = torch.bmm(of_weights, mixed.mT)
        of_seen = torch.bmm(balanced.mT, of_weights) @ mixing
        over_light = of_balanced / light
        of_seen = of_seen - (over_light * balanced).sum(dim=1).unsqueeze(2)
        of_spectrum = (of_seen * sensitivity).sum(dim=1)
        of_sensitivity = of_seen * spectrum.unsqueeze(1) * (sensitivity > 0.0)
        of_camera = of_sensitivity.view(batch, len(slopes)) @ slopes
        of_matrix = over_light + of_highlight.unsqueeze(2)
        # Slopes of the bilinear read along both axes.
        of_corners = torch.bmm(corners, of_matrix.reshape(batch, 9, 1)).view(batch, 2, 2)
        of_rows = torch.bmm(of_corners, shares[:, 1].unsqueeze(2)).squeeze(2)
        of_columns = torch.bmm(shares[:, 0].unsqueeze(1), of_corners).squeeze(1)
        sides = torch.stack((of_rows, of_columns), dim=1)
        of_place = (sides[:, :, 1] - sides[:, :, 0]) * inside
        of_camera = of_camera + of_place * ctx.rows_per_unit
        return of_spectrum, of_camera, None, None, None, None, None, None


class _InOneCall(torch.autograd.Function):
    """`_Spectrum` and `_Fold` by a backend; weights and cct, or a spectrum."""

    @staticmethod
    def forward(
        ctx: Any,
        weights: Tensor | None,
        cct: Tensor | None,
        spectrum: Tensor | None,
        camera: Tensor,
        tables: FoldTables,
        backend: str,
    ) -> tuple[Tensor, Tensor]:
        inputs = tuple(
            None if tensor is None else tensor.contiguous()
            for tensor in (weights, cct, spectrum, camera)
        )
        batch = camera.shape[0]
        folded = camera.new_empty(batch, 3, len(tables.mixing))
        highlight = camera.new_empty(batch, 3)
        kernel(backend).fold(*inputs, *tables.native, folded, highlight)
        ctx.save_for_backward(*inputs)
        ctx.tables, ctx.backend = tables, backend
        return folded, highlight

    @staticmethod
    def backward(ctx: Any, of_weights: Tensor, of_highlight: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        results = tuple(
            torch.empty_like(tensor) if wanted else None
            for tensor, wanted in zip(inputs, ctx.needs_input_grad[:4], strict=True)
        )
        kernel(ctx.backend).fold_backward(
            *inputs,
            *ctx.tables.native,
            of_weights.contiguous(),
            of_highlight.contiguous(),
            *results,
        )
        return (*results, None, None)
