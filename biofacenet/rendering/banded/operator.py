"""The operator `torch.ops.biofacenet.render_banded`: schema, shapes, gradients and autocast.

    rgb[b, c, y, x] = max(0, diffuse sum_k E_k(melanin) D_k(haemoglobin) w[b, c, k] + specular k[b, c])

with E_k and D_k read linearly from two tables. Python owns the operator, so that importing it never
needs a compiler; what computes it is a backend (`biofacenet.kernels`). Nothing but the inputs and the
image itself is kept for the backward pass: which channels were clipped is read off the image, all else
is computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...kernels.registry import BACKENDS, HALF, kernel

__all__ = [
    "render",
]


def _check(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    weights: Tensor,
    highlight: Tensor,
    epidermis: Tensor,
    dermis: Tensor,
    backend: str,
) -> None:
    if melanin.ndim != 4 or melanin.shape[1] != 1:
        raise ValueError(f"melanin must have shape (B, 1, H, W), got {tuple(melanin.shape)}")
    batch = melanin.shape[0]
    components = weights.shape[-1]
    expected = {
        "haemoglobin": (haemoglobin, tuple(melanin.shape)),
        "diffuse": (diffuse, tuple(melanin.shape)),
        "specular": (specular, tuple(melanin.shape)),
        "weights": (weights, (batch, 3, components)),
        "highlight": (highlight, (batch, 3)),
        "epidermis": (epidermis, (epidermis.shape[0], components)),
        "dermis": (dermis, (dermis.shape[0], components)),
    }
    half = melanin.dtype in (torch.float16, torch.bfloat16)
    if half and backend not in HALF:
        raise ValueError(
            f"backend {backend!r} takes float32 or float64 maps, got {melanin.dtype}; "
            f"{' and '.join(sorted(HALF))} take maps of 16 bits"
        )
    if backend in BACKENDS and (reason := BACKENDS[backend].refuses(components)):
        raise ValueError(f"backend {backend!r} cannot take these tables: {reason}")
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} must have shape {shape}, got {tuple(tensor.shape)}")
        if half and tensor.shape != melanin.shape:
            if tensor.dtype != torch.float32:
                raise ValueError(
                    f"{name} must be float32 beside maps of 16 bits, got {tensor.dtype}"
                )
        elif tensor.dtype != melanin.dtype:
            raise ValueError(f"{name} must be {melanin.dtype} like melanin, got {tensor.dtype}")
        if tensor.device != melanin.device:
            raise ValueError(
                f"{name} must be on {melanin.device} like melanin, got {tensor.device}"
            )
    if min(epidermis.shape[0], dermis.shape[0]) < 2:
        raise ValueError("the skin tables need two rows or more")


@torch.library.custom_op("biofacenet::render_banded", mutates_args=())
def render(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    weights: Tensor,
    highlight: Tensor,
    epidermis: Tensor,
    dermis: Tensor,
    backend: str,
) -> Tensor:
    """Image of four maps under folded weights; differentiable in the first six arguments.

    Args:
        melanin: (B, 1, H, W), in [-1, 1], clamped beyond. The maps may have any strides. With a
            backend of `biofacenet.kernels.HALF` they may be of 16 bits, the others float32 then.
        haemoglobin: (B, 1, H, W), in [-1, 1], clamped beyond.
        diffuse: (B, 1, H, W).
        specular: (B, 1, H, W).
        weights: (B, 3, K), see `biofacenet.rendering.fold`.
        highlight: (B, 3).
        epidermis: (M, K), rows at map values -1 .. 1.
        dermis: (N, K), rows at map values -1 .. 1.
        backend: which kernel, ``cpp`` for CPU tensors, ``triton`` or ``cuda`` for CUDA tensors, or
            another that was registered.

    Returns:
        Linear sRGB (B, 3, H, W), contiguous, >= 0, of the maps' dtype.

    Raises:
        ValueError: shapes, dtypes or devices do not fit together.
        BackendUnavailableError: the backend cannot run here.
    """
    _check(melanin, haemoglobin, diffuse, specular, weights, highlight, epidermis, dermis, backend)
    image = melanin.new_empty((melanin.shape[0], 3, *melanin.shape[2:]))
    kernel(backend).forward(
        melanin,
        haemoglobin,
        diffuse,
        specular,
        weights.contiguous(),
        highlight.contiguous(),
        epidermis.contiguous(),
        dermis.contiguous(),
        image,
    )
    return image


@render.register_fake
def _fake_render(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    weights: Tensor,
    highlight: Tensor,
    epidermis: Tensor,
    dermis: Tensor,
    backend: str,
) -> Tensor:
    _check(melanin, haemoglobin, diffuse, specular, weights, highlight, epidermis, dermis, backend)
    return melanin.new_empty((melanin.shape[0], 3, *melanin.shape[2:]))


def _outputs(inputs: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor]:
    """Contiguous gradients to fill; of no elements where one is not wanted."""
    return [
        tensor.new_empty(tuple(tensor.shape) if want else (0,))
        for tensor, want in zip(inputs, wanted, strict=True)
    ]


@torch.library.custom_op("biofacenet::render_banded_backward", mutates_args=())
def _render_backward(
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
    wanted: Sequence[bool],
    backend: str,
) -> list[Tensor]:
    """Gradients of the first six arguments, of no elements where not wanted."""
    inputs = (melanin, haemoglobin, diffuse, specular, weights, highlight)
    outputs = _outputs(inputs, wanted)
    kernel(backend).backward(
        melanin,
        haemoglobin,
        diffuse,
        specular,
        weights.contiguous(),
        highlight.contiguous(),
        epidermis.contiguous(),
        dermis.contiguous(),
        image,
        gradient,
        *(output if want else None for output, want in zip(outputs, wanted, strict=True)),
    )
    return outputs


@_render_backward.register_fake
def _fake_render_backward(
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
    wanted: Sequence[bool],
    backend: str,
) -> list[Tensor]:
    return _outputs((melanin, haemoglobin, diffuse, specular, weights, highlight), wanted)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, backend = inputs
    ctx.backend = backend
    ctx.save_for_backward(*tensors, output)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    wanted = list(ctx.needs_input_grad[:6])
    if not any(wanted):
        return (None,) * 9
    *tensors, image = ctx.saved_tensors
    gradients = torch.ops.biofacenet.render_banded_backward(
        *tensors, image, gradient, wanted, ctx.backend
    )
    passed = [value if want else None for value, want in zip(gradients, wanted, strict=True)]
    return (*passed, None, None, None)


render.register_autograd(_backward, setup_context=_setup_context)

for _device in ("cpu", "cuda"):
    # Half precision has too few digits for table positions: 1/256 is one row.
    render.register_autocast(_device, torch.float32)
