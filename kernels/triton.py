"""The renderer in Triton, for CUDA tensors: kernels, what launches them, and their block shapes.

A program renders a tile of pixels of one image. Tables are read row-wise, a pixel's components next
to each other, so that a few threads share each row and every access is a full sector of the cache.
The backward pass recomputes the colours' ingredients from the inputs. Each program sums what all
pixels of an image share over several tiles and stores its sums; a second launch adds them up in a
fixed order. Without float atomics, equal inputs give equal bits.

With TRITON_INTERPRET=1 set before triton is first imported, the same kernels run on CPU tensors in
its interpreter: slowly, for tests.
"""

# Bodies under @triton.jit are Triton's language, not Python's; their arguments have no Python types.
# mypy: disable-error-code="no-untyped-def, misc, untyped-decorator, no-untyped-call"
# ruff: noqa: N803, RET505

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from . import layout

__all__ = [
    *("DEVICE", "Shape", "backward", "candidates", "fold", "fold_backward", "forward", "shape"),
    *("tuned", "unavailable"),
]

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
"""Where the tensors lie that these kernels take."""
LEAST_CAPABILITY = (8, 0)
BANDS, PADDED_BANDS, ILLUMINANTS = 33, 64, 14
MAX_COMPONENTS = 128
"""Most components of a pixel: they are held in registers, all at once."""


# Reading the skin


@triton.jit
def _cell(place, rows):
    """Row below a place of a table and the share of the row above; clamped."""
    last = (rows - 1).to(place.dtype)
    # Comparisons in this order keep a NaN, which must reach the result but no index.
    place = tl.where(place < 0.0, 0.0, place)
    place = tl.where(place > last, last, place)
    row = tl.where(place > 0.0, place, 0.0).to(tl.int32)
    row = tl.minimum(row, rows - 2)
    return row, place - row.to(place.dtype)


@triton.jit
def _locate(value, rows):
    """The same for a map value: -1 and 1 are the centres of the first and the last row."""
    return _cell((value + 1.0) * 0.5 * (rows - 1).to(value.dtype), rows)


@triton.jit
def _slope(value, rows):
    """d(place) / d(value): 0 where the value was clamped, and at the ends."""
    inside = (value > -1.0) & (value < 1.0)
    return tl.where(inside, 0.5 * (rows - 1).to(value.dtype), 0.0)


@triton.jit
def _read(table, row, fraction, columns, mask, COMPONENTS: tl.constexpr):
    """Rows of a table between two of its rows, (tile, components): value and slope per row."""
    at = table + row[:, None] * COMPONENTS + columns[None, :]
    low = tl.load(at, mask=mask, other=0.0)
    slope = tl.load(at + COMPONENTS, mask=mask, other=0.0) - low
    return low + fraction[:, None] * slope, slope


@triton.jit
def _weights(weights, image, channel, columns, COMPONENTS: tl.constexpr):
    return tl.load(
        weights + (image * 3 + channel) * COMPONENTS + columns, mask=columns < COMPONENTS, other=0.0
    )


# Forward


@triton.jit
def _shade(skin, diffuse, specular, highlight):
    value = diffuse * skin + specular * highlight
    return tl.where(value < 0.0, 0.0, value)  # a NaN passes


@triton.jit
def _forward(
    melanin,
    haemoglobin,
    diffuse,
    specular,
    weights,
    highlight,
    epidermis,
    dermis,
    image,
    maps_batch,
    maps_step,
    pixels,
    tiles,
    epidermis_rows,
    dermis_rows,
    COMPONENTS: tl.constexpr,
    PADDED: tl.constexpr,
    TILE: tl.constexpr,
):
    program = tl.program_id(0)
    index = (program // tiles).to(tl.int64)
    start = (program % tiles).to(tl.int64) * TILE
    number = weights.dtype.element_ty
    # Far offsets are scalars of 64 bits; within a tile 32 are enough.
    within = tl.arange(0, TILE)
    inside = within < pixels - start
    place = index * maps_batch + start * maps_step
    m = tl.load(melanin + place + within * maps_step, mask=inside, other=0.0).to(number)
    h = tl.load(haemoglobin + place + within * maps_step, mask=inside, other=0.0).to(number)
    d = tl.load(diffuse + place + within * maps_step, mask=inside, other=0.0).to(number)
    s = tl.load(specular + place + within * maps_step, mask=inside, other=0.0).to(number)
    columns = tl.arange(0, PADDED)
    mask = (columns < COMPONENTS)[None, :]
    row, fraction = _locate(m, epidermis_rows)
    through, _ = _read(epidermis, row, fraction, columns, mask, COMPONENTS)
    row, fraction = _locate(h, dermis_rows)
    back, _ = _read(dermis, row, fraction, columns, mask, COMPONENTS)
    reflectance = through * back
    output = image + index * 3 * pixels + start
    for channel in tl.static_range(3):
        weight = _weights(weights, index, channel, columns, COMPONENTS)
        skin = tl.sum(reflectance * weight[None, :], axis=1)
        value = _shade(skin, d, s, tl.load(highlight + index * 3 + channel))
        tl.store(output + within, value.to(image.dtype.element_ty), mask=inside)
        output += pixels


# Backward


@triton.jit
def _passed(image, offset, gradient, gradient_offset, gradient_step, within, inside, number):
    """Gradient of one channel where the image was not clipped."""
    value = tl.load(image + offset + within, mask=inside, other=0.0)
    above = tl.load(gradient + gradient_offset + within * gradient_step, mask=inside, other=0.0)
    # A NaN in the image passes the gradient on, as the derivative of a ReLU does in torch.
    return tl.where(value <= 0.0, 0.0, above.to(number))


@triton.jit
def _backward(
    melanin,
    haemoglobin,
    diffuse,
    specular,
    weights,
    highlight,
    epidermis,
    dermis,
    image,
    gradient,
    of_melanin,
    of_haemoglobin,
    of_diffuse,
    of_specular,
    sums,
    maps_batch,
    maps_step,
    gradient_batch,
    gradient_channel,
    gradient_step,
    pixels,
    programs,
    steps,
    epidermis_rows,
    dermis_rows,
    COMPONENTS: tl.constexpr,
    PADDED: tl.constexpr,
    TILE: tl.constexpr,
    MELANIN: tl.constexpr,
    HAEMOGLOBIN: tl.constexpr,
    DIFFUSE: tl.constexpr,
    SPECULAR: tl.constexpr,
    SUMS: tl.constexpr,
):
    program = tl.program_id(0)
    index = (program // programs).to(tl.int64)
    number = weights.dtype.element_ty
    within = tl.arange(0, TILE)
    columns = tl.arange(0, PADDED)
    mask = (columns < COMPONENTS)[None, :]
    red = _weights(weights, index, 0, columns, COMPONENTS)[None, :]
    green = _weights(weights, index, 1, columns, COMPONENTS)[None, :]
    blue = _weights(weights, index, 2, columns, COMPONENTS)[None, :]
    if SUMS:
        of_red = tl.zeros((TILE, PADDED), dtype=number)
        of_green = tl.zeros((TILE, PADDED), dtype=number)
        of_blue = tl.zeros((TILE, PADDED), dtype=number)
        shine_red = tl.zeros((TILE,), dtype=number)
        shine_green = tl.zeros((TILE,), dtype=number)
        shine_blue = tl.zeros((TILE,), dtype=number)
    start = (program % programs).to(tl.int64) * steps * TILE
    for _ in range(steps):
        inside = within < pixels - start
        place = index * maps_batch + start * maps_step
        m = tl.load(melanin + place + within * maps_step, mask=inside, other=0.0).to(number)
        h = tl.load(haemoglobin + place + within * maps_step, mask=inside, other=0.0).to(number)
        d = tl.load(diffuse + place + within * maps_step, mask=inside, other=0.0).to(number)
        offset = index * 3 * pixels + start
        above = index * gradient_batch + start * gradient_step
        g0 = _passed(image, offset, gradient, above, gradient_step, within, inside, number)
        offset += pixels
        above += gradient_channel
        g1 = _passed(image, offset, gradient, above, gradient_step, within, inside, number)
        offset += pixels
        above += gradient_channel
        g2 = _passed(image, offset, gradient, above, gradient_step, within, inside, number)
        row, fraction = _locate(m, epidermis_rows)
        through, through_slope = _read(epidermis, row, fraction, columns, mask, COMPONENTS)
        row, fraction = _locate(h, dermis_rows)
        back, back_slope = _read(dermis, row, fraction, columns, mask, COMPONENTS)
        at = index * pixels + start
        if MELANIN or HAEMOGLOBIN or DIFFUSE:
            weighted = g0[:, None] * red + g1[:, None] * green + g2[:, None] * blue
            over_back = weighted * back
            if MELANIN:
                value = d * tl.sum(over_back * through_slope, axis=1) * _slope(m, epidermis_rows)
                tl.store(
                    of_melanin + at + within, value.to(of_melanin.dtype.element_ty), mask=inside
                )
            if HAEMOGLOBIN:
                value = tl.sum(weighted * through * back_slope, axis=1)
                value = d * value * _slope(h, dermis_rows)
                tl.store(
                    of_haemoglobin + at + within,
                    value.to(of_haemoglobin.dtype.element_ty),
                    mask=inside,
                )
            if DIFFUSE:
                value = tl.sum(over_back * through, axis=1)
                tl.store(
                    of_diffuse + at + within, value.to(of_diffuse.dtype.element_ty), mask=inside
                )
        if SPECULAR:
            value = g0 * tl.load(highlight + index * 3)
            value += g1 * tl.load(highlight + index * 3 + 1)
            value += g2 * tl.load(highlight + index * 3 + 2)
            tl.store(of_specular + at + within, value.to(of_specular.dtype.element_ty), mask=inside)
        if SUMS:
            s = tl.load(specular + place + within * maps_step, mask=inside, other=0.0).to(number)
            shaded = through * back * d[:, None]
            of_red += g0[:, None] * shaded
            of_green += g1[:, None] * shaded
            of_blue += g2[:, None] * shaded
            shine_red += g0 * s
            shine_green += g1 * s
            shine_blue += g2 * s
        start += TILE
    if SUMS:
        line = sums + program.to(tl.int64) * (3 * COMPONENTS + 3)
        known = columns < COMPONENTS
        tl.store(line + columns, tl.sum(of_red, axis=0), mask=known)
        tl.store(line + COMPONENTS + columns, tl.sum(of_green, axis=0), mask=known)
        tl.store(line + 2 * COMPONENTS + columns, tl.sum(of_blue, axis=0), mask=known)
        tl.store(line + 3 * COMPONENTS, tl.sum(shine_red))
        tl.store(line + 3 * COMPONENTS + 1, tl.sum(shine_green))
        tl.store(line + 3 * COMPONENTS + 2, tl.sum(shine_blue))


@triton.jit
def _add_up(
    sums,
    of_weights,
    of_highlight,
    programs,
    COMPONENTS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    WEIGHTS: tl.constexpr,
    HIGHLIGHT: tl.constexpr,
):
    """Totals of an image's programs, in their order."""
    index = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    width = 3 * COMPONENTS + 3
    row = tl.arange(0, ROWS)
    total = tl.zeros((ROWS, COLUMNS), dtype=sums.dtype.element_ty)
    for first in range(0, programs, ROWS):
        at = sums + (index * programs + first) * width + row[:, None] * width + column[None, :]
        mask = (row < programs - first)[:, None] & (column < width)[None, :]
        total += tl.load(at, mask=mask, other=0.0)
    result = tl.sum(total, axis=0)
    if WEIGHTS:
        at = of_weights + index * 3 * COMPONENTS + column
        tl.store(at, result.to(of_weights.dtype.element_ty), mask=column < 3 * COMPONENTS)
    if HIGHLIGHT:
        at = of_highlight + index * 3 + (column - 3 * COMPONENTS)
        mask = (column >= 3 * COMPONENTS) & (column < width)
        tl.store(at, result.to(of_highlight.dtype.element_ty), mask=mask)


# Light and camera: one program an image


@triton.jit
def _spectrum(
    mixture,
    cct,
    given,
    fixed,
    daylights,
    daylight_rows,
    index,
    bands,
    known,
    MIXED: tl.constexpr,
    FIRST: tl.constexpr,
    STEP: tl.constexpr,
    BANDS: tl.constexpr,
    ILLUMINANTS: tl.constexpr,
):
    """The light, daylight at its temperature, daylight's slope per kelvin."""
    if MIXED:
        temperature = tl.load(cct + index)
        place = (temperature - FIRST) / STEP
        inside = (place >= 0.0) & (place <= (daylight_rows - 1).to(place.dtype))
        row, fraction = _cell(place, daylight_rows)
        at = daylights + row * BANDS + bands
        cold = tl.load(at, mask=known, other=0.0)
        slope = tl.load(at + BANDS, mask=known, other=0.0) - cold
        day = cold + fraction * slope
        light = tl.load(mixture + index * ILLUMINANTS + 1) * day
        for i in range(ILLUMINANTS):  # the row of D holds zeros
            share = tl.load(mixture + index * ILLUMINANTS + i)
            light += share * tl.load(fixed + i * BANDS + bands, mask=known, other=0.0)
        return light, day, tl.where(inside, slope / STEP, 0.0)
    else:
        light = tl.load(given + index * BANDS + bands, mask=known, other=0.0)
        return light, light, light


@triton.jit
def _sensitivity(mean, slopes, b0, b1, channel, bands, known, BANDS: tl.constexpr):
    at = channel * BANDS + bands
    value = tl.load(mean + at, mask=known, other=0.0)
    value += tl.load(slopes + 2 * at, mask=known, other=0.0) * b0
    value += tl.load(slopes + 2 * at + 1, mask=known, other=0.0) * b1
    return tl.where(value < 0.0, 0.0, value)


@triton.jit
def _matrix(corner, grid, down, across, at):
    """One entry of raw to linear sRGB, read bilinearly, from the upper left corner of its cell."""
    c00 = tl.load(corner + at)
    c01 = tl.load(corner + 9 + at)
    c10 = tl.load(corner + grid * 9 + at)
    c11 = tl.load(corner + grid * 9 + 9 + at)
    upper = c00 + across * (c01 - c00)
    lower = c10 + across * (c11 - c10)
    return upper + down * (lower - upper)


@triton.jit
def _fold(
    mixture,
    cct,
    given,
    camera,
    fixed,
    daylights,
    mean,
    slopes,
    raw_to_srgb,
    mixing,
    folded,
    highlight,
    daylight_rows,
    grid,
    MIXED: tl.constexpr,
    FIRST: tl.constexpr,
    STEP: tl.constexpr,
    HALF: tl.constexpr,
    COMPONENTS: tl.constexpr,
    PADDED: tl.constexpr,
    BANDS: tl.constexpr,
    PADDED_BANDS: tl.constexpr,
    ILLUMINANTS: tl.constexpr,
):
    index = tl.program_id(0).to(tl.int64)
    bands = tl.arange(0, PADDED_BANDS)
    known = bands < BANDS
    columns = tl.arange(0, PADDED)
    light, _, _ = _spectrum(
        mixture,
        cct,
        given,
        fixed,
        daylights,
        daylight_rows,
        index,
        bands,
        known,
        MIXED,
        FIRST,
        STEP,
        BANDS,
        ILLUMINANTS,
    )
    b0 = tl.load(camera + index * 2)
    b1 = tl.load(camera + index * 2 + 1)
    rows_per_unit = (grid - 1).to(b0.dtype) / (2.0 * HALF)
    place0 = (b0 + HALF) * rows_per_unit
    place1 = (b1 + HALF) * rows_per_unit
    row, down = _cell(place0, grid)
    column, across = _cell(place1, grid)
    corner = raw_to_srgb + (row * grid + column) * 9
    mask = (columns < COMPONENTS)[:, None] & known[None, :]
    mixes = tl.load(mixing + columns[:, None] * BANDS + bands[None, :], mask=mask, other=0.0)
    red = tl.zeros((PADDED,), dtype=b0.dtype)
    green = tl.zeros((PADDED,), dtype=b0.dtype)
    blue = tl.zeros((PADDED,), dtype=b0.dtype)
    shine_red = tl.zeros((), dtype=b0.dtype)
    shine_green = tl.zeros((), dtype=b0.dtype)
    shine_blue = tl.zeros((), dtype=b0.dtype)
    for channel in tl.static_range(3):
        seen = _sensitivity(mean, slopes, b0, b1, channel, bands, known, BANDS) * light
        balanced = tl.sum(mixes * seen[None, :], axis=1) / tl.sum(seen)
        m = _matrix(corner, grid, down, across, channel)
        red += m * balanced
        shine_red += m
        m = _matrix(corner, grid, down, across, 3 + channel)
        green += m * balanced
        shine_green += m
        m = _matrix(corner, grid, down, across, 6 + channel)
        blue += m * balanced
        shine_blue += m
    at = folded + index * 3 * COMPONENTS + columns
    tl.store(at, red, mask=columns < COMPONENTS)
    tl.store(at + COMPONENTS, green, mask=columns < COMPONENTS)
    tl.store(at + 2 * COMPONENTS, blue, mask=columns < COMPONENTS)
    tl.store(highlight + index * 3, shine_red)
    tl.store(highlight + index * 3 + 1, shine_green)
    tl.store(highlight + index * 3 + 2, shine_blue)


@triton.jit
def _fold_backward(
    mixture,
    cct,
    given,
    camera,
    fixed,
    daylights,
    mean,
    slopes,
    raw_to_srgb,
    mixing,
    of_folded,
    of_highlight,
    of_mixture,
    of_cct,
    of_given,
    of_camera,
    daylight_rows,
    grid,
    MIXED: tl.constexpr,
    OF_MIXTURE: tl.constexpr,
    OF_CCT: tl.constexpr,
    OF_GIVEN: tl.constexpr,
    OF_CAMERA: tl.constexpr,
    FIRST: tl.constexpr,
    STEP: tl.constexpr,
    HALF: tl.constexpr,
    COMPONENTS: tl.constexpr,
    PADDED: tl.constexpr,
    BANDS: tl.constexpr,
    PADDED_BANDS: tl.constexpr,
    ILLUMINANTS: tl.constexpr,
):
    index = tl.program_id(0).to(tl.int64)
    bands = tl.arange(0, PADDED_BANDS)
    known = bands < BANDS
    columns = tl.arange(0, PADDED)
    light, day, day_slope = _spectrum(
        mixture,
        cct,
        given,
        fixed,
        daylights,
        daylight_rows,
        index,
        bands,
        known,
        MIXED,
        FIRST,
        STEP,
        BANDS,
        ILLUMINANTS,
    )
    b0 = tl.load(camera + index * 2)
    b1 = tl.load(camera + index * 2 + 1)
    rows_per_unit = (grid - 1).to(b0.dtype) / (2.0 * HALF)
    place0 = (b0 + HALF) * rows_per_unit
    place1 = (b1 + HALF) * rows_per_unit
    row, down = _cell(place0, grid)
    column, across = _cell(place1, grid)
    corner = raw_to_srgb + (row * grid + column) * 9
    mask = (columns < COMPONENTS)[:, None] & known[None, :]
    mixes = tl.load(mixing + columns[:, None] * BANDS + bands[None, :], mask=mask, other=0.0)
    at = of_folded + index * 3 * COMPONENTS + columns
    red = tl.load(at, mask=columns < COMPONENTS, other=0.0)
    green = tl.load(at + COMPONENTS, mask=columns < COMPONENTS, other=0.0)
    blue = tl.load(at + 2 * COMPONENTS, mask=columns < COMPONENTS, other=0.0)
    of_light = tl.zeros((PADDED_BANDS,), dtype=b0.dtype)
    of_row = tl.zeros((), dtype=b0.dtype)
    of_column = tl.zeros((), dtype=b0.dtype)
    of_b0 = tl.zeros((), dtype=b0.dtype)
    of_b1 = tl.zeros((), dtype=b0.dtype)
    for channel in tl.static_range(3):
        sensitivity = _sensitivity(mean, slopes, b0, b1, channel, bands, known, BANDS)
        seen = sensitivity * light
        white = tl.sum(seen)
        mixed = tl.sum(mixes * seen[None, :], axis=1)
        of_white = tl.zeros((), dtype=b0.dtype)
        of_mixed = tl.zeros((PADDED,), dtype=b0.dtype)
        for out in tl.static_range(3):
            if out == 0:
                above = red
            elif out == 1:
                above = green
            else:
                above = blue
            entry = 3 * out + channel
            balanced = _matrix(corner, grid, down, across, entry) / white
            of_mixed += balanced * above
            over_white = tl.sum(above * mixed) / white
            of_white -= over_white * balanced
            if OF_CAMERA:
                of_entry = over_white + tl.load(of_highlight + index * 3 + out)
                c00 = tl.load(corner + entry)
                c01 = tl.load(corner + 9 + entry)
                c10 = tl.load(corner + grid * 9 + entry)
                c11 = tl.load(corner + grid * 9 + 9 + entry)
                of_row += of_entry * ((1.0 - across) * (c10 - c00) + across * (c11 - c01))
                of_column += of_entry * ((1.0 - down) * (c01 - c00) + down * (c11 - c10))
        of_seen = of_white + tl.sum(mixes * of_mixed[:, None], axis=0)
        of_light += of_seen * sensitivity
        if OF_CAMERA:
            from_camera = tl.where(sensitivity > 0.0, of_seen * light, 0.0)
            at = slopes + 2 * (channel * BANDS + bands)
            s0 = tl.load(at, mask=known, other=0.0)
            s1 = tl.load(at + 1, mask=known, other=0.0)
            of_b0 += tl.sum(from_camera * s0)
            of_b1 += tl.sum(from_camera * s1)
    if OF_CAMERA:
        last = (grid - 1).to(b0.dtype)
        of_b0 += tl.where((place0 > 0.0) & (place0 < last), of_row * rows_per_unit, 0.0)
        of_b1 += tl.where((place1 > 0.0) & (place1 < last), of_column * rows_per_unit, 0.0)
        tl.store(of_camera + index * 2, of_b0)
        tl.store(of_camera + index * 2 + 1, of_b1)
    if OF_GIVEN:
        tl.store(of_given + index * BANDS + bands, of_light, mask=known)
    if OF_MIXTURE:
        for i in range(ILLUMINANTS):
            emission = tl.load(fixed + i * BANDS + bands, mask=known, other=0.0)
            emission = tl.where(i == 1, day, emission)
            tl.store(of_mixture + index * ILLUMINANTS + i, tl.sum(of_light * emission))
    if OF_CCT:
        share = tl.load(mixture + index * ILLUMINANTS + 1)
        tl.store(of_cct + index, share * tl.sum(of_light * day_slope))


# Block shapes


@dataclass(frozen=True)
class Shape:
    """Compile-time choices of a launch, and into how many programs an image is cut."""

    tile: int
    """Pixels of a tile, a power of two."""
    warps: int
    programs: int
    """Programs of the whole launch, about, that backward aims at; each loops over tiles."""


def shape(components: int, backward: bool) -> Shape:
    """Block shapes that suit a number of components (a power of two).

    Four warps hold 2,048 numbers of each table read in forward, 16 a thread; backward also keeps
    three sums for each, and takes half of that.
    """
    numbers = 1024 if backward else 2048
    return Shape(max(16, numbers // components), 4, 2048)


def candidates(components: int, backward: bool) -> list[Shape]:
    """What autotuning tries."""
    numbers = (512, 1024, 2048, 4096) if backward else (1024, 2048, 4096, 8192)
    programs = (1024, 2048, 4096) if backward else (2048,)
    return [
        Shape(max(16, count // components), warps, target)
        for count in numbers
        for warps in (2, 4, 8)
        if 8 <= count // (32 * warps) <= 32
        for target in programs
    ]


_tuned: dict[tuple[Any, ...], Shape] = {}


def _choose(
    components: int, backward: bool, maps: Tensor, launch: Callable[[Shape], None]
) -> Shape:
    """The shape by rule, or with BIOFACENET_AUTOTUNE=1 the fastest, found once for each size.

    Sums are taken in an order that depends on the shape: by rule, that order is the same each time.
    """
    if (
        INTERPRETED
        or os.environ.get("BIOFACENET_AUTOTUNE", "0") in ("", "0")
        or torch.are_deterministic_algorithms_enabled()
    ):
        return shape(components, backward)
    pixels = maps.shape[2] * maps.shape[3]
    key = (
        *(torch.cuda.get_device_name(maps.device), components, backward, maps.dtype),
        *(pixels.bit_length(), len(maps).bit_length()),
    )
    if key not in _tuned:
        if torch.cuda.is_current_stream_capturing():
            return shape(components, backward)
        times = {
            choice: triton.testing.do_bench(
                lambda choice=choice: launch(choice), warmup=5, rep=20, return_mode="median"
            )
            for choice in candidates(components, backward)
        }
        _tuned[key] = min(times, key=lambda choice: times[choice])
    return _tuned[key]


def tuned() -> dict[tuple[Any, ...], Shape]:
    """What autotuning found in this process, by device, components, direction, dtype and size."""
    return dict(_tuned)


# Launching


@cache
def _unavailable() -> str | None:
    if INTERPRETED:
        return None
    if not torch.cuda.is_available():
        return "no CUDA device" if torch.version.cuda else "this build of torch has no CUDA"
    capability = torch.cuda.get_device_capability()
    if capability < LEAST_CAPABILITY:
        found = ".".join(map(str, capability))
        return f"the GPU has compute capability {found}, Triton wants 8.0 or newer"
    if not (os.environ.get("CC") or any(map(shutil.which, ("gcc", "clang", "cc")))):
        return "no C compiler, with which Triton builds its launcher; install gcc or set CC"
    return None


def unavailable() -> str | None:
    """None where the kernels run, else why they do not."""
    return _unavailable()


def _padded(components: int) -> int:
    if components > MAX_COMPONENTS:
        raise ValueError(
            f"the Triton kernel takes at most {MAX_COMPONENTS} components, got {components}; "
            "use another backend"
        )
    return max(16, triton.next_power_of_2(components))


def _launch(
    kernel: Any, grid: tuple[int, ...], device: torch.device, *args: Any, **options: Any
) -> None:
    """Launch on the current stream of the tensors' device."""
    # Stated, since the default differs between versions of Triton.
    options["enable_fp_fusion"] = True
    with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
        kernel[grid](*args, **options)


def forward(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    weights: Tensor,
    highlight: Tensor,
    epidermis: Tensor,
    dermis: Tensor,
    image: Tensor,
) -> None:
    """Eight inputs of `torch.ops.biofacenet.render` and the image to fill."""
    images, _, height, width = melanin.shape
    pixels, components = height * width, weights.shape[2]
    if images * pixels == 0:
        return
    padded = _padded(components)
    maps = layout.alike((melanin, haemoglobin, diffuse, specular))
    arguments = (
        *maps,
        *(weights, highlight, epidermis, dermis, image),
        *(maps[0].stride(0), layout.step(maps[0]), pixels),
    )

    def launch(chosen: Shape) -> None:
        tiles = triton.cdiv(pixels, chosen.tile)
        _launch(
            _forward,
            (images * tiles,),
            melanin.device,
            *arguments,
            tiles,
            epidermis.shape[0],
            dermis.shape[0],
            COMPONENTS=components,
            PADDED=padded,
            TILE=chosen.tile,
            num_warps=chosen.warps,
        )

    launch(_choose(padded, False, melanin, launch))


def backward(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    weights: Tensor,
    highlight: Tensor,
    epidermis: Tensor,
    dermis: Tensor,
    image: Tensor,
    gradient: Tensor,
    *wanted: Tensor | None,
) -> None:
    """The eight inputs, image, its gradient, and the six gradients to fill or None."""
    images, _, height, width = melanin.shape
    pixels, components = height * width, weights.shape[2]
    of_weights, of_highlight = wanted[4:]
    if images * pixels == 0:
        for shared in (of_weights, of_highlight):
            if shared is not None:
                shared.zero_()
        return
    padded = _padded(components)
    maps = layout.alike((melanin, haemoglobin, diffuse, specular))
    gradient, image = layout.flat(gradient), image.contiguous()
    share = of_weights is not None or of_highlight is not None

    def launch(chosen: Shape) -> None:
        tiles = triton.cdiv(pixels, chosen.tile)
        steps = triton.cdiv(tiles, max(1, chosen.programs // images))
        programs = triton.cdiv(tiles, steps)
        rows = images * programs if share else 1
        sums = weights.new_empty(rows, 3 * components + 3)
        _launch(
            _backward,
            (images * programs,),
            melanin.device,
            *maps,
            *(weights, highlight, epidermis, dermis, image, gradient),
            # Unwanted gradients are never written; a pointer is passed all the same.
            *(image if tensor is None else tensor for tensor in wanted[:4]),
            sums,
            *(maps[0].stride(0), layout.step(maps[0])),
            *(gradient.stride(0), gradient.stride(1), layout.step(gradient)),
            *(pixels, programs, steps, epidermis.shape[0], dermis.shape[0]),
            COMPONENTS=components,
            PADDED=padded,
            TILE=chosen.tile,
            MELANIN=wanted[0] is not None,
            HAEMOGLOBIN=wanted[1] is not None,
            DIFFUSE=wanted[2] is not None,
            SPECULAR=wanted[3] is not None,
            SUMS=share,
            num_warps=chosen.warps,
        )
        if share:
            columns = 16
            _launch(
                _add_up,
                (images, triton.cdiv(3 * components + 3, columns)),
                melanin.device,
                sums,
                sums if of_weights is None else of_weights,
                sums if of_highlight is None else of_highlight,
                programs,
                COMPONENTS=components,
                ROWS=min(256, triton.next_power_of_2(programs)),
                COLUMNS=columns,
                WEIGHTS=of_weights is not None,
                HIGHLIGHT=of_highlight is not None,
                num_warps=4,
            )

    launch(_choose(padded, True, melanin, launch))


def fold(
    mixture: Tensor | None,
    cct: Tensor | None,
    spectrum: Tensor | None,
    camera: Tensor,
    tables: list[Tensor],
    first_cct: float,
    cct_step: float,
    camera_range: float,
    folded: Tensor,
    highlight: Tensor,
) -> None:
    """Mixture weights and CCT, or a spectrum; camera; tables; and the two results to fill."""
    if len(camera) == 0:
        return
    _launch(
        _fold,
        (len(camera),),
        camera.device,
        *_light_and_camera(mixture, cct, spectrum, camera, tables),
        folded,
        highlight,
        *_table_sizes(tables),
        MIXED=mixture is not None,
        **_fold_constants(tables, first_cct, cct_step, camera_range),
    )


def fold_backward(
    mixture: Tensor | None,
    cct: Tensor | None,
    spectrum: Tensor | None,
    camera: Tensor,
    tables: list[Tensor],
    first_cct: float,
    cct_step: float,
    camera_range: float,
    of_folded: Tensor,
    of_highlight: Tensor,
    *wanted: Tensor | None,
) -> None:
    """The inputs, gradients of the two results, and the four gradients to fill or None."""
    if len(camera) == 0:
        return
    of_mixture, of_cct, of_spectrum, of_camera = wanted
    _launch(
        _fold_backward,
        (len(camera),),
        camera.device,
        *_light_and_camera(mixture, cct, spectrum, camera, tables),
        of_folded,
        of_highlight,
        *(camera if tensor is None else tensor for tensor in wanted),
        *_table_sizes(tables),
        MIXED=mixture is not None,
        OF_MIXTURE=of_mixture is not None,
        OF_CCT=of_cct is not None,
        OF_GIVEN=of_spectrum is not None,
        OF_CAMERA=of_camera is not None,
        **_fold_constants(tables, first_cct, cct_step, camera_range),
    )


def _light_and_camera(
    mixture: Tensor | None,
    cct: Tensor | None,
    spectrum: Tensor | None,
    camera: Tensor,
    tables: list[Tensor],
) -> tuple[Tensor, ...]:
    """What both folding kernels read; a tensor that is not there is never read."""
    light = (camera if tensor is None else tensor for tensor in (mixture, cct, spectrum))
    return (*light, camera, *tables[:6])


def _table_sizes(tables: list[Tensor]) -> tuple[int, int]:
    return len(tables[1]), math.isqrt(len(tables[4]))


def _fold_constants(
    tables: list[Tensor], first_cct: float, cct_step: float, camera_range: float
) -> dict[str, float]:
    components = len(tables[5])
    return {
        "FIRST": first_cct,
        "STEP": cct_step,
        "HALF": camera_range,
        "COMPONENTS": components,
        "PADDED": _padded(components),
        "BANDS": BANDS,
        "PADDED_BANDS": PADDED_BANDS,
        "ILLUMINANTS": ILLUMINANTS,
        "num_warps": 4,
    }
