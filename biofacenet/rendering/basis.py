"""The skin table as a short sum of products: P functions of one pigment axis, all else of the other.

    R(x, y, l) = sum_p e_p(x) G_p(y, l),    G_p(y, l) = sum_q D_q(y) Z_qp(l)

x is the fixed axis, melanin or haemoglobin, whichever takes fewer functions, and y the folded one, into
which an image's light and camera go exactly (folding.py, csrc/fold.h). What is left for a pixel is
3 P numbers. The functions are made for any table, separable or not: a singular value decomposition in a
metric of many lights and cameras, with a share of a flat spectrum so that narrow lights are kept, and
rows reweighted after each turn, so that the largest error counts rather than the mean one.

Sources: Lawson, Contributions to the theory of linear least maximum approximation, UCLA 1961 (the
reweighting); Halko, Martinsson and Tropp, Finding structure with randomness, SIAM Review 53, 2011
(`_range`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import DataError
from ..physics.camera import COORDINATE_RANGE, spectral_sensitivity
from ..physics.illuminant import CCT_RANGE, Illuminant, spectrum
from ..physics.tables import Tables
from .accuracy import FUNCTIONS, Accuracy

__all__ = ["Basis", "errors", "half_fold", "white_balanced"]

FLAT_SHARE = 0.01
"""Of the metric that is a flat spectrum: lights of a single band then differ by 1e-4 at most."""
LIGHTS = 320
"""Lights and cameras that the metric is made of."""
BAND_SHARE = 0.05
"""Weight of the error under a single band beside that under a mixture of lights."""
LOOKED_AT = 32
"""Of those, how many the largest error is looked for under."""
NODES = 40
"""Of each axis, on which it is looked for."""
ROUNDS, GAIN = 10, 0.35
"""Turns of the reweighting, and the power of a row's error by which its weight grows."""
RANK = 48
"""Functions that an axis is first reduced to; smooth tables are those to rounding."""
ROUNDING = 1e-14
"""Singular values, relative to the largest, that "exact" leaves out."""


@dataclass(frozen=True)
class Basis:
    """A skin table taken apart."""

    functions: Tensor
    """(N, P), e_p at the nodes of the fixed axis."""
    others: Tensor
    """(N, Q), D_q at the nodes of the folded axis."""
    mixing: Tensor
    """(33, Q, P), Z_qp(l)."""
    melanin_fixed: bool
    """Whether the fixed axis is melanin's and the folded one haemoglobin's, or the other way round."""

    def table(self) -> Tensor:
        """(H, M, 33), rows haemoglobin, columns melanin, as the table was."""
        rest = torch.einsum("yq,lqp->ypl", self.others, self.mixing)
        found = torch.einsum("xp,ypl->yxl", self.functions, rest)
        return found if self.melanin_fixed else found.transpose(0, 1)

    def map(self, change: Callable[[Tensor], Tensor]) -> Basis:
        """The same with a function applied to each tensor."""
        return replace(
            self,
            functions=change(self.functions),
            others=change(self.others),
            mixing=change(self.mixing),
        )


def white_balanced(tables: Tables, count: int, seed: int) -> Tensor:
    """Weights S e / L of the bands under random lights and cameras, (count, 3, 33), float64.

    Lights are mixtures of the 14, from nearly one of them to even ones; cameras lie anywhere in range.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)

    peaked = 10.0 ** uniform(-0.3, 1.5, count, 1)
    weights = torch.softmax(peaked * uniform(0.0, 1.0, count, 14).log(), dim=1)
    light = spectrum(
        Illuminant(weights, uniform(*CCT_RANGE, count)), tables.fixed_illuminants, tables.daylights
    )
    camera = uniform(*COORDINATE_RANGE, count, 2)
    sensitivity = spectral_sensitivity(camera, tables.camera_mean, tables.camera_components)
    seen = sensitivity * light.unsqueeze(1)
    return seen / seen.sum(dim=2, keepdim=True)


def half_fold(tables: Tables, accuracy: Accuracy = "default") -> Basis:
    """Functions of one axis, and the rest, for a skin table seen under its own lights and cameras.

    Args:
        tables: float64, on the CPU; the skin table may have any number of nodes, two or more.
        accuracy: ``fast`` and ``default`` take 5 and 6 functions, ``exact`` as many as float64 tells
            apart.

    Raises:
        DataError: the skin table has another shape, or holds NaN or infinite values.
    """
    table = tables.skin
    if table.ndim != 3 or min(table.shape[:2]) < 2 or table.shape[2] != 33:
        raise DataError(f"a skin table has shape (H, M, 33), got {tuple(table.shape)}")
    if not torch.isfinite(table.sum()):
        raise DataError("the skin table holds NaN or infinite values; give a table of reflectances")
    table = table.detach().to("cpu", torch.float64)
    count = FUNCTIONS[accuracy]
    if count is None or count >= min(table.shape[:2]):
        return _exact(table)
    return _few(table, white_balanced(tables, LIGHTS, seed=0).flatten(0, 1), count)


def _metric(lights: Tensor) -> Tensor:
    """(33, 33), F with F F^T the mean of w w^T over weights w (N, 33), and a flat share."""
    mean = lights.T @ lights / len(lights)
    bands = mean.shape[0]
    mean = mean + FLAT_SHARE * mean.trace() / bands * torch.eye(bands, dtype=mean.dtype)
    values, vectors = torch.linalg.eigh(mean)
    return vectors * values.sqrt()


def _range(matrix: Tensor, rank: int) -> Tensor:
    """(N, rank) orthonormal columns that span those of a matrix (N, K), as far as so many can."""
    generator = torch.Generator().manual_seed(1)
    shape = (matrix.shape[1], min(rank, *matrix.shape))
    sketch = torch.randn(shape, generator=generator, dtype=matrix.dtype)
    return torch.linalg.qr(matrix @ sketch)[0]


def _some(nodes: int) -> Tensor:
    """Nodes of an axis to look at, denser towards its ends."""
    if nodes <= NODES:
        return torch.arange(nodes)
    even = (1.0 - torch.cos(torch.linspace(0.0, math.pi, NODES, dtype=torch.float64))) / 2.0
    return torch.unique((even * (nodes - 1)).round().long())


def _few(table: Tensor, lights: Tensor, count: int) -> Basis:
    """A basis of so many functions, on the axis that leaves less."""
    metric = _metric(lights)
    weighted = table @ metric
    sides = []
    for melanin_fixed in (True, False):
        turned = weighted.transpose(0, 1) if melanin_fixed else weighted  # [fixed, folded, 33]
        some = turned[:, _some(turned.shape[1])].flatten(1)
        span = _range(some, RANK)
        core = span.T @ some
        left = torch.linalg.eigvalsh(core @ core.T)[:-count].clamp(min=0.0).sum()
        sides.append((float(left), melanin_fixed, span, core))
    _, melanin_fixed, span, core = min(sides, key=lambda side: side[0])
    looked_at = lights[:: max(1, len(lights) // (3 * LOOKED_AT))]
    seen = torch.linalg.solve(metric, looked_at.T)  # [33, L], from weighted bands to colours
    bands = torch.linalg.solve(metric, BAND_SHARE * torch.eye(33, dtype=metric.dtype))
    directions, weights = _reweighted(span, core, torch.cat((seen, bands), dim=1), count)
    turned = table.transpose(0, 1) if melanin_fixed else table
    rest = torch.einsum("xp,xyl->ypl", directions * weights.unsqueeze(1), turned)
    functions, triangle = torch.linalg.qr(directions / weights.unsqueeze(1))
    rest = torch.einsum("rp,ypl->yrl", triangle, rest)
    return _reduced(functions, rest, metric, melanin_fixed, count)


def _reweighted(span: Tensor, core: Tensor, seen: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Functions of nodes whose largest error is small: (N, count) orthonormal, and (N) weights.

    The functions are the first over the weights; what they leave is least if the table is projected
    on them with the weights.

    Args:
        span: (N, R) orthonormal; the table is span @ core.
        core: (R, nodes of the other axis * 33), weighted bands.
        seen: (33, L), from weighted bands to what is compared.
        count: functions.
    """
    rows, bands = len(span), seen.shape[0]
    others = core.shape[1] // bands
    weights = torch.ones(rows, dtype=span.dtype)
    other_weights = torch.ones(others, dtype=span.dtype)
    some, every = _some(rows), torch.arange(rows, dtype=span.dtype)
    whole = span[some] @ core
    best, least = (span[:, :count], weights), math.inf
    for _ in range(ROUNDS):
        weighted, triangle = torch.linalg.qr(weights.unsqueeze(1) * span)
        inner = triangle @ core
        scaled = (inner.view(len(inner), others, bands) * other_weights[:, None]).flatten(1)
        vectors = torch.linalg.eigh(scaled @ scaled.T)[1][:, -count:].flip(1)
        found = weighted @ vectors
        projected = (found[some] / weights[some].unsqueeze(1)) @ (vectors.T @ inner)
        errors = ((whole - projected).view(-1, bands) @ seen).abs().amax(dim=1)
        errors = errors.view(len(some), others)
        if float(errors.max()) < least:
            best, least = (found, weights), float(errors.max())
        errors = errors / errors.max().clamp(min=1e-300) + 1e-3
        growth = _between(every, some.to(span.dtype), errors.amax(dim=1)) ** GAIN
        weights = weights * growth / (weights * growth).mean()
        other_weights = other_weights * errors.amax(dim=0) ** GAIN
        other_weights = other_weights / other_weights.mean()
    return best


def _between(at: Tensor, known: Tensor, values: Tensor) -> Tensor:
    """Values at places, linear between the known ones."""
    upper = torch.searchsorted(known, at).clamp(1, len(known) - 1)
    low, high = known[upper - 1], known[upper]
    return torch.lerp(values[upper - 1], values[upper], (at - low) / (high - low))


def _reduced(
    functions: Tensor, rest: Tensor, metric: Tensor, melanin_fixed: bool, count: int
) -> Basis:
    """The basis, its folded axis reduced to some functions too.

    Nearly twice as many as the fixed one has add an eighth to the error at most, for skin's pigments.
    """
    weighted = (rest @ metric).flatten(1)
    others = torch.linalg.svd(weighted, full_matrices=False)[0][:, : 2 * count - 2]
    mixing = torch.einsum("yq,ypl->lqp", others, rest)
    return Basis(functions.contiguous(), others.contiguous(), mixing.contiguous(), melanin_fixed)


def _exact(table: Tensor) -> Basis:
    """A basis of all that float64 tells apart."""
    sides = []
    for melanin_fixed in (True, False):
        turned = table.transpose(0, 1) if melanin_fixed else table
        sides.append((_all_of(turned.flatten(1)), melanin_fixed, turned))
    functions, melanin_fixed, turned = min(sides, key=lambda side: side[0].shape[1])
    rest = torch.einsum("xp,xyl->ypl", functions, turned)
    others = _all_of(rest.flatten(1))
    mixing = torch.einsum("yq,ypl->lqp", others, rest).contiguous()
    return Basis(functions, others, mixing, melanin_fixed)


def _all_of(matrix: Tensor) -> Tensor:
    """(N, K) orthonormal columns that span those of a matrix to rounding."""
    span = _range(matrix, RANK)
    inner = span.T @ matrix
    left = (matrix - span @ inner).abs().max()
    if left > 1e-12 * matrix.abs().max():  # it has no such short sum
        return torch.eye(len(matrix), dtype=matrix.dtype)
    vectors, values, _ = torch.linalg.svd(inner, full_matrices=False)
    kept = max(1, int((values > ROUNDING * values[0]).sum()))
    return (span @ vectors[:, :kept]).contiguous()


def errors(basis: Basis, tables: Tables) -> tuple[float, float]:
    """Largest difference that a basis makes to a white-balanced colour, and to a reflectance.

    Colours are linear, 0..1, of skin under unit shading and the mixed lights and cameras of
    `white_balanced`.
    """
    table = tables.skin
    difference = basis.table() - table
    rows, columns = (_some(nodes) for nodes in table.shape[:2])
    lights = white_balanced(tables, LOOKED_AT, seed=1).flatten(0, 1)
    seen = difference[rows][:, columns] @ lights.T
    return float(seen.abs().max()), float(difference.abs().max())
