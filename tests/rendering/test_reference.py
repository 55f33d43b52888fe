"""The reference renderer against loops over pixels, its gradients, and its intermediates."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from biofacenet import (
    Decomposition,
    Illuminant,
    Renderer,
    SkinParameters,
    Tables,
    reference,
    render,
)
from biofacenet.errors import BackendUnavailableError
from biofacenet.kernels import BACKENDS, available

TABLES = Tables.computed().map(lambda table: table)


def bilinear(table: np.ndarray, row: float, column: float) -> np.ndarray:
    """Read between the centres of a table's entries, clamped at its border."""
    row, column = (
        min(max(v, 0.0), n - 1.0) for v, n in zip((row, column), table.shape, strict=False)
    )
    i, j = min(int(row), table.shape[0] - 2), min(int(column), table.shape[1] - 2)
    u, v = row - i, column - j
    top = (1 - v) * table[i, j] + v * table[i, j + 1]
    bottom = (1 - v) * table[i + 1, j] + v * table[i + 1, j + 1]
    return (1 - u) * top + u * bottom


def render_by_loops(d: Decomposition) -> np.ndarray:
    """Section 2 of the design written out pixel by pixel with NumPy; only the tables are shared."""
    t = {name: table.numpy() for name, table in vars(TABLES).items()}
    to_srgb = np.array(
        [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    )
    batch, _, height, width = d.melanin.shape
    image = np.zeros((batch, 3, height, width))
    for b in range(batch):
        weights, cct = d.illuminant.weights[b].numpy(), float(d.illuminant.cct[b])
        k = int((cct - 4000) // 1000)
        share = (cct - 4000) / 1000 - k
        day = (1 - share) * t["daylights"][k] + share * t["daylights"][k + 1]
        spectra = [t["fixed_illuminants"][0], day, *t["fixed_illuminants"][1:]]
        e = sum(w * spectrum for w, spectrum in zip(weights, spectra, strict=True))
        b1, b2 = d.camera[b].tolist()
        s = np.maximum(
            0,
            t["camera_mean"]
            + b1 * t["camera_components"][..., 0]
            + b2 * t["camera_components"][..., 1],
        )
        light = s @ e
        matrix = bilinear(t["raw_to_xyz"], (b1 + 3) / 6 * 127, (b2 + 3) / 6 * 127)
        for y in range(height):
            for x in range(width):
                r = bilinear(
                    t["skin"],
                    (float(d.haemoglobin[b, 0, y, x]) + 1) / 2 * 255,
                    (float(d.melanin[b, 0, y, x]) + 1) / 2 * 255,
                )
                raw = (
                    float(d.diffuse[b, 0, y, x]) * (s * e) @ r
                    + float(d.specular[b, 0, y, x]) * light
                )
                image[b, :, y, x] = np.maximum(0, to_srgb @ (matrix @ (raw / light)))
    return image


def test_equals_loops_over_pixels(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition(3, 3, 4)
    np.testing.assert_allclose(d.render(backend="reference"), render_by_loops(d), atol=1e-12)


def test_float32_is_within_two_millionths_of_full_scale(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition(4, 16, 16)
    exact, single = d.render(), d.to(dtype=torch.float32).render()
    assert single.dtype == torch.float32
    assert (single - exact).abs().max() < 2e-6 * exact.max()


def test_gradients_of_every_input(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition(2, 2, 3)

    def image(m, h, diffuse, specular, weights, cct, camera):  # type: ignore[no-untyped-def]
        return reference.render(m, h, diffuse, specular, Illuminant(weights, cct), camera)

    inputs = [
        *(d.melanin, d.haemoglobin, d.diffuse, d.specular),
        *(d.illuminant.weights, d.illuminant.cct, d.camera),
    ]
    assert (image(*inputs) > 1e-3).all()  # away from the ReLU's kink
    inputs = [tensor.clone().requires_grad_() for tensor in inputs]
    # The temperature is in thousands: finite differences need a step of its own scale.
    scaled = [*inputs[:5], (inputs[5].detach() / 1000).requires_grad_(), inputs[6]]

    def from_kilokelvin(*arguments):  # type: ignore[no-untyped-def]
        return image(*arguments[:5], 1000 * arguments[5], arguments[6])

    assert torch.autograd.gradcheck(from_kilokelvin, scaled, eps=1e-7, atol=1e-6)
    gradients = torch.autograd.grad(from_kilokelvin(*scaled).square().sum(), scaled)
    assert all((gradient.abs() > 0).all() for gradient in gradients)


def test_gradient_of_a_given_spectrum(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition(1, 2, 2)
    e = d.spectrum().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda e: reference.render(d.melanin, d.haemoglobin, d.diffuse, d.specular, e, d.camera), e
    )


def test_spectrum_and_mixture_give_the_same(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition()
    maps = (d.melanin, d.haemoglobin, d.diffuse, d.specular)
    torch.testing.assert_close(render(*maps, d.spectrum(), d.camera), d.render())


def test_scaling_both_shadings_scales_the_image(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition()
    before = d.render()
    d.diffuse, d.specular = 3.7 * d.diffuse, 3.7 * d.specular
    torch.testing.assert_close(d.render(), 3.7 * before)


def test_intermediates(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition(2, 3, 4)
    t = d.trace()
    shapes = {name: tuple(value.shape) for name, value in vars(t).items()}
    image = (2, 3, 3, 4)
    assert shapes == {
        "illuminant": (2, 33),
        "spectral_sensitivity": (2, 3, 33),
        "light_colour": (2, 3),
        "reflectance": (2, 33, 3, 4),
        "raw_diffuse": image,
        "raw_specular": image,
        "raw": image,
        "white_balanced": image,
        "raw_to_xyz": (2, 3, 3),
        "xyz": image,
        "unclipped": image,
        "linear_srgb": image,
        "albedo": image,
    }
    per_channel = t.light_colour[:, :, None, None]
    torch.testing.assert_close(t.raw, t.raw_diffuse + t.raw_specular)
    torch.testing.assert_close(t.raw_specular, d.specular * per_channel)
    torch.testing.assert_close(t.white_balanced * per_channel, t.raw)
    torch.testing.assert_close(t.linear_srgb, t.unclipped.clamp(min=0))
    torch.testing.assert_close(t.illuminant, d.spectrum())
    torch.testing.assert_close(t.spectral_sensitivity, d.spectral_sensitivity())
    torch.testing.assert_close(t.linear_srgb, d.render(accuracy="exact"))
    ones = torch.ones_like(d.diffuse)
    flat = render(
        *(d.melanin, d.haemoglobin, ones, 0 * ones), d.illuminant, d.camera, accuracy="exact"
    )
    torch.testing.assert_close(t.albedo, flat)


def test_out_of_gamut_colours_are_clipped_at_zero() -> None:
    one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    light = Illuminant.standard("D65")
    light = Illuminant(light.weights.double(), light.cct.double())
    t = reference.trace(0.7 * one, -one, one, 0 * one, light, torch.zeros(1, 2).double())
    assert t.unclipped.min() < 0
    assert t.linear_srgb.min() == 0
    torch.testing.assert_close(t.albedo, t.linear_srgb)  # the shading is one already


@pytest.mark.parametrize("shape", [(0, 4, 4), (1, 1, 1), (2, 0, 3)])
def test_empty_and_tiny_images(random_decomposition, shape) -> None:  # type: ignore[no-untyped-def]
    batch, height, width = shape
    assert random_decomposition(*shape).render().shape == (batch, 3, height, width)


def test_slices_of_one_tensor_and_channels_last_are_read_as_they_lie(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition(2, 4, 6)
    joined = torch.cat((d.melanin, d.haemoglobin, d.diffuse, d.specular), dim=1)
    joined = joined.contiguous(memory_format=torch.channels_last)
    image = render(*joined.split(1, dim=1), d.illuminant, d.camera)
    torch.testing.assert_close(image, d.render())


ARGUMENTS = ("melanin", "haemoglobin", "diffuse", "specular", "illuminant", "camera")


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize("fault", ["shape", "dtype", "kind"])
def test_wrong_inputs_are_named(random_decomposition, name: str, fault: str) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition()
    arguments = dict(zip(ARGUMENTS, d.arguments(), strict=True))
    if name == "illuminant":
        arguments[name] = d.spectrum()
    if fault == "shape":
        wrong = arguments[name]
        arguments[name] = wrong.squeeze(1) if name == "melanin" else wrong[..., :1, :1]
    elif fault == "dtype":
        integer = name in ("melanin", "illuminant", "camera")
        arguments[name] = arguments[name].to(torch.int64 if integer else torch.float32)
    elif name == "illuminant":
        arguments[name] = "D65"
    else:
        arguments[name] = arguments[name].unsqueeze(0)
    with pytest.raises(ValueError, match=name):
        render(*arguments.values())


def test_renderer_module(random_decomposition, authors: Path) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition()
    torch.testing.assert_close(Renderer()(*d.arguments()), d.render())
    exact = d.render(accuracy="exact")
    torch.testing.assert_close(Renderer().trace(*d.arguments()).linear_srgb, exact)
    published = Tables.from_mat(
        raw_to_xyz=authors / "Tmatrix.mat",
        illuminant_a=authors / "illumA.mat",
        illuminant_d=authors / "illumDmeasured.mat",
        illuminant_f=authors / "illF.mat",
        camera=authors / "CamPCA.mat",
    )
    image = Renderer(tables=published)(*d.arguments())
    assert 0 < (image - d.render()).abs().max() < 2e-5
    other = Renderer(SkinParameters(blood_oxygenation=0.3))(*d.arguments())
    assert (other - d.render()).abs().max() > 1e-3


def test_renderer_settings_are_checked(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(
        ValueError, match="accuracy must be one of fast, default, exact, got 'good'"
    ):
        Renderer(accuracy="good")  # type: ignore[arg-type]
    message = (
        r"bands is no more: give accuracy='fast' \(for 16\), 'default' \(32\) or 'exact' \(33\)"
    )
    decomposition = random_decomposition()
    with pytest.raises(TypeError, match=message):
        Renderer(bands=16)
    with pytest.raises(TypeError, match=message):
        render(*decomposition.arguments(), bands=33)
    with pytest.raises(TypeError, match=message):
        decomposition.render(bands=32)
    with pytest.raises(TypeError, match="no argument 'band'"):
        Renderer(band=16)
    with pytest.raises(ValueError, match="not both"):
        Renderer(SkinParameters(), tables=TABLES)


@pytest.mark.parametrize("name", ["reference", *BACKENDS])
def test_a_named_backend_runs_or_says_why_not(random_decomposition, name: str) -> None:  # type: ignore[no-untyped-def]
    d, reason = random_decomposition(), available()[name]
    if reason is None:
        torch.testing.assert_close(
            d.render(accuracy="exact", backend=name), reference.render(*d.arguments())
        )
    else:
        with pytest.raises(BackendUnavailableError, match=name) as caught:
            d.render(backend=name)
        assert reason in str(caught.value)


def test_unknown_backend() -> None:
    with pytest.raises(ValueError, match="abacus"):
        Renderer(backend="abacus")


@pytest.mark.parametrize("name", ["haemoglobin", "diffuse", "specular", "illuminant", "camera"])
def test_another_device_is_named(random_decomposition, name: str) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition()
    arguments = dict(zip(ARGUMENTS, d.arguments(), strict=True)) | {"illuminant": d.spectrum()}
    arguments[name] = arguments[name].to("meta")
    with pytest.raises(ValueError, match=f"{name} must be on cpu.*meta"):
        render(*arguments.values())


@pytest.mark.parametrize("part", ["weights", "cct"])
@pytest.mark.parametrize("fault", ["shape", "dtype", "device"])
def test_the_part_of_an_illuminant_that_does_not_fit_is_named(
    random_decomposition,  # type: ignore[no-untyped-def]
    part: str,
    fault: str,
) -> None:
    d = random_decomposition()
    wrong = {
        "shape": lambda tensor: tensor[:1],
        "dtype": torch.Tensor.long,
        "device": lambda tensor: tensor.to("meta"),
    }[fault]
    setattr(d.illuminant, part, wrong(getattr(d.illuminant, part)))
    with pytest.raises(ValueError, match=rf"illuminant\.{part}"):
        reference.render(*d.arguments())


def test_maps_have_one_channel() -> None:
    two = torch.zeros(1, 2, 3, 3)
    with pytest.raises(ValueError, match=r"melanin must have shape \(B, 1, H, W\)"):
        render(two, two, two, two, torch.full((1, 33), 1 / 33), torch.zeros(1, 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_any_dtype_is_as_exact_as_its_precision_allows(
    random_decomposition,  # type: ignore[no-untyped-def]
    dtype: torch.dtype,
) -> None:
    d = random_decomposition(4, 8, 8, dtype=dtype)
    found, exact = (
        d.render(backend="reference"),
        d.to(dtype=torch.float64).render(backend="reference"),
    )
    assert found.dtype == dtype
    assert (found.double() - exact).abs().max() < 16 * torch.finfo(dtype).eps * exact.max()


@pytest.mark.parametrize("shape", [(0, 4, 4), (2, 0, 3)])
def test_empty_images_have_gradients(random_decomposition, shape) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition(*shape).map(lambda tensor: tensor.clone().requires_grad_())
    inputs = (d.melanin, d.haemoglobin, d.diffuse, d.specular, d.illuminant.cct, d.camera)
    gradients = torch.autograd.grad(d.render().sum(), inputs)
    assert [g.shape for g in gradients] == [tensor.shape for tensor in inputs]
    assert all((g == 0).all() for g in gradients)


def test_one_renderer_serves_several_dtypes(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    renderer, d = Renderer(backend="reference"), random_decomposition()
    for dtype in (torch.float32, torch.float64, torch.float32):
        typed = d.to(dtype=dtype)
        assert torch.equal(renderer(*typed.arguments()), reference.render(*typed.arguments()))


def test_other_skin_parameters_reach_the_image(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    """What a renderer of less oxygenated blood shows is the image of that skin's table."""
    d, pale = random_decomposition(), SkinParameters(blood_oxygenation=0.3)
    expected = reference.render(*d.arguments(), tables=Tables.computed(pale))
    torch.testing.assert_close(Renderer(pale, accuracy="exact")(*d.arguments()), expected)
    assert (expected - d.render()).abs().max() > 1e-3


def test_other_tables_reach_the_image(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    """A skin that reflects half renders half as bright where there is no highlight."""
    d = random_decomposition()
    dim = replace(TABLES, skin=TABLES.skin / 2)
    maps = (d.melanin, d.haemoglobin, d.diffuse, 0 * d.specular)
    for image in (
        Renderer(tables=dim, accuracy="exact")(*maps, d.illuminant, d.camera),
        reference.render(*maps, d.illuminant, d.camera, tables=dim),
    ):
        torch.testing.assert_close(image, reference.render(*maps, d.illuminant, d.camera) / 2)
