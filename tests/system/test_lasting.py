"""Modes of torch that a program is in: what is kept from one serves in another, and fits find gradients."""

from collections.abc import Callable

import pytest
import torch

from biofacenet import BioFaceNet, Illuminant, Renderer
from biofacenet.analysis import ByFitting, decompose
from biofacenet.fitting import estimate, fit
from biofacenet.photos.paths import EXAMPLE
from biofacenet.physics.illuminant import daylight
from biofacenet.physics.spectra import figures
from biofacenet.system.lasting import kept

MODES: dict[str, Callable[[], object]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}


def arguments() -> tuple:  # type: ignore[type-arg]
    maps = torch.zeros(1, 1, 8, 8)
    return maps, maps, maps + 2, maps, Illuminant.standard("D65"), torch.zeros(1, 2)


@pytest.mark.parametrize("backend", ["reference", "auto"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_renderer_first_used_in_inference_mode_can_be_trained_through(
    backend: str, dtype: torch.dtype
) -> None:
    with torch.inference_mode():
        renderer = Renderer(backend=backend)
        renderer.prepared(torch.device("cpu"), dtype)
        renderer(*arguments())
    melanin, *others, light, camera = arguments()
    melanin = melanin.to(dtype).requires_grad_()
    light = Illuminant(light.weights.to(dtype), light.cct.to(dtype))
    image = renderer(melanin, *(m.to(dtype) for m in others), light, camera.to(dtype))
    image.mean().backward()
    assert melanin.grad is not None
    assert melanin.grad.abs().sum() > 0


def test_figures_first_read_in_inference_mode_serve_for_gradients() -> None:
    figures.cache_clear()  # type: ignore[attr-defined]
    with torch.inference_mode():
        daylight(torch.tensor([6500.0]))
    cct = torch.tensor([6500.0], requires_grad=True)
    daylight(cct).square().sum().backward()
    assert cct.grad is not None
    assert cct.grad.abs() > 0


def test_what_is_kept_is_made_once_with_plain_defaults() -> None:
    calls = []

    @kept
    def made(size: int) -> torch.Tensor:
        calls.append(size)
        return torch.ones(size)

    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            first = made(3)
    finally:
        torch.set_default_dtype(torch.float32)
    assert made(3) is first
    assert not first.is_inference()
    assert first.dtype == torch.float32
    assert made(4).shape == (4,)
    assert calls == [3, 4]


@pytest.mark.parametrize("mode", MODES)
def test_fits_find_their_gradients_in_any_mode(mode: str) -> None:
    network = BioFaceNet.from_pretrained("small")
    expected = decompose(network, EXAMPLE, size=32, refine=2)
    trust = estimate(expected.decomposition)
    with MODES[mode]():  # type: ignore[attr-defined]
        found = decompose(network, EXAMPLE, size=32, refine=2)
        assert torch.equal(found.decomposition.melanin, expected.decomposition.melanin)
        assert float(estimate(found.decomposition).face_melanin) == float(trust.face_melanin)
        assert ByFitting(size=16, steps=1)(EXAMPLE).mask is not None
        made_there = torch.full((1, 3, 16, 16), 0.3)
        assert fit(made_there, torch.ones(1, 1, 16, 16), steps=1).rmse.isfinite().all()
        assert not torch.is_grad_enabled()


def test_a_gradient_that_is_wanted_is_not_cut() -> None:
    """Fitting turns gradients on for itself alone."""
    with torch.no_grad():
        fit(torch.full((1, 3, 16, 16), 0.3), steps=1)
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()
