"""The gradient of the highlight colour: exact, whatever number of pixels the last block holds."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from biofacenet import Renderer, kernels

SIZES = (*range(1, 131), 255, 256, 257, 4095, 4096, 4097)
"""Around a block of pixels, two of them, and a work item."""


@pytest.fixture(params=("avx512", "avx2", "baseline"))
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that this processor has, in turn."""
    kernels.kernel("cpp")
    ops = torch.ops.biofacenet_cpu
    if request.param not in ops.instruction_sets().split():
        pytest.skip(f"this processor has no {request.param}")
    before = ops.instruction_set()
    ops.use_instruction_set(request.param)
    yield request.param
    ops.use_instruction_set(before)


def whole_numbers(low: int, high: int, *shape: int, generator: torch.Generator) -> Tensor:
    return torch.randint(low, high, shape, generator=generator).double()


def tables_of_ones(functions: int, dtype: torch.dtype) -> list[Tensor]:
    """A skin that reflects `functions` times one in the first band, nothing in others."""
    light = Renderer(backend="cpp").prepared(torch.device("cpu"), dtype).native[:5]
    mixing = torch.zeros(33, 1, functions, dtype=dtype)
    mixing[0] = 1.0
    return [*light, torch.ones(2, functions, dtype=dtype), torch.ones(2, 1, dtype=dtype), mixing]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("functions", [4, 5, 6, 7])
def test_gradients_of_what_all_pixels_share_are_sums_over_what_was_not_clipped(
    instruction_set: str, dtype: torch.dtype, functions: int
) -> None:
    """d rgb_c / d k_c is the specular shading where rgb_c > 0, and d rgb_c / d w_c diffuse times
    reflectance, else 0, summed over the image.

    All numbers are whole and small, so that their sums are exact in any order: one pixel that is left
    out, or counted twice, is told.
    """
    generator = torch.Generator().manual_seed(0)
    tables = tables_of_ones(functions, dtype)
    for pixels in SIZES[functions % 3 :: 3]:
        maps = torch.zeros(2, 1, 1, pixels, dtype=dtype)
        diffuse = whole_numbers(-1, 3, *maps.shape, generator=generator)
        specular = whole_numbers(1, 8, *maps.shape, generator=generator)
        weights = torch.zeros(2, 3, 33, dtype=torch.float64)
        weights[..., 0] = whole_numbers(0, 3, 2, 3, generator=generator)
        highlight = whole_numbers(1, 4, 2, 3, generator=generator)
        above = whole_numbers(-4, 5, 2, 3, 1, pixels, generator=generator)
        skin = functions * weights[..., 0]
        colour = diffuse * skin[..., None, None] + specular * highlight[..., None, None]
        lit = colour > 0

        wanted = [t.to(dtype).requires_grad_() for t in (weights, highlight)]
        image = torch.ops.biofacenet.render(
            *(maps, maps, diffuse.to(dtype), specular.to(dtype), None, None, None, None, *wanted),
            *(tables, True, "cpp"),
        )
        assert torch.equal(image.detach().double(), colour.clamp(min=0.0))
        of_weights, of_highlight = torch.autograd.grad(image, wanted, above.to(dtype))
        expected = (above * specular * lit).sum(dim=(2, 3))
        assert torch.equal(of_highlight.double(), expected), f"{pixels} pixels"
        shaded = functions * (above * diffuse * lit).sum(dim=(2, 3))
        assert torch.equal(of_weights[..., 0].double(), shaded), f"{pixels} pixels"
