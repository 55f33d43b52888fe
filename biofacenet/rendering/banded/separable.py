"""The skin table taken apart for fast reading: few bands, and a product of two small tables each.

A bilinear read of a product table is the product of two linear reads, so that two tables of 256 rows
replace one of 256 x 256; and 33 bands are more than smooth spectra need.

Source: the published table is exactly separable (transmittance of the epidermis squared, a function
of melanin, times a function of blood alone). A reflection of the skin's surface, which is the same for
all pigments, adds one component, however many bands there are. Interpolative decomposition: Cheng,
Gimbutas, Martinsson and Rokhlin, On the compression of low rank matrices, SIAM J. Sci. Comput. 26(4),
2005.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = [
    "SeparableSkin",
    "factor",
    "kept_bands",
]


@dataclass(frozen=True)
class SeparableSkin:
    """R[h, m, l] = sum_k epidermis[m, k] dermis[h, k] mixing[k, l], up to `error`."""

    epidermis: Tensor
    """(256, K), by melanin."""
    dermis: Tensor
    """(256, K), by haemoglobin."""
    mixing: Tensor
    """(K, 33), how the components make up every band."""
    error: float
    """Largest absolute difference from the table that was taken apart."""

    @property
    def components(self) -> int:
        """K: the bands kept, each as often as it has terms, and the surface where there is one."""
        return self.mixing.shape[0]

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> SeparableSkin:
        """The same on another device or in another precision."""
        return SeparableSkin(
            self.epidermis.to(device=device, dtype=dtype),
            self.dermis.to(device=device, dtype=dtype),
            self.mixing.to(device=device, dtype=dtype),
            self.error,
        )

    def table(self) -> Tensor:
        """The table put together again: (256, 256, 33)."""
        return torch.einsum("mk,hk,kl->hml", self.epidermis, self.dermis, self.mixing)


def kept_bands(table: Tensor, bands: int) -> tuple[Tensor, Tensor]:
    """Interpolative decomposition of the band axis: which bands to keep, and how they make the rest.

    Args:
        table: (256, 256, L).
        bands: how many to keep, 1..L.

    Returns:
        Indices (bands,), ascending, and the combination (bands, L) with
        ``table[..., indices] @ combination ~ table``; kept bands are reproduced exactly.
    """
    count = table.shape[2]
    if not 1 <= bands <= count:
        raise ValueError(f"bands must lie in 1..{count}, got {bands}")
    if bands == count:
        return torch.arange(count), torch.eye(count, dtype=table.dtype)
    # The triangular factor has the columns' geometry, and only 33 rows to pivot over.
    triangle = torch.linalg.qr(table.reshape(-1, count), mode="r").R
    upper, pivots = _pivoted(triangle)
    coefficients = torch.linalg.solve_triangular(
        upper[:bands, :bands], upper[:bands, bands:], upper=True
    )
    combination = torch.zeros(bands, count, dtype=table.dtype)
    combination[:, pivots[:bands]] = torch.eye(bands, dtype=table.dtype)
    combination[:, pivots[bands:]] = coefficients
    ascending = pivots[:bands].argsort()
    return pivots[:bands][ascending], combination[ascending]


def _pivoted(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Triangular factor and column order of a QR decomposition with column pivoting.

    By Householder reflections (Businger and Golub, Numerische Mathematik 7, 1965). SciPy has one too;
    importing it would take most of the time that importing this package takes.
    """
    upper, order = matrix.clone(), torch.arange(matrix.shape[1])
    for step in range(min(matrix.shape)):
        longest = step + int(upper[step:, step:].square().sum(dim=0).argmax())
        for columns in (upper, order):
            columns[..., [step, longest]] = columns[..., [longest, step]]
        normal = upper[step:, step].clone()
        normal[0] += torch.copysign(normal.norm(), normal[0])
        length = normal.square().sum()
        if length > 0.0:
            rest = upper[step:, step:]
            upper[step:, step:] = rest - torch.outer(2.0 / length * normal, normal @ rest)
    return upper.triu(), order


def factor(
    table: Tensor, bands: int = 32, *, tolerance: float = 1e-8, max_terms: int = 8
) -> SeparableSkin:
    """Take a skin table apart.

    Args:
        table: (H, M, L), float64, rows haemoglobin, columns melanin.
        bands: bands to keep; one less where the table has a constant surface term, which takes its
            place, so that kernels have no more to do. All bands are kept all the same.
        tolerance: a kept band that one product does not reproduce to this gets further terms, by its
            singular values, until it does.
        max_terms: terms a band may have at most. What is left then shows in `SeparableSkin.error`.

    Raises:
        ValueError: not a table of that shape, or it holds NaN or infinite values.
    """
    if table.ndim != 3 or min(table.shape[:2]) < 2:
        raise ValueError(f"a skin table has shape (H, M, L), got {tuple(table.shape)}")
    if not torch.isfinite(table).all():
        raise ValueError("the skin table holds NaN or infinite values")
    table = table.detach().to("cpu", torch.float64)
    surface = _surface(table)
    epidermis, dermis, mixing = [], [], []
    body = table
    if surface is not None:
        body = table - surface
        epidermis.append(table.new_ones(table.shape[1]))
        dermis.append(table.new_ones(table.shape[0]))
        mixing.append(surface)
        bands = bands if bands == table.shape[2] else max(bands - 1, 1)
    kept, combination = kept_bands(body, bands)
    for band, row in zip(kept.tolist(), combination, strict=True):
        plane = body[:, :, band]
        for over_melanin, over_blood in _terms(plane, tolerance, max_terms):
            epidermis.append(over_melanin)
            dermis.append(over_blood)
            mixing.append(row)
    parts = SeparableSkin(
        torch.stack(epidermis, dim=1).contiguous(),
        torch.stack(dermis, dim=1).contiguous(),
        torch.stack(mixing).contiguous(),
        0.0,
    )
    error = float((parts.table() - table).abs().max())
    return SeparableSkin(parts.epidermis, parts.dermis, parts.mixing, error)


def _surface(table: Tensor) -> Tensor | None:
    """What has to be taken off each band, (L,), for all of them to be products; None if nothing will do.

    Of four entries at the corners of a product plus a constant s, (a - s)(d - s) = (b - s)(c - s).
    """
    a, b, c, d = table[0, 0], table[0, -1], table[-1, 0], table[-1, -1]
    bend = a + d - b - c
    surface = (a * d - b * c) / torch.where(bend == 0.0, torch.ones_like(bend), bend)
    if surface.abs().max() < 1e-9:
        return None
    body = table - surface
    # Row and column through the brightest entry of a product tell all others.
    row, column = divmod(int(body.abs().sum(dim=2).argmax()), table.shape[1])
    product = body[row : row + 1] * body[:, column : column + 1] / body[row, column]
    return surface if (product - body).abs().max() <= 1e-12 else None


def _terms(plane: Tensor, tolerance: float, max_terms: int) -> list[tuple[Tensor, Tensor]]:
    """Products of a vector over melanin and one over haemoglobin that add up to a band's plane."""
    place = int(plane.abs().argmax())
    i, j = divmod(place, plane.shape[1])
    peak = plane[i, j]
    if peak == 0:
        return [(plane[0], plane[:, 0])]
    # Row and column through the largest entry: exact where the table is a product.
    root = peak.abs().sqrt()
    over_melanin, over_blood = plane[i] / root * peak.sign(), plane[:, j] / root
    if (torch.outer(over_blood, over_melanin) - plane).abs().max() <= min(tolerance, 1e-12):
        return [(over_melanin, over_blood)]
    u, s, vh = torch.linalg.svd(plane, full_matrices=False)
    for terms in range(1, max_terms + 1):
        rest = plane - (u[:, :terms] * s[:terms]) @ vh[:terms]
        if rest.abs().max() <= tolerance:
            break
    roots = s.sqrt()
    return [(roots[t] * vh[t], roots[t] * u[:, t]) for t in range(terms)]
