"""On which GPUs the CUDA kernels were measured to be faster than the Triton kernels, and by how much."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["CUDA_OVER_TRITON", "WORTH", "cuda_is_faster"]

CUDA_OVER_TRITON: Mapping[str, float] = MappingProxyType({})
"""Name of a GPU, as CUDA tells it, to the time of the Triton kernels over that of the CUDA kernels, forward
and backward by default at 1 x 2048^2, from the file of that GPU in benchmarks/results. None has been
measured with these kernels yet."""

WORTH = 1.1
"""Ratio from which the CUDA kernels are taken first: they have to be compiled by a user's machine."""


def cuda_is_faster(gpu: str) -> bool:
    """Whether `auto` takes the CUDA kernels first on a GPU of this name."""
    return CUDA_OVER_TRITON.get(gpu, 1.0) > WORTH
