"""The fused renderer against the reference: values, gradients, layouts, compilation, threads."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

import biofacenet
from biofacenet import Decomposition, Illuminant, Renderer, Tables, kernels, reference
from biofacenet.errors import BackendUnavailableError
from biofacenet.physics import camera as camera_model
from biofacenet.physics import colour
from biofacenet.physics import illuminant as light
from biofacenet.rendering import operator
from biofacenet.rendering.accuracy import Accuracy
from biofacenet.rendering.basis import Basis
from biofacenet.rendering.folding import fold
from biofacenet.rendering.half_folded import LIGHT_NUMBERS, HalfFolded, render_lit
from biofacenet.training.losses import appearance_loss

INSTRUCTION_SETS = ("avx512", "avx2", "baseline")
NAMES = ("melanin", "haemoglobin", "diffuse", "specular", "weights", "cct", "camera")


@pytest.fixture(autouse=True)
def _same_numbers_each_time() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=INSTRUCTION_SETS)
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


def anywhere(batch: int, height: int, width: int, seed: int = 0) -> Decomposition:
    """Full ranges, float64: maps over the whole table, every light, cameras to the edge."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

    plane = (batch, 1, height, width)
    weights = torch.softmax(torch.randn(batch, 14, generator=generator, dtype=torch.float64), 1)
    return Decomposition(
        uniform(-1, 1, *plane),
        uniform(-1, 1, *plane),
        uniform(0, 1, *plane),
        uniform(0, 0.2, *plane),
        Illuminant(weights, uniform(4000, 25000, batch)),
        uniform(-3, 3, batch, 2),
    )


def leaves(decomposition: Decomposition) -> list[Tensor]:
    d = decomposition
    return [
        tensor.detach().clone().requires_grad_()
        for tensor in (
            *(d.melanin, d.haemoglobin, d.diffuse, d.specular),
            *(d.illuminant.weights, d.illuminant.cct, d.camera),
        )
    ]


def rendered(tensors: list[Tensor], render: Callable[..., Tensor], **options) -> Tensor:
    return render(*tensors[:4], Illuminant(tensors[4], tensors[5]), tensors[6], **options)


def operator_inputs(
    dtype: torch.dtype, accuracy: Accuracy = "default", size: tuple[int, int, int] = (2, 5, 7)
) -> list:
    """What `torch.ops.biofacenet.render` takes."""
    d = anywhere(*size).to(dtype=dtype)
    prepared = Renderer(accuracy=accuracy, backend="cpp").prepared(torch.device("cpu"), dtype)
    light = (d.illuminant.weights, d.illuminant.cct)
    return [
        *(tensor.requires_grad_() for tensor in (*d.arguments()[:4], *light)),
        *(None, d.camera.requires_grad_(), None, None),
        *(prepared.native, prepared.basis.melanin_fixed, "cpp"),
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("accuracy", "dtype", "tolerance"),
    [
        ("exact", torch.float64, 1e-12),
        ("default", torch.float64, 5e-6),
        ("fast", torch.float64, 5e-5),
        ("exact", torch.float32, 1e-6),
        ("default", torch.float32, 6e-6),
        ("fast", torch.float32, 5e-5),
    ],
)
def test_against_the_reference(
    instruction_set: str, accuracy: Accuracy, dtype: torch.dtype, tolerance: float, seed: int
) -> None:
    decomposition = anywhere(20, 13, 11, seed)
    expected = decomposition.render(backend="reference")
    found = decomposition.to(dtype=dtype).render(accuracy=accuracy, backend="cpp")
    assert found.dtype == dtype
    error = (found.double() - expected).abs().max() / expected.max()
    assert error <= tolerance


@pytest.mark.parametrize(
    ("accuracy", "tolerance"), [("exact", 1e-12), ("default", 2e-7), ("fast", 3e-6)]
)
def test_measured_skin_against_the_reference(accuracy: Accuracy, tolerance: float) -> None:
    decomposition = replace(anywhere(20, 13, 11), skin="measured")
    expected = decomposition.render(backend="reference")
    torch.testing.assert_close(decomposition.trace().linear_srgb, expected)
    by_name = reference.render(*decomposition.arguments(), skin="measured")
    torch.testing.assert_close(by_name, expected)
    found = decomposition.render(accuracy=accuracy, backend="cpp")
    assert (found - expected).abs().max() / expected.max() <= tolerance
    single = decomposition.to(dtype=torch.float32).render(accuracy=accuracy, backend="cpp")
    assert (single.double() - expected).abs().max() / expected.max() <= tolerance + 1e-6
    published = replace(decomposition, skin="published").render()
    assert (expected - published).abs().max() > 0.01 * expected.max()


@pytest.mark.parametrize(
    ("accuracy", "tolerance"), [("exact", 1e-10), ("default", 2e-4), ("fast", 1e-3)]
)
def test_gradients_against_the_reference(
    instruction_set: str, accuracy: Accuracy, tolerance: float, random_decomposition
) -> None:
    inputs = leaves(random_decomposition(3, 17, 19))
    expected_image = rendered(inputs, reference.render)
    gradient = torch.randn_like(expected_image)
    expected = torch.autograd.grad(expected_image, inputs, gradient)
    image = rendered(inputs, biofacenet.render, accuracy=accuracy, backend="cpp")
    found = torch.autograd.grad(image, inputs, gradient)
    for name, one, other in zip(NAMES, found, expected, strict=True):
        assert (one - other).abs().max() <= tolerance * other.abs().max(), name
    single = [tensor.detach().float().requires_grad_() for tensor in inputs]
    image = rendered(single, biofacenet.render, accuracy=accuracy, backend="cpp")
    found = torch.autograd.grad(image, single, gradient.float())
    for name, one, other in zip(NAMES, found, expected, strict=True):
        # White balance cancels most of what light and camera gradients are made of.
        digits = tolerance + (1e-3 if name in ("weights", "cct", "camera") else 5e-5)
        assert (one - other).abs().max() <= digits * other.abs().max(), name


@pytest.mark.parametrize("accuracy", ["fast", "default", "exact"])
def test_gradcheck(instruction_set: str, accuracy: Accuracy, random_decomposition) -> None:
    inputs = leaves(random_decomposition(2, 2, 3))
    assert torch.autograd.gradcheck(
        lambda *tensors: rendered(
            list(tensors), biofacenet.render, accuracy=accuracy, backend="cpp"
        ),
        inputs,
    )


def test_gradcheck_of_measured_skin(random_decomposition) -> None:
    assert torch.autograd.gradcheck(
        lambda *tensors: rendered(list(tensors), biofacenet.render, skin="measured", backend="cpp"),
        leaves(random_decomposition(2, 2, 3)),
    )


def test_gradcheck_of_the_operator(random_decomposition) -> None:
    *inputs, tables, fixed, backend = operator_inputs(torch.float64, size=(2, 2, 3))
    with torch.no_grad():  # away from table knots, whose slopes are one-sided
        for tensor in inputs[:2]:
            tensor.copy_(torch.floor(tensor * 100) / 127.5)
    assert torch.autograd.gradcheck(
        lambda *tensors: torch.ops.biofacenet.render(*tensors, tables, fixed, backend), inputs
    )


def test_spectrum_as_light(random_decomposition) -> None:
    decomposition = random_decomposition()
    spectrum = decomposition.spectrum().detach().requires_grad_()
    arguments = (*decomposition.arguments()[:4], spectrum, decomposition.camera)
    expected = reference.render(*arguments)
    found = biofacenet.render(*arguments, accuracy="exact", backend="cpp")
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    one, other = (
        torch.autograd.grad(image.square().sum(), spectrum)[0] for image in (found, expected)
    )
    torch.testing.assert_close(one, other)


def test_folding_against_its_equations() -> None:
    decomposition = anywhere(9, 1, 1)
    tables = Tables.computed()
    weights, highlight = fold(decomposition.illuminant, decomposition.camera, tables)
    e = light.spectrum(decomposition.illuminant, tables.fixed_illuminants, tables.daylights)
    s = camera_model.spectral_sensitivity(
        decomposition.camera, tables.camera_mean, tables.camera_components
    )
    m = colour.XYZ_TO_SRGB @ colour.read_raw_to_xyz(tables.raw_to_xyz, decomposition.camera)
    balance = torch.diag_embed(1 / torch.einsum("bcl,bl->bc", s, e))
    torch.testing.assert_close(weights, m @ balance @ s @ torch.diag_embed(e))
    torch.testing.assert_close(highlight, m.sum(dim=2))


@pytest.mark.parametrize("given", ["mixture", "spectrum", "weights"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 2e-5)])
@pytest.mark.parametrize("accuracy", ["fast", "default", "exact"])
def test_kernel_against_its_twin_in_torch(
    instruction_set: str, accuracy: Accuracy, dtype: torch.dtype, tolerance: float, given: str
) -> None:
    """Also where light and camera lie beyond their tables; image and all gradients."""
    d = anywhere(9, 3, 5)
    camera = d.camera.clamp(-2.0, 2.0)
    camera[0], camera[1] = torch.tensor([[5.0, 0.3], [0.4, -5.0]], dtype=torch.float64)
    cct = d.illuminant.cct.clone()
    cct[2], cct[3] = 1000.0, 40000.0
    prepared = Renderer(accuracy=accuracy, backend="cpp").prepared(torch.device("cpu"), dtype)
    weights, highlight = fold(Illuminant(d.illuminant.weights, cct), camera, Tables.computed())
    lit = {
        "mixture": (d.illuminant.weights, cct, None, camera, None, None),
        "spectrum": (None, None, d.spectrum(), camera, None, None),
        "weights": (None, None, None, None, weights, highlight),
    }[given]
    inputs = [
        t if t is None else t.detach().to(dtype).requires_grad_()
        for t in (*d.arguments()[:4], *lit)
    ]
    there = [t for t in inputs if t is not None]
    image = operator.render(inputs[:4], tuple(inputs[4:]), prepared, "cpp")
    exact = [t if t is None else t.detach().double().requires_grad_() for t in inputs]
    double = Renderer(accuracy=accuracy, backend="cpp").prepared(torch.device("cpu"), torch.float64)
    expected = render_lit(tuple(exact), double)
    assert (image - expected).abs().max() <= 1e-6 + 1e-12 * expected.abs().max()
    above = torch.randn_like(expected)
    found = torch.autograd.grad(image, there, above.to(dtype))
    wanted = torch.autograd.grad(expected, [t for t in exact if t is not None], above)
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).abs().max() <= 50 * tolerance * other.abs().max()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("functions", "others"), [(1, 3), (5, 1), (5, 13), (6, 25), (7, 3), (8, 13), (9, 5)]
)
def test_sums_of_any_length(
    instruction_set: str, functions: int, others: int, shared: bool
) -> None:
    """Tables are made some rows and some numbers at a time: those left over count once."""
    d = anywhere(5, 3, 5)
    exact = Renderer(accuracy="exact", backend="cpp").prepared(torch.device("cpu"), torch.float64)
    basis = Basis(
        *(exact.basis.functions[:250, :functions], exact.basis.others[:251, :others]),
        *(exact.basis.mixing[:, :others, :functions], exact.basis.melanin_fixed),
    )
    twin = HalfFolded.of(exact.tables, basis)
    camera = d.camera[:1] if shared else d.camera
    given = (*d.arguments()[:4], d.illuminant.weights, d.illuminant.cct, camera)
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-3)):
        leaves = [t.detach().to(dtype).requires_grad_() for t in given]
        lit = (*leaves[4:6], None, leaves[6], None, None)
        image = operator.render(leaves[:4], lit, twin.to("cpu", dtype), "cpp")
        doubles = [t.detach().double().requires_grad_() for t in leaves]
        expected = render_lit((*doubles[:6], None, doubles[6], None, None), twin)
        above = torch.randn_like(expected)
        found = torch.autograd.grad(image, leaves, above.to(dtype))
        wanted = torch.autograd.grad(expected, doubles, above)
        for one, other in zip((image, *found), (expected, *wanted), strict=True):
            assert (one - other).abs().max() <= tolerance * other.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("accuracy", ["fast", "exact"])
def test_opcheck(dtype: torch.dtype, accuracy: Accuracy) -> None:
    inputs = operator_inputs(dtype, accuracy)
    torch.library.opcheck(torch.ops.biofacenet.render.default, inputs)
    tensors, (tables, fixed, backend) = inputs[:10], inputs[10:]
    image = torch.ops.biofacenet.render(*inputs).detach()
    places = [i for i, tensor in enumerate(tensors) if tensor is not None]
    given = [tensors[i].detach() for i in places]
    torch.library.opcheck(
        torch.ops.biofacenet.render_backward.default,
        (given, places, tables, fixed, backend, image, torch.randn_like(image), [0, 2, 4, 7]),
    )


@pytest.mark.parametrize(
    "size", [(0, 4, 4), (2, 0, 4), (1, 1, 1), (3, 1, 129), (2, 63, 65), (1, 1, 5000), (300, 2, 1)]
)
def test_sizes(instruction_set: str, size: tuple[int, int, int]) -> None:
    inputs = leaves(anywhere(*size))
    expected = rendered(inputs, reference.render)
    found = rendered(inputs, biofacenet.render, accuracy="exact", backend="cpp")
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    gradient = torch.randn_like(expected)
    expected_gradients = torch.autograd.grad(expected, inputs, gradient)
    found_gradients = torch.autograd.grad(found, inputs, gradient)
    for one, other in zip(found_gradients, expected_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("layout", ["channels first", "channels last", "rows apart", "transposed"])
def test_maps_are_read_where_they_lie(instruction_set: str, layout: str) -> None:
    whole = torch.rand(3, 4, 33, 34, dtype=torch.float64)
    if layout == "channels last":
        whole = whole.to(memory_format=torch.channels_last)
    elif layout == "rows apart":
        whole = torch.rand(3, 4, 50, 60, dtype=torch.float64)[:, :, 3:36, 7:41]
    elif layout == "transposed":
        whole = torch.rand(3, 4, 34, 33, dtype=torch.float64).mT
    whole.requires_grad_()
    scene = anywhere(3, 1, 1)

    def image(of: Callable[..., Tensor], maps, **options) -> Tensor:
        return of(*maps, scene.illuminant, scene.camera, **options)

    maps = whole.split(1, dim=1)
    assert not maps[0].is_contiguous()
    expected = image(reference.render, maps)
    found = image(biofacenet.render, maps, accuracy="exact", backend="cpp")
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    gradient = torch.randn_like(expected).to(memory_format=torch.channels_last)
    (one,) = torch.autograd.grad(found, whole, gradient)
    (other,) = torch.autograd.grad(expected, whole, gradient)
    torch.testing.assert_close(one, other)


def test_every_element_is_written(instruction_set: str) -> None:
    *inputs, tables, fixed, _ = operator_inputs(torch.float32)
    tensors = [x if x is None else x.detach() for x in inputs]
    numbers = (fixed, *LIGHT_NUMBERS)
    image = torch.full((2, 3, 5, 7), float("nan"))
    kernels.cpp.render(*tensors, tables, *numbers, image)
    assert torch.isfinite(image).all()
    found = [x if x is None else torch.full_like(x, float("nan")) for x in tensors]
    kernels.cpp.render_backward(*tensors, tables, *numbers, image, torch.randn_like(image), *found)
    assert all(torch.isfinite(x).all() for x in found if x is not None)


def test_clamped_maps_have_no_gradient_and_nan_stays_nan(instruction_set: str) -> None:
    scene = anywhere(1, 1, 1)
    melanin = torch.tensor([-1.5, -1.0, 0.3, 1.0, 7.0, float("nan")], dtype=torch.float64)
    melanin = melanin.reshape(1, 1, 1, -1).requires_grad_()
    ones = torch.ones_like(melanin)
    arguments = (melanin, -0.2 * ones, ones, 0.1 * ones, scene.illuminant, scene.camera)
    image = biofacenet.render(*arguments, backend="cpp")
    torch.testing.assert_close(image[..., 0], image[..., 1])
    torch.testing.assert_close(image[..., 3], image[..., 4])
    assert image[..., 5].isnan().all()
    (gradient,) = torch.autograd.grad(image[..., :5].sum(), melanin)
    assert (gradient[..., :5] != 0).flatten().tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("backend", ["cpp", "reference"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", range(4))
def test_what_is_not_finite_is_nan_in_its_pixel(backend: str, value: float, place: int) -> None:
    scene = anywhere(1, 3, 3)
    maps = [m.clone() for m in scene.arguments()[:4]]
    maps[place][0, 0, 1, 1] = value
    image = biofacenet.render(*maps, scene.illuminant, scene.camera, backend=backend)
    lost = image.isnan()
    assert lost[0, :, 1, 1].all()
    assert lost.sum() == 3


def test_zero_shading_is_differentiable(instruction_set: str) -> None:
    scene = anywhere(1, 4, 4)
    diffuse = torch.zeros_like(scene.diffuse).requires_grad_()
    arguments = (scene.melanin, scene.haemoglobin, diffuse, scene.specular)
    found, expected = (
        torch.autograd.grad(
            of(*arguments, scene.illuminant, scene.camera, **options).sum(), diffuse
        )[0]
        for of, options in ((biofacenet.render, {"backend": "cpp"}), (reference.render, {}))
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kept", [("melanin",), ("diffuse", "camera"), ("cct",), ("weights",)])
def test_only_what_is_wanted(kept: tuple[str, ...]) -> None:
    inputs = leaves(anywhere(2, 9, 9))
    everything = torch.autograd.grad(
        rendered(inputs, biofacenet.render, backend="cpp").square().sum(), inputs
    )
    for name, tensor in zip(NAMES, inputs, strict=True):
        tensor.requires_grad_(name in kept)
    rendered(inputs, biofacenet.render, backend="cpp").square().sum().backward()
    for name, tensor, whole in zip(NAMES, inputs, everything, strict=True):
        if name in kept:
            torch.testing.assert_close(tensor.grad, whole)
        else:
            assert tensor.grad is None


def test_results_do_not_depend_on_threads(instruction_set: str) -> None:
    threads = torch.get_num_threads()
    inputs = [tensor.detach().float().requires_grad_() for tensor in leaves(anywhere(3, 100, 111))]
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            image = rendered(inputs, biofacenet.render, backend="cpp")
            results.append([image, *torch.autograd.grad(image.square().sum(), inputs)])
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_half_precision_and_autocast() -> None:
    scene = anywhere(2, 6, 6)
    expected = scene.render(backend="reference")
    for dtype in (torch.float16, torch.bfloat16):
        halves = scene.to(dtype=dtype)
        image = halves.render(backend="cpp")
        assert image.dtype == dtype
        exact = halves.to(dtype=torch.float64).render(backend="reference")
        assert (image.double() - exact).abs().max() < 4e-3
    inputs = operator_inputs(torch.float32, size=(2, 6, 6))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = [inputs[0].bfloat16(), *inputs[1:]]
        assert torch.ops.biofacenet.render(*mixed).dtype == torch.float32
        image = scene.to(dtype=torch.float32).render(backend="cpp")
    assert (image.double() - expected).abs().max() < 1e-5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compile_fullgraph(random_decomposition) -> None:
    """With maps as a network gives them: out of a convolution, which chooses their layout."""
    torch._dynamo.reset()
    inputs = leaves(random_decomposition(2, 8, 8))
    gradient = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    same = torch.nn.init.dirac_(torch.empty(4, 4, 3, 3, dtype=torch.float64))

    def both(render: Callable[..., Tensor]) -> list[Tensor]:
        image = render(*inputs)
        return [image, *torch.autograd.grad(image, inputs, gradient)]

    def render(*tensors: Tensor) -> Tensor:
        maps = torch.nn.functional.conv2d(torch.cat(tensors[:4], dim=1), same, padding=1)
        return rendered([*maps.split(1, dim=1), *tensors[4:]], biofacenet.render)

    eager, compiled = both(render), both(torch.compile(render, fullgraph=True))
    for name, one, other in zip(("image", *NAMES), compiled, eager, strict=True):
        assert (one - other).abs().max() <= 1e-9 * other.abs().max(), name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("little_network")
def test_compile_a_training_step(random_decomposition) -> None:
    """In one graph with its backward pass; code is made of rendering above, of a network in training."""
    torch._dynamo.reset()
    target = random_decomposition(2, 16, 16, dtype=torch.float32).render()
    mask = torch.ones(2, 1, 16, 16)

    def train(step: Callable[..., Tensor]) -> list[float]:
        torch.manual_seed(0)
        network = biofacenet.BioFaceNet("small")
        optimiser = torch.optim.SGD(network.parameters(), lr=1e-6)
        losses = []
        for _ in range(3):
            optimiser.zero_grad()
            loss = step(network, target, mask)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        return losses

    def step(network: biofacenet.BioFaceNet, image: Tensor, mask: Tensor) -> Tensor:
        decomposition = network(image)
        return appearance_loss(decomposition.render(), image, mask)

    eager = train(step)
    compiled = train(torch.compile(step, fullgraph=True, backend="aot_eager"))
    assert compiled == pytest.approx(eager, rel=1e-3)


def test_bad_arguments_are_named() -> None:
    inputs = [x.detach() if isinstance(x, Tensor) else x for x in operator_inputs(torch.float32)]
    render = torch.ops.biofacenet.render
    names = ("melanin", "haemoglobin", "diffuse", "specular", "mixture", "cct", None, "camera")
    for index, name in enumerate(names):
        if name is None:
            continue
        wrong = list(inputs)
        wrong[index] = inputs[index][0]
        with pytest.raises(ValueError, match=f"{name} must have shape"):
            render(*wrong)
        if index:
            wrong[index] = inputs[index].double()
            with pytest.raises(ValueError, match=f"{name} must be torch.float32"):
                render(*wrong)
    with pytest.raises(ValueError, match=r"float32 or float64 maps, got torch\.bfloat16"):
        render(*(x.bfloat16() for x in inputs[:4]), *inputs[4:])
    with pytest.raises(BackendUnavailableError, match="no kernel"):
        render(*inputs[:12], "abacus")


def test_a_tiny_image_takes_little_python() -> None:
    """Folding and rendering are one call of a backend each way."""
    calls: list[str] = []

    def counted(name: str) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            calls.append(name)
            getattr(kernels.cpp, name)(*arguments)

        return call

    functions = {name: counted(name) for name in ("render", "render_backward")}
    code = SimpleNamespace(unavailable=lambda: None, **functions)
    inputs = leaves(anywhere(1, 2, 2))
    with kernels.register("counted", code, device="cpu"):
        image = rendered(inputs, Renderer(backend="counted"))
        torch.autograd.grad(image.sum(), inputs)
    assert calls == ["render", "render_backward"]
