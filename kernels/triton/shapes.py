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


def rule(components: int, backward: bool) -> Shape:
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


def choose_shape(
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
        return rule(components, backward)
    pixels = maps.shape[2] * maps.shape[3]
    key = (
        *(torch.cuda.get_device_name(maps.device), components, backward, maps.dtype),
        *(pixels.bit_length(), len(maps).bit_length()),
    )
    if key not in _tuned:
        if torch.cuda.is_current_stream_capturing():
            return rule(components, backward)
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
