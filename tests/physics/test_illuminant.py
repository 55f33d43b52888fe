"""Illuminants against the authors' files and the CIE, and their mixture."""

from pathlib import Path

import numpy as np
import pytest
import torch

from biofacenet import Illuminant, Tables
from biofacenet.physics.colour import observer
from biofacenet.physics.illuminant import (
    ILLUMINANT_NAMES,
    daylight,
    daylight_table,
    fixed_spectra,
    spectrum,
)
from biofacenet.physics.spectra import figures

FIXED, DAYLIGHTS = fixed_spectra(), daylight_table()


def mix(illuminant: Illuminant) -> torch.Tensor:
    return spectrum(illuminant, FIXED, DAYLIGHTS)


def of(weights: torch.Tensor, cct: float) -> Illuminant:
    return Illuminant(weights.double()[None], torch.tensor([cct], dtype=torch.float64))


def daylight_alone() -> torch.Tensor:
    return torch.eye(14)[1]


def test_fixed_lights_are_the_authors(authors: Path) -> None:
    published = Tables.from_mat(
        illuminant_a=authors / "illumA.mat", illuminant_f=authors / "illF.mat"
    )
    torch.testing.assert_close(FIXED, published.fixed_illuminants, atol=2e-7, rtol=0)


def test_daylights_are_the_authors(authors: Path) -> None:
    published = Tables.from_mat(illuminant_d=authors / "illumDmeasured.mat").daylights
    error = (DAYLIGHTS - published).abs().amax(dim=1) / published.amax(dim=1)
    assert error.max() < 2e-6


def test_every_spectrum_has_unit_sum_and_is_positive() -> None:
    spectra = torch.cat((FIXED, DAYLIGHTS))
    assert spectra.shape == (13 + 22, 33)
    torch.testing.assert_close(spectra.sum(dim=1), torch.ones(35, dtype=torch.float64))
    assert (spectra >= 0).all()


@pytest.mark.parametrize(
    ("name", "cct", "x", "y"),
    [
        ("D50", 5003.0, 0.34567, 0.35850),
        ("D55", 5503.0, 0.33242, 0.34743),
        ("D65", 6504.0, 0.31272, 0.32903),
        ("D75", 7504.0, 0.29902, 0.31485),
    ],
)
def test_daylights_have_their_published_chromaticities(
    name: str, cct: float, x: float, y: float
) -> None:
    """CIE 15; the 33 bands leave out 380..390 and 730..780 nm, which moves them by 3.3e-4."""
    assert Illuminant.standard(name).cct.tolist() == [cct]
    xyz = observer() @ daylight(torch.tensor(cct, dtype=torch.float64))
    assert (xyz[:2] / xyz.sum()).tolist() == pytest.approx([x, y], abs=3.5e-4)


@pytest.mark.parametrize("cct", [4000.0, 7000.0, 8000.0, 25000.0])
def test_daylight_is_the_cie_formula(cct: float) -> None:
    a, b, c, d = (
        (-4.6070e9, 2.9678e6, 0.09911e3, 0.244063)
        if cct <= 7000
        else (-2.0064e9, 1.9018e6, 0.24748e3, 0.237040)
    )
    x = a / cct**3 + b / cct**2 + c / cct + d
    y = -3 * x * x + 2.87 * x - 0.275
    m = 0.0241 + 0.2562 * x - 0.7341 * y
    m1, m2 = (-1.3515 - 1.7703 * x + 5.9114 * y) / m, (0.03 - 31.4424 * x + 30.0717 * y) / m
    s0, s1, s2 = figures("daylight").values()
    expected = s0 + m1 * s1 + m2 * s2
    found = DAYLIGHTS[round((cct - 4000) / 1000)]
    torch.testing.assert_close(found, expected / expected.sum(), rtol=1e-12, atol=0)


def test_daylight_turns_blue_with_temperature() -> None:
    blue_over_red = DAYLIGHTS[:, 5] / DAYLIGHTS[:, 25]
    assert (blue_over_red.diff() > 0).all()


def test_temperature_interpolates_between_knots_with_the_right_gradient() -> None:
    cct = torch.tensor([6250.0], dtype=torch.float64, requires_grad=True)
    e = mix(Illuminant(daylight_alone().double()[None], cct))
    torch.testing.assert_close(e[0], 0.75 * DAYLIGHTS[2] + 0.25 * DAYLIGHTS[3])
    (gradient,) = torch.autograd.grad(e[0, 4], cct)
    torch.testing.assert_close(gradient[0], (DAYLIGHTS[3, 4] - DAYLIGHTS[2, 4]) / 1000)
    assert gradient.abs() > 0


@pytest.mark.parametrize(("cct", "knot"), [(4000, 0), (25000, 21), (3000, 0), (1e6, 21), (9000, 5)])
def test_temperature_at_and_beyond_the_knots(cct: float, knot: int) -> None:
    torch.testing.assert_close(mix(of(daylight_alone(), cct))[0], DAYLIGHTS[knot])


def test_mixture_is_convex_and_in_the_named_order() -> None:
    for i, name in enumerate(ILLUMINANT_NAMES):
        alone = mix(of(torch.eye(14)[i], 5000.0))[0]
        place = {"A": 0, "D": None}.get(name, i - 1)
        torch.testing.assert_close(alone, DAYLIGHTS[1] if place is None else FIXED[place])
    weights = torch.softmax(torch.arange(14.0), 0)
    mixed = mix(of(weights, 5000.0))[0]
    parts = torch.stack([mix(of(torch.eye(14)[i], 5000.0))[0] for i in range(14)])
    torch.testing.assert_close(mixed, weights.double() @ parts)
    torch.testing.assert_close(mixed.sum(), torch.tensor(1.0, dtype=torch.float64))


def test_standard_lights_by_name() -> None:
    light = Illuminant.standard("D65", batch=3)
    assert light.weights.shape == (3, 14)
    assert light.cct.tolist() == [6504.0] * 3
    assert Illuminant.standard("F11").weights[0, ILLUMINANT_NAMES.index("F11")] == 1
    for name, cct in (("D99", 6504), ("F13", 6504), ("D", 3000), ("D", 30000)):
        with pytest.raises(ValueError, match=r"D99|F13|30000?"):
            Illuminant.standard(name, cct=cct)


@pytest.mark.parametrize(
    ("weights", "cct"), [((2, 13), (2,)), ((2, 14), (3,)), ((14,), (1,)), ((2, 14), (2, 1))]
)
def test_wrong_shapes_are_named(weights: tuple[int, ...], cct: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        Illuminant(torch.zeros(weights), torch.zeros(cct))


def test_float32_is_close_to_float64() -> None:
    light = of(torch.softmax(torch.arange(14.0), 0), 7321.0)
    single = Illuminant(light.weights.float(), light.cct.float())
    found = spectrum(single, FIXED.float(), DAYLIGHTS.float())
    np.testing.assert_allclose(found, mix(light), atol=1e-7)
