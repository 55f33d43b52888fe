"""Time of the renderer, forward and with gradients, at the sizes of training and of photographs.

python -m pytest benchmarks --benchmark-enable
"""

import pytest
import torch

from biofacenet import Decomposition, Illuminant

SIZES = {"64 x 64 x 64": (64, 64), "1 x 512 x 512": (1, 512)}


def inputs(batch: int, side: int) -> Decomposition:
    """Random maps inside their ranges, a random light and camera, ready for gradients."""
    generator = torch.Generator().manual_seed(0)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
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
    return decomposition.map(lambda tensor: tensor.requires_grad_())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("backend", ["reference"])
@pytest.mark.parametrize("direction", ["forward", "forward and backward"])
def test_render(benchmark, size: str, backend: str, direction: str) -> None:  # type: ignore[no-untyped-def]
    """Megapixels a second are the extra column of the table."""
    batch, side = SIZES[size]
    decomposition = inputs(batch, side)

    def step() -> torch.Tensor:
        image = decomposition.render(backend=backend)
        if direction != "forward":
            image.sum().backward()
        return image

    image = benchmark(step)
    assert image.shape == (batch, 3, side, side)
    if benchmark.stats is not None:
        megapixels = batch * side * side / 1e6
        benchmark.extra_info["megapixels_per_second"] = megapixels / benchmark.stats.stats.median
