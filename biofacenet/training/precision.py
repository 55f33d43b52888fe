"""The precision that the network computes in."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from .run import Run

__all__ = ["autocast", "autocast_type", "multiplies_bfloat16"]


def multiplies_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 faster than float32: by AMX, or by AVX-512 BF16."""
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def autocast_type(run: Run) -> torch.dtype | None:
    """What the network computes in, where that is not float32."""
    device = run.team.device.type
    wanted = run.settings.precision
    if wanted == "auto":
        if device == "cuda":
            half = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            half = device == "cpu" and multiplies_bfloat16() and not run.settings.compile
        wanted = "bfloat16" if half else "float32"
    return torch.bfloat16 if wanted == "bfloat16" else None


def autocast(run: Run) -> contextlib.AbstractContextManager[Any]:
    """The network's precision."""
    kind = autocast_type(run)
    return torch.autocast(run.team.device.type, kind, enabled=kind is not None)
