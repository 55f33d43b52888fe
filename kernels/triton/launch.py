"""The Triton backend's code: what the operator calls, which launches the kernels."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
import triton
from torch import Tensor

from .. import layout, native
from . import INTERPRETED
from .fold import BANDS, ILLUMINANTS, PADDED_BANDS, fold_backward_kernel, fold_kernel
from .pixel import add_up_kernel, backward_kernel, forward_kernel
from .shapes import Shape, choose_shape

__all__ = [
    "backward",
    "fold",
    "fold_backward",
    "forward",
    "unavailable",
]

LEAST_CAPABILITY = (8, 0)


@cache
def unavailable() -> str | None:
    """None where the kernels run, else why they do not."""
    if INTERPRETED:
        return None
    if reason := native.no_gpu(LEAST_CAPABILITY):
        return reason
    if not (os.environ.get("CC") or any(map(shutil.which, ("gcc", "clang", "cc")))):
        return "no C compiler, with which Triton builds its launcher; install gcc or set CC"
    return None


def _padded(components: int) -> int:
    """Columns that a kernel holds of a table, a power of two."""
    return max(16, triton.next_power_of_2(components))


def _launch(
    kernel: Any, grid: tuple[int, ...], device: torch.device, *args: Any, **options: Any
) -> None:
    """Launch on the current stream of the tensors' device."""
    # Stated, since the default differs between versions of Triton.
    options["enable_fp_fusion"] = True
    with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
        kernel[grid](*args, **options)


# Rendering


def forward(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    weights: Tensor,
    highlight: Tensor,
    epidermis: Tensor,
    dermis: Tensor,
    image: Tensor,
) -> None:
    """Eight inputs of `torch.ops.biofacenet.render` and the image to fill."""
    images, _, height, width = melanin.shape
    pixels, components = height * width, weights.shape[2]
    if images * pixels == 0:
        return
    padded = _padded(components)
    maps = layout.alike((melanin, haemoglobin, diffuse, specular))
    arguments = (
        *maps,
        *(weights, highlight, epidermis, dermis, image),
        *(maps[0].stride(0), layout.step(maps[0]), pixels),
    )

    def launch(chosen: Shape) -> None:
        tiles = triton.cdiv(pixels, chosen.tile)
        _launch(
            forward_kernel,
            (images * tiles,),
            melanin.device,
            *arguments,
            tiles,
            epidermis.shape[0],
            dermis.shape[0],
            COMPONENTS=components,
            PADDED=padded,
            TILE=chosen.tile,
            num_warps=chosen.warps,
        )

    launch(choose_shape(padded, False, melanin, launch))


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
    shared = wanted[4:]
    if melanin.numel() == 0:
        for total in shared:
            if total is not None:
                total.zero_()
        return
    maps = layout.alike((melanin, haemoglobin, diffuse, specular))
    gradient, image = layout.flat(gradient), image.contiguous()
    padded = _padded(weights.shape[2])
    others = (weights, highlight, epidermis, dermis, image, gradient)

    def launch(chosen: Shape) -> None:
        sums = _backward_tiles(chosen, padded, maps, others, wanted)
        if sums is not None:
            _add_up(sums, len(melanin), weights.shape[2], *shared)

    launch(choose_shape(padded, True, melanin, launch))


def _backward_tiles(
    chosen: Shape,
    padded: int,
    maps: Sequence[Tensor],
    others: Sequence[Tensor],
    wanted: Sequence[Tensor | None],
) -> Tensor | None:
    """Fill the maps' gradients; each program's sums for weights and highlight if one is wanted."""
    weights, _, epidermis, dermis, image, gradient = others
    images, _, height, width = maps[0].shape
    pixels, components = height * width, weights.shape[2]
    tiles = triton.cdiv(pixels, chosen.tile)
    steps = triton.cdiv(tiles, max(1, chosen.programs // images))
    programs = triton.cdiv(tiles, steps)
    summed = any(tensor is not None for tensor in wanted[4:])
    sums = weights.new_empty(images * programs if summed else 1, 3 * components + 3)
    _launch(
        backward_kernel,
        (images * programs,),
        weights.device,
        *maps,
        *others,
        # Unwanted gradients are never written; a pointer is passed all the same.
        *(image if tensor is None else tensor for tensor in wanted[:4]),
        sums,
        *(maps[0].stride(0), layout.step(maps[0])),
        *(gradient.stride(0), gradient.stride(1), layout.step(gradient)),
        *(pixels, programs, steps, epidermis.shape[0], dermis.shape[0]),
        COMPONENTS=components,
        PADDED=padded,
        TILE=chosen.tile,
        MELANIN=wanted[0] is not None,
        HAEMOGLOBIN=wanted[1] is not None,
        DIFFUSE=wanted[2] is not None,
        SPECULAR=wanted[3] is not None,
        SUMS=summed,
        num_warps=chosen.warps,
    )
    return sums if summed else None


def _add_up(
    sums: Tensor,
    images: int,
    components: int,
    of_weights: Tensor | None,
    of_highlight: Tensor | None,
) -> None:
    """Add the sums of each image's programs, and fill the gradients that are wanted."""
    columns, programs = 16, len(sums) // images
    _launch(
        add_up_kernel,
        (images, triton.cdiv(3 * components + 3, columns)),
        sums.device,
        sums,
        sums if of_weights is None else of_weights,
        sums if of_highlight is None else of_highlight,
        programs,
        COMPONENTS=components,
        ROWS=min(256, triton.next_power_of_2(programs)),
        COLUMNS=columns,
        WEIGHTS=of_weights is not None,
        HIGHLIGHT=of_highlight is not None,
        num_warps=4,
    )


# Folding


def fold(
    mixture: Tensor | None,
    cct: Tensor | None,
    spectrum: Tensor | None,
    camera: Tensor,
    tables: list[Tensor],
    first_cct: float,
    cct_step: float,
    camera_range: float,
    folded: Tensor,
    highlight: Tensor,
) -> None:
    """Mixture weights and CCT, or a spectrum; camera; tables; and the two results to fill."""
    if len(camera) == 0:
        return
    _launch(
        fold_kernel,
        (len(camera),),
        camera.device,
        *_light_and_camera(mixture, cct, spectrum, camera, tables),
        folded,
        highlight,
        *_table_sizes(tables),
        MIXED=mixture is not None,
        **_fold_constants(tables, first_cct, cct_step, camera_range),
    )


def fold_backward(
    mixture: Tensor | None,
    cct: Tensor | None,
    spectrum: Tensor | None,
    camera: Tensor,
    tables: list[Tensor],
    first_cct: float,
    cct_step: float,
    camera_range: float,
    of_folded: Tensor,
    of_highlight: Tensor,
    *wanted: Tensor | None,
) -> None:
    """The inputs, gradients of the two results, and the four gradients to fill or None."""
    if len(camera) == 0:
        return
    of_mixture, of_cct, of_spectrum, of_camera = wanted
    _launch(
        fold_backward_kernel,
        (len(camera),),
        camera.device,
        *_light_and_camera(mixture, cct, spectrum, camera, tables),
        of_folded,
        of_highlight,
        *(camera if tensor is None else tensor for tensor in wanted),
        *_table_sizes(tables),
        MIXED=mixture is not None,
        OF_MIXTURE=of_mixture is not None,
        OF_CCT=of_cct is not None,
        OF_GIVEN=of_spectrum is not None,
        OF_CAMERA=of_camera is not None,
        **_fold_constants(tables, first_cct, cct_step, camera_range),
    )


def _light_and_camera(
    mixture: Tensor | None,
    cct: Tensor | None,
    spectrum: Tensor | None,
    camera: Tensor,
    tables: list[Tensor],
) -> tuple[Tensor, ...]:
    """What both folding kernels read; a tensor that is not there is never read."""
    light = (camera if tensor is None else tensor for tensor in (mixture, cct, spectrum))
    return (*light, camera, *tables[:6])


def _table_sizes(tables: list[Tensor]) -> tuple[int, int]:
    """Rows of the daylights, and of the camera's grid."""
    return len(tables[1]), math.isqrt(len(tables[4]))


def _fold_constants(
    tables: list[Tensor], first_cct: float, cct_step: float, camera_range: float
) -> dict[str, float]:
    """Compile-time arguments of both folding kernels."""
    components = len(tables[5])
    return {
        "FIRST": first_cct,
        "STEP": cct_step,
        "HALF": camera_range,
        "COMPONENTS": components,
        "PADDED": _padded(components),
        "BANDS": BANDS,
        "PADDED_BANDS": PADDED_BANDS,
        "ILLUMINANTS": ILLUMINANTS,
        "num_warps": 4,
    }
