"""Kernels that fold light and camera into an image's table, and lead the gradient of it back.

One program a light. `csrc/fold.h` has the equations, in C++.
"""

# Bodies under @triton.jit are Triton's language, not Python's; their arguments have no Python types.
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: N803, RET505

from __future__ import annotations

import triton
import triton.language as tl

from .pixel import cell

__all__ = ["BANDS", "ILLUMINANTS", "PADDED_BANDS", "light_gradients_kernel", "table_kernel"]

BANDS, PADDED_BANDS, ILLUMINANTS = 33, 64, 14


@triton.jit
def _emissions(fixed, i, bands, known, BANDS: tl.constexpr, ILLUMINANTS: tl.constexpr):
    """The illuminants' spectra, a row each."""
    there = (i < ILLUMINANTS)[:, None] & known[None, :]
    return tl.load(fixed + i[:, None] * BANDS + bands[None, :], mask=there, other=0.0)


@triton.jit
def _spectrum(
    mixture,
    cct,
    spectrum,
    fixed,
    daylights,
    daylight_rows,
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
        place = (tl.load(cct) - FIRST) / STEP
        inside = (place >= 0.0) & (place <= (daylight_rows - 1).to(place.dtype))
        row, fraction = cell(place, daylight_rows)
        at = daylights + row * BANDS + bands
        cold = tl.load(at, mask=known, other=0.0)
        slope = tl.load(at + BANDS, mask=known, other=0.0) - cold
        day = cold + fraction * slope
        i = tl.arange(0, 16)
        shares = tl.load(mixture + i, mask=i < ILLUMINANTS, other=0.0)
        emissions = _emissions(fixed, i, bands, known, BANDS, ILLUMINANTS)  # that of D is 0
        light = tl.load(mixture + 1) * day + tl.sum(shares[:, None] * emissions, axis=0)
        return light, day, tl.where(inside, slope / STEP, 0.0)
    else:
        light = tl.load(spectrum + bands, mask=known, other=0.0)
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
def _corner(raw_to_srgb, b0, b1, grid, HALF: tl.constexpr):
    """The camera's cell in the grid: its upper left corner, both shares, both slopes."""
    last = (grid - 1).to(b0.dtype)
    rows_per_unit = last / (2.0 * HALF)
    place0 = (b0 + HALF) * rows_per_unit
    place1 = (b1 + HALF) * rows_per_unit
    row, down = cell(place0, grid)
    column, across = cell(place1, grid)
    slope0 = tl.where((place0 > 0.0) & (place0 < last), rows_per_unit, 0.0)
    slope1 = tl.where((place1 > 0.0) & (place1 < last), rows_per_unit, 0.0)
    return raw_to_srgb + (row * grid + column) * 9, down, across, slope0, slope1


@triton.jit
def _corners(corner, grid, d):
    """A column of raw to linear sRGB at all four corners of the camera's cell: what raw channel d gives
    to red, green and blue, and 0.
    """
    c = tl.arange(0, 4)
    at = corner + 3 * c + d
    there = c < 3
    c00 = tl.load(at, mask=there, other=0.0)
    c01 = tl.load(at + 9, mask=there, other=0.0)
    c10 = tl.load(at + grid * 9, mask=there, other=0.0)
    c11 = tl.load(at + grid * 9 + 9, mask=there, other=0.0)
    return c00, c01, c10, c11


@triton.jit
def _between(c00, c01, c10, c11, down, across):
    """The column read bilinearly."""
    upper = c00 + across * (c01 - c00)
    lower = c10 + across * (c11 - c10)
    return upper + down * (lower - upper)


@triton.jit
def _light_and_camera(
    index,
    mixture,
    cct,
    spectrum,
    camera,
    fixed,
    daylights,
    raw_to_srgb,
    mixture_each,
    cct_each,
    spectrum_each,
    camera_each,
    daylight_rows,
    grid,
    bands,
    known,
    MIXED: tl.constexpr,
    FIRST: tl.constexpr,
    STEP: tl.constexpr,
    HALF: tl.constexpr,
    BANDS: tl.constexpr,
    ILLUMINANTS: tl.constexpr,
):
    """An image's light, with what `_spectrum` tells of daylight; its camera, with what `_corner` does."""
    light, day, day_slope = _spectrum(
        mixture + index * mixture_each,
        cct + index * cct_each,
        spectrum + index * spectrum_each,
        *(fixed, daylights, daylight_rows, bands, known, MIXED, FIRST, STEP, BANDS, ILLUMINANTS),
    )
    b0 = tl.load(camera + index * camera_each)
    b1 = tl.load(camera + index * camera_each + 1)
    corner, down, across, slope0, slope1 = _corner(raw_to_srgb, b0, b1, grid, HALF)
    return light, day, day_slope, b0, b1, corner, down, across, slope0, slope1


@triton.jit(
    do_not_specialize=[
        *("mixture_each", "cct_each", "spectrum_each", "camera_each"),
        *("weights_each", "highlight_each", "daylight_rows", "grid", "fixed_nodes", "folded_nodes"),
    ]
)
def table_kernel(
    mixture,
    cct,
    spectrum,
    camera,
    weights,
    highlight,
    fixed,
    daylights,
    mean,
    slopes,
    raw_to_srgb,
    functions,
    others,
    mixing,
    padded_functions,
    padded_others,
    table,
    shine,
    mixture_each: tl.int64,
    cct_each: tl.int64,
    spectrum_each: tl.int64,
    camera_each: tl.int64,
    weights_each: tl.int64,
    highlight_each: tl.int64,
    daylight_rows: tl.int32,
    grid: tl.int32,
    fixed_nodes: tl.int32,
    folded_nodes: tl.int32,
    MIXED: tl.constexpr,
    GIVEN: tl.constexpr,
    FIRST: tl.constexpr,
    STEP: tl.constexpr,
    HALF: tl.constexpr,
    P: tl.constexpr,
    Q: tl.constexpr,
    PADDED_P: tl.constexpr,
    PADDED_Q: tl.constexpr,
    ROW: tl.constexpr,
    NODES: tl.constexpr,
    BANDS: tl.constexpr,
    PADDED_BANDS: tl.constexpr,
    ILLUMINANTS: tl.constexpr,
):
    """An image's table [folded_nodes][3][ROW] and highlight; the first also copies the functions, to
    [fixed_nodes][PADDED_P] and [folded_nodes][PADDED_Q], zeros behind the last.
    """
    index = tl.program_id(0).to(tl.int64)
    bands = tl.arange(0, PADDED_BANDS)
    known = bands < BANDS
    c = tl.arange(0, 4)
    if GIVEN:
        at = weights + index * weights_each + c[:, None] * BANDS + bands[None, :]
        folded = tl.load(at, mask=(c < 3)[:, None] & known[None, :], other=0.0)
        white = tl.load(highlight + index * highlight_each + c, mask=c < 3, other=0.0)
    else:
        light, _, _, b0, b1, corner, down, across, _, _ = _light_and_camera(
            *(index, mixture, cct, spectrum, camera, fixed, daylights, raw_to_srgb),
            *(mixture_each, cct_each, spectrum_each, camera_each, daylight_rows, grid),
            *(bands, known, MIXED, FIRST, STEP, HALF, BANDS, ILLUMINANTS),
        )
        folded = tl.zeros((4, PADDED_BANDS), dtype=b0.dtype)
        white = tl.zeros((4,), dtype=b0.dtype)
        for d in tl.static_range(3):
            seen = _sensitivity(mean, slopes, b0, b1, d, bands, known, BANDS) * light
            c00, c01, c10, c11 = _corners(corner, grid, d)
            column = _between(c00, c01, c10, c11, down, across)
            folded += column[:, None] * (seen / tl.sum(seen))[None, :]
            white += column
    tl.store(shine + index * 3 + c, white, mask=c < 3)
    red = tl.sum(tl.where((c == 0)[:, None], folded, 0.0), axis=0)[None, :]
    green = tl.sum(tl.where((c == 1)[:, None], folded, 0.0), axis=0)[None, :]
    blue = tl.sum(tl.where((c == 2)[:, None], folded, 0.0), axis=0)[None, :]
    q = tl.arange(0, PADDED_Q)
    own = table + index * folded_nodes * (3 * ROW)
    for first in range(0, folded_nodes, NODES):
        node = first + tl.arange(0, NODES)
        inside = node < folded_nodes
        of_node = tl.load(
            others + node[:, None] * Q + q[None, :],
            mask=inside[:, None] & (q < Q)[None, :],
            other=0.0,
        )
        for p in range(ROW):
            # Columns behind the last function are zeros.
            there = (q < Q)[:, None] & known[None, :] & (p < P)
            at = mixing + bands[None, :] * (Q * P) + q[:, None] * P + p
            mix = tl.load(at, mask=there, other=0.0)
            at = own + node * (3 * ROW) + p
            value = tl.sum(of_node * tl.sum(mix * red, axis=1)[None, :], axis=1)
            tl.store(at, value, mask=inside)
            value = tl.sum(of_node * tl.sum(mix * green, axis=1)[None, :], axis=1)
            tl.store(at + ROW, value, mask=inside)
            value = tl.sum(of_node * tl.sum(mix * blue, axis=1)[None, :], axis=1)
            tl.store(at + 2 * ROW, value, mask=inside)
    if index == 0:
        _pad(functions, padded_functions, fixed_nodes, P, PADDED_P, NODES)
        _pad(others, padded_others, folded_nodes, Q, PADDED_Q, NODES)


@triton.jit
def _pad(source, target, nodes, COUNT: tl.constexpr, PADDED: tl.constexpr, NODES: tl.constexpr):
    """Copy rows, with zeros behind their last number."""
    column = tl.arange(0, PADDED)[None, :]
    for first in range(0, nodes, NODES):
        node = first + tl.arange(0, NODES)[:, None]
        inside = (node < nodes) & (column < PADDED)
        row = tl.load(source + node * COUNT + column, mask=inside & (column < COUNT), other=0.0)
        tl.store(target + node * PADDED + column, row, mask=inside)


@triton.jit(
    do_not_specialize=[
        *("mixture_each", "cct_each", "spectrum_each", "camera_each", "daylight_rows", "grid"),
    ]
)
def light_gradients_kernel(
    mixture,
    cct,
    spectrum,
    camera,
    fixed,
    daylights,
    mean,
    slopes,
    raw_to_srgb,
    mixing,
    totals,
    of_mixture,
    of_cct,
    of_spectrum,
    of_camera,
    of_weights,
    of_highlight,
    mixture_each: tl.int64,
    cct_each: tl.int64,
    spectrum_each: tl.int64,
    camera_each: tl.int64,
    daylight_rows: tl.int32,
    grid: tl.int32,
    MIXED: tl.constexpr,
    GIVEN: tl.constexpr,
    FIRST: tl.constexpr,
    STEP: tl.constexpr,
    HALF: tl.constexpr,
    P: tl.constexpr,
    Q: tl.constexpr,
    ROW: tl.constexpr,
    PADDED_Q: tl.constexpr,
    BANDS: tl.constexpr,
    PADDED_BANDS: tl.constexpr,
    ILLUMINANTS: tl.constexpr,
):
    """Gradients of all that a light is made of, from the totals [Q][3][ROW] and those of the highlight."""
    index = tl.program_id(0).to(tl.int64)
    bands = tl.arange(0, PADDED_BANDS)
    known = bands < BANDS
    q = tl.arange(0, PADDED_Q)
    own = totals + index * (Q * 3 * ROW + 3)
    number = totals.dtype.element_ty
    c = tl.arange(0, 4)
    above = tl.zeros((4, PADDED_BANDS), dtype=number)
    for p in range(P):
        there = (q < Q)[:, None] & known[None, :]
        at = mixing + bands[None, :] * (Q * P) + q[:, None] * P + p
        mix = tl.load(at, mask=there, other=0.0)
        for channel in tl.static_range(3):
            total = tl.load(own + (q * 3 + channel) * ROW + p, mask=q < Q, other=0.0)
            share = tl.sum(mix * total[:, None], axis=0)
            above += tl.where((c == channel)[:, None], share[None, :], 0.0)
    shine = tl.load(own + Q * 3 * ROW + c, mask=c < 3, other=0.0)
    if GIVEN:
        at = of_weights + index * (3 * BANDS) + c[:, None] * BANDS + bands[None, :]
        tl.store(at, above, mask=(c < 3)[:, None] & known[None, :])
        tl.store(of_highlight + index * 3 + c, shine, mask=c < 3)
    else:
        light, day, day_slope, b0, b1, corner, down, across, slope0, slope1 = _light_and_camera(
            *(index, mixture, cct, spectrum, camera, fixed, daylights, raw_to_srgb),
            *(mixture_each, cct_each, spectrum_each, camera_each, daylight_rows, grid),
            *(bands, known, MIXED, FIRST, STEP, HALF, BANDS, ILLUMINANTS),
        )
        of_light = tl.zeros((PADDED_BANDS,), dtype=number)
        of_b0 = tl.zeros((), dtype=number)
        of_b1 = tl.zeros((), dtype=number)
        for d in tl.static_range(3):
            sensitivity = _sensitivity(mean, slopes, b0, b1, d, bands, known, BANDS)
            seen = sensitivity * light
            white = tl.sum(seen)
            c00, c01, c10, c11 = _corners(corner, grid, d)
            balanced = _between(c00, c01, c10, c11, down, across) / white
            over_white = tl.sum(above * seen[None, :], axis=1) / white
            of_seen = tl.sum(balanced[:, None] * (above - over_white[:, None]), axis=0)
            of_entry = over_white + shine
            slope_down = (1.0 - across) * (c10 - c00) + across * (c11 - c01)
            slope_across = (1.0 - down) * (c01 - c00) + down * (c11 - c10)
            of_b0 += tl.sum(of_entry * slope_down) * slope0
            of_b1 += tl.sum(of_entry * slope_across) * slope1
            of_light += of_seen * sensitivity
            from_camera = tl.where(sensitivity > 0.0, of_seen * light, 0.0)
            at = slopes + 2 * (d * BANDS + bands)
            of_b0 += tl.sum(from_camera * tl.load(at, mask=known, other=0.0))
            of_b1 += tl.sum(from_camera * tl.load(at + 1, mask=known, other=0.0))
        tl.store(of_camera + index * 2, of_b0)
        tl.store(of_camera + index * 2 + 1, of_b1)
        if MIXED:
            i = tl.arange(0, 16)
            emissions = _emissions(fixed, i, bands, known, BANDS, ILLUMINANTS)
            emissions += tl.where((i == 1)[:, None], day[None, :], 0.0)
            found = tl.sum(of_light[None, :] * emissions, axis=1)
            tl.store(of_mixture + index * ILLUMINANTS + i, found, mask=i < ILLUMINANTS)
            share = tl.load(mixture + index * mixture_each + 1)
            tl.store(of_cct + index, share * tl.sum(of_light * day_slope))
        else:
            tl.store(of_spectrum + index * BANDS + bands, of_light, mask=known)
