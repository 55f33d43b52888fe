"""The gradient of the highlight colour: exact, whatever number of pixels the last block holds."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from biofacenet import kernels

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("components", [16, 17])
def test_highlight_gradient_is_the_specular_light_of_what_was_not_clipped(
    instruction_set: str, dtype: torch.dtype, components: int
) -> None:
    """d rgb_c / d k_c is the specular shading where rgb_c > 0, else 0, summed over the image.

    All numbers are whole and small, so that their sums are exact in any order: one pixel that is left
    out, or counted twice, is told.
    """
    generator = torch.Generator().manual_seed(0)
    tables = torch.ones(2, components, dtype=dtype), torch.ones(2, components, dtype=dtype)
    for pixels in SIZES:
        maps = torch.zeros(2, 1, 1, pixels, dtype=dtype)
        diffuse = whole_numbers(-1, 3, *maps.shape, generator=generator)
        specular = whole_numbers(1, 8, *maps.shape, generator=generator)
        weights = whole_numbers(0, 3, 2, 3, components, generator=generator)
        highlight = whole_numbers(1, 4, 2, 3, generator=generator)
        above = whole_numbers(-4, 5, 2, 3, 1, pixels, generator=generator)
        colour = (
            diffuse * weights.sum(dim=2)[..., None, None] + specular * highlight[..., None, None]
        )
        expected = (above * specular * (colour > 0)).sum(dim=(2, 3))

        wanted = highlight.to(dtype).requires_grad_()
        image = torch.ops.biofacenet.render(
            *(maps, maps, diffuse.to(dtype), specular.to(dtype), weights.to(dtype), wanted),
            *(*tables, "cpp"),
        )
        assert torch.equal(image.detach().double(), colour.clamp(min=0.0))
        (found,) = torch.autograd.grad(image, wanted, above.to(dtype))
        assert torch.equal(found.double(), expected), f"{pixels} pixels"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("components", [16, 17])
def test_weight_gradient_is_the_shaded_reflectance_of_what_was_not_clipped(
    instruction_set: str, dtype: torch.dtype, components: int
) -> None:
    """d rgb_c / d w_cl is diffuse times reflectance where rgb_c > 0, else 0, summed over the image."""
    generator = torch.Generator().manual_seed(1)
    rows = [whole_numbers(1, 3, components, generator=generator) for _ in range(2)]
    reflectance = rows[0] * rows[1]
    tables = [row.expand(2, -1).contiguous().to(dtype) for row in rows]
    for pixels in SIZES[::3]:
        maps = torch.zeros(2, 1, 1, pixels, dtype=dtype)
        diffuse = whole_numbers(-1, 3, *maps.shape, generator=generator)
        specular = whole_numbers(1, 8, *maps.shape, generator=generator)
        weights = whole_numbers(0, 3, 2, 3, components, generator=generator)
        highlight = whole_numbers(1, 4, 2, 3, generator=generator)
        above = whole_numbers(-4, 5, 2, 3, 1, pixels, generator=generator)
        skin = (weights * reflectance).sum(dim=2)[..., None, None]
        colour = diffuse * skin + specular * highlight[..., None, None]
        shaded = (above * diffuse * (colour > 0)).sum(dim=(2, 3))

        wanted = weights.to(dtype).requires_grad_()
        image = torch.ops.biofacenet.render(
            *(maps, maps, diffuse.to(dtype), specular.to(dtype), wanted, highlight.to(dtype)),
            *(*tables, "cpp"),
        )
        (found,) = torch.autograd.grad(image, wanted, above.to(dtype))
        expected = shaded[..., None] * reflectance
        assert torch.equal(found.double(), expected), f"{pixels} pixels"
