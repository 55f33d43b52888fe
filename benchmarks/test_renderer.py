"""Time of the renderers, forward and with gradients, at the sizes of training and of photographs.

python -m pytest benchmarks --benchmark-enable -n 0
"""

import pytest

from benchmarks.inputs import FUSED, eager, fused, inputs, step
from biofacenet.kernels import available

SIZES = {"64 x 64 x 64": (64, 64), "1 x 512 x 512": (1, 512)}
REFERENCE = "reference"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("renderer", [REFERENCE, *FUSED])
@pytest.mark.parametrize("direction", ["forward", "forward and backward"])
def test_render(benchmark, size: str, renderer: str, direction: str) -> None:  # type: ignore[no-untyped-def]
    """Megapixels a second are the extra column of the table."""
    reason = available()["cpp"]
    if renderer != REFERENCE and reason is not None:
        pytest.skip(reason)
    render = eager() if renderer == REFERENCE else fused(FUSED[renderer], "cpp")
    batch, side = SIZES[size]
    image, *_ = benchmark(step(render, inputs(batch, side), direction != "forward"))
    assert image.shape == (batch, 3, side, side)
    if benchmark.stats is not None:
        megapixels = batch * side * side / 1e6
        benchmark.extra_info["megapixels_per_second"] = megapixels / benchmark.stats.stats.median
