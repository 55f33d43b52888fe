"""Block shapes of the rendering kernels, by rule or by trying."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor

from . import INTERPRETED

__all__ = [
    "Shape",
    "candidates",
    "choose_shape",
    "rule",
    "tuned",
]


@dataclass(frozen=True)
class Shape:
    """Compile-time choices of a launch, and into how many programs an image is cut."""

    tile: int
    """Pixels of a tile, a power of two."""
    warps: int
    programs: int
    """Programs of the whole launch, about, that backward aims at; each loops over tiles."""


def rule(functions: int, few: bool, backward: bool) -> Shape:
    """Block shapes that suit a number of functions.

    Of a few, a lane computes a pixel or two by itself. Else four warps hold 2,048 numbers of a table in
    forward, 16 a thread, and half of that in backward.
    """
    if few:
        # One warp a program: the sums of products are over pixels, and several warps would each hold
        # all of them.
        return Shape(32, 1, 4096) if backward else Shape(256, 4, 2048)
    numbers = 1024 if backward else 2048
    return Shape(max(16, numbers // triton.next_power_of_2(max(8, functions))), 4, 2048)


def candidates(functions: int, few: bool, backward: bool) -> list[Shape]:
    """What autotuning tries."""
    usual = rule(functions, few, backward)
    tiles = (usual.tile // 2, usual.tile, usual.tile * 2, usual.tile * 4)
    if few and backward:
        return [Shape(tile, 1, target) for tile in tiles[1:3] for target in (2048, 4096, 8192)]
    return [
        Shape(tile, warps, target)
        for tile in tiles
        for warps in (2, 4, 8)
        if tile >= 16 and (not few or 1 <= tile // (32 * warps) <= 4)
        for target in ((1024, 2048, 4096) if backward else (2048,))
    ]


_tuned: dict[tuple[Any, ...], Shape] = {}


def choose_shape(
    functions: int, few: bool, backward: bool, maps: Tensor, launch: Callable[[Shape], None]
) -> Shape:
    """The shape by rule, or with BIOFACENET_AUTOTUNE=1 the fastest, found once for each size.

    Sums are taken in an order that depends on the shape: by rule, that order is the same each time.
    """
    if (
        INTERPRETED
        or os.environ.get("BIOFACENET_AUTOTUNE", "0") in ("", "0")
        or torch.are_deterministic_algorithms_enabled()
    ):
        return rule(functions, few, backward)
    pixels = maps.shape[2] * maps.shape[3]
    key = (
        *(torch.cuda.get_device_name(maps.device), functions, few, backward, maps.dtype),
        *(pixels.bit_length(), len(maps).bit_length()),
    )
    if key not in _tuned:
        if torch.cuda.is_current_stream_capturing():
            return rule(functions, few, backward)
        times = {
            choice: triton.testing.do_bench(
                lambda choice=choice: launch(choice), warmup=5, rep=20, return_mode="median"
            )
            for choice in candidates(functions, few, backward)
        }
        _tuned[key] = min(times, key=lambda choice: times[choice])
    return _tuned[key]


def tuned() -> dict[tuple[Any, ...], Shape]:
    """What autotuning found in this process, by device, functions, direction, dtype and size."""
    return dict(_tuned)
