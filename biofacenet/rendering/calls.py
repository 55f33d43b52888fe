"""What every call of a backend has in common: how many images there are, and what is to be filled."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..kernels.registry import kernel
from .half_folded import LIGHT_NUMBERS

__all__ = ["INPUTS", "MAPS", "NAMES", "Lit", "forward", "gradients", "image_count"]

Lit = tuple[Tensor | None, ...]
"""Mixture (14) and cct, or a spectrum (33); and a camera (2); or, without these, weights (3, 33) and
highlight (3): six tensors, None where not given, each for every image or for all (B or 1, ..)."""

NAMES = (
    *("melanin", "haemoglobin", "diffuse", "specular"),
    *("mixture", "cct", "spectrum", "camera", "weights", "highlight"),
)
MAPS, INPUTS = 4, 10
"""Of the ten tensors that are rendered, the first four are maps."""


def image_count(tensors: Sequence[Tensor | None]) -> int:
    """How many images there are: what is not for all images says so."""
    for tensor in (tensors[0], *tensors[MAPS:]):
        if tensor is not None and tensor.ndim and tensor.shape[0] != 1:
            return tensor.shape[0]
    return 1


def _expanded(maps: Sequence[Tensor | None], images: int) -> Sequence[Tensor]:
    """The maps, one for each image without copies."""
    there: list[Tensor] = maps  # type: ignore[assignment]
    if there[0].shape[0] == images:  # maps are as many as each other
        return there
    return [tensor.expand(images, -1, -1, -1) for tensor in there]


def _whole(light: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [tensor if tensor is None else tensor.contiguous() for tensor in light]


def forward(
    tensors: Sequence[Tensor | None], tables: list[Tensor], melanin_fixed: bool, backend: str
) -> Tensor:
    """The image (B, 3, H, W) of ten tensors."""
    images = image_count(tensors)
    maps = _expanded(tensors[:MAPS], images)
    image = maps[0].new_empty((images, 3, *maps[0].shape[2:]))
    light = _whole(tensors[MAPS:])
    kernel(backend).render(*maps, *light, tables, melanin_fixed, *LIGHT_NUMBERS, image)
    return image


def gradients(
    tensors: Sequence[Tensor | None],
    image: Tensor,
    gradient: Tensor,
    wanted: Sequence[bool],
    tables: list[Tensor],
    melanin_fixed: bool,
    backend: str,
) -> list[Tensor | None]:
    """Those of the ten that are wanted, of their tensors' shapes; None for the others."""
    maps, light = _expanded(tensors[:MAPS], image.shape[0]), _whole(tensors[MAPS:])
    whole = torch.contiguous_format
    found = [
        None if tensor is None or not want else torch.empty_like(tensor, memory_format=whole)
        for tensor, want in zip((*maps, *light), wanted, strict=True)
    ]
    kernel(backend).render_backward(
        *maps, *light, tables, melanin_fixed, *LIGHT_NUMBERS, image, gradient, *found
    )
    if maps[0] is not tensors[0]:  # one map for many images
        for index, value in enumerate(found[:MAPS]):
            found[index] = None if value is None else value.sum(dim=0, keepdim=True)
    return found
