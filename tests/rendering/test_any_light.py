"""Lights by their spectrum and cameras by their curves, and what cannot be balanced."""

from types import SimpleNamespace

import pytest
import torch

from biofacenet import Illuminant, Renderer, Tables, reference, render
from biofacenet.kernels import BACKENDS, available
from biofacenet.physics import (
    WAVELENGTHS,
    CameraCurves,
    Spectrum,
    raw_to_xyz,
    spectral_sensitivity,
)
from biofacenet.physics.colour import WHITE_ROW_SUMS, XYZ_TO_SRGB, observer

TABLES = Tables.computed()
RUN = [name for name in ("reference", *BACKENDS) if available()[name] is None]


def curves_of(b: torch.Tensor) -> torch.Tensor:
    return spectral_sensitivity(b, TABLES.camera_mean, TABLES.camera_components)


@pytest.mark.parametrize("backend", RUN)
def test_curves_of_coordinates_render_as_the_coordinates(
    random_decomposition, backend: str
) -> None:  # type: ignore[no-untyped-def]
    """T comes from the formula then, and from a table of the formula else."""
    d = random_decomposition(3, 4, 5)
    *maps, light, b = d.map(lambda x: x.clamp(-1.5, 1.5) if x.shape[-1] == 2 else x).arguments()
    expected = render(*maps, light, b, backend=backend)
    for given in (light, d.spectrum()):
        found = render(*maps, given, curves_of(b), backend=backend)
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


def test_curves_agree_with_the_formula_by_hand(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    *maps, light, _ = random_decomposition(1, 3, 3).arguments()
    e = torch.rand(1, 33, dtype=torch.float64)
    s = torch.rand(1, 3, 33, dtype=torch.float64)
    s = s / s.sum(dim=2, keepdim=True)
    t = reference.trace(*maps, e, s)
    t_by_pinv = observer() @ torch.linalg.pinv(s[0])
    t_by_pinv = t_by_pinv / t_by_pinv.sum(dim=1, keepdim=True) * WHITE_ROW_SUMS[:, None]
    torch.testing.assert_close(t.raw_to_xyz[0], t_by_pinv)
    seen = torch.einsum("cl,l,lhw->chw", s[0], e[0], t.reflectance[0])
    balanced = (maps[2][0] * seen + maps[3][0] * (s[0] @ e[0])[:, None, None]) / (s[0] @ e[0])[
        :, None, None
    ]
    rgb = torch.einsum("ij,jk,khw->ihw", XYZ_TO_SRGB, t_by_pinv, balanced).clamp(min=0.0)
    torch.testing.assert_close(t.linear_srgb[0], rgb)
    for name in RUN:
        found = render(*maps, e, s, backend=name)[0]
        torch.testing.assert_close(found, rgb, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(
            render(*maps, light, s, backend=name),
            reference.render(*maps, light, s),
            rtol=1e-5,
            atol=1e-6,
        )


@pytest.mark.parametrize("backend", RUN)
def test_light_and_curves_have_gradients(random_decomposition, backend: str) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition(2, 2, 2)
    e, s = d.spectrum().requires_grad_(), curves_of(d.camera).requires_grad_()
    given = (*(x.detach() for x in d.arguments()[:4]), e, s)
    found = torch.autograd.grad(render(*given, backend=backend).square().sum(), (e, s))
    exact = torch.autograd.grad(reference.render(*given).square().sum(), (e, s))
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))
    assert torch.autograd.gradcheck(
        lambda e, s: reference.render(*given[:4], e, s), (e, s), atol=1e-5
    )


def test_measured_lights_and_cameras_are_given_as_they_are(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    *maps, _, _ = random_decomposition(2, 3, 3, dtype=torch.float32).arguments()
    fine = tuple(range(380, 781, 5))
    light = Spectrum(fine, tuple(1.0 + nm / 700 for nm in fine))
    rgb = [[2.718 ** (-(((nm - c) / 50) ** 2)) for nm in fine] for c in (600, 540, 460)]
    camera = CameraCurves(fine, tuple(map(tuple, rgb)))
    expected = render(
        *maps, light.bands(dtype=torch.float32).expand(2, -1), camera.bands().expand(2, -1, -1)
    )
    foreign = SimpleNamespace(wavelengths=fine, values=light.values)
    for given in (light, foreign):
        for renderer in (Renderer(), Renderer(backend="reference")):
            torch.testing.assert_close(renderer(*maps, given, camera), expected)
    torch.testing.assert_close(reference.render(*maps, light, camera), expected)


@pytest.mark.parametrize("backend", RUN)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_maps_of_any_float_dtype_take_lights_as_they_are_made(
    random_decomposition,  # type: ignore[no-untyped-def]
    dtype: torch.dtype,
    backend: str,
) -> None:
    *maps, _, _ = random_decomposition(2, 3, 3, dtype=dtype).arguments()
    light = Illuminant.standard("D65", batch=2)
    image = render(*maps, light, torch.zeros(2, 2), accuracy="exact", backend=backend)
    assert image.dtype == dtype
    exact = reference.render(*(m.double() for m in maps), light, torch.zeros(2, 2))
    assert (image.double() - exact).abs().max() < 16 * torch.finfo(dtype).eps * exact.max() + 1e-6


def test_a_default_dtype_of_64_bits_makes_no_difference(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    *maps, _, _ = random_decomposition(1, 3, 3, dtype=torch.float32).arguments()
    expected = render(*maps, Illuminant.standard("F2"), torch.zeros(1, 2))
    torch.set_default_dtype(torch.float64)
    try:
        found = render(*maps, Illuminant.standard("F2"), torch.zeros(1, 2))
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)


def test_a_light_moves_and_stays_itself_where_nothing_changes() -> None:
    light = Illuminant.standard("A", batch=2)
    assert light.to() is light
    assert light.to("cpu", torch.float32) is light
    moved = light.to("meta", torch.float64)
    assert {moved.weights.device.type, moved.cct.device.type} == {"meta"}
    assert {moved.weights.dtype, moved.cct.dtype} == {torch.float64}
    assert light.to(dtype=torch.float64).weights.tolist() == light.weights.tolist()


def dark(*bands: int) -> torch.Tensor:
    """A light of only these bands."""
    return torch.eye(33)[list(bands)].sum(dim=0, keepdim=True)


def wide(channel: int) -> torch.Tensor:
    """Curves of which one ends where the others go on: (1, 3, 33)."""
    s = curves_of(torch.zeros(1, 2, dtype=torch.float64)).clone()
    s[:, channel] = torch.where(torch.arange(33) < 16, s[:, channel] + 0.01, 0.0)
    return s / s.sum(dim=2, keepdim=True)


@pytest.mark.parametrize("backend", RUN)
@pytest.mark.parametrize(("channel", "name"), [(0, "red"), (1, "green"), (2, "blue")])
def test_a_channel_without_light_is_one_line(channel: int, name: str, backend: str) -> None:
    m = torch.zeros(1, 1, 2, 2)
    with pytest.raises(ValueError, match=f"{name} channel sees no light") as told:
        render(m, m, m + 1, m, dark(20, 28), wide(channel), backend=backend)
    assert "\n" not in str(told.value)
    assert render(m, m, m + 1, m, dark(8, 20), wide(channel), backend=backend).isfinite().all()
    with pytest.raises(ValueError, match="sees no light"):
        render(m, m, m + 1, m, torch.zeros(1, 33), torch.zeros(1, 2), backend=backend)


def test_cameras_that_cannot_tell_colours_are_told() -> None:
    m = torch.zeros(1, 1, 2, 2)
    light, s = Illuminant.standard("D65"), wide(0)
    with pytest.raises(ValueError, match="see alike"):
        render(m, m, m + 1, m, light, s[:, [0, 0, 2]])
    with pytest.raises(ValueError, match="unit sum, and one sums to 3"):
        render(m, m, m + 1, m, light, 3 * s)
    with pytest.raises(ValueError, match=r"camera must have shape \(1, 3, 33\)"):
        render(m, m, m + 1, m, light, s[:, :, :31])
    with pytest.raises(ValueError, match=r"camera must be a .* got list"):
        render(m, m, m + 1, m, light, [0.0, 0.0])


def test_compiling_and_vmap_take_any_light(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition(2, 2, 2)
    *maps, _, _ = d.arguments()
    e, s = d.spectrum(), curves_of(d.camera)
    several = torch.stack((e, e.flip(0)))
    found = torch.func.vmap(lambda e: reference.render(*maps, e, s))(several)
    torch.testing.assert_close(found[1], reference.render(*maps, several[1], s))


def test_raw_to_xyz_of_single_precision_is_that_of_double() -> None:
    s = curves_of(torch.tensor([[1.0, -1.0]], dtype=torch.float64))
    torch.testing.assert_close(raw_to_xyz(s.float()).double(), raw_to_xyz(s), rtol=1e-5, atol=1e-7)
    assert len(WAVELENGTHS) == s.shape[-1]
