"""Backends: how one becomes known, which is chosen, and what is said where none can be."""

import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import torch

import biofacenet
from biofacenet import Decomposition, Renderer, kernels
from biofacenet.errors import BackendUnavailableError


def backend(reason: str | None = None, **functions: object) -> types.ModuleType:
    """A module that is the C++ kernel under another name, but for some functions."""
    module = types.ModuleType("stand_in")
    module.unavailable = lambda: reason
    for name in ("render", "render_backward"):
        setattr(module, name, functions.get(name, getattr(kernels.cpp, name)))
    return module


def register(stack: ExitStack, name: str, reason: str | None = None, **told: object) -> None:
    told = {"device": "abacus"} | told
    stack.enter_context(kernels.register(name, backend(reason), **told))


@pytest.fixture
def registered() -> Iterator[ExitStack]:
    """What is registered in it is removed in the end."""
    with ExitStack() as stack:
        yield stack


# Registering


def test_a_backend_from_outside_renders(random_decomposition) -> None:
    scene: Decomposition = random_decomposition()
    expected = scene.render(backend="cpp")
    calls = []

    def render(*arguments: object) -> None:
        calls.append(len(arguments))
        kernels.cpp.render(*arguments)

    with kernels.register("plain", backend(render=render), device="cpu"):
        assert kernels.available()["plain"] is None
        assert torch.equal(scene.render(backend="plain"), expected)
        assert torch.equal(Renderer(backend="plain")(*scene.arguments()), expected)
        assert calls == [16, 16]
        assert kernels.choose("auto", "cpu") == "cpp"  # it has no priority
    assert "plain" not in kernels.available()
    with pytest.raises(ValueError, match="unknown backend 'plain'"):
        Renderer(backend="plain")


@pytest.mark.parametrize("code", [kernels.cpp, "biofacenet.kernels.cpp"])
def test_code_or_where_it_lies(code: types.ModuleType | str) -> None:
    with kernels.register("again", code, device="cpu"):
        assert kernels.kernel("again") is kernels.cpp


def test_it_stays_until_it_is_removed() -> None:
    added = kernels.register("lasting", backend(), device="cpu", half=True)
    try:
        assert kernels.BACKENDS["lasting"] is added
        assert "lasting" in kernels.HALF
    finally:
        added.remove()
    assert not {"lasting"} & {*kernels.BACKENDS, *kernels.HALF, *kernels.available()}
    with kernels.register("lasting", backend(), device="cpu"):
        added.remove()  # an earlier one of that name
        assert "lasting" in kernels.BACKENDS


@pytest.mark.parametrize("name", ["auto", "reference", "cpp", "triton", "cuda"])
def test_a_name_is_taken_once(name: str) -> None:
    before = dict(kernels.BACKENDS)
    with pytest.raises(ValueError, match=f"'{name}' is registered already"):
        kernels.register(name, backend(), device="cpu")
    assert before == kernels.BACKENDS


@pytest.mark.parametrize("name", ["unavailable", "render", "render_backward"])
def test_what_its_code_lacks_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch, registered: ExitStack
) -> None:
    lacking = backend()
    delattr(lacking, name)
    with pytest.raises(TypeError, match=f"backend 'x': stand_in has no function {name}$"):
        kernels.register("x", lacking, device="cpu")
    assert "x" not in kernels.BACKENDS
    # A module that is only named cannot be looked at yet.
    monkeypatch.setitem(sys.modules, "stand_in", lacking)
    registered.enter_context(kernels.register("x", "stand_in", device="cpu"))
    assert kernels.available()["x"] == f"stand_in has no function {name}"
    with pytest.raises(BackendUnavailableError, match=f"'x' cannot run: .* no function {name};"):
        kernels.select("x")


def test_a_module_that_cannot_be_imported_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, registered: ExitStack
) -> None:
    registered.enter_context(kernels.register("x", "no_such_module.kernels", device="cpu"))
    assert kernels.available()["x"] == (
        "no_such_module.kernels cannot be imported (No module named 'no_such_module')"
    )
    launch = "biofacenet.kernels.triton.launch"
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, launch, raising=False)
    registered.enter_context(kernels.register("without triton", launch, device="cuda"))
    reason = kernels.available()["without triton"]
    assert reason.startswith(f"{launch} cannot be imported (")
    assert reason.endswith("; pip install triton")


# Choosing


def test_selection(monkeypatch: pytest.MonkeyPatch, registered: ExitStack) -> None:
    register(registered, "broken", "the moon is full")
    monkeypatch.delenv("BIOFACENET_BACKEND", raising=False)
    assert kernels.select("auto") == "auto"
    assert kernels.select("reference") == "reference"
    monkeypatch.setenv("BIOFACENET_BACKEND", "reference")
    assert kernels.select("auto") == "reference"
    assert kernels.select("cpp") == "cpp"
    monkeypatch.setenv("BIOFACENET_BACKEND", "sundial")
    with pytest.raises(ValueError, match="'sundial': choose one of auto, reference, cpp, "):
        kernels.select("auto")
    for ask in (kernels.select, kernels.kernel):
        with pytest.raises(BackendUnavailableError, match="'broken' cannot run: the moon is full"):
            ask("broken")
    for name in ("sundial", "reference"):
        with pytest.raises(BackendUnavailableError, match=f"'{name}' has no kernel"):
            kernels.kernel(name)


def test_a_named_backend_takes_its_device_and_its_tables(registered: ExitStack) -> None:
    register(registered, "few", max_components=8)
    assert kernels.choose("few", "abacus", 8) == "few"
    assert kernels.choose("reference", "abacus", 9) == "reference"
    with pytest.raises(BackendUnavailableError, match="'few' takes abacus tensors, got cpu"):
        kernels.choose("few", "cpu")
    with pytest.raises(BackendUnavailableError, match="9 functions are more than its 8"):
        kernels.choose("few", "abacus", 9)
    with pytest.raises(BackendUnavailableError, match="'sundial' has no kernel"):
        kernels.choose("sundial", "abacus")


def test_auto_takes_the_highest_priority_that_runs(registered: ExitStack) -> None:
    register(registered, "slow", priority=10)
    assert kernels.choose("auto", "abacus", 32) == "slow"
    register(registered, "quick", priority=20, max_components=128)
    assert kernels.choose("auto", "abacus", 128) == "quick"
    assert kernels.choose("auto", "abacus", 129) == "slow"
    register(registered, "best", "out of order", priority=30)
    register(registered, "by name only")
    register(registered, "elsewhere", device="sundial", priority=90)
    assert kernels.choose("auto", "abacus", 32) == "quick"


def test_auto_takes_the_reference_with_one_warning(registered: ExitStack) -> None:
    register(registered, "broken", "the moon is full", priority=20)
    register(registered, "few", priority=10, max_components=8)
    expected = "broken: the moon is full; few: 32 functions are more than its 8"
    with pytest.warns(UserWarning, match=expected):
        assert kernels.choose("auto", "abacus", 32) == "reference"
    assert kernels.choose("auto", "abacus", 32) == "reference"  # the second time in silence
    with pytest.warns(UserWarning, match="no kernel takes sundial tensors"):
        assert kernels.choose("auto", "sundial") == "reference"


@pytest.mark.parametrize(("ratio", "first"), [(1.2, "cuda"), (1.05, "triton"), (0.7, "triton")])
def test_cuda_goes_before_triton_where_it_was_measured_to_be_faster(
    monkeypatch: pytest.MonkeyPatch, registered: ExitStack, ratio: float, first: str
) -> None:
    """By more than a tenth, on a GPU of that name; a backend of a higher priority stays first."""
    from biofacenet.kernels import measured, registry

    monkeypatch.setattr(measured, "CUDA_OVER_TRITON", {"NVIDIA H100": ratio})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100")

    def order() -> list[str]:
        return [backend.name for backend in registry._preferred("cuda")]

    if "triton" not in order():
        pytest.skip("Triton is interpreted here, and takes CPU tensors")
    assert order()[0] == first
    assert sorted(order()) == ["cuda", "triton"]
    register(registered, "better", device="cuda", priority=30)
    assert order()[:2] == ["better", first]
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA A100")
    assert order() == ["better", "triton", "cuda"]


def test_the_packages_own() -> None:
    own = kernels.BACKENDS
    devices = {name: told.device for name, told in own.items()}
    assert devices == {"cpp": "cpu", "cuda": "cuda", "triton": "cuda"}
    assert sorted(kernels.HALF) == ["cuda", "triton"]
    assert own["triton"].priority > own["cuda"].priority
    assert (own["triton"].max_components, own["cuda"].max_components) == (64, 32)
    assert own["cpp"].max_components is None


# The operator


def test_a_backend_that_takes_few_functions_is_refused(
    registered: ExitStack,
    random_decomposition,  # type: ignore[no-untyped-def]
) -> None:
    """Of the default there are 6, of the exact published skin 14."""
    scene = random_decomposition(dtype=torch.float32)
    register(registered, "few", device="cpu", max_components=8)
    torch.testing.assert_close(scene.render(backend="few"), scene.render(backend="cpp"))
    with pytest.raises(BackendUnavailableError, match="14 functions are more than its 8"):
        scene.render(backend="few", accuracy="exact")


def operands(functions: int = 6, maps: torch.dtype = torch.float32) -> list:
    """What `torch.ops.biofacenet.render` takes, but for the backend."""
    plane = torch.rand(4, 1, 1, 3, 5)
    light = Renderer(backend="cpp").prepared(torch.device("cpu"), torch.float32).native[:5]
    basis = [torch.rand(7, functions), torch.rand(5, 4), torch.rand(33, 4, functions)]
    lit = (None, None, None, None, torch.rand(1, 3, 33), torch.rand(1, 3))
    return [*plane.to(maps), *lit, [*light, *basis], True]


def test_the_operator_obeys_what_was_told(registered: ExitStack) -> None:
    render = torch.ops.biofacenet.render
    register(registered, "few", device="cpu", max_components=8)
    assert render(*operands(8), "few").shape == (1, 3, 3, 5)
    with pytest.raises(ValueError, match="'few' cannot take these tables: 9 functions"):
        render(*operands(9), "few")
    with pytest.raises(ValueError, match="'few' takes float32 or float64 maps, got"):
        render(*operands(maps=torch.float16), "few")


def test_maps_of_16_bits_reach_a_backend_that_takes_them(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    scene = random_decomposition(dtype=torch.float16)
    seen = []

    def render(*arguments: Any) -> None:
        *maps, image = (*arguments[:4], arguments[-1])
        seen.append(maps[0].dtype)
        whole = image.float()
        kernels.cpp.render(*(m.float() for m in maps), *arguments[4:-1], whole)
        image.copy_(whole)

    for half in (True, False):
        with kernels.register("x", backend(render=render), device="cpu", half=half):
            assert scene.render(backend="x").dtype == torch.float16
    assert seen == [torch.float16, torch.float32]


# What an import costs


def test_importing_loads_neither_compiler_nor_triton() -> None:
    code = """
import sys
import biofacenet.kernels
print([name for name in ("torch._dynamo", "triton", "scipy", "cv2") if name in sys.modules])
assert biofacenet.kernels.available()["reference"] is None
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def test_marked_constant_as_torch_does_it() -> None:
    def ours() -> int:
        return 1

    def theirs() -> int:
        return 1

    assert kernels.constant_for_compile(ours) is ours
    torch.compiler.assume_constant_result(theirs)
    assert vars(ours) == vars(theirs) != {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's own
def test_the_choice_can_be_compiled(random_decomposition) -> None:
    torch._dynamo.reset()
    scene = random_decomposition(dtype=torch.float32)
    compiled = torch.compile(lambda *a: biofacenet.render(*a, backend="x"), fullgraph=True)
    with kernels.register("x", backend(), device="cpu"):
        found = compiled(*scene.arguments())
        torch.testing.assert_close(found, scene.render(backend="cpp"))
