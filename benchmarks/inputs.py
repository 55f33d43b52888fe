"""What every benchmark of the renderer measures: the renderers, their inputs and one step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

import biofacenet
from biofacenet import Decomposition, Illuminant, Tables, reference
from biofacenet.rendering.accuracy import ACCURACIES, Accuracy

__all__ = ["FUSED", "Render", "Step", "eager", "fused", "inputs", "step"]

Render = Callable[..., Tensor]
"""Takes the arguments of `biofacenet.render`."""
Step = Callable[[], tuple[Tensor, ...]]
"""Renders once and returns the image, and the gradients where they are asked for."""

FUSED: dict[str, Accuracy] = {f"fused, {name}": name for name in reversed(ACCURACIES)}
"""Fused renderers by name, with their accuracy."""


def inputs(
    batch: int,
    side: int,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Decomposition:
    """Random maps inside their ranges, a random light and camera, ready for gradients."""
    generator = torch.Generator().manual_seed(0)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator)

    plane = (batch, 1, side, side)
    weights = torch.softmax(torch.randn(batch, 14, generator=generator), dim=1)
    decomposition = Decomposition(
        uniform(-1, 1, *plane),
        uniform(-1, 1, *plane),
        uniform(0.5, 3, *plane),
        uniform(0, 0.5, *plane),
        Illuminant(weights, uniform(4000, 12000, batch)),
        uniform(-2, 2, batch, 2),
    )
    return decomposition.to(device, dtype).map(lambda tensor: tensor.requires_grad_())


def eager(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Render:
    """The reference renderer, its tables converted beforehand."""
    return partial(reference.render, tables=Tables.computed().to(device, dtype))


def fused(accuracy: Accuracy, backend: str) -> Render:
    """A fused renderer through the public function."""
    return partial(biofacenet.render, accuracy=accuracy, backend=backend)


def step(render: Render, decomposition: Decomposition, backward: bool) -> Step:
    """One step of a benchmark, without gradients or with those of all seven inputs.

    The gradient of the image is random, and the same in every step; no ``.grad`` is accumulated.
    """
    arguments = decomposition.arguments()
    *maps, _, camera = arguments
    light = decomposition.illuminant
    sources = (*maps, light.weights, light.cct, camera)
    batch, _, height, width = decomposition.melanin.shape
    generator = torch.Generator().manual_seed(1)
    gradient = torch.randn(batch, 3, height, width, generator=generator).to(decomposition.melanin)

    def forward() -> tuple[Tensor, ...]:
        with torch.no_grad():
            return (render(*arguments),)

    def forward_and_backward() -> tuple[Tensor, ...]:
        image = render(*arguments)
        return (image.detach(), *torch.autograd.grad(image, sources, gradient))

    return forward_and_backward if backward else forward
