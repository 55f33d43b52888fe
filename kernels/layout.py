"""Layouts that the GPU kernels take: pixels evenly spaced, in the four maps alike."""

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
    """The maps, their pixels all at the same distance, as in slices of one tensor; copied if need be.

    Images may lie anywhere, also on each other.
    """
    steps = {step(plane) for plane in maps}
    if len(steps) == 1 and None not in steps:
        return tuple(maps)
    return tuple(plane.contiguous() for plane in maps)
