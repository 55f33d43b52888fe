"""Layouts that the GPU kernels take: pixels evenly spaced, and the four maps alike."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

__all__ = [
    "alike",
    "flat",
    "step",
]


def step(plane: Tensor) -> int | None:
    """Distance in elements of neighbouring pixels of a (B, C, H, W) tensor; None if it varies."""
    height, width = plane.shape[2:]
    row, column = plane.stride(2), plane.stride(3)
    if width == 1:
        return row
    return column if height == 1 or row == width * column else None


def flat(plane: Tensor) -> Tensor:
    """The tensor, its pixels evenly spaced; copied if need be."""
    return plane if step(plane) is not None else plane.contiguous()


def alike(maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The maps, all with the same even spacing, as slices of one tensor are; copied if need be."""
    strides = {(plane.stride(0), step(plane)) for plane in maps}
    if len(strides) == 1 and step(maps[0]) is not None:
        return tuple(maps)
    return tuple(plane.contiguous() for plane in maps)
