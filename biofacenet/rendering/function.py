"""The operator for PyTorch without a compiler: autograd.Functions that compose with torch.func.

First derivatives come from a backend, all others, and forward-mode ones, from `half_folded`, which is
plain PyTorch. Where no transform of torch.func is on, which is nearly always, the image is made by
`Plain` and its gradients by the backend alone: what composing costs is more than a small image does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .calls import INPUTS, MAPS, forward, gradients, image_count
from .half_folded import HalfFolded, render_lit

__all__ = ["rendered"]

_transforms: Callable[[], bool] = getattr(
    torch._C, "_are_functorch_transforms_active", lambda: True
)


def _pushing() -> bool:
    """Whether forward-mode derivatives may be under way."""
    return getattr(forward_ad, "_current_level", 0) >= 0


def rendered(tensors: Sequence[Tensor | None], half_folded: HalfFolded, backend: str) -> Tensor:
    """The image of ten tensors, differentiable in each, in all ways."""
    if _transforms():
        image: Tensor = Render.apply(*tensors, half_folded, backend)  # type: ignore[no-untyped-call]
    elif torch.is_grad_enabled() or _pushing():
        image = Plain.apply(*tensors, half_folded, backend)  # type: ignore[no-untyped-call]
    else:
        image = forward(tensors, half_folded.native, half_folded.basis.melanin_fixed, backend)
    return image


def _differentiable(
    tensors: Sequence[Tensor | None], chosen: Sequence[int], half_folded: HalfFolded
) -> Callable[..., Tensor]:
    """The image as a function of the tensors at some places, in plain PyTorch."""

    def image(*values: Tensor) -> Tensor:
        every = list(tensors)
        for index, value in zip(chosen, values, strict=True):
            every[index] = value
        with torch.autocast(values[0].device.type, enabled=False):
            return render_lit(tuple(every), half_folded)

    return image


def _batched(
    tensors: Sequence[Tensor | None],
    wanted: Sequence[bool],
    gradient: Tensor,
    half_folded: HalfFolded,
) -> tuple[Tensor, ...]:
    """Gradients for the many gradients at once of `is_grads_batched`, which asks no Function's vmap."""
    chosen = [i for i, want in enumerate(wanted) if want]
    with torch.enable_grad():
        leaves = [tensors[i].detach().requires_grad_() for i in chosen]  # type: ignore[union-attr]
        image = _differentiable(tensors, chosen, half_folded)(*leaves)
    return torch.autograd.grad(image, leaves, gradient)


def _vjp(function: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """What a function gives, and what pulls gradients back through it."""
    result: Any = torch.func.vjp(function, *primals)
    return result[0], result[1]


def _pushed(
    function: Callable[..., Any], primals: Sequence[Tensor], tangents: tuple[Tensor, ...]
) -> Any:
    """A Jacobian times tangents, by reverse mode alone: what is pulled back is linear."""
    out, pull = _vjp(function, *primals)
    zeros = torch.zeros_like(out) if isinstance(out, Tensor) else tuple(map(torch.zeros_like, out))
    _, push = _vjp(pull, zeros)
    return push(tangents)[0]


def _tangents(
    given: Sequence[Tensor | None], primals: Sequence[Tensor | None]
) -> tuple[list[int], tuple[Tensor, ...]]:
    """Places that have a tangent, and the tangents."""
    chosen = [
        i for i, tangent in enumerate(given) if tangent is not None and primals[i] is not None
    ]
    return chosen, tuple(given[i] for i in chosen)  # type: ignore[misc]


def _rows(tensor: Tensor, dim: int | None, size: int, images: int, shared: bool) -> Tensor:
    """A tensor of a vmap as one of size * images rows; of one if all share it and that is allowed."""
    if dim is None:
        if tensor.shape[0] == 1 and shared:
            return tensor
        tensor = tensor.unsqueeze(0).expand(size, *tensor.shape)
    else:
        tensor = tensor.movedim(dim, 0)
    return tensor.expand(size, images, *tensor.shape[2:]).reshape(-1, *tensor.shape[2:])


def _vmapped(
    tensors: Sequence[Tensor | None], dims: Sequence[int | None], size: int, shared: bool
) -> tuple[list[Tensor | None], int]:
    """The ten tensors of a vmap with its dimension among the images, and the images of each."""
    bare = [
        None if tensor is None else (tensor if dim is None else tensor.select(dim, 0))
        for tensor, dim in zip(tensors, dims, strict=True)
    ]
    images = image_count(bare)
    rows = [
        None if tensor is None else _rows(tensor, dim, size, images, shared)
        for tensor, dim in zip(tensors, dims, strict=True)
    ]
    maps = [rows[i] for i in range(MAPS) if rows[i] is not None]
    if len({len(m) for m in maps if m is not None}) > 1:  # one is for each, so all are
        for i in range(MAPS):
            rows[i] = _rows(tensors[i], dims[i], size, images, False)  # type: ignore[arg-type]
    return rows, images


class Render(torch.autograd.Function):
    """Ten tensors, tables and a backend to the image."""

    @staticmethod
    def forward(*arguments: Any) -> Tensor:
        *tensors, half_folded, backend = arguments
        return forward(tensors, half_folded.native, half_folded.basis.melanin_fixed, backend)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.half_folded, ctx.backend = inputs
        ctx.save_for_backward(*tensors, output)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, image = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:INPUTS]
        again = torch.is_grad_enabled() or _transforms() or _pushing()
        half_folded = ctx.half_folded
        try:
            if not again:
                fixed = half_folded.basis.melanin_fixed
                given = (tensors, image, gradient, wanted)
                return (*gradients(*given, half_folded.native, fixed, ctx.backend), None, None)
            found = RenderBackward.apply(  # type: ignore[no-untyped-call]
                *tensors, image, gradient, wanted, half_folded, ctx.backend
            )
        except RuntimeError as error:
            if "Batching rule not implemented" not in str(error):
                raise
            found = _batched(tensors, wanted, gradient, half_folded)
        left = iter(found)
        return (*(next(left) if want else None for want in wanted), None, None)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        tensors = ctx.saved_tensors[:INPUTS]
        chosen, given = _tangents(tangents[:INPUTS], tensors)
        function = _differentiable(tensors, chosen, ctx.half_folded)
        pushed: Tensor = _pushed(function, [tensors[i] for i in chosen], given)
        return pushed

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> tuple[Tensor, int]:
        *tensors, half_folded, backend = arguments
        size = info.batch_size
        rows, images = _vmapped(tensors, in_dims[:INPUTS], size, True)
        if len(next(r for r in rows if r is not None)) == 1 and image_count(rows) != size * images:
            rows, images = _vmapped(tensors, in_dims[:INPUTS], size, False)
        image = Render.apply(*rows, half_folded, backend)  # type: ignore[no-untyped-call]
        return image.unflatten(0, (size, images)), 0


class Plain(torch.autograd.Function):
    """`Render` for where no transform of torch.func is on, at half of what a call of that costs."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        *tensors, half_folded, ctx.backend = arguments
        ctx.half_folded = half_folded
        fixed = half_folded.basis.melanin_fixed
        image = forward(tensors, half_folded.native, fixed, ctx.backend)
        ctx.save_for_backward(*tensors, image)
        if _pushing():
            ctx.save_for_forward(*tensors)
        return image

    backward = Render.backward
    jvp = Render.jvp


class RenderBackward(torch.autograd.Function):
    """Ten tensors, image and its gradient to those gradients of the ten that are wanted."""

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, ...]:
        *tensors, image, gradient, wanted, half_folded, backend = arguments
        found = gradients(
            *(tensors, image, gradient, wanted),
            *(half_folded.native, half_folded.basis.melanin_fixed, backend),
        )
        return tuple(value for value in found if value is not None)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        *tensors, _, gradient, ctx.wanted, ctx.half_folded, _ = inputs
        ctx.save_for_backward(*tensors, gradient)
        ctx.save_for_forward(*tensors, gradient)

    @staticmethod
    def _again(ctx: Any, chosen: Sequence[int]) -> Callable[..., tuple[Tensor, ...]]:
        """The gradients as a function of the ten and the gradient at some places; the latter is last."""
        wanted = [i for i, want in enumerate(ctx.wanted) if want]

        def pulled(*values: Tensor) -> tuple[Tensor, ...]:
            every = list(ctx.saved_tensors)
            for index, value in zip(chosen, values, strict=True):
                every[index] = value
            *tensors, gradient = every
            function = _differentiable(tensors, wanted, ctx.half_folded)
            _, pull = _vjp(function, *(tensors[i] for i in wanted))
            found: tuple[Tensor, ...] = pull(gradient)
            return found

        return pulled

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        needed = (*ctx.needs_input_grad[:INPUTS], ctx.needs_input_grad[INPUTS + 1])
        chosen = [i for i, need in enumerate(needed) if need]
        function = RenderBackward._again(ctx, chosen)
        _, pull = _vjp(function, *(ctx.saved_tensors[i] for i in chosen))
        left = iter(pull(above))
        *tensors, gradient = (next(left) if need else None for need in needed)
        return (*tensors, None, gradient, None, None, None)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor, ...]:
        given = (*tangents[:INPUTS], tangents[INPUTS + 1])
        chosen, values = _tangents(given, ctx.saved_tensors)
        function = RenderBackward._again(ctx, chosen)
        pushed: tuple[Tensor, ...] = _pushed(
            function, [ctx.saved_tensors[i] for i in chosen], values
        )
        return pushed

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], *arguments: Any
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        *tensors, image, gradient, wanted, half_folded, backend = arguments
        size = info.batch_size
        rows, images = _vmapped(tensors, in_dims[:INPUTS], size, False)
        image, gradient = (
            _rows(tensor, dim, size, images, False)
            for tensor, dim in zip((image, gradient), in_dims[INPUTS : INPUTS + 2], strict=True)
        )
        found = RenderBackward.apply(  # type: ignore[no-untyped-call]
            *rows, image, gradient, wanted, half_folded, backend
        )
        results = []
        for value, index in zip(found, (i for i, want in enumerate(wanted) if want), strict=True):
            value = value.unflatten(0, (size, images))
            dim = in_dims[index]
            own = tensors[index].shape[0 if dim is None else int(dim == 0)]
            results.append(value.sum(dim=1, keepdim=True) if own != images else value)
        return tuple(results), (0,) * len(results)
