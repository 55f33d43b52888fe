"""The C++ kernel, for CPU tensors."""

from __future__ import annotations

import os
import warnings
from functools import cache

import torch

from . import build, native
from .registry import register

__all__ = [
    "backward",
    "fold",
    "fold_backward",
    "forward",
    "unavailable",
]


@cache
def _load() -> str | None:
    reason = native.load(build.CPU)
    wanted = os.environ.get("BIOFACENET_INSTRUCTION_SET")
    if reason is None and wanted:
        supported = torch.ops.biofacenet_cpu.instruction_sets().split()
        if wanted in supported:
            torch.ops.biofacenet_cpu.use_instruction_set(wanted)
        else:
            warnings.warn(
                f"BIOFACENET_INSTRUCTION_SET={wanted} cannot run here; "
                f"expected one of {', '.join(supported)}",
                stacklevel=2,
            )
    return reason


def unavailable() -> str | None:
    """None where the kernel runs, else why it does not."""
    return native.demand(_load())


def forward(*tensors: torch.Tensor) -> None:
    """Eight inputs of `torch.ops.biofacenet.render` and the image to fill."""
    torch.ops.biofacenet_cpu.forward(*tensors)


def backward(*tensors: torch.Tensor | None) -> None:
    """The eight inputs, image, its gradient, and the six gradients to fill or None."""
    torch.ops.biofacenet_cpu.backward(*tensors)


def fold(*arguments: object) -> None:
    """Light, camera, tables and three numbers about them, and the two results to fill."""
    torch.ops.biofacenet_cpu.fold(*arguments)


def fold_backward(*arguments: object) -> None:
    """The same inputs, gradients of the results, and the four gradients to fill or None."""
    torch.ops.biofacenet_cpu.fold_backward(*arguments)


register("cpp", __name__, device="cpu", priority=10)
