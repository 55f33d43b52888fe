"""The C++ kernel, for CPU tensors."""

from __future__ import annotations

import os
import warnings
from functools import cache

import torch

from . import build, native
from .registry import register

__all__ = [
    "render",
    "render_backward",
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


def render(*arguments: object) -> None:
    """What `Kernels.render` takes; fills the image."""
    torch.ops.biofacenet_cpu.render(*arguments)


def render_backward(*arguments: object) -> None:
    """What `Kernels.render_backward` takes; fills the gradients that are wanted."""
    torch.ops.biofacenet_cpu.render_backward(*arguments)


register("cpp", __name__, device="cpu", priority=10)
