"""What only a GPU shows of its kernels: streams, recorded graphs, compilation, sizes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import biofacenet
from biofacenet import Illuminant
from biofacenet.rendering import operator
from tests.kernels.gpu_scenes import ON_GPU, half_folded, scene

if not (ON_GPU and torch.cuda.is_available()):
    pytest.skip("no CUDA device", allow_module_level=True)


def pair(size: tuple[int, int, int]) -> tuple[list[Tensor], Callable[..., Tensor]]:
    """Leaves and the public renderer of them."""
    m, h, d, s, mixture, cct, _, camera, _, _ = scene(size, torch.float32)
    leaves = [t.requires_grad_() for t in (m, h, d, s, mixture, cct, camera)]

    def image_of(*t: Tensor, backend: str) -> Tensor:
        return biofacenet.render(*t[:4], Illuminant(t[4], t[5]), t[6], backend=backend)

    return leaves, image_of


def test_other_streams(backend: str) -> None:
    inputs, image_of = pair((8, 256, 256))
    expected = image_of(*inputs, backend=backend)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        others = [t.detach().requires_grad_() for t in inputs]  # autograd ties a leaf to its stream
        image = image_of(*others, backend=backend)
        gradients = torch.autograd.grad(image, others, torch.ones_like(image))
    torch.cuda.current_stream().wait_stream(stream)
    assert torch.equal(image, expected)
    true = torch.autograd.grad(expected, inputs, torch.ones_like(image))
    for one, other in zip(gradients, true, strict=True):
        assert torch.equal(one, other)


def test_recorded_in_a_cuda_graph(backend: str) -> None:
    """Folding, rendering and both gradients, replayed on other numbers."""
    inputs, image_of = pair((4, 64, 64))
    upward = torch.randn(4, 3, 64, 64, device="cuda")

    def step() -> list[Tensor]:
        image = image_of(*inputs, backend=backend)
        return [image, *torch.autograd.grad(image, inputs, upward)]

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = step()
    with torch.no_grad():
        for tensor, other in zip(inputs, pair((4, 64, 64))[0], strict=True):
            tensor.copy_(other)
    graph.replay()
    torch.cuda.synchronize()
    for one, other in zip(recorded, step(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.filterwarnings("ignore")  # torch's own
def test_compiled_against_eager(backend: str) -> None:
    inputs, image_of = pair((4, 64, 64))
    upward = torch.randn(4, 3, 64, 64, device="cuda")
    expected = image_of(*inputs, backend=backend)
    found = torch.compile(image_of, fullgraph=True)(*inputs, backend=backend)
    assert (found - expected).abs().max() <= 2e-6 * expected.max()
    true = torch.autograd.grad(expected, inputs, upward)
    for one, other in zip(torch.autograd.grad(found, inputs, upward), true, strict=True):
        assert (one - other).abs().max() <= 5e-3 * other.abs().max()


def test_more_than_two_to_the_31_pixels(backend: str) -> None:
    side = 46400
    if torch.cuda.mem_get_info()[0] < 40 * 2**30:
        pytest.skip("40 GiB of GPU memory")
    light = scene((1, 4, 4), torch.float32)[4:]
    skin = half_folded(6, 10, torch.float32)
    maps = torch.rand(4, side, side, device="cuda", dtype=torch.float16)
    large = [plane.view(1, 1, side, side) for plane in maps]
    image = operator.render(large, tuple(light), skin, backend)
    for rows in (slice(0, 4), slice(side - 4, side)):
        part = [plane[:, :, rows] for plane in large]
        assert torch.equal(operator.render(part, tuple(light), skin, backend), image[:, :, rows])
