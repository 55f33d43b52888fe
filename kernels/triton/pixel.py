"""What a pixel's colour is made of, and the kernels that render a tile of pixels, either direction.

`csrc/pixel.h` has the mathematics of a pixel, in C++. A pixel's values live in one lane. Of a few
functions a lane reads its pixel's rows itself, in pieces of four and two, and reading two nodes it
interpolates the sums over functions, not the functions.
"""

# Bodies under @triton.jit are Triton's language, not Python's; their arguments have no Python types.
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: N803

from __future__ import annotations

import triton
import triton.language as tl

__all__ = [
    "add_up_kernel",
    "backward_kernel",
    "cell",
    "forward_kernel",
]

STRIDES = ("fixed_batch", "folded_batch", "diffuse_batch", "specular_batch", "maps_step")
SIZES = ("pixels", "fixed_nodes", "folded_nodes", "light_each")
PLANES = ("fixed", "folded", "diffuse", "specular", "image")

# Reading the skin


@triton.jit
def cell(place, rows):
    """Row below a place of a table and the share of the row above; clamped."""
    last = (rows - 1).to(place.dtype)
    # Comparisons in this order keep a NaN, which must reach the result but no index.
    place = tl.where(place < 0.0, 0.0, place)
    place = tl.where(place > last, last, place)
    below = tl.minimum(tl.floor(tl.where(place > 0.0, place, 0.0)), last - 1.0)
    # The row is not cast back: Triton 3.6 loses the layout of int32 to float64.
    return below.to(tl.int32), place - below


@triton.jit
def _locate(value, nodes):
    """The same for a map value: -1 and 1 are the first and the last node; infinity is NaN."""
    row, fraction = cell((value + 1.0) * (0.5 * (nodes - 1).to(value.dtype)), nodes)
    return row, fraction + (value - value)


@triton.jit
def _slope(value, nodes):
    """d(place) / d(value): 0 where the value was clamped, and at the ends."""
    inside = (value > -1.0) & (value < 1.0)
    return tl.where(inside, 0.5 * (nodes - 1).to(value.dtype), 0.0)


@triton.jit
def _piece(row, COUNT: tl.constexpr):
    """As many numbers of each pixel's row, (tile, COUNT), from pointers to their first."""
    return tl.load(row[:, None] + tl.arange(0, COUNT)[None, :])


@triton.jit
def _dot(left, right):
    """Sums over a pixel's functions."""
    return tl.sum(left * right, axis=1)


# Forward


@triton.jit
def _shade(skin, diffuse, specular, highlight):
    """One channel's colour from that of its skin, both shadings and the highlight's colour."""
    value = diffuse * skin + specular * highlight
    value += (diffuse - diffuse) + (specular - specular)  # NaN where either is infinite
    return tl.where(value < 0.0, 0.0, value)  # a NaN passes


@triton.jit(do_not_specialize=[*STRIDES, *SIZES, "tiles"], do_not_specialize_on_alignment=[*PLANES])
def forward_kernel(
    fixed,
    folded,
    diffuse,
    specular,
    functions,
    table,
    shine,
    image,
    fixed_batch: tl.int64,
    folded_batch: tl.int64,
    diffuse_batch: tl.int64,
    specular_batch: tl.int64,
    maps_step: tl.int64,
    pixels: tl.int64,
    fixed_nodes: tl.int32,
    folded_nodes: tl.int32,
    light_each: tl.int64,
    tiles: tl.int32,
    FEW: tl.constexpr,
    PADDED_P: tl.constexpr,
    ROW: tl.constexpr,
    TILE: tl.constexpr,
):
    """Colours of a tile of pixels."""
    program = tl.program_id(0)
    index = (program // tiles).to(tl.int64)
    start = (program % tiles).to(tl.int64) * TILE
    number = table.dtype.element_ty
    within = tl.arange(0, TILE)
    inside = within < pixels - start
    at = start * maps_step + within * maps_step
    x = tl.load(fixed + index * fixed_batch + at, mask=inside, other=0.0).to(number)
    y = tl.load(folded + index * folded_batch + at, mask=inside, other=0.0).to(number)
    d = tl.load(diffuse + index * diffuse_batch + at, mask=inside, other=0.0).to(number)
    s = tl.load(specular + index * specular_batch + at, mask=inside, other=0.0).to(number)
    row, share = _locate(x, fixed_nodes)
    at_functions = functions + row * PADDED_P
    row, fraction = _locate(y, folded_nodes)
    # Rows are counted and not numbers, so that the compiler sees where they are aligned.
    light = index * light_each
    at_table = table + (light * folded_nodes + row) * (3 * ROW)
    shine += light * 3
    output = image + index * 3 * pixels + start
    if FEW:
        e4 = _piece(at_functions, 4)
        e4 += share[:, None] * (_piece(at_functions + PADDED_P, 4) - e4)
        e2 = _piece(at_functions + 4, 2)
        e2 += share[:, None] * (_piece(at_functions + PADDED_P + 4, 2) - e2)
        for c in tl.static_range(3):
            here = at_table + c * ROW
            low = _dot(e4, _piece(here, 4)) + _dot(e2, _piece(here + 4, 2))
            here += 3 * ROW
            high = _dot(e4, _piece(here, 4)) + _dot(e2, _piece(here + 4, 2))
            value = _shade(low + fraction * (high - low), d, s, tl.load(shine + c))
            tl.store(output + within, value.to(image.dtype.element_ty), mask=inside)
            output += pixels
    else:
        e = _piece(at_functions, ROW)
        e += share[:, None] * (_piece(at_functions + PADDED_P, ROW) - e)
        for c in tl.static_range(3):
            low = _dot(e, _piece(at_table + c * ROW, ROW))
            high = _dot(e, _piece(at_table + (3 + c) * ROW, ROW))
            value = _shade(low + fraction * (high - low), d, s, tl.load(shine + c))
            tl.store(output + within, value.to(image.dtype.element_ty), mask=inside)
            output += pixels


# Backward


@triton.jit
def _passed(image, gradient, gradient_step, within, inside, number):
    """Gradient of one channel where the image was not clipped."""
    value = tl.load(image + within, mask=inside, other=0.0)
    above = tl.load(gradient + within * gradient_step, mask=inside, other=0.0)
    # A NaN in the image passes the gradient on, as the derivative of a ReLU does in torch.
    return tl.where(value <= 0.0, 0.0, above.to(number))


@triton.jit
def _sum_of_products(
    sums,
    at_others,
    fraction,
    e,
    g0,
    g1,
    g2,
    Q: tl.constexpr,
    PADDED_Q: tl.constexpr,
    ROW: tl.constexpr,
):
    """Add a tile's share, one function of the folded axis after the other, to [Q][3][ROW] numbers."""
    column = tl.arange(0, ROW)
    for q in range(Q):
        low = tl.load(at_others + q)
        of_pixel = low + fraction * (tl.load(at_others + PADDED_Q + q) - low)
        for c in tl.static_range(3):
            if c == 0:
                weight = of_pixel * g0
            elif c == 1:
                weight = of_pixel * g1
            else:
                weight = of_pixel * g2
            share = tl.sum(weight[:, None] * e, axis=0)
            at = sums + (q * 3 + c) * ROW + column
            tl.store(at, tl.load(at) + share)
    tl.debug_barrier()  # the next tile reads what this one stored


@triton.jit(
    do_not_specialize=[
        *STRIDES,
        *SIZES,
        *("gradient_batch", "gradient_channel", "gradient_step", "programs", "steps"),
    ],
    do_not_specialize_on_alignment=[*PLANES, "gradient", "of_fixed", "of_folded", "of_diffuse"],
)
def backward_kernel(
    fixed,
    folded,
    diffuse,
    specular,
    functions,
    others,
    table,
    shine,
    image,
    gradient,
    of_fixed,
    of_folded,
    of_diffuse,
    of_specular,
    sums,
    fixed_batch: tl.int64,
    folded_batch: tl.int64,
    diffuse_batch: tl.int64,
    specular_batch: tl.int64,
    maps_step: tl.int64,
    gradient_batch: tl.int64,
    gradient_channel: tl.int64,
    gradient_step: tl.int64,
    pixels: tl.int64,
    fixed_nodes: tl.int32,
    folded_nodes: tl.int32,
    light_each: tl.int64,
    programs: tl.int32,
    steps: tl.int32,
    FEW: tl.constexpr,
    Q: tl.constexpr,
    PADDED_P: tl.constexpr,
    PADDED_Q: tl.constexpr,
    ROW: tl.constexpr,
    TILE: tl.constexpr,
    FIXED: tl.constexpr,
    FOLDED: tl.constexpr,
    DIFFUSE: tl.constexpr,
    SPECULAR: tl.constexpr,
    SUMS: tl.constexpr,
):
    """Gradients of some tiles of pixels, and what they add to those of the image's light."""
    program = tl.program_id(0)
    index = (program // programs).to(tl.int64)
    number = table.dtype.element_ty
    within = tl.arange(0, TILE)
    light = index * light_each
    shine += light * 3
    if SUMS:
        line = sums + program.to(tl.int64) * (Q * 3 * ROW + 3)
        shine_red = tl.zeros((TILE,), dtype=number)
        shine_green = tl.zeros((TILE,), dtype=number)
        shine_blue = tl.zeros((TILE,), dtype=number)
        if FEW:
            of_red = tl.zeros((PADDED_Q, PADDED_P), dtype=number)
            of_green = tl.zeros((PADDED_Q, PADDED_P), dtype=number)
            of_blue = tl.zeros((PADDED_Q, PADDED_P), dtype=number)
        else:
            for q in range(Q * 3):
                tl.store(line + q * ROW + tl.arange(0, ROW), tl.zeros((ROW,), dtype=number))
            tl.debug_barrier()
    start = (program % programs).to(tl.int64) * steps * TILE
    for _ in range(steps):
        inside = within < pixels - start
        at = start * maps_step + within * maps_step
        x = tl.load(fixed + index * fixed_batch + at, mask=inside, other=0.0).to(number)
        y = tl.load(folded + index * folded_batch + at, mask=inside, other=0.0).to(number)
        d = tl.load(diffuse + index * diffuse_batch + at, mask=inside, other=0.0).to(number)
        value = image + index * 3 * pixels + start
        above = gradient + index * gradient_batch + start * gradient_step
        g0 = _passed(value, above, gradient_step, within, inside, number)
        value += pixels
        above += gradient_channel
        g1 = _passed(value, above, gradient_step, within, inside, number)
        value += pixels
        above += gradient_channel
        g2 = _passed(value, above, gradient_step, within, inside, number)
        row, share = _locate(x, fixed_nodes)
        at_functions = functions + row * PADDED_P
        row, fraction = _locate(y, folded_nodes)
        at_table = table + (light * folded_nodes + row) * (3 * ROW)
        to = index * pixels + start
        if FIXED or FOLDED or DIFFUSE:
            # Sums with the functions and with their slopes, at both nodes of the folded axis.
            if FEW:
                e4 = _piece(at_functions, 4)
                slope4 = _piece(at_functions + PADDED_P, 4) - e4
                e4 += share[:, None] * slope4
                e2 = _piece(at_functions + 4, 2)
                slope2 = _piece(at_functions + PADDED_P + 4, 2) - e2
                e2 += share[:, None] * slope2
                seen4 = g0[:, None] * _piece(at_table, 4)
                seen4 += g1[:, None] * _piece(at_table + ROW, 4)
                seen4 += g2[:, None] * _piece(at_table + 2 * ROW, 4)
                seen2 = g0[:, None] * _piece(at_table + 4, 2)
                seen2 += g1[:, None] * _piece(at_table + ROW + 4, 2)
                seen2 += g2[:, None] * _piece(at_table + 2 * ROW + 4, 2)
                low = _dot(e4, seen4) + _dot(e2, seen2)
                low_change = _dot(slope4, seen4) + _dot(slope2, seen2)
                seen4 = g0[:, None] * _piece(at_table + 3 * ROW, 4)
                seen4 += g1[:, None] * _piece(at_table + 4 * ROW, 4)
                seen4 += g2[:, None] * _piece(at_table + 5 * ROW, 4)
                seen2 = g0[:, None] * _piece(at_table + 3 * ROW + 4, 2)
                seen2 += g1[:, None] * _piece(at_table + 4 * ROW + 4, 2)
                seen2 += g2[:, None] * _piece(at_table + 5 * ROW + 4, 2)
                high = _dot(e4, seen4) + _dot(e2, seen2)
                high_change = _dot(slope4, seen4) + _dot(slope2, seen2)
            else:
                e = _piece(at_functions, ROW)
                slope = _piece(at_functions + PADDED_P, ROW) - e
                e += share[:, None] * slope
                seen = g0[:, None] * _piece(at_table, ROW)
                seen += g1[:, None] * _piece(at_table + ROW, ROW)
                seen += g2[:, None] * _piece(at_table + 2 * ROW, ROW)
                low = _dot(e, seen)
                low_change = _dot(slope, seen)
                seen = g0[:, None] * _piece(at_table + 3 * ROW, ROW)
                seen += g1[:, None] * _piece(at_table + 4 * ROW, ROW)
                seen += g2[:, None] * _piece(at_table + 5 * ROW, ROW)
                high = _dot(e, seen)
                high_change = _dot(slope, seen)
            if FIXED:
                result = d * (low_change + fraction * (high_change - low_change))
                result *= _slope(x, fixed_nodes)
                tl.store(of_fixed + to + within, result.to(of_fixed.dtype.element_ty), mask=inside)
            if FOLDED:
                result = d * (high - low) * _slope(y, folded_nodes)
                tl.store(
                    of_folded + to + within, result.to(of_folded.dtype.element_ty), mask=inside
                )
            if DIFFUSE:
                result = low + fraction * (high - low)
                tl.store(
                    of_diffuse + to + within, result.to(of_diffuse.dtype.element_ty), mask=inside
                )
        if SPECULAR:
            result = g0 * tl.load(shine) + g1 * tl.load(shine + 1) + g2 * tl.load(shine + 2)
            tl.store(
                of_specular + to + within, result.to(of_specular.dtype.element_ty), mask=inside
            )
        if SUMS:
            s = tl.load(specular + index * specular_batch + at, mask=inside, other=0.0).to(number)
            shine_red += g0 * s
            shine_green += g1 * s
            shine_blue += g2 * s
            at_others = others + row * PADDED_Q
            if FEW:
                of_pixel = _piece(at_others, PADDED_Q)
                of_pixel += fraction[:, None] * (_piece(at_others + PADDED_Q, PADDED_Q) - of_pixel)
                of_pixel = tl.trans(of_pixel)
                lit = _piece(at_functions, PADDED_P)
                lit += share[:, None] * (_piece(at_functions + PADDED_P, PADDED_P) - lit)
                lit *= d[:, None]
                of_red = tl.dot(of_pixel, lit * g0[:, None], of_red, input_precision="tf32x3")
                of_green = tl.dot(of_pixel, lit * g1[:, None], of_green, input_precision="tf32x3")
                of_blue = tl.dot(of_pixel, lit * g2[:, None], of_blue, input_precision="tf32x3")
            else:
                lit = _piece(at_functions, ROW)
                lit += share[:, None] * (_piece(at_functions + PADDED_P, ROW) - lit)
                _sum_of_products(
                    line, at_others, fraction, lit, d * g0, d * g1, d * g2, Q, PADDED_Q, ROW
                )
        start += TILE
    if SUMS:
        if FEW:
            q = tl.arange(0, PADDED_Q)[:, None]
            p = tl.arange(0, PADDED_P)[None, :]
            known = (q < Q) & (p < ROW)
            at = line + q * (3 * ROW) + p
            tl.store(at, of_red, mask=known)
            tl.store(at + ROW, of_green, mask=known)
            tl.store(at + 2 * ROW, of_blue, mask=known)
        end = line + Q * 3 * ROW
        tl.store(end, tl.sum(shine_red))
        tl.store(end + 1, tl.sum(shine_green))
        tl.store(end + 2, tl.sum(shine_blue))


@triton.jit(do_not_specialize=["programs", "width"])
def add_up_kernel(
    sums,
    totals,
    programs: tl.int32,
    width: tl.int32,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Totals of a light's programs, in their order."""
    index = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    row = tl.arange(0, ROWS)
    total = tl.zeros((ROWS, COLUMNS), dtype=sums.dtype.element_ty)
    for first in range(0, programs, ROWS):
        at = sums + (index * programs + first) * width + row[:, None] * width + column[None, :]
        mask = (row < programs - first)[:, None] & (column < width)[None, :]
        total += tl.load(at, mask=mask, other=0.0)
    tl.store(totals + index * width + column, tl.sum(total, axis=0), mask=column < width)
