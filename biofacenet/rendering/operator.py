"""The differentiable operator: folding and rendering in one call of a backend, each way.

Maps (B, 1, H, W) and what lights an image to linear sRGB (B, 3, H, W); csrc/fold.h has the equations.
Two faces of the same calls:

- `autograd.Function`s (function.py): what PyTorch calls when nothing compiles. They compose with the
  transforms of torch.func and with forward-mode derivatives, and can be differentiated again: what the
  kernels have no rule for comes from `half_folded`, which is plain PyTorch.
- `torch.ops.biofacenet.render`, with a schema: what torch.compile and torch.export see.

Python owns both, so that importing them never needs a compiler. Nothing but the inputs and the image
itself is kept for the backward pass: which channels were clipped is read off the image, all else is
computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..kernels.registry import BACKENDS, HALF
from ..system.fake import fake_mode
from .calls import INPUTS, NAMES, Lit, forward, gradients, image_count
from .function import rendered
from .half_folded import HalfFolded

__all__ = ["Lit", "render"]

EACH = (None, None, None, None, (14,), (), (33,), (2,), (3, 33), (3,))
"""Shape of each tensor of one image; None: that of the maps."""


def render(maps: Sequence[Tensor], lit: Lit, half_folded: HalfFolded, backend: str) -> Tensor:
    """Image of four maps.

    Args:
        maps: melanin, haemoglobin, diffuse and specular, (B or 1, 1, H, W), of any strides. With a
            backend of `biofacenet.kernels.HALF` they may be of 16 bits, the others float32 then.
        lit: light and camera.
        half_folded: tables, of the dtype and on the device of light and camera.
        backend: which kernel.

    Returns:
        Linear sRGB (B, 3, H, W), contiguous, >= 0, of the maps' dtype; differentiable in all ten.

    Raises:
        BackendUnavailableError: the backend cannot run here.
    """
    if torch.compiler.is_compiling() or fake_mode(maps[0]) is not None:
        fixed = half_folded.basis.melanin_fixed
        image: Tensor = torch.ops.biofacenet.render(*maps, *lit, half_folded.native, fixed, backend)
        return image
    return rendered((*maps, *lit), half_folded, backend)


def _check(tensors: Sequence[Tensor | None], tables: Sequence[Tensor], backend: str) -> None:
    """Raise ValueError with one clear line where shapes, dtypes or devices do not fit together."""
    melanin = tensors[0]
    if melanin is None or melanin.ndim != 4 or melanin.shape[1] != 1:
        found = None if melanin is None else tuple(melanin.shape)
        raise ValueError(f"melanin must have shape (B, 1, H, W), got {found}")
    if len(tables) != 8:
        raise ValueError(f"tables must be eight, got {len(tables)}")
    number, images = tables[0].dtype, image_count(tensors)
    half = melanin.dtype in (torch.float16, torch.bfloat16)
    if half and backend not in HALF:
        raise ValueError(
            f"backend {backend!r} takes float32 or float64 maps, got {melanin.dtype}; "
            f"{' and '.join(sorted(HALF))} take maps of 16 bits"
        )
    if backend in BACKENDS and (reason := BACKENDS[backend].refuses(tables[5].shape[1])):
        raise ValueError(f"backend {backend!r} cannot take these tables: {reason}")
    for name, tensor, each in zip(NAMES, tensors, EACH, strict=True):
        if tensor is None:
            continue
        if each is None and tensor.shape != melanin.shape:
            raise ValueError(
                f"{name} must have shape {tuple(melanin.shape)}, got {tuple(tensor.shape)}"
            )
        if each is not None and (
            tensor.ndim != len(each) + 1
            or tuple(tensor.shape[1:]) != each
            or tensor.shape[0] not in (1, images)
        ):
            raise ValueError(
                f"{name} must have shape {(images, *each)} or {(1, *each)}, got "
                f"{tuple(tensor.shape)}"
            )
        dtype = melanin.dtype if each is None else number
        if tensor.dtype != dtype or (not half and dtype != number):
            raise ValueError(
                f"{name} must be {dtype if half else number} like the "
                f"{'maps' if half and each is None else 'tables'}, got {tensor.dtype}"
            )
        if tensor.device != tables[0].device:
            raise ValueError(
                f"{name} must be on {tables[0].device} like the tables, got {tensor.device}"
            )


@torch.library.custom_op("biofacenet::render", mutates_args=())
def _operator(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    mixture: Tensor | None,
    cct: Tensor | None,
    spectrum: Tensor | None,
    camera: Tensor | None,
    weights: Tensor | None,
    highlight: Tensor | None,
    tables: list[Tensor],
    melanin_fixed: bool,
    backend: str,
) -> Tensor:
    """Image of four maps, differentiable in the first ten arguments; see `render`.

    Raises:
        ValueError: shapes, dtypes or devices do not fit together.
        BackendUnavailableError: the backend cannot run here.
    """
    maps = (melanin, haemoglobin, diffuse, specular)
    tensors = (*maps, mixture, cct, spectrum, camera, weights, highlight)
    _check(tensors, tables, backend)
    return forward(tensors, tables, melanin_fixed, backend)


@_operator.register_fake
def _fake(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    mixture: Tensor | None,
    cct: Tensor | None,
    spectrum: Tensor | None,
    camera: Tensor | None,
    weights: Tensor | None,
    highlight: Tensor | None,
    tables: list[Tensor],
    melanin_fixed: bool,
    backend: str,
) -> Tensor:
    maps = (melanin, haemoglobin, diffuse, specular)
    tensors = (*maps, mixture, cct, spectrum, camera, weights, highlight)
    _check(tensors, tables, backend)
    return melanin.new_empty((image_count(tensors), 3, *melanin.shape[2:]))


@torch.library.custom_op("biofacenet::render_backward", mutates_args=())
def _operator_backward(
    inputs: list[Tensor],
    places: list[int],
    tables: list[Tensor],
    melanin_fixed: bool,
    backend: str,
    image: Tensor,
    gradient: Tensor,
    wanted: list[int],
) -> list[Tensor]:
    """Gradients at some of the ten places, of inputs that are given at others."""
    found = gradients(
        _placed(inputs, places),
        *(image, gradient, [i in wanted for i in range(INPUTS)]),
        *(tables, melanin_fixed, backend),
    )
    return [value for value in found if value is not None]


@_operator_backward.register_fake
def _fake_backward(
    inputs: list[Tensor],
    places: list[int],
    tables: list[Tensor],
    melanin_fixed: bool,
    backend: str,
    image: Tensor,
    gradient: Tensor,
    wanted: list[int],
) -> list[Tensor]:
    tensors = _placed(inputs, places)
    return [
        tensor.new_empty(tensor.shape)
        for tensor in (tensors[i] for i in wanted)
        if tensor is not None
    ]


def _placed(inputs: Sequence[Tensor], places: Sequence[int]) -> list[Tensor | None]:
    tensors: list[Tensor | None] = [None] * INPUTS
    for tensor, place in zip(inputs, places, strict=True):
        tensors[place] = tensor
    return tensors


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, tables, ctx.melanin_fixed, ctx.backend = inputs
    ctx.places = [i for i, tensor in enumerate(tensors) if tensor is not None]
    ctx.tables = len(tables)
    ctx.save_for_backward(*(tensors[i] for i in ctx.places), *tables, output)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    *saved, image = ctx.saved_tensors
    inputs, tables = saved[: len(ctx.places)], saved[len(ctx.places) :]
    wanted = [i for i in ctx.places if ctx.needs_input_grad[i]]
    found = torch.ops.biofacenet.render_backward(
        inputs, ctx.places, tables, ctx.melanin_fixed, ctx.backend, image, gradient, wanted
    )
    by_place = dict(zip(wanted, found, strict=True))
    return (*(by_place.get(i) for i in range(INPUTS)), [None] * ctx.tables, None, None)


_operator.register_autograd(_backward, setup_context=_setup_context)

for _device in ("cpu", "cuda"):
    # Half precision has too few digits for table positions: 1/256 is one row.
    _operator.register_autocast(_device, torch.float32)
