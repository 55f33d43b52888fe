"""The renderer in Triton, for CUDA tensors: kernels, what launches them, and their block shapes.

A program renders a tile of pixels of one image. Tables are read row-wise, a pixel's components next
to each other, so that a few threads share each row and every access is a full sector of the cache.
The backward pass recomputes the colours' ingredients from the inputs. Each program sums what all
pixels of an image share over several tiles and stores its sums; a second launch adds them up in a
fixed order. Without float atomics, equal inputs give equal bits.

With TRITON_INTERPRET=1 set before triton is first imported, the same kernels run on CPU tensors in
its interpreter: slowly, for tests.
"""

# mypy: disable-error-code="misc, untyped-decorator, no-untyped-call"

from __future__ import annotations

import contextlib
import math
import os
import shutil
from functools import cache
from typing import Any

import torch
import triton
from torch import Tensor

from .. import layout
from .fold import fold_backward_kernel, fold_kernel
from .pixel import add_up_kernel, backward_kernel, forward_kernel
from .shapes import (
    BANDS,
    ILLUMINANTS,
    INTERPRETED,
    MAX_COMPONENTS,
    PADDED_BANDS,
    Shape,
    choose_shape,
)

__all__ = [
    "backward",
]

DEVICE = "cpu" if INTERPRETED else "cuda"
"""Where the tensors lie that these kernels take."""

LEAST_CAPABILITY = (8, 0)

# Launching


@cache
def _unavailable() -> str | None:
    if INTERPRETED:
        return None
    if not torch.cuda.is_available():
        return "no CUDA device" if torch.version.cuda else "this build of torch has no CUDA"
    capability = torch.cuda.get_device_capability()
    if capability < LEAST_CAPABILITY:
        found = ".".join(map(str, capability))
        return f"the GPU has compute capability {found}, Triton wants 8.0 or newer"
    if not (os.environ.get("CC") or any(map(shutil.which, ("gcc", "clang", "cc")))):
        return "no C compiler, with which Triton builds its launcher; install gcc or set CC"
    return None


def unavailable() -> str | None:
    """None where the kernels run, else why they do not."""
    return _unavailable()


def _padded(components: int) -> int:
    if components > MAX_COMPONENTS:
        raise ValueError(
            f"the Triton kernel takes at most {MAX_COMPONENTS} components, got {components}; "
            "use another backend"
        )
    return max(16, triton.next_power_of_2(components))


def _launch(
    kernel: Any, grid: tuple[int, ...], device: torch.device, *args: Any, **options: Any
) -> None:
    """Launch on the current stream of the tensors' device."""
    # Stated, since the default differs between versions of Triton.
    options["enable_fp_fusion"] = True
    with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
        kernel[grid](*args, **options)


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
    images, _, height, width = melanin.shape
    pixels, components = height * width, weights.shape[2]
    of_weights, of_highlight = wanted[4:]
    if images * pixels == 0:
        for shared in (of_weights, of_highlight):
            if shared is not None:
                shared.zero_()
        return
    padded = _padded(components)
    maps = layout.alike((melanin, haemoglobin, diffuse, specular))
    gradient, image = layout.flat(gradient), image.contiguous()
    share = of_weights is not None or of_highlight is not None

    def launch(chosen: Shape) -> None:
        tiles = triton.cdiv(pixels, chosen.tile)
        steps = triton.cdiv(tiles, max(1, chosen.programs // images))
        programs = triton.cdiv(tiles, steps)
        rows = images * programs if share else 1
        sums = weights.new_empty(rows, 3 * components + 3)
        _launch(
            backward_kernel,
            (images * programs,),
            melanin.device,
            *maps,
            *(weights, highlight, epidermis, dermis, image, gradient),
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
            SUMS=share,
            num_warps=chosen.warps,
        )
        if share:
            columns = 16
            _launch(
                add_up_kernel,
                (images, triton.cdiv(3 * components + 3, columns)),
                melanin.device,
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

    launch(choose_shape(padded, True, melanin, launch))


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
    return len(tables[1]), math.isqrt(len(tables[4]))


def _fold_constants(
    tables: list[Tensor], first_cct: float, cct_step: float, camera_range: float
) -> dict[str, float]:
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
