"""Kernels that fold light and camera into a few weights for each image, forward and backward.

One program an image. `biofacenet.rendering.folding` has the equations, `csrc/fold.h` the same in C++.
"""

# Bodies under @triton.jit are Triton's language, not Python's; their arguments have no Python types.
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: N803, RET505

from __future__ import annotations

import triton
import triton.language as tl

from .pixel import cell

__all__ = [
    "BANDS",
    "ILLUMINANTS",
    "PADDED_BANDS",
    "fold_backward_kernel",
    "fold_kernel",
]

BANDS, PADDED_BANDS, ILLUMINANTS = 33, 64, 14


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
    """The light, daylight at its temperature, and daylight's slope per kelvin."""
    if MIXED:
        temperature = tl.load(cct + index)
        place = (temperature - FIRST) / STEP
        inside = (place >= 0.0) & (place <= (daylight_rows - 1).to(place.dtype))
        row, fraction = cell(place, daylight_rows)
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
    """One channel of the camera, never negative."""
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
def fold_kernel(
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
    """Weights and highlight colour of one image."""
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
    row, down = cell(place0, grid)
    column, across = cell(place1, grid)
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
def fold_backward_kernel(
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
    """Gradients of light and camera of one image."""
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
    row, down = cell(place0, grid)
    column, across = cell(place1, grid)
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
