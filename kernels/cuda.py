"""The CUDA kernels, for CUDA tensors, where Triton is missing, not wanted or measured to be slower."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from . import build, layout, native
from .registry import register

__all__ = [
    "render",
    "render_backward",
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


def render(
    melanin: Tensor, haemoglobin: Tensor, diffuse: Tensor, specular: Tensor, *others: object
) -> None:
    """What `Kernels.render` takes; fills the image."""
    maps = layout.alike((melanin, haemoglobin, diffuse, specular))
    torch.ops.biofacenet_cuda.render(*maps, *others, _stream(melanin))


def render_backward(
    melanin: Tensor, haemoglobin: Tensor, diffuse: Tensor, specular: Tensor, *others: object
) -> None:
    """What `Kernels.render_backward` takes; fills the gradients that are wanted."""
    maps = layout.alike((melanin, haemoglobin, diffuse, specular))
    before, (image, gradient), wanted = others[:11], others[11:13], others[13:]
    assert isinstance(image, Tensor)
    assert isinstance(gradient, Tensor)
    torch.ops.biofacenet_cuda.render_backward(
        *(*maps, *before, image.contiguous(), layout.flat(gradient), *wanted), _stream(melanin)
    )


register(
    "cuda",
    __name__,
    device="cuda",
    priority=10,
    half=True,
    max_components=32,  # sums of products of more do not fit into shared memory
)
