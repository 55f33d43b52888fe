"""Fine contrast, shared out: coloured contrast to pigments, uncoloured contrast to shading.

Of a pixel that looks otherwise than its maps render, four maps can be at fault. How far each may go is
said as the contrast that it makes, so that it means the same in light and in dark skin; the least
implausible change that explains the pixel is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..decomposition import Decomposition
from ..physics.skin import from_axis, to_axis
from .colour_noise import smooth

__all__ = ["Detail", "share_out"]

STEP = 1e-2
"""Change of a pigment's share of its range by which derivatives are measured."""

LEAST_DIFFUSE, LEAST_SPECULAR = 1e-3, 1e-4

NONE = 1e-6
"""Share of its range that skin without a pigment has of it: the cube of the axis's first entry."""

LEAST_SLOPE = 0.1
"""Of log green over a pigment's share of its range: where a pigment hardly shows, it is left alone."""

FARTHEST = 4.0
"""Usual changes beyond which derivatives say nothing."""

LARGEST = 0.8
"""Share of a pixel's light, in the channel that has the least, that a highlight can be."""

STRIP = 1 << 16
"""Pixels that are solved for at once: as many as fit a cache."""


@dataclass(frozen=True)
class Detail:
    """How strong contrast within a face usually is, by what makes it: standard deviations."""

    melanin: float = 0.15
    """Of log green, for freckles and moles."""
    haemoglobin: float = 0.15
    """Of log green, for spots, vessels and lips."""
    diffuse: float = 0.3
    """Of log diffuse shading. More than pigments: contrast of which colour does not tell is shading."""
    specular: float = 0.5
    """Of specular shading, as a share of what is there: highlights glitter, and matt skin does not."""
    matt: float = 0.002
    """Of specular shading where there is none yet."""
    scale: float = 1.0 / 128.0
    """Standard deviation of the Gaussian that changes of highlights are smoothed by, in longer sides."""
    noise: float = 0.002
    """Error of linear RGB that is left unexplained."""


@torch.no_grad()
def share_out(
    start: Decomposition,
    image: Tensor,
    detail: Detail | None = None,
    *,
    doubt: Tensor | None = None,
    rounds: int = 3,
) -> Decomposition:
    """Maps near to some others that render to an image, with the same light and camera.

    Each pixel by itself, by Gauss-Newton steps toward the maximum of the posterior: with J the
    derivatives of R, G, B by the four quantities and S the variances of their usual changes, a residual r
    changes them by S J^T (J S J^T + noise^2)^-1 r. Pigments are counted as fractions, in which log
    reflectance is nearly straight (Lambert-Beer), where the map is not: its slope is 0 in skin without
    pigment. Highlights are found first and smoothed, and then the other three explain what is left.

    Args:
        start: maps (B, 1, H, W), light and camera.
        image: (B, 3, H, W), linear sRGB.
        detail: how far maps usually differ.
        doubt: (B, 1, H, W), error of linear RGB that comes on top of the noise; none when not given.
        rounds: of linearising and solving, at least 2.
    """
    detail = detail or Detail()
    first = _values(start)
    noise = torch.full_like(image[:, :1], detail.noise**2)
    if doubt is not None:
        noise = noise + doubt.square()
    lit = torch.empty_like(start.specular)
    for part, rows in _strips(start, image.shape):
        seen, here = (image[:, :, rows], noise[:, :, rows]), first[:, :, rows]
        found = _solve(part, seen, here, detail, highlights=True)
        lit[:, :, rows] = found[:, 3:]
    change = smooth(lit - start.specular, detail.scale * max(image.shape[2:]))
    specular = start.specular + change
    first = torch.cat((first[:, :3], specular.clamp(min=LEAST_SPECULAR)), dim=1)
    values = torch.empty_like(first)
    for part, rows in _strips(start, image.shape):
        seen, here = (image[:, :, rows], noise[:, :, rows]), first[:, :, rows]
        values[:, :, rows] = _solve(part, seen, here, detail, rounds=rounds)
    return _maps(values, start)


def _strips(start: Decomposition, shape: torch.Size) -> Iterator[tuple[Decomposition, slice]]:
    """Rows of all images, a few at a time."""
    batch, _, height, width = shape
    count = max(1, STRIP // (batch * width))
    for top in range(0, height, count):
        rows = slice(top, top + count)
        yield start.map(lambda x: x[:, :, rows].contiguous() if x.ndim == 4 else x), rows  # noqa: B023


def _values(maps: Decomposition) -> Tensor:
    """What is changed, side by side: (B, 4, H, W)."""
    melanin, haemoglobin = (to_axis(x) ** 3 for x in (maps.melanin, maps.haemoglobin))
    diffuse = maps.diffuse.clamp(min=LEAST_DIFFUSE).log()
    return torch.cat((melanin, haemoglobin, diffuse, maps.specular), dim=1)


def _maps(values: Tensor, like: Decomposition) -> Decomposition:
    melanin, haemoglobin, diffuse, specular = (values[:, k : k + 1] for k in range(4))
    melanin, haemoglobin = (
        from_axis(x.clamp(NONE, 1.0) ** (1.0 / 3.0)).clamp(-1.0, 1.0).contiguous()
        for x in (melanin, haemoglobin)
    )
    return replace(
        like,
        melanin=melanin,
        haemoglobin=haemoglobin,
        diffuse=diffuse.exp().contiguous(),
        specular=specular.clamp(min=LEAST_SPECULAR).contiguous(),
    )


def _slopes(values: Tensor, like: Decomposition) -> tuple[Tensor, list[Tensor]]:
    """What values render to, (B, 3, H, W), and its derivatives by each of the four, as many."""
    found = _maps(values, like)
    rendered = found.render(accuracy="fast")
    columns = []
    for index in range(2):
        # Toward the middle of the range, where the pigment can go.
        way = torch.where(values[:, index : index + 1] > 0.5, -STEP, STEP)
        moved = values.clone()
        moved[:, index : index + 1] += way
        columns.append((_maps(moved, like).render(accuracy="fast") - rendered) / way)
    body = replace(found, specular=torch.zeros_like(found.specular)).render(accuracy="fast")
    return rendered, [*columns, body, (rendered - body) / found.specular]


def _usual(slopes: list[Tensor], first: Tensor, detail: Detail, *, highlights: bool) -> Tensor:
    """Standard deviations of changes of the four quantities: (B, 4, H, W)."""
    green = slopes[2][:, 1:2] + 0.005
    melanin, haemoglobin = (
        (contrast / (slope[:, 1:2].abs() / green).clamp(min=LEAST_SLOPE)).clamp(max=0.5)
        for contrast, slope in zip((detail.melanin, detail.haemoglobin), slopes[:2], strict=True)
    )
    diffuse = torch.full_like(melanin, detail.diffuse)
    specular = (detail.specular * first[:, 3:] + detail.matt) * float(highlights)
    return torch.cat((melanin, haemoglobin, diffuse, specular), dim=1)


def _solve(
    like: Decomposition,
    seen: tuple[Tensor, Tensor],
    first: Tensor,
    detail: Detail,
    *,
    highlights: bool = False,
    rounds: int = 1,
) -> Tensor:
    """The four quantities that explain an image best, near the first ones: (B, 4, H, W).

    Seen is the image, (B, 3, H, W), and the variance of its noise, (B, 1, H, W).
    """
    image, noise = seen
    values, usual = first, None
    for number in range(rounds):
        rendered, slopes = _slopes(values, like)
        if usual is None:
            usual = _usual(slopes, first, detail, highlights=highlights)
        scaled = [slope * usual[:, k : k + 1] for k, slope in enumerate(slopes)]
        residual = image - rendered
        # Around the first ones, not around the last step: the change as a whole is to be small.
        for k, slope in enumerate(slopes):
            residual = residual + slope * (values[:, k : k + 1] - first[:, k : k + 1])
        solved = _posterior(scaled, residual, noise[:, 0])
        step = torch.cat([(column * solved).sum(dim=1, keepdim=True) for column in scaled], dim=1)
        values = first + usual * step.clamp(-FARTHEST, FARTHEST)
        inside = torch.cat((values[:, :2].clamp(NONE, 1.0), values[:, 2:]), dim=1)
        if (
            number > 0
        ):  # once near: what has come to an end of its range stays, for the others to go on
            usual = torch.where(values == inside, usual, 0.0)
            first = torch.where(values == inside, first, inside)
        values = inside
    if highlights:
        # Half of a highlight may be a mistake; no highlight is brighter than what is seen.
        most = LARGEST * (image / slopes[3].clamp(min=1e-3)).amin(dim=1, keepdim=True)
        specular = torch.maximum(values[:, 3:], 0.5 * first[:, 3:]).minimum(most)
        values = torch.cat((values[:, :3], specular.clamp(min=LEAST_SPECULAR)), dim=1)
    return values


def _posterior(columns: list[Tensor], residual: Tensor, noise: Tensor) -> Tensor:
    """(J J^T + noise)^-1 r of every pixel, written out: the 3 x 3 systems of a library take longer."""

    def product(i: int, j: int) -> Tensor:
        total = columns[0][:, i] * columns[0][:, j]
        for column in columns[1:]:
            total = total + column[:, i] * column[:, j]
        return total + noise if i == j else total

    red = product(0, 0)
    low, last = product(0, 1) / red, product(0, 2) / red
    green = product(1, 1) - low.square() * red
    between = product(1, 2) - low * last * red
    next_ = between / green
    blue = product(2, 2) - last.square() * red - next_ * between
    r, g, b = residual.unbind(dim=1)
    g = g - low * r
    b = (b - last * r - next_ * g) / blue
    g = g / green - next_ * b
    return torch.stack((r / red - low * g - last * b, g, b), dim=1)
