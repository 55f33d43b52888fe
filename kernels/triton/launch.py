"""The Triton backend's code: what the operator calls, which launches the kernels."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from .. import layout, native
from . import INTERPRETED
from .light import BANDS, ILLUMINANTS, PADDED_BANDS, light_gradients_kernel, table_kernel
from .pixel import add_up_kernel, backward_kernel, forward_kernel
from .shapes import Shape, choose_shape

__all__ = [
    "render",
    "render_backward",
    "unavailable",
]

LEAST_CAPABILITY = (8, 0)

FEW = 6
"""Functions that a lane reads by itself, in single precision."""

LEAST_STEPS = 8
"""Tiles of a program in backward, whose sums are as many numbers as a tile has."""

NODES = 256
"""Of an axis that are worked on at a time."""


@cache
def unavailable() -> str | None:
    """None where the kernels run, else why they do not."""
    if INTERPRETED:
        return None
    if reason := native.no_gpu(LEAST_CAPABILITY):
        return reason
    if not (os.environ.get("CC") or any(map(shutil.which, ("gcc", "clang", "cc")))):
        return "no C compiler, with which Triton builds its launcher; install gcc or set CC"
    return None


def _launch(
    kernel: Any, grid: tuple[int, ...], device: torch.device, *args: Any, **options: Any
) -> None:
    """Launch on the current stream of the tensors' device."""
    # Stated, since the default differs between versions of Triton.
    options["enable_fp_fusion"] = True
    if INTERPRETED:  # which takes a tensor of one number for the number
        args = tuple(arg.detach() if isinstance(arg, Tensor) else arg for arg in args)
    with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
        kernel[grid](*args, **options)


class Sizes(NamedTuple):
    """Compile-time sizes of a skin table."""

    few: bool
    """Whether a lane reads a pixel's functions by itself."""
    p: int
    q: int
    padded_p: int
    """Numbers in a row of the fixed axis; a power of two, as the next."""
    padded_q: int
    row: int
    """Numbers of a channel in a row of an image's table."""


def sizes(functions: Tensor, others: Tensor) -> Sizes:
    """Of the functions of both axes, (N, P) and (N, Q)."""
    p, q = functions.shape[1], others.shape[1]
    few = p <= FEW and q <= 16 and functions.dtype == torch.float32
    row = max(8, triton.next_power_of_2(p))
    return Sizes(few, p, q, 16 if few else row, max(16, triton.next_power_of_2(q)), row)


@dataclass(frozen=True)
class Made:
    """What pixels read of light, camera and skin, in memory of its own."""

    size: Sizes
    functions: Tensor
    """(fixed nodes, padded_p)"""
    others: Tensor
    """(folded nodes, padded_q)"""
    table: Tensor
    """(lights, folded nodes, 3, row)"""
    shine: Tensor
    """(lights, 3), the highlight's colour."""

    @property
    def lights(self) -> int:
        """1 where all images have the same."""
        return len(self.table)

    @property
    def nodes(self) -> tuple[int, int, int]:
        """Of both axes; and lights from image to image, 1 or 0."""
        return len(self.functions), len(self.others), int(self.lights > 1)


def _steps(light: Sequence[Tensor | None]) -> list[int]:
    """From light to light; 0 where one is for all."""
    return [0 if x is None or len(x) == 1 else x.numel() // len(x) for x in light]


def _constants(light: Sequence[Tensor | None], numbers: Sequence[float]) -> dict[str, Any]:
    """Compile-time arguments of both kernels of light."""
    names = ("FIRST", "STEP", "HALF")
    return {
        **dict(zip(names, map(float, numbers), strict=True)),
        "MIXED": light[0] is not None,
        "GIVEN": light[4] is not None,
        "BANDS": BANDS,
        "PADDED_BANDS": PADDED_BANDS,
        "ILLUMINANTS": ILLUMINANTS,
        "num_warps": 8,
    }


def _present(light: Sequence[Tensor | None], instead: Tensor) -> list[Tensor]:
    """The tensors; one that is not there is never read, but a pointer is passed all the same."""
    return [instead if tensor is None else tensor for tensor in light]


def _make(
    images: int, light: Sequence[Tensor | None], tables: list[Tensor], numbers: Sequence[float]
) -> Made:
    """Fold light and camera into tables."""
    functions, others, mixing = tables[5:]
    size = sizes(functions, others)
    lights = 1 if all(x is None or len(x) == 1 for x in light) else images
    made = Made(
        size,
        functions.new_empty(len(functions), size.padded_p),
        functions.new_empty(len(others), size.padded_q),
        functions.new_empty(lights, len(others), 3, size.row),
        functions.new_empty(lights, 3),
    )
    _launch(
        table_kernel,
        (lights,),
        functions.device,
        *_present(light, functions),
        *tables[:5],
        *(functions, others, mixing, made.functions, made.others, made.table, made.shine),
        *_steps(light),
        *(len(tables[1]), math.isqrt(len(tables[4])), len(functions), len(others)),
        **_constants(light, numbers),
        P=size.p,
        Q=size.q,
        PADDED_P=size.padded_p,
        PADDED_Q=size.padded_q,
        ROW=size.row,
        NODES=NODES,
    )
    return made


def _by_axis(melanin: Any, haemoglobin: Any, melanin_fixed: bool) -> tuple[Any, Any]:
    return (melanin, haemoglobin) if melanin_fixed else (haemoglobin, melanin)


def _maps(
    melanin: Tensor, haemoglobin: Tensor, diffuse: Tensor, specular: Tensor, melanin_fixed: bool
) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
    """The maps, that of the fixed axis first, and their strides."""
    fixed, folded = _by_axis(melanin, haemoglobin, melanin_fixed)
    maps = layout.alike((fixed, folded, diffuse, specular))
    return maps, (*(plane.stride(0) for plane in maps), layout.step(maps[0]))


def render(
    melanin: Tensor, haemoglobin: Tensor, diffuse: Tensor, specular: Tensor, *others: Any
) -> None:
    """What `Kernels.render` takes; fills the image."""
    light, (tables, melanin_fixed, *numbers, image) = others[:6], others[6:]
    images, _, height, width = melanin.shape
    pixels = height * width
    if images * pixels == 0:
        return
    maps, strides = _maps(melanin, haemoglobin, diffuse, specular, melanin_fixed)
    made = _make(images, light, tables, numbers)
    size = made.size

    def launch(chosen: Shape) -> None:
        tiles = triton.cdiv(pixels, chosen.tile)
        _launch(
            forward_kernel,
            (images * tiles,),
            melanin.device,
            *(*maps, made.functions, made.table, made.shine, image),
            *(*strides, pixels, *made.nodes, tiles),
            FEW=size.few,
            PADDED_P=size.padded_p,
            ROW=size.row,
            TILE=chosen.tile,
            num_warps=chosen.warps,
        )

    launch(choose_shape(size.p, size.few, False, melanin, launch))


def render_backward(
    melanin: Tensor, haemoglobin: Tensor, diffuse: Tensor, specular: Tensor, *others: Any
) -> None:
    """What `Kernels.render_backward` takes; fills the gradients that are wanted."""
    light, (tables, melanin_fixed, *numbers) = others[:6], others[6:11]
    (image, gradient), of_maps, of_light = others[11:13], others[13:17], others[17:]
    if melanin.numel() == 0:
        for total in of_light:
            if total is not None:
                total.zero_()
        return
    maps, strides = _maps(melanin, haemoglobin, diffuse, specular, melanin_fixed)
    wanted = (*_by_axis(of_maps[0], of_maps[1], melanin_fixed), *of_maps[2:])
    colours = (image.contiguous(), layout.flat(gradient))
    made = _make(len(melanin), light, tables, numbers)
    summed = any(tensor is not None for tensor in of_light)

    def launch(chosen: Shape) -> None:
        sums = _backward_tiles(chosen, maps, strides, made, colours, wanted, summed)
        if summed:
            _lead_back(sums, made, light, tables, numbers, of_light)

    launch(choose_shape(made.size.p, made.size.few, True, melanin, launch))


def _backward_tiles(
    chosen: Shape,
    maps: Sequence[Tensor],
    strides: Sequence[int | None],
    made: Made,
    colours: Sequence[Tensor],
    wanted: Sequence[Tensor | None],
    summed: bool,
) -> Tensor:
    """Fill the maps' gradients; each program's sums for light and camera where one is wanted."""
    image, gradient = colours
    images, _, height, width = maps[0].shape
    pixels, size = height * width, made.size
    tiles = triton.cdiv(pixels, chosen.tile)
    steps = max(triton.cdiv(tiles, max(1, chosen.programs // images)), min(LEAST_STEPS, tiles))
    programs = triton.cdiv(tiles, steps)
    sums = made.table.new_empty(images * programs if summed else 1, size.q * 3 * size.row + 3)
    _launch(
        backward_kernel,
        (images * programs,),
        image.device,
        *(*maps, made.functions, made.others, made.table, made.shine, *colours),
        # Unwanted gradients are never written; a pointer is passed all the same.
        *_present(wanted, image),
        sums,
        *strides,
        *(gradient.stride(0), gradient.stride(1), layout.step(gradient)),
        *(pixels, *made.nodes, programs, steps),
        FEW=size.few,
        Q=size.q,
        PADDED_P=size.padded_p,
        PADDED_Q=size.padded_q,
        ROW=size.row,
        TILE=chosen.tile,
        FIXED=wanted[0] is not None,
        FOLDED=wanted[1] is not None,
        DIFFUSE=wanted[2] is not None,
        SPECULAR=wanted[3] is not None,
        SUMS=summed,
        num_warps=chosen.warps,
    )
    return sums


def _lead_back(
    sums: Tensor,
    made: Made,
    light: Sequence[Tensor | None],
    tables: list[Tensor],
    numbers: Sequence[float],
    wanted: Sequence[Tensor | None],
) -> None:
    """Gradients of light and camera from the programs' sums."""
    columns, width, lights = 16, sums.shape[1], made.lights
    programs = len(sums) // lights
    totals = sums.new_empty(lights, width)
    _launch(
        add_up_kernel,
        (lights, triton.cdiv(width, columns)),
        sums.device,
        *(sums, totals, programs, width),
        ROWS=min(256, triton.next_power_of_2(programs)),
        COLUMNS=columns,
        num_warps=4,
    )
    found = [
        None if tensor is None else tensor.new_empty(lights, *tensor.shape[1:]) for tensor in light
    ]
    size = made.size
    _launch(
        light_gradients_kernel,
        (lights,),
        sums.device,
        *_present(light[:4], totals),
        *(*tables[:5], tables[7], totals),
        *_present(found, totals),
        *_steps(light[:4]),
        *(len(tables[1]), math.isqrt(len(tables[4]))),
        **_constants(light, numbers),
        P=size.p,
        Q=size.q,
        ROW=size.row,
        PADDED_Q=size.padded_q,
    )
    for one, to in zip(found, wanted, strict=True):
        if one is not None and to is not None:
            # What all images share while they differ in others has the sum of their gradients.
            to.copy_(one if len(one) == len(to) else one.sum(dim=0, keepdim=True))
