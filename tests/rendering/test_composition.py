"""The renderer under everything that PyTorch has for functions: transforms, modes, second derivatives."""

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from biofacenet import Illuminant, Renderer, Tables, reference, render
from biofacenet.system.undisturbed import undisturbed

# PyTorch's own, when it loads its rules for forward mode, and of loops in its batches.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
]

NAMES = ("melanin", "haemoglobin", "diffuse", "specular", "weights", "cct", "camera")


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(accuracy="exact", backend="cpp")


@pytest.fixture
def tensors(random_decomposition) -> list[Tensor]:  # type: ignore[no-untyped-def]
    """Inside their ranges, off the knots of the tables and the ReLU."""
    d = random_decomposition(2, 2, 2)
    maps = [
        (torch.floor((m * 0.7 + 1) * 127.5) + 0.4) / 127.5 - 1 for m in (d.melanin, d.haemoglobin)
    ]
    shading = (d.diffuse + 0.2, d.specular + 0.1)
    return [*maps, *shading, d.illuminant.weights, d.illuminant.cct, d.camera.clamp(-2.0, 2.0)]


def call(of: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    return of(*tensors[:4], Illuminant(tensors[4], tensors[5]), tensors[6])


def leaves(tensors: list[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


def close(one: Tensor, other: Tensor, share: float = 1e-8) -> None:
    assert one.shape == other.shape
    assert (one - other).abs().max() <= share * other.abs().max()


def test_gradcheck_and_gradgradcheck(renderer: Renderer, tensors: list[Tensor]) -> None:
    inputs = leaves(
        [tensor[:1, ..., :1, :1] if tensor.ndim == 4 else tensor[:1] for tensor in tensors]
    )

    def scaled(
        *values: Tensor,
    ) -> Tensor:  # kelvin in thousands: steps of 1e-6 are too small for it
        return call(renderer, *values[:5], values[5] * 1000.0, values[6])

    inputs[5] = (inputs[5].detach() / 1000.0).requires_grad_()
    assert torch.autograd.gradcheck(scaled, inputs, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(scaled, inputs, atol=1e-4, rtol=1e-3)


def test_second_derivatives_are_those_of_the_reference(
    renderer: Renderer, tensors: list[Tensor]
) -> None:
    def twice(of: Callable[..., Tensor]) -> list[Tensor]:
        inputs = leaves(tensors)
        first = torch.autograd.grad(call(of, *inputs).square().sum(), inputs[:6], create_graph=True)
        return list(torch.autograd.grad(sum(f.square().sum() for f in first), inputs[:6]))

    for name, one, other in zip(NAMES, twice(renderer), twice(reference.render), strict=False):
        assert (one - other).abs().max() <= 1e-7 * other.abs().max(), name


def test_first_derivatives_that_are_kept_come_from_the_kernel(
    renderer: Renderer, tensors: list[Tensor]
) -> None:
    inputs = leaves(tensors)
    image = call(renderer, *inputs)
    once = torch.autograd.grad(image.sum(), inputs, retain_graph=True)
    again = torch.autograd.grad(image.sum(), inputs, create_graph=True)
    assert all(torch.equal(one, other) for one, other in zip(once, again, strict=True))


@pytest.mark.parametrize(
    "dims", [(0,) * 7, (None, None, None, None, 0, 0, None), (1, 0, None, 1, None, None, 0)]
)
def test_vmap_is_a_loop(
    renderer: Renderer, tensors: list[Tensor], dims: tuple[int | None, ...]
) -> None:
    stacked = [
        tensor if dim is None else torch.stack([tensor, 0.9 * tensor, 0.8 * tensor], dim)
        for tensor, dim in zip(tensors, dims, strict=True)
    ]

    def losses(*values: Tensor) -> Tensor:
        return call(renderer, *values).square().sum()

    def each(function: Callable[..., Tensor]) -> list[Tensor]:
        return [
            function(
                *(t if d is None else t.select(d, i) for t, d in zip(stacked, dims, strict=True))
            )
            for i in range(3)
        ]

    found = torch.func.vmap(lambda *values: call(renderer, *values), in_dims=dims)(*stacked)
    close(found, torch.stack(each(lambda *values: call(renderer, *values))), 1e-13)
    every = tuple(range(7))
    found = torch.func.vmap(torch.func.grad(losses, argnums=every), in_dims=dims)(*stacked)
    expected = each(torch.func.grad(losses, argnums=every))  # type: ignore[arg-type]
    for index, one in enumerate(found):
        close(one, torch.stack([e[index] for e in expected]), 1e-9)


def test_vmap_over_lights_of_one_face_copies_no_maps(
    renderer: Renderer, tensors: list[Tensor]
) -> None:
    one = [tensor[:1] for tensor in tensors]
    weights = torch.softmax(torch.randn(5, 1, 14, dtype=torch.float64), dim=2)
    found = torch.func.vmap(lambda w: call(renderer, *one[:4], w, *one[5:]))(weights)
    together = call(renderer, *one[:4], weights[:, 0], one[5].expand(5), one[6])
    assert torch.equal(found[:, 0], together)


@pytest.mark.parametrize("index", range(7))
def test_jacobians_agree(renderer: Renderer, tensors: list[Tensor], index: int) -> None:
    tensors = [tensor[:1] for tensor in tensors]

    def image(value: Tensor) -> Tensor:
        return call(renderer, *tensors[:index], value, *tensors[index + 1 :])

    backward = torch.func.jacrev(image)(tensors[index])
    close(torch.func.jacfwd(image)(tensors[index]), backward)
    tangent = torch.randn_like(tensors[index])
    _, pushed = torch.func.jvp(image, (tensors[index],), (tangent,))
    close(pushed, (backward * tangent).flatten(4).sum(dim=4))
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(tensors[index], tangent)
        close(torch.autograd.forward_ad.unpack_dual(image(dual)).tangent, pushed)


def test_hessian_and_batched_gradients(renderer: Renderer, tensors: list[Tensor]) -> None:
    one = [tensor[:1] for tensor in tensors]

    def loss(of: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda melanin: call(of, melanin, *one[1:]).pow(3).sum()

    found = torch.func.hessian(loss(renderer))(one[0])
    expected = torch.func.jacrev(torch.func.jacrev(loss(reference.render)))(one[0])
    close(found, expected, 1e-7)
    inputs = leaves(one)
    image = call(renderer, *inputs)
    above = torch.randn(4, *image.shape, dtype=image.dtype)
    batched = torch.autograd.grad(image, inputs, above, is_grads_batched=True, retain_graph=True)
    for index, gradient in enumerate(above):
        for one_by_one, together in zip(
            torch.autograd.grad(image, inputs, gradient, retain_graph=True), batched, strict=True
        ):
            close(together[index], one_by_one, 1e-9)


# Broadcasting


@pytest.mark.parametrize("backend", ["cpp", "reference"])
@pytest.mark.parametrize("ones", ["maps", "light", "camera", "light and camera"])
def test_one_for_all_images(tensors: list[Tensor], backend: str, ones: str) -> None:
    """The same as copies of it, and its gradient the sum of theirs."""
    renderer = Renderer(accuracy="exact", backend=backend)
    places = {"maps": range(4), "light": (4, 5), "camera": (6,), "light and camera": (4, 5, 6)}[
        ones
    ]
    few = leaves([t[:1] if i in places else t for i, t in enumerate(tensors)])
    many = leaves([t[:1].expand_as(t) if i in places else t for i, t in enumerate(tensors)])
    image, expected = call(renderer, *few), call(renderer, *many)
    torch.testing.assert_close(image, expected, rtol=0, atol=1e-14)
    above = torch.randn_like(image)
    found = torch.autograd.grad(image, few, above)
    for index, (one, other) in enumerate(
        zip(found, torch.autograd.grad(expected, many, above), strict=True)
    ):
        close(one, other.sum(dim=0, keepdim=True) if index in places else other, 1e-11)


def test_batches_that_do_not_fit_are_named(tensors: list[Tensor]) -> None:
    three = Illuminant.standard("D65", batch=3)
    with pytest.raises(
        ValueError, match="illuminant must be of 2 images like melanin, or of 1 for all, got 3"
    ):
        render(*tensors[:4], three, tensors[6])
    with pytest.raises(ValueError, match="camera must be of 2 images like melanin"):
        render(*tensors[:4], Illuminant.standard("D65"), torch.zeros(3, 2))


def test_a_hundred_lights_on_one_face_make_no_copies_of_its_maps() -> None:
    maps = [torch.rand(1, 1, 64, 64) for _ in range(4)]
    light = Illuminant(torch.softmax(torch.randn(100, 14), 1), torch.full((100,), 6500.0))
    arguments = (*maps, light, torch.zeros(1, 2))
    image = render(*arguments)
    with torch.profiler.profile(profile_memory=True) as profile, torch.no_grad():
        render(*arguments)
    taken = sum(max(0, event.self_cpu_memory_usage) for event in profile.events())
    assert taken < image.numel() * 4 + 64 * 64 * 4


def test_without_transforms_a_call_takes_the_short_way(
    renderer: Renderer, tensors: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cost is Python's: fewer calls of functions, and the same results to the last bit."""

    def count() -> tuple[int, list[Tensor]]:
        seen = []
        inputs = leaves(tensors)
        sys.setprofile(lambda _, event, argument: seen.append(event))
        try:
            image = call(renderer, *inputs)
            found = torch.autograd.grad(image, inputs, torch.ones_like(image))
        finally:
            sys.setprofile(None)
        return sum(event in ("call", "c_call") for event in seen), [image, *found]

    count()  # what is made once
    short, results = count()
    monkeypatch.setattr("biofacenet.rendering.function._transforms", lambda: True)
    long, others = count()
    assert short < 300, short
    assert short < 0.65 * long, (short, long)
    assert all(map(torch.equal, results, others))


# Modes that must leave nothing behind

FIRST_UNDER = """
import torch, biofacenet
from biofacenet import Illuminant
maps = [torch.full((1, 1, 2, 2), v, requires_grad=True) for v in (0.1, 0.2, 0.9, 0.1)]
light, camera = Illuminant.standard("D65"), torch.zeros(1, 2)
def render(**options):
    return biofacenet.render(*maps, light, camera, **options)
try:
    {block}
except (RuntimeError, ValueError, NotImplementedError):
    pass
torch.set_default_dtype(torch.float32)
for backend in ("auto", "reference"):
    image = render(backend=backend)
    image.sum().backward()
    assert image.dtype == torch.float32 and image.device.type == "cpu", image
    assert maps[0].grad is not None and torch.isfinite(maps[0].grad).all()
torch.testing.assert_close(render(), render(backend="reference"), rtol=0, atol=1e-5)
found = biofacenet.BioFaceNet("small")
"""


FAKE = """
    from torch._subclasses.fake_tensor import FakeTensorMode
    with FakeTensorMode():
        fake = [torch.zeros(1, 1, 2, 2, requires_grad=True) for _ in maps]
        spectrum, curves = torch.ones(2, 33), torch.ones(1, 3, 33)
        for lit in ((Illuminant.standard("D65"), torch.zeros(2, 2)), (spectrum, curves)):
            for backend in ("auto", "reference"):
                image = biofacenet.render(*fake, *lit, backend=backend)
                assert image.shape == (2, 3, 2, 2) and hasattr(image, "fake_mode")
                image.sum().backward()
                assert fake[0].grad.shape == (1, 1, 2, 2)
"""


@pytest.mark.parametrize(
    "block",
    [
        "with torch.inference_mode(): render(); render(backend='reference')",
        "with torch.no_grad(): render()",
        "with torch.device('meta'): render()",
        "with torch.autocast('cpu', torch.bfloat16): render()",
        "torch.set_default_dtype(torch.float64); render()",
        "torch.set_default_dtype(torch.bfloat16); render(); render(backend='reference')",
        "torch.func.grad(lambda m: biofacenet.render(m, *maps[1:], light, camera).sum())(maps[0].detach())",
        "torch.func.vmap(lambda m: biofacenet.render(m, *maps[1:], light, camera))(maps[0].detach()[None])",
        FAKE,
    ],
    ids=["inference", "no grad", "meta", "autocast", "float64", "bfloat16", "grad", "vmap", "fake"],
)
def test_a_first_render_under_a_mode_spoils_nothing(block: str) -> None:
    """In a process of its own, whose tables are made under that mode."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FIRST_UNDER.format(block=block)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_tables_made_in_inference_mode_can_be_trained_with() -> None:
    Tables.computed.__func__  # noqa: B018  the class method is cached by its constants
    with torch.inference_mode():
        table = undisturbed(lambda: torch.ones(2))
    assert not table.is_inference()
    assert threading.active_count() >= 1
    with pytest.raises(ZeroDivisionError):
        undisturbed(lambda: 1 / 0)


def test_inputs_of_inference_mode_render_there(tensors: list[Tensor], renderer: Renderer) -> None:
    with torch.inference_mode():
        inside = call(renderer, *(tensor.clone() for tensor in tensors))
    assert torch.equal(inside, call(renderer, *tensors))
