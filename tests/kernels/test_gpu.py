"""The GPU kernels against plain torch: on a GPU, in Triton's interpreter, or imitated on the CPU.

Without a GPU, `test_without_gpu.py` runs this file in processes of their own, with
BIOFACENET_TEST_GPU=interpreter for the Triton kernels and =imitation for the CUDA kernels.
"""

import pytest
import torch
from torch import Tensor

import biofacenet
from biofacenet import Decomposition, Illuminant, kernels
from biofacenet.errors import BackendUnavailableError
from biofacenet.rendering import operator
from biofacenet.rendering.half_folded import LIGHT_NUMBERS
from tests.kernels.gpu_scenes import (
    DEVICE,
    INTERPRETED,
    KINDS,
    NAMES,
    ON_GPU,
    SIZES,
    SOME,
    compare,
    exact,
    half_folded,
    scene,
    uniform,
)

if ON_GPU and not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

# Against plain torch -------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.usefixtures("_three_programs_an_image")
def test_image_and_gradients(backend: str, size: tuple[int, int, int]) -> None:
    compare(backend, scene(size, torch.float32), half_folded(6, 10, torch.float32), 2e-6, 3e-3)


@pytest.mark.parametrize(
    ("p", "q", "dtype"),
    [
        (1, 1, torch.float32),
        (5, 8, torch.float32),
        (6, 17, torch.float32),
        (14, 22, torch.float32),
        (6, 10, torch.float64),
        (14, 22, torch.float64),
        (33, 33, torch.float64),
    ],
)
@pytest.mark.usefixtures("_three_programs_an_image")
def test_any_number_of_functions(backend: str, p: int, q: int, dtype: torch.dtype) -> None:
    skin = half_folded(p, q, dtype, melanin_fixed=False)
    digits = 2e-6 if dtype == torch.float32 else 1e-12
    compare(backend, scene(SOME, dtype), skin, digits, 3e-3 if digits > 1e-9 else 1e-8)


@pytest.mark.parametrize("light", KINDS)
@pytest.mark.parametrize("lights", [1, SOME[0]])
def test_every_kind_of_light_for_one_or_all(backend: str, light: str, lights: int) -> None:
    tensors = scene(SOME, torch.float32, light, lights)
    compare(backend, tensors, half_folded(6, 10, torch.float32), 2e-6, 3e-3)


def test_one_camera_under_many_lights(backend: str) -> None:
    """Its gradient is the sum over images, the lights' are not."""
    tensors = scene(SOME, torch.float32)
    tensors[7] = uniform(-1.0, 1.0, 1, 2).to(DEVICE, torch.float32)
    compare(backend, tensors, half_folded(5, 8, torch.float32), 2e-6, 3e-3)


def test_many_lights_for_one_face(backend: str) -> None:
    tensors = scene((1, *SOME[1:]), torch.float32, lights=3)
    compare(backend, tensors, half_folded(6, 10, torch.float32), 2e-6, 3e-3)


@pytest.mark.parametrize("maps", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [SOME, (2, 4, 8)], ids=str)
def test_maps_of_16_bits(backend: str, maps: torch.dtype, size: tuple[int, int, int]) -> None:
    tensors = scene(size, torch.float32, maps=maps)
    for axis in range(2):  # of 16 bits many would lie at an end, whose slope is one-sided
        tensors[axis] = 0.85 * tensors[axis]
    skin, eps = half_folded(6, 10, torch.float32), torch.finfo(maps).eps
    leaves, expected = exact(tensors, skin)
    inputs = [None if t is None else t.requires_grad_() for t in tensors]
    image = operator.render(inputs[:4], tuple(inputs[4:]), skin, backend)
    assert image.dtype == maps
    assert (image.double() - expected).abs().max() <= 4.0 * eps * expected.max()
    upward = torch.ones_like(expected) * (expected > 0.1)
    present = [t for t in inputs if t is not None]
    found = torch.autograd.grad(image, present, upward.to(maps))
    true = torch.autograd.grad(expected, [t for t in leaves if t is not None], upward)
    for tensor, one, other in zip(present, found, true, strict=True):
        assert one.dtype == tensor.dtype
        rounding = 0.0 if tensor.dtype == maps else 2e-6 * size[1] * size[2]
        assert (one.double() - other).abs().max() <= 4.0 * eps * other.abs().max() + rounding


@pytest.mark.parametrize("layout", ["channels last", "rows apart", "transposed", "expanded"])
def test_layouts(backend: str, layout: str) -> None:
    tensors = scene(SOME, torch.float32)
    if layout == "channels last":
        joined = torch.cat(tensors[:4], dim=1).contiguous(memory_format=torch.channels_last)
        tensors[:4] = joined.split(1, dim=1)
    elif layout == "rows apart":
        tensors[:4] = [torch.cat((t, t), dim=3)[..., : SOME[2]] for t in tensors[:4]]
    elif layout == "transposed":
        tensors[:4] = [t.mT.contiguous().mT for t in tensors[:4]]
    else:
        tensors[2] = torch.ones(1, 1, 1, 1, device=DEVICE).expand(SOME[0], 1, *SOME[1:])
        tensors[3] = tensors[3][:1].expand(SOME[0], -1, -1, -1)
    compare(backend, tensors, half_folded(6, 10, torch.float32), 2e-6, 3e-3)


# What is filled ------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [1, 2, 4, 8, 16, 32, 64, 3, 21, 96, 127])
def test_wanted_gradients_are_filled_whole(backend: str, wanted: int) -> None:
    tensors = scene(SOME, torch.float32)
    skin = half_folded(6, 10, torch.float32)
    leaves, expected = exact(tensors, skin)
    present = [i for i, t in enumerate(tensors) if t is not None]
    chosen = [i for bit, i in enumerate(present) if wanted >> bit & 1]
    image = torch.full((SOME[0], 3, *SOME[1:]), torch.nan, device=DEVICE)
    call = (*tensors, skin.native, True, *LIGHT_NUMBERS)
    kernel = kernels.kernel(backend)
    kernel.render(*call, image)
    assert (image.double() - expected).abs().max() <= 2e-6
    upward = torch.randn_like(expected) * (expected.abs() > 1e-3)
    results = [
        torch.full_like(t, torch.nan) if i in chosen else None for i, t in enumerate(tensors)
    ]
    kernel.render_backward(*call, image, upward.float(), *results)
    true = torch.autograd.grad(expected, [leaves[i] for i in chosen], upward)
    for i, other in zip(chosen, true, strict=True):
        rounding = 2e-6 * SOME[1] * SOME[2] if i > 3 else 0.0
        most = 1e-4 * other.abs().max() + rounding
        assert (results[i].double() - other).abs().max() <= most, NAMES[i]


@pytest.mark.parametrize("size", [(0, 4, 4), (2, 0, 4), (2, 4, 0)], ids=str)
def test_empty(backend: str, size: tuple[int, int, int]) -> None:
    inputs = [None if t is None else t.requires_grad_() for t in scene(size, torch.float32)]
    skin = half_folded(6, 10, torch.float32)
    image = operator.render(inputs[:4], tuple(inputs[4:]), skin, backend)
    assert image.shape == (size[0], 3, *size[1:])
    present = [t for t in inputs if t is not None]
    for tensor, gradient in zip(present, torch.autograd.grad(image.sum(), present), strict=True):
        assert gradient.shape == tensor.shape
        assert gradient.abs().sum() == 0


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NumPy's, in the interpreter
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("p", [6, 9])
def test_what_is_not_finite_stays_in_its_pixel(
    backend: str, place: int, value: float, p: int
) -> None:
    tensors = scene((1, 3, 4), torch.float32)
    tensors[place][0, 0, 1, 2] = value
    image = operator.render(
        tensors[:4], tuple(tensors[4:]), half_folded(p, 10, torch.float32), backend
    )
    assert image.isnan().sum() == 3
    assert image[0, :, 1, 2].isnan().all()


def test_equal_inputs_equal_bits(backend: str) -> None:
    size = (3, 400, 500) if ON_GPU else SOME
    inputs = [None if t is None else t.requires_grad_() for t in scene(size, torch.float32)]
    skin = half_folded(6, 10, torch.float32)
    present = [t for t in inputs if t is not None]
    upward = torch.randn(size[0], 3, *size[1:]).to(DEVICE)

    def once() -> list[Tensor]:
        image = operator.render(inputs[:4], tuple(inputs[4:]), skin, backend)
        return [image, *torch.autograd.grad(image, present, upward)]

    first = once()
    for _ in range(5 if ON_GPU else 1):
        for one, other in zip(once(), first, strict=True):
            assert torch.equal(one, other)


def test_sanitizer(backend: str) -> None:
    """Small and odd, for compute-sanitizer to watch."""
    for p, q in ((6, 10), (5, 8), (9, 11)):
        size = SOME if INTERPRETED else (2, 13, 31)
        inputs = [None if t is None else t.requires_grad_() for t in scene(size, torch.float32)]
        skin = half_folded(p, q, torch.float32)
        image = operator.render(inputs[:4], tuple(inputs[4:]), skin, backend)
        gradients = torch.autograd.grad(image.sum(), [t for t in inputs if t is not None])
        assert all(gradient.isfinite().all() for gradient in gradients)


# By the public names -------------------------------------------------------------------------


@pytest.mark.parametrize("accuracy", ["fast", "default", "exact"])
def test_public_render(backend: str, accuracy: str) -> None:
    m, h, d, s, mixture, cct, _, camera, _, _ = scene(SOME, torch.float32)
    light = Illuminant(mixture, cct)
    found = biofacenet.render(m, h, d, s, light, camera, accuracy=accuracy, backend=backend)
    double = Decomposition(m, h, d, s, light, camera).to(dtype=torch.float64)
    expected = double.render(backend="reference")
    assert (found.double() - expected).abs().max() <= (5e-5 if accuracy == "fast" else 6e-6)
    half = biofacenet.render(
        *(x.half() for x in (m, h, d, s)), light, camera, accuracy=accuracy, backend=backend
    )
    assert half.dtype == torch.float16
    assert (half.float() - found).abs().max() <= 1e-2


def test_choice(backend: str) -> None:
    assert kernels.choose(backend, DEVICE) == backend
    other = "cpu" if ON_GPU else "cuda"
    with pytest.raises(BackendUnavailableError, match=f"takes {DEVICE} tensors"):
        kernels.choose(backend, other)
    if ON_GPU:
        assert kernels.choose("auto", "cuda") in ("triton", "cuda")
