"""The GPU kernels against plain torch: on a GPU, in Triton's interpreter, or imitated on the CPU.

Without a GPU, `test_without_gpu.py` runs this file in processes of their own, with
BIOFACENET_TEST_GPU=interpreter for the Triton kernels and =imitation for the CUDA kernels.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import biofacenet
from biofacenet import Decomposition, Illuminant, Tables, kernels
from biofacenet.errors import BackendUnavailableError
from biofacenet.rendering import operator
from biofacenet.rendering.basis import Basis
from biofacenet.rendering.half_folded import LIGHT_NUMBERS, HalfFolded, render_lit

MODE = os.environ.get("BIOFACENET_TEST_GPU", "gpu")
ON_GPU = MODE == "gpu"
INTERPRETED = MODE == "interpreter"
DEVICE = "cuda" if ON_GPU else "cpu"
BACKENDS = {"gpu": ("triton", "cuda"), "interpreter": ("triton",), "imitation": ("cuda",)}[MODE]
NAMES = (
    *("melanin", "haemoglobin", "diffuse", "specular"),
    *("mixture", "cct", "spectrum", "camera", "weights", "highlight"),
)
if ON_GPU and not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)
gpu_only = pytest.mark.skipif(not ON_GPU, reason="only a GPU shows it")

SIZES = [(1, 1, 1), (2, 1, 63), (1, 63, 1), (2, 33, 65), (9, 3, 5), (1, 32, 48)]
SOME = (3, 9, 23)
"""An image of several tiles, the last of them not full."""
if ON_GPU:
    SIZES += [(1, 1024, 1024), (512, 64, 64), (7, 500, 999)]
if INTERPRETED:  # which takes milliseconds for each operation of a tile
    SIZES = [(1, 1, 1), (2, 7, 11), (1, 13, 20)]
    SOME = (2, 7, 11)

TABLES = Tables.computed()
KINDS = {"mixture": ("mixture", "cct", "camera"), "spectrum": ("spectrum", "camera")}
KINDS["weights"] = ("weights", "highlight")


@pytest.fixture(autouse=True)
def _same_numbers_each_time() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if MODE == "imitation":
        torch.ops.load_library(os.environ["BIOFACENET_TEST_LIBRARY"])
        monkeypatch.setattr(kernels.cuda, "unavailable", lambda: None)
        with kernels.register("imitation", kernels.cuda, device="cpu", half=True) as imitation:
            yield imitation.name
        return
    if (reason := kernels.available()[request.param]) is not None:
        if os.environ.get("BIOFACENET_REQUIRE_NATIVE"):
            pytest.fail(reason)
        pytest.skip(reason)
    yield request.param


@pytest.fixture
def _three_programs_an_image(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the interpreter each program goes over several tiles, as it does in large images."""
    if INTERPRETED:
        from biofacenet.kernels.triton import launch, shapes

        by_rule = shapes.rule
        monkeypatch.setattr(shapes, "rule", lambda *of: replace(by_rule(*of), programs=3))
        monkeypatch.setattr(launch, "LEAST_STEPS", 1)


def half_folded(p: int, q: int, dtype: torch.dtype, melanin_fixed: bool = True) -> HalfFolded:
    """A made-up skin of so many functions, whose colours lie about 0..1."""
    functions, others = torch.rand(19, p) / p**0.5, torch.rand(33, q) / q**0.5
    mixing = (0.5 + torch.rand(33, q, p)) / (p * q) ** 0.5
    basis = Basis(functions.double(), others.double(), mixing.double(), melanin_fixed)
    return HalfFolded.of(TABLES, basis).to(DEVICE, dtype)


def uniform(low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(*shape, dtype=torch.float64)


def scene(
    size: tuple[int, int, int],
    dtype: torch.dtype,
    light: str = "mixture",
    lights: int | None = None,
    maps: torch.dtype | None = None,
) -> list[Tensor | None]:
    """The ten tensors of the operator, maps a little beyond their ranges."""
    batch, *plane = size
    lights = batch if lights is None else lights
    tensors = {
        "melanin": uniform(-1.1, 1.1, batch, 1, *plane),
        "haemoglobin": uniform(-1.1, 1.1, batch, 1, *plane),
        "diffuse": uniform(0.2, 1.5, batch, 1, *plane),
        "specular": uniform(-0.1, 0.4, batch, 1, *plane),
        "mixture": torch.softmax(3.0 * uniform(0.0, 1.0, lights, 14), dim=1),
        "cct": uniform(3500.0, 26000.0, lights),
        "spectrum": uniform(0.1, 1.0, lights, 33),
        "camera": uniform(-2.5, 2.5, lights, 2),
        "weights": uniform(-0.02, 0.06, lights, 3, 33),
        "highlight": uniform(0.5, 1.0, lights, 3),
    }
    kept = (*NAMES[:4], *KINDS[light])
    return [
        tensors[name].to(DEVICE, maps or dtype if name in NAMES[:4] else dtype)
        if name in kept
        else None
        for name in NAMES
    ]


def exact(tensors: list[Tensor | None], skin: HalfFolded) -> tuple[list[Tensor | None], Tensor]:
    """Leaves and image in float64, by plain torch."""
    basis = replace(
        skin.basis,
        **{n: getattr(skin.basis, n).double() for n in ("functions", "others", "mixing")},
    )
    double = HalfFolded.of(TABLES.to(DEVICE), basis)
    leaves = [None if t is None else t.detach().double().requires_grad_() for t in tensors]
    images = max(len(t) for t in leaves if t is not None)
    given = [t if t is None or len(t) == images else t.expand(images, *t.shape[1:]) for t in leaves]
    return leaves, render_lit(tuple(given), double)


def compare(
    backend: str, tensors: list[Tensor | None], skin: HalfFolded, digits: float, of_light: float
) -> None:
    """Image and all gradients against plain torch, outputs poisoned by `new_empty` or not."""
    leaves, expected = exact(tensors, skin)
    inputs = [None if t is None else t.detach().requires_grad_() for t in tensors]
    image = operator.render(inputs[:4], tuple(inputs[4:]), skin, backend)
    # Rounding alone decides whether what is nearly 0 was clipped.
    upward = torch.randn_like(expected) * (expected.abs() > 1e-3)
    assert (image.double() - expected).abs().max() <= digits * max(
        1.0, float(expected.detach().max())
    )
    present = [t for t in inputs if t is not None]
    found = torch.autograd.grad(image, present, upward.to(image.dtype))
    true = torch.autograd.grad(expected, [t for t in leaves if t is not None], upward)
    names = [name for name, t in zip(NAMES, inputs, strict=True) if t is not None]
    rounding = digits * (
        10 + expected[0, 0].numel()
    )  # of the sums over pixels, much of which cancels
    for name, one, other in zip(names, found, true, strict=True):
        assert one.shape == other.shape, name
        assert one.dtype == dict(zip(NAMES, tensors, strict=True))[name].dtype, name
        most = (
            of_light * other.abs().max() + rounding
            if name in NAMES[4:]
            else (40.0 * digits * other.abs().max())
        )
        assert (one.double() - other).abs().max() <= most, name


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


# Only a GPU shows ----------------------------------------------------------------------------


def pair(size: tuple[int, int, int]) -> tuple[list[Tensor], Callable[..., Tensor]]:
    """Leaves and the public renderer of them."""
    m, h, d, s, mixture, cct, _, camera, _, _ = scene(size, torch.float32)
    leaves = [t.requires_grad_() for t in (m, h, d, s, mixture, cct, camera)]

    def image_of(*t: Tensor, backend: str) -> Tensor:
        return biofacenet.render(*t[:4], Illuminant(t[4], t[5]), t[6], backend=backend)

    return leaves, image_of


@gpu_only
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


@gpu_only
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


@gpu_only
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


@gpu_only
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
