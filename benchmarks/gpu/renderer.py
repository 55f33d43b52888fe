"""Every backend of the renderer at every size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from benchmarks.inputs import Render, Step, eager, fused, inputs, step
from biofacenet import BioFaceNetError
from biofacenet.kernels import available
from biofacenet.rendering.accuracy import ACCURACIES
from biofacenet.system.console import console

from .settings import Settings
from .timing import copy_bandwidth, milliseconds, recorded

__all__ = ["REFERENCE", "backends", "measure_renderer"]

FORWARD_BYTES, BOTH_BYTES = 28, 72
"""Least bytes a pixel: forward reads 4 floats and writes 3; backward reads 7 and writes 4."""
BEYOND_CACHE = 256 * 2**20
"""Bytes of different inputs that are gone through, so that no cache is measured."""
SIZES = ((64, 64), (1, 512), (1, 1024), (64, 256), (1, 2048))
EAGER_PIXELS = 2**22
REFERENCE = "reference"


def backends(device: torch.device) -> dict[str, str | None]:
    """Fused backends of a device, with the reason where one does not run."""
    names = ("triton", "cuda") if device.type == "cuda" else ("cpp",)
    return {name: available()[name] for name in names}


def agrees(render: Render, reference: Render, batch: int, side: int, device: torch.device) -> float:
    """Largest difference of image and map gradients from the reference, relative to their largest.

    Gradients jump where a colour is clipped at black: pixels near it are left out of them.
    """
    decomposition = inputs(batch, min(side, 256), device=device)
    ours = step(render, decomposition, True)()
    theirs = step(reference, decomposition, True)()
    image, *_ = theirs
    clear = (torch.minimum(image, ours[0]) > 1e-2 * image.max()).all(dim=1, keepdim=True)
    differences = [
        float(((one - other) * chosen).abs().max() / other.abs().max())
        for one, other, chosen in zip(
            ours[:5], theirs[:5], (torch.ones_like(image), *[clear] * 4), strict=True
        )
    ]
    return max(differences) if all(map(math.isfinite, differences)) else math.inf


def in_turn(render: Render, sets: list[Any], backward: bool) -> Step:
    """One step with each of the inputs."""
    steps = [step(render, one, backward) for one in sets]

    def all_of_them() -> tuple[Tensor, ...]:
        results: tuple[Tensor, ...] = ()
        for one in steps:
            results = one()
        return results

    return all_of_them


def measure_renderer(settings: Settings, device: torch.device) -> Iterator[dict[str, Any]]:
    """Every backend at every size, as called and as a CUDA graph; all so far, after each size."""
    rounds = 5 if settings.quick else 30
    copied = [copy_bandwidth(device, rounds)]
    sizes = ((2, 32),) if settings.quick else SIZES
    reference = eager(device)
    rows = []
    for batch, side in sizes:
        pixels = batch * side**2
        count = min(16, max(1, math.ceil(BEYOND_CACHE / (pixels * BOTH_BYTES))))
        sets = [inputs(batch, side, device=device) for _ in range(1 if settings.quick else count)]
        renderers: dict[str, Render] = {}
        if pixels <= EAGER_PIXELS:
            renderers[REFERENCE] = reference
        for name, reason in backends(device).items():
            if reason is None:
                renderers |= {f"{name}, {k}": fused(k, name) for k in ACCURACIES}
        for name, render in renderers.items():
            error = agrees(render, reference, batch, side, device)
            # What is fast is another picture by some 1e-5 of full scale, and more in gradients.
            if error > (2e-2 if "fast" in name else 1e-4):
                raise BioFaceNetError(
                    f"{name} at {batch} x {side}^2 differs from the reference by {error:.2g}; "
                    "no time is worth telling"
                )
            row: dict[str, Any] = {"batch": batch, "side": side, "renderer": name, "error": error}
            for kind, least in (("forward", FORWARD_BYTES), ("forward_backward", BOTH_BYTES)):
                call = in_turn(render, sets, kind != "forward")
                few = rounds if name != REFERENCE else min(rounds, 5)
                row[f"{kind}_ms"] = milliseconds(call, device, few) / len(sets)
                graph = recorded(call, device) if name != REFERENCE else "the reference is eager"
                if isinstance(graph, str):
                    row[f"{kind}_graph"] = graph
                    best = row[f"{kind}_ms"]
                else:
                    best = row[f"{kind}_graph_ms"] = milliseconds(graph, device, rounds) / len(sets)
                row[f"{kind}_bandwidth"] = least * pixels / (1e-3 * best)
            rows.append(row)
            console.print(
                f"{batch} x {side}^2  {name:18s} forward {row['forward_ms']:.4f} ms, with backward "
                f"{row['forward_backward_ms']:.4f} ms",
                markup=False,
            )
        del sets
        copied.append(copy_bandwidth(device, rounds))
        skipped = {name: reason for name, reason in backends(device).items() if reason}
        yield {"copy_bandwidth": max(copied), "copies": copied, "skipped": skipped, "rows": rows}
