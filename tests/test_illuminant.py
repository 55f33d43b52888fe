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


def test_daylight_has_the_chromaticity_of_d65() -> None:
    xyz = observer() @ daylight(torch.tensor(6504.0, dtype=torch.float64))
    torch.testing.assert_close(
        xyz[:2] / xyz.sum(), torch.tensor([0.3127, 0.3290]).double(), atol=5e-4, rtol=0
    )


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
    for name, cct in (("D99", 6504), ("F13", 6504), ("D", 3000)):
        with pytest.raises(ValueError, match=r"D99|F13|3000"):
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
