"""What a pixel's colour is made of, and the kernels that render a tile of pixels, either direction."""

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
def _locate(value, rows):
    """The same for a map value: -1 and 1 are the centres of the first and the last row."""
    return cell((value + 1.0) * 0.5 * (rows - 1).to(value.dtype), rows)


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
    """One channel's weights of an image."""
    return tl.load(
        weights + (image * 3 + channel) * COMPONENTS + columns, mask=columns < COMPONENTS, other=0.0
    )


# Forward


@triton.jit
def _shade(skin, diffuse, specular, highlight):
    """One channel's colour from its reflectance, both shadings and the highlight's colour."""
    value = diffuse * skin + specular * highlight
    return tl.where(value < 0.0, 0.0, value)  # a NaN passes


@triton.jit
def forward_kernel(
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
    """Colours of a tile of pixels."""
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
def backward_kernel(
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
    """Gradients of some tiles of pixels, and what they add to those of the image."""
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
def add_up_kernel(
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
