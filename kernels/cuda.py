"""The CUDA kernels, for CUDA tensors, where Triton is missing or not wanted."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from . import build, layout, native
from .registry import register

__all__ = [
    "backward",
    "fold",
    "fold_backward",
    "forward",
    "unavailable",
]

LEAST_CAPABILITY = (7, 5)


@cache
def unavailable() -> str | None:
    """None where the kernels run, else why they do not."""
    return native.no_gpu(LEAST_CAPABILITY) or native.demand(native.load(build.CUDA))


def _stream(tensor: Tensor) -> int:
    """The current stream of a tensor's device."""
    return torch.cuda.current_stream(tensor.device).cuda_stream if tensor.is_cuda else 0


def forward(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    *others: Tensor,
) -> None:
    """Eight inputs of `torch.ops.biofacenet.render` and the image to fill."""
    maps = layout.alike((melanin, haemoglobin, diffuse, specular))
    torch.ops.biofacenet_cuda.forward(*maps, *others, _stream(melanin))


def backward(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    weights: Tensor,
    highlight: Tensor,
    epidermis: Tensor,
    dermis: Tensor,
    image: Tensor,
    gradient: Tensor,
    *wanted: Tensor | None,
) -> None:
    """The eight inputs, image, its gradient, and the six gradients to fill or None."""
    torch.ops.biofacenet_cuda.backward(
        *layout.alike((melanin, haemoglobin, diffuse, specular)),
        *(weights, highlight, epidermis, dermis, image.contiguous(), layout.flat(gradient)),
        *wanted,
        _stream(melanin),
    )


def fold(
    mixture: Tensor | None,
    cct: Tensor | None,
    spectrum: Tensor | None,
    camera: Tensor,
    *others: object,
) -> None:
    """Light, camera, tables and three numbers about them, and the two results to fill."""
    torch.ops.biofacenet_cuda.fold(mixture, cct, spectrum, camera, *others, _stream(camera))


def fold_backward(
    mixture: Tensor | None,
    cct: Tensor | None,
    spectrum: Tensor | None,
    camera: Tensor,
    *others: object,
) -> None:
    """The same inputs, gradients of the results, and the four gradients to fill or None."""
    torch.ops.biofacenet_cuda.fold_backward(
        mixture, cct, spectrum, camera, *others, _stream(camera)
    )


register("cuda", __name__, device="cuda", priority=10, half=True, banded=True)
