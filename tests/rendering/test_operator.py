"""The fused renderer against the reference: values, gradients, layouts, compilation, threads."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import biofacenet
from biofacenet import Decomposition, Illuminant, Renderer, kernels, reference
from biofacenet.errors import BackendUnavailableError
from biofacenet.physics import camera as camera_model
from biofacenet.physics import colour
from biofacenet.physics import illuminant as light
from biofacenet.rendering import operator
from biofacenet.rendering.folding import fold
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


def operator_inputs(dtype: torch.dtype, bands: int = 32, size=(2, 5, 7)) -> list:
    decomposition = anywhere(*size).to(dtype=dtype)
    prepared = Renderer(bands=bands, backend="cpp").prepared(torch.device("cpu"), dtype)
    weights, highlight = fold(decomposition.illuminant, decomposition.camera, prepared.folding)
    return [
        *(tensor.requires_grad_() for tensor in decomposition.arguments()[:4]),
        weights.requires_grad_(),
        highlight.requires_grad_(),
        prepared.skin.epidermis,
        prepared.skin.dermis,
        "cpp",
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("bands", "dtype", "tolerance"),
    [
        (33, torch.float64, 1e-12),
        (32, torch.float64, 1e-7),
        (16, torch.float64, 5e-4),
        (33, torch.float32, 2e-6),
        (32, torch.float32, 2e-6),
        (16, torch.float32, 5e-4),
    ],
)
def test_against_the_reference(
    instruction_set: str, bands: int, dtype: torch.dtype, tolerance: float, seed: int
) -> None:
    decomposition = anywhere(20, 13, 11, seed)
    expected = decomposition.render(backend="reference")
    found = decomposition.to(dtype=dtype).render(bands=bands, backend="cpp")
    assert found.dtype == dtype
    error = (found.double() - expected).abs().max() / expected.max()
    assert error <= tolerance


@pytest.mark.parametrize(("bands", "tolerance"), [(33, 1e-12), (32, 1e-7), (16, 5e-4)])
def test_measured_skin_against_the_reference(bands: int, tolerance: float) -> None:
    decomposition = replace(anywhere(20, 13, 11), skin="measured")
    expected = decomposition.render(backend="reference")
    torch.testing.assert_close(decomposition.trace().linear_srgb, expected)
    by_name = reference.render(*decomposition.arguments(), skin="measured")
    torch.testing.assert_close(by_name, expected)
    found = decomposition.render(bands=bands, backend="cpp")
    assert (found - expected).abs().max() / expected.max() <= tolerance
    single = decomposition.to(dtype=torch.float32).render(bands=bands, backend="cpp")
    assert (single.double() - expected).abs().max() / expected.max() <= max(tolerance, 2e-6)
    published = replace(decomposition, skin="published").render()
    assert (expected - published).abs().max() > 0.01 * expected.max()


@pytest.mark.parametrize(("bands", "tolerance"), [(33, 1e-10), (32, 1e-6)])
def test_gradients_against_the_reference(
    instruction_set: str, bands: int, tolerance: float, random_decomposition
) -> None:
    inputs = leaves(random_decomposition(3, 17, 19))
    expected_image = rendered(inputs, reference.render)
    gradient = torch.randn_like(expected_image)
    expected = torch.autograd.grad(expected_image, inputs, gradient)
    image = rendered(inputs, biofacenet.render, bands=bands, backend="cpp")
    found = torch.autograd.grad(image, inputs, gradient)
    for name, one, other in zip(NAMES, found, expected, strict=True):
        assert (one - other).abs().max() <= tolerance * other.abs().max(), name
    single = [tensor.detach().float().requires_grad_() for tensor in inputs]
    image = rendered(single, biofacenet.render, bands=bands, backend="cpp")
    found = torch.autograd.grad(image, single, gradient.float())
    for name, one, other in zip(NAMES, found, expected, strict=True):
        # White balance cancels most of what light and camera gradients are made of.
        digits = 1e-3 if name in ("weights", "cct", "camera") else 1e-5
        assert (one - other).abs().max() <= digits * other.abs().max(), name


@pytest.mark.parametrize("bands", [16, 32, 33])
def test_gradcheck(instruction_set: str, bands: int, random_decomposition) -> None:
    inputs = leaves(random_decomposition(2, 2, 3))
    assert torch.autograd.gradcheck(
        lambda *tensors: rendered(list(tensors), biofacenet.render, bands=bands, backend="cpp"),
        inputs,
    )


def test_gradcheck_of_measured_skin(random_decomposition) -> None:
    assert torch.autograd.gradcheck(
        lambda *tensors: rendered(list(tensors), biofacenet.render, skin="measured", backend="cpp"),
        leaves(random_decomposition(2, 2, 3)),
    )


def test_gradcheck_of_the_operator(random_decomposition) -> None:
    *inputs, epidermis, dermis, backend = operator_inputs(torch.float64, size=(2, 2, 3))
    with torch.no_grad():  # away from table knots, whose slopes are one-sided
        for tensor in inputs[:2]:
            tensor.copy_(torch.floor(tensor * 100) / 127.5)
    assert torch.autograd.gradcheck(
        lambda *tensors: operator.render(*tensors, epidermis, dermis, backend), inputs
    )


def test_spectrum_as_light(random_decomposition) -> None:
    decomposition = random_decomposition()
    spectrum = decomposition.spectrum().detach().requires_grad_()
    arguments = (*decomposition.arguments()[:4], spectrum, decomposition.camera)
    expected = reference.render(*arguments)
    found = biofacenet.render(*arguments, bands=33, backend="cpp")
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    one, other = (
        torch.autograd.grad(image.square().sum(), spectrum)[0] for image in (found, expected)
    )
    torch.testing.assert_close(one, other)


def test_folding_against_its_equations() -> None:
    decomposition = anywhere(9, 1, 1)
    prepared = Renderer(bands=33, backend="reference").prepared(torch.device("cpu"), torch.float64)
    tables = prepared.tables
    weights, highlight = fold(decomposition.illuminant, decomposition.camera, prepared.folding)
    e = light.spectrum(decomposition.illuminant, tables.fixed_illuminants, tables.daylights)
    s = camera_model.spectral_sensitivity(
        decomposition.camera, tables.camera_mean, tables.camera_components
    )
    m = colour.XYZ_TO_SRGB @ colour.read_raw_to_xyz(tables.raw_to_xyz, decomposition.camera)
    balance = torch.diag_embed(1 / torch.einsum("bcl,bl->bc", s, e))
    torch.testing.assert_close(weights, m @ balance @ s @ torch.diag_embed(e))
    torch.testing.assert_close(highlight, m.sum(dim=2))


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 2e-3)])
def test_folding_in_one_call_against_torch(
    instruction_set: str, dtype: torch.dtype, tolerance: float, spectral: bool
) -> None:
    scene = anywhere(70, 1, 1).to(dtype=dtype)
    folding = Renderer(bands=32).prepared(torch.device("cpu"), dtype).folding
    camera = scene.camera.clone()
    camera[0], camera[1] = 5.0, -5.0  # beyond the table
    cct = scene.illuminant.cct.clone()
    cct[2], cct[3] = 1000.0, 40000.0
    inputs = [scene.spectrum(), camera] if spectral else [scene.illuminant.weights, cct, camera]
    inputs = [tensor.detach().requires_grad_() for tensor in inputs]

    def both(backend: str | None) -> list[Tensor]:
        lamp = inputs[0] if spectral else Illuminant(inputs[0], inputs[1])
        folded = fold(lamp, inputs[-1], folding, backend=backend)
        gradients = [torch.linspace(-1, 3, t.numel(), dtype=dtype).view_as(t) for t in folded]
        return [*folded, *torch.autograd.grad(folded, inputs, gradients)]

    # Near the corners of the camera table the matrix to sRGB is large, and most of a camera's gradient
    # cancels: float64 leaves nine digits of it, float32 none worth comparing.
    *results, of_camera = both("cpp")
    *expected, expected_of_camera = both(None)
    for one, other in zip(results, expected, strict=True):
        assert (one - other).abs().max() <= tolerance * other.abs().max()
    if dtype == torch.float64:
        error = (of_camera - expected_of_camera).abs().max()
        assert error <= 1e-8 * expected_of_camera.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bands", [16, 33])
def test_opcheck(dtype: torch.dtype, bands: int) -> None:
    inputs = operator_inputs(dtype, bands)
    torch.library.opcheck(torch.ops.biofacenet.render.default, inputs)
    *inputs, backend = [x.detach() if isinstance(x, Tensor) else x for x in inputs]
    image = operator.render(*inputs, backend)
    wanted = [True, False, True, True, False, True]
    torch.library.opcheck(
        torch.ops.biofacenet.render_backward.default,
        (*inputs, image, torch.randn_like(image), wanted, backend),
    )


@pytest.mark.parametrize(
    "size", [(0, 4, 4), (2, 0, 4), (1, 1, 1), (3, 1, 129), (2, 63, 65), (1, 1, 5000), (300, 2, 1)]
)
def test_sizes(instruction_set: str, size: tuple[int, int, int]) -> None:
    inputs = leaves(anywhere(*size))
    expected = rendered(inputs, reference.render)
    found = rendered(inputs, biofacenet.render, bands=33, backend="cpp")
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
    found = image(biofacenet.render, maps, bands=33, backend="cpp")
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    gradient = torch.randn_like(expected).to(memory_format=torch.channels_last)
    (one,) = torch.autograd.grad(found, whole, gradient)
    (other,) = torch.autograd.grad(expected, whole, gradient)
    torch.testing.assert_close(one, other)


def test_every_element_is_written(instruction_set: str) -> None:
    inputs = [x.detach() if isinstance(x, Tensor) else x for x in operator_inputs(torch.float32)]
    *tensors, _ = inputs
    image = torch.full((2, 3, 5, 7), float("nan"))
    kernels.cpp.forward(*tensors, image)
    assert torch.isfinite(image).all()
    gradients = [torch.full_like(tensor, float("nan")) for tensor in tensors[:6]]
    kernels.cpp.backward(*tensors, image, torch.randn_like(image), *gradients)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


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
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


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
    *tensors, backend = operator_inputs(torch.float32, size=(2, 6, 6))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = [tensors[0].bfloat16(), *tensors[1:]]
        assert operator.render(*mixed, backend).dtype == torch.float32
        image = scene.to(dtype=torch.float32).render(backend="cpp")
    assert (image.double() - expected).abs().max() < 2e-6


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
    for index, name in enumerate(
        ("melanin", "haemoglobin", "diffuse", "specular", "weights", "highlight", "epidermis")
    ):
        wrong = list(inputs)
        wrong[index] = wrong[index][0]
        with pytest.raises(ValueError, match=f"{name}|weights"):
            operator.render(*wrong)
        if index:
            wrong[index] = inputs[index].double()
            with pytest.raises(ValueError, match=f"{name} must be torch.float32"):
                operator.render(*wrong)
    with pytest.raises(BackendUnavailableError, match="no kernel"):
        operator.render(*inputs[:8], "abacus")


def test_second_derivatives_are_refused() -> None:
    inputs = operator_inputs(torch.float64)
    (first,) = torch.autograd.grad(
        operator.render(*inputs).square().sum(), inputs[0], create_graph=True
    )
    with pytest.raises(RuntimeError, match="render_backward"):
        first.sum().backward()
