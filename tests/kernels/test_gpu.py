"""The GPU kernels against the reference: on a GPU, in Triton's interpreter, or imitated on the CPU.

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
from biofacenet import Decomposition, Illuminant, Tables, kernels, reference
from biofacenet.errors import BackendUnavailableError
from biofacenet.rendering.banded import operator
from biofacenet.rendering.banded.folding import fold
from biofacenet.rendering.banded.renderer import Banded

MODE = os.environ.get("BIOFACENET_TEST_GPU", "gpu")
ON_GPU = MODE == "gpu"
INTERPRETED = MODE == "interpreter"
DEVICE = "cuda" if ON_GPU else "cpu"
BACKENDS = {"gpu": ("triton", "cuda"), "interpreter": ("triton",), "imitation": ("cuda",)}[MODE]
ACCURACY = {16: "fast", 32: "default", 33: "exact"}
TABLES = Tables.computed()
NAMES = ("melanin", "haemoglobin", "diffuse", "specular", "weights", "cct", "camera")
if ON_GPU and not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)
gpu_only = pytest.mark.skipif(not ON_GPU, reason="only a GPU shows it")

SIZES = [(1, 1, 1), (2, 1, 63), (1, 63, 1), (2, 63, 65), (65, 3, 5)]
GRADIENT_SIZES = [(3, 17, 19), (1, 48, 48), (9, 2, 3)]
SOME = (3, 9, 23)
"""An image of several tiles, the last of them not full."""
if ON_GPU:
    SIZES += [(1, 4096, 4096), (512, 64, 64), (7, 1000, 999)]
if INTERPRETED:  # which takes milliseconds for each tile, of 16 to 128 pixels
    SIZES[3:] = [(2, 13, 15), (5, 3, 5)]
    GRADIENT_SIZES = [(2, 7, 11), (1, 13, 15), (3, 2, 3)]
    SOME = (2, 7, 11)


@pytest.fixture(autouse=True)
def _same_numbers_each_time() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if MODE == "imitation":
        torch.ops.load_library(os.environ["BIOFACENET_TEST_LIBRARY"])
        monkeypatch.setattr(kernels.cuda, "unavailable", lambda: None)
        with kernels.register(
            "imitation", kernels.cuda, device="cpu", half=True, banded=True
        ) as imitation:
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
        from biofacenet.kernels.triton import shapes

        by_rule = shapes.rule
        monkeypatch.setattr(shapes, "rule", lambda *of: replace(by_rule(*of), programs=3))


def scene(
    batch: int, height: int, width: int, dtype: torch.dtype = torch.float64, inner: bool = False
) -> Decomposition:
    """Random inputs over their whole ranges; `inner` keeps off ends, knots and the ReLU."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        values = torch.rand(*shape, dtype=torch.float64)
        return low + (high - low) * values

    plane = (batch, 1, height, width)
    m, h = (uniform(-0.9, 0.5, *plane) if inner else uniform(-1, 1, *plane) for _ in range(2))
    if inner:
        m, h = ((torch.floor((v + 1) * 127.5) + 0.4) / 127.5 - 1 for v in (m, h))
    weights = torch.softmax(torch.randn(batch, 14, dtype=torch.float64), 1)
    cct = 5137.0 + uniform(0, 700, batch) if inner else uniform(4000, 25000, batch)
    camera = uniform(-2, 2, batch, 2) if inner else uniform(-3, 3, batch, 2)
    found = Decomposition(
        *(m, h, uniform(0.5, 2, *plane), uniform(0.1, 0.3, *plane)),
        *(Illuminant(weights, cct), camera),
    )
    return found.to(DEVICE, dtype)


def leaves(decomposition: Decomposition, dtype: torch.dtype) -> list[Tensor]:
    d = decomposition
    tensors = (d.melanin, d.haemoglobin, d.diffuse, d.specular)
    tensors += (d.illuminant.weights, d.illuminant.cct, d.camera)
    return [tensor.detach().to(dtype).clone().requires_grad_() for tensor in tensors]


def rendered(tensors: list[Tensor], render: Callable[..., Tensor], **options) -> Tensor:
    return render(*tensors[:4], Illuminant(tensors[4], tensors[5]), tensors[6], **options)


def raw_inputs(
    dtype: torch.dtype, components: int, size=(2, 9, 7), maps: torch.dtype | None = None
) -> list[Tensor]:
    """Arguments of the operator with tables of any length, none of them from a skin model."""
    batch, height, width = size
    plane = (batch, 1, height, width)
    tensors = [
        *(torch.rand(*plane) * 2.2 - 1.1 for _ in range(2)),
        *(torch.rand(*plane) for _ in range(2)),
        torch.randn(batch, 3, components) / components,
        torch.rand(batch, 3),
        *(torch.rand(rows, components) for rows in (19, 33)),
    ]
    tensors = [tensor.to(DEVICE, dtype) for tensor in tensors]
    if maps is not None:
        tensors[:4] = [tensor.to(maps) for tensor in tensors[:4]]
    return tensors


def plain(
    m: Tensor, h: Tensor, d: Tensor, s: Tensor, w: Tensor, k: Tensor, e: Tensor, f: Tensor
) -> Tensor:
    """The operator's formula in torch, literally."""

    def read(table: Tensor, value: Tensor) -> Tensor:
        place = ((value[:, 0] + 1) / 2 * (len(table) - 1)).clamp(0, len(table) - 1)
        row = place.detach().long().clamp(max=len(table) - 2)
        share = (place - row).unsqueeze(-1)
        return table[row] * (1 - share) + table[row + 1] * share

    skin = torch.einsum("bhwk,bck->bchw", read(e, m) * read(f, h), w)
    return torch.relu(d * skin + s * k[:, :, None, None])


def poisoned(tensors: list[Tensor]) -> list[Tensor]:
    return [torch.full_like(t, torch.nan, memory_format=torch.contiguous_format) for t in tensors]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("bands", "dtype", "tolerance"),
    [
        (33, torch.float64, 1e-12),
        (32, torch.float64, 1e-7),
        (33, torch.float32, 2e-6),
        (32, torch.float32, 2e-6),
        (16, torch.float32, 5e-4),
    ],
)
def test_image(backend: str, bands: int, dtype: torch.dtype, tolerance: float, size) -> None:
    if size[1] * size[2] > 2**22 and dtype == torch.float64:
        pytest.skip("the reference would take too much memory")
    decomposition = scene(*size)
    found = decomposition.to(dtype=dtype).render(accuracy=ACCURACY[bands], backend=backend)
    if size[0] * size[1] * size[2] > 2**20:  # the reference a part at a time
        rows = slice(size[1] // 3, size[1] // 3 + 9)
        found = found[:, :, rows]
        maps = (m[:, :, rows] for m in decomposition.arguments()[:4])
        decomposition = Decomposition(*maps, *decomposition.arguments()[4:])
    expected = decomposition.render(backend="reference")
    assert found.dtype == dtype
    full_scale = max(1.0, float(expected.max()))
    assert (found.double() - expected).abs().max() <= tolerance * full_scale


@pytest.mark.parametrize("size", GRADIENT_SIZES, ids=str)
@pytest.mark.parametrize("bands", [32, 33])
@pytest.mark.usefixtures("_three_programs_an_image")
def test_gradients(backend: str, bands: int, size) -> None:
    inputs = leaves(scene(*size, inner=True), torch.float64)
    image = rendered(inputs, reference.render)
    gradient = torch.randn_like(image)
    expected = list(torch.autograd.grad(image, inputs, gradient))
    image = rendered(inputs, biofacenet.render, accuracy=ACCURACY[bands], backend=backend)
    for name, one, other in zip(
        NAMES, torch.autograd.grad(image, inputs, gradient), expected, strict=True
    ):
        digits = 1e-6 if bands == 32 else 1e-9
        assert (one - other).abs().max() <= digits * other.abs().max(), name
    single = [tensor.detach().float().requires_grad_() for tensor in inputs]
    image = rendered(single, biofacenet.render, accuracy=ACCURACY[bands], backend=backend)
    for name, one, other in zip(
        NAMES, torch.autograd.grad(image, single, gradient.float()), expected, strict=True
    ):
        # White balance cancels most of what light and camera gradients are made of.
        digits = 2e-3 if name in ("weights", "cct", "camera") else 2e-5
        assert (one - other).abs().max() <= digits * other.abs().max(), name


@pytest.mark.parametrize("bands", [16, 33])
def test_gradcheck(backend: str, bands: int) -> None:
    inputs = leaves(scene(2 if ON_GPU else 1, 1, 2, inner=True), torch.float64)
    assert torch.autograd.gradcheck(
        lambda *tensors: rendered(
            list(tensors), biofacenet.render, accuracy=ACCURACY[bands], backend=backend
        ),
        inputs,
        fast_mode=INTERPRETED,  # along random directions, not along every axis
    )


@pytest.mark.parametrize("components", [1, 5, 16, 32, 48, 66])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_any_number_of_components(backend: str, components: int, dtype: torch.dtype) -> None:
    inputs = [tensor.requires_grad_() for tensor in raw_inputs(dtype, components)]
    expected_image = plain(*inputs)
    image = operator.render(*inputs, backend)
    tolerance = 1e-12 if dtype == torch.float64 else 2e-6
    assert (image - expected_image).abs().max() <= tolerance
    gradient = torch.randn_like(image)
    expected = torch.autograd.grad(expected_image, inputs[:6], gradient)
    for one, other in zip(torch.autograd.grad(image, inputs[:6], gradient), expected, strict=True):
        assert (one - other).abs().max() <= 10 * tolerance * other.abs().max()


def test_opcheck(backend: str) -> None:
    inputs = [tensor.requires_grad_() for tensor in raw_inputs(torch.float32, 16, (2, 3, 4))]
    inputs[6:] = [tensor.detach() for tensor in inputs[6:]]
    torch.library.opcheck(operator.render, (*inputs, backend))


@pytest.mark.parametrize(
    "layout", ["slices", "channels last", "transposed", "every other", "expanded", "mixed"]
)
def test_layouts(backend: str, layout: str) -> None:
    inputs = raw_inputs(torch.float32, 32, (2, 6, 10))
    maps = torch.cat(inputs[:4], dim=1)
    if layout == "slices":
        laid = list(maps.split(1, dim=1))
        assert laid[1].data_ptr() == maps.data_ptr() + 4 * 60
    elif layout == "channels last":
        laid = list(maps.contiguous(memory_format=torch.channels_last).split(1, dim=1))
    elif layout == "transposed":
        laid = [m.mT.contiguous().mT for m in inputs[:4]]
    elif layout == "every other":
        laid = [m.repeat_interleave(2, dim=3)[:, :, :, ::2] for m in inputs[:4]]
    elif layout == "expanded":
        inputs[:4] = [m[:, :, :1, :1].expand_as(m) for m in inputs[:4]]
        laid = inputs[:4]
    else:
        laid = [inputs[0], inputs[1].mT.contiguous().mT, *maps.split(1, dim=1)[2:]]
    expected = plain(*inputs)
    laid = [m.detach().requires_grad_() for m in laid]
    image = operator.render(*laid, *inputs[4:], backend)
    assert image.is_contiguous()
    assert (image - expected).abs().max() <= 2e-6
    plains = [m.detach().clone().requires_grad_() for m in inputs[:4]]
    for gradient in (
        torch.ones(()).to(DEVICE).expand_as(image),
        torch.randn_like(image).mT.contiguous().mT,
    ):
        expected_gradients = torch.autograd.grad(plain(*plains, *inputs[4:]), plains, gradient)
        found = torch.autograd.grad(image, laid, gradient, retain_graph=True)
        for one, other in zip(found, expected_gradients, strict=True):
            assert (one - other).abs().max() <= 2e-5 * other.abs().max()


@pytest.mark.parametrize("wanted", range(1, 64, 3))
def test_wanted_gradients_are_filled_whole(backend: str, wanted: int) -> None:
    tensors = raw_inputs(torch.float32, 16 if wanted % 2 else 32, SOME)
    inputs = [t.requires_grad_(bool(wanted >> i & 1)) for i, t in enumerate(tensors[:6])]
    image = torch.full((SOME[0], 3, *SOME[1:]), torch.nan, device=DEVICE)
    kernel = kernels.kernel(backend)
    with torch.no_grad():
        kernel.forward(*tensors, image)
    expected_image = plain(*tensors)
    assert (image - expected_image).abs().max() <= 2e-6
    gradient = torch.randn_like(image)
    chosen = [tensor for tensor in inputs if tensor.requires_grad]
    expected = torch.autograd.grad(expected_image, chosen, gradient)
    results = poisoned(chosen)
    fill = iter(results)
    with torch.no_grad():
        kernel.backward(
            *(*tensors, image, gradient),
            *(next(fill) if tensor.requires_grad else None for tensor in inputs),
        )
    for one, other in zip(results, expected, strict=True):
        assert (one - other).abs().max() <= 2e-5 * other.abs().max()


@pytest.mark.parametrize("size", [(0, 4, 4), (2, 0, 4), (2, 4, 0)], ids=str)
def test_empty(backend: str, size) -> None:
    inputs = [tensor.requires_grad_() for tensor in raw_inputs(torch.float32, 16, size)]
    image = operator.render(*inputs, backend)
    assert image.shape == (size[0], 3, *size[1:])
    for tensor, gradient in zip(
        inputs[:6], torch.autograd.grad(image.sum(), inputs[:6]), strict=True
    ):
        assert gradient.shape == tensor.shape
        assert gradient.abs().sum() == 0


@pytest.mark.parametrize("maps", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("components", [16, 32, 33])
def test_maps_of_16_bits(backend: str, maps: torch.dtype, components: int) -> None:
    """As the rounded maps in float32, results rounded once."""
    inputs = raw_inputs(torch.float32, components, SOME, maps)
    whole = [tensor.float().requires_grad_() for tensor in inputs]
    inputs = [tensor.requires_grad_() for tensor in inputs]
    expected_image = operator.render(*whole, backend)
    image = operator.render(*inputs, backend)
    assert image.dtype == maps
    if MODE == "interpreter" and maps == torch.bfloat16:  # which rounds towards zero
        assert (image - expected_image).abs().max() <= torch.finfo(maps).eps * image.max()
    else:
        assert torch.equal(image, expected_image.to(maps))
    gradient = torch.randn_like(image)
    found = torch.autograd.grad(image, inputs[:6], gradient)
    # What was clipped is read off the image: a value that rounds to zero counts as clipped.
    expected = torch.autograd.grad(expected_image, whole[:6], gradient.float() * (image > 0))
    for tensor, one, other in zip(inputs, found, expected, strict=False):
        assert one.dtype == tensor.dtype
        digits = torch.finfo(one.dtype).eps if one.dtype == maps else 1e-5
        assert (one.float() - other).abs().max() <= digits * other.abs().max()


def test_public_render_takes_maps_of_16_bits(backend: str) -> None:
    decomposition = scene(2, 5, 6).to(dtype=torch.float16)
    image = decomposition.render(backend=backend)
    assert image.dtype == torch.float16
    expected = decomposition.to(dtype=torch.float32).render(backend=backend)
    # Light and camera were rounded to 16 bits before either.
    assert (image.float() - expected).abs().max() <= 2e-3 * expected.max()


def test_clamped_beyond_the_table(backend: str) -> None:
    inputs = raw_inputs(torch.float64, 16, (1, 1, 8))
    values = torch.tensor([-1.0, 1.0, -1.5, 1.5, -40.0, 40.0, torch.inf, -torch.inf])
    inputs[0] = values.to(inputs[0]).view(1, 1, 1, 8)
    inputs[1] = inputs[0].flip(3)
    ends = [tensor.clone() for tensor in inputs]
    ends[0], ends[1] = inputs[0].clamp(-1, 1), inputs[1].clamp(-1, 1)
    inputs = [tensor.requires_grad_() for tensor in inputs]
    image = operator.render(*inputs, backend)
    assert (image - plain(*ends)).abs().max() <= 1e-12
    of_melanin, of_haemoglobin = torch.autograd.grad(image.sum(), inputs[:2])
    assert of_melanin.abs().max() == 0
    assert of_haemoglobin.abs().max() == 0


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("components", [16, 33])
def test_nan_stays_in_its_pixel(backend: str, place: int, components: int) -> None:
    inputs = raw_inputs(torch.float32, components, (2, 5, 9))
    inputs[place][1, 0, 2, 3] = torch.nan
    inputs = [tensor.requires_grad_() for tensor in inputs]
    image = operator.render(*inputs, backend)
    broken = image.isnan()
    assert broken[1, :, 2, 3].all()
    assert broken.sum() == 3
    maps = torch.autograd.grad(image, inputs[:4], torch.ones_like(image))
    for gradient in maps:
        assert gradient.isnan().sum() <= 1


def test_equal_inputs_equal_bits(backend: str) -> None:
    size = (3, 400, 500) if ON_GPU else SOME
    inputs = [t.requires_grad_() for t in raw_inputs(torch.float32, 32, size)]
    gradient = torch.randn(size[0], 3, *size[1:]).to(DEVICE)

    def once() -> list[Tensor]:
        image = operator.render(*inputs, backend)
        return [image, *torch.autograd.grad(image, inputs[:6], gradient)]

    first = once()
    for _ in range(5 if ON_GPU else 1):
        for one, other in zip(once(), first, strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-3)])
def test_folding_against_torch(
    backend: str, dtype: torch.dtype, tolerance: float, spectral: bool
) -> None:
    found = scene(5 if INTERPRETED else 9, 1, 1)
    found = found.to(dtype=dtype)
    for bands in (16, 33):
        folding = Banded(TABLES, ACCURACY[bands]).prepared(torch.device(DEVICE), dtype)[1]
        camera, cct = found.camera.clone(), found.illuminant.cct.clone()
        camera[0], camera[1] = 5.0, -5.0  # beyond the table
        cct[2], cct[3] = 1000.0, 40000.0
        mixture = found.illuminant.weights
        inputs = [found.spectrum(), camera] if spectral else [mixture, cct, camera]
        inputs = [tensor.detach().requires_grad_() for tensor in inputs]

        def both(backend: str | None, inputs=inputs, folding=folding) -> list[Tensor]:
            lamp = inputs[0] if spectral else Illuminant(inputs[0], inputs[1])
            folded = fold(lamp, inputs[-1], folding, backend=backend)
            gradients = [
                torch.linspace(-1, 3, t.numel(), dtype=dtype, device=DEVICE).view_as(t)
                for t in folded
            ]
            return [*folded, *torch.autograd.grad(folded, inputs, gradients)]

        *results, of_camera = both(backend)
        *expected, expected_of_camera = both(None)
        for one, other in zip(results, expected, strict=True):
            assert (one - other).abs().max() <= tolerance * other.abs().max()
        if dtype == torch.float64:  # float32 leaves nothing of it to compare
            size = expected_of_camera.abs().max()
            assert (of_camera - expected_of_camera).abs().max() <= 1e-8 * size


def test_choice(backend: str) -> None:
    assert kernels.choose(backend, DEVICE) == backend
    other = "cpu" if ON_GPU else "cuda"
    with pytest.raises(BackendUnavailableError, match=f"takes {DEVICE} tensors"):
        kernels.choose(backend, other)
    if ON_GPU:
        best = "triton" if kernels.available()["triton"] is None else "cuda"
        assert kernels.choose("auto", "cuda") == best
        if kernels.available()["cuda"] is None:
            assert kernels.choose("auto", "cuda", components=300) == "cuda"


def test_too_many_components_are_refused(backend: str) -> None:
    most = kernels.BACKENDS[backend].max_components
    if most is None:
        pytest.skip("it takes any number")
    with pytest.raises(ValueError, match=f"{most + 1} components are more than its {most}"):
        operator.render(*raw_inputs(torch.float32, most + 1, (1, 2, 2)), backend)


def test_sanitizer(backend: str) -> None:
    """Small and odd, for compute-sanitizer to watch."""
    for components in (16, 32, 33):
        size = SOME if INTERPRETED else (2, 13, 31)
        inputs = [t.requires_grad_() for t in raw_inputs(torch.float32, components, size)]
        image = operator.render(*inputs, backend)
        gradients = torch.autograd.grad(image.sum(), inputs[:6])
        assert all(gradient.isfinite().all() for gradient in gradients)


@gpu_only
def test_other_streams(backend: str) -> None:
    inputs = [t.requires_grad_() for t in raw_inputs(torch.float32, 32, (8, 256, 256))]
    expected = operator.render(*inputs, backend)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        others = [t.detach().requires_grad_() for t in inputs]  # autograd ties a leaf to its stream
        image = operator.render(*others, backend)
        gradients = torch.autograd.grad(image, others[:6], torch.ones_like(image))
    torch.cuda.current_stream().wait_stream(stream)
    assert torch.equal(image, expected)
    for one, other in zip(
        gradients, torch.autograd.grad(expected, inputs[:6], torch.ones_like(image)), strict=True
    ):
        assert torch.equal(one, other)


@gpu_only
def test_recorded_in_a_cuda_graph(backend: str) -> None:
    """Folding, rendering and both gradients, replayed on other numbers."""
    inputs = leaves(scene(4, 64, 64), torch.float32)
    gradient = torch.randn(4, 3, 64, 64, device="cuda")

    def step() -> list[Tensor]:
        image = rendered(inputs, biofacenet.render, accuracy="fast", backend=backend)
        return [image, *torch.autograd.grad(image, inputs, gradient)]

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
        for tensor, other in zip(inputs, leaves(scene(4, 64, 64), torch.float32), strict=True):
            tensor.copy_(other)
    graph.replay()
    torch.cuda.synchronize()
    for one, other in zip(recorded, step(), strict=True):
        assert torch.equal(one, other)


@gpu_only
@pytest.mark.filterwarnings("ignore")  # torch's own
def test_compiled_against_eager(backend: str) -> None:
    inputs = leaves(scene(4, 64, 64), torch.float32)
    gradient = torch.randn(4, 3, 64, 64, device="cuda")

    def image_of(*tensors: Tensor) -> Tensor:
        return rendered(list(tensors), biofacenet.render, backend=backend)

    expected = image_of(*inputs)
    found = torch.compile(image_of, fullgraph=True)(*inputs)
    assert (found - expected).abs().max() <= 2e-6 * expected.max()
    for name, one, other in zip(
        NAMES,
        torch.autograd.grad(found, inputs, gradient),
        torch.autograd.grad(expected, inputs, gradient),
        strict=True,
    ):
        digits = 5e-3 if name in ("weights", "cct", "camera") else 2e-5
        assert (one - other).abs().max() <= digits * other.abs().max(), name


@gpu_only
def test_more_than_two_to_the_31_pixels(backend: str) -> None:
    side = 46400
    if torch.cuda.mem_get_info()[0] < 40 * 2**30:
        pytest.skip("40 GiB of GPU memory")
    few = raw_inputs(torch.float32, 16, (1, 4, 4), torch.float16)
    maps = torch.rand(4, side, side, device="cuda", dtype=torch.float16)
    large = [plane.view(1, 1, side, side) for plane in maps]
    image = operator.render(*large, *few[4:], backend)
    for rows in (slice(0, 4), slice(side - 4, side)):
        part = [plane[:, :, rows] for plane in large]
        assert torch.equal(image[:, :, rows], operator.render(*part, *few[4:], backend))
