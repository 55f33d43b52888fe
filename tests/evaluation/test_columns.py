"""Columns of the evaluation against their formulas and against figures that are published."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from biofacenet import Decomposition, Illuminant
from biofacenet.evaluation.metrics import Errors, albedo, measure, similarity, similarity_map
from biofacenet.evaluation.summary import summarise
from biofacenet.physics.camera import mean_and_components


@pytest.fixture
def truth(random_decomposition: Callable[..., Decomposition]) -> Decomposition:
    return random_decomposition(batch=3, height=12, width=10, dtype=torch.float32)


def judged(found: Decomposition, truth: Decomposition, mask: torch.Tensor | None = None) -> Errors:
    mask = torch.ones_like(truth.melanin) if mask is None else mask
    return measure(found, truth, truth.render(), mask)


# Light and camera ----------------------------------------------------------------------------


def lit(scene: Decomposition, *kelvin: float) -> Decomposition:
    """The scene under daylight of these temperatures, an image each."""
    lights = [Illuminant.standard("D", one) for one in kelvin]
    weights = torch.cat([light.weights for light in lights])
    cct = torch.cat([light.cct for light in lights])
    return replace(scene, illuminant=Illuminant(weights.float(), cct.float()))


def test_mireds_are_millions_over_kelvins(truth: Decomposition) -> None:
    """5000 K are 200 mired, 10,000 K are 100, 6250 K are 160, 8000 K are 125."""
    found, true = lit(truth, 5000.0, 10000.0, 6250.0), lit(truth, 10000.0, 5000.0, 8000.0)
    errors = judged(found, true)
    assert errors.light_mired.tolist() == pytest.approx([100.0, 100.0, 35.0], abs=2.0)
    assert errors.light_kelvin.tolist() == pytest.approx([5000.0, 5000.0, 1750.0], rel=0.03)
    light = summarise(errors)["light"]
    assert light["cct_mired"] == pytest.approx(235.0 / 3.0, abs=2.0)
    assert light["cct_kelvin"] == pytest.approx(11750.0 / 3.0, rel=0.03)


def test_mireds_of_the_incandescent_standard(truth: Decomposition) -> None:
    """CIE A is 2856 K, 350.1 mired; D65 is 6504 K, 153.8 mired."""
    warm, day = (
        replace(truth, illuminant=Illuminant.standard(name, batch=3)) for name in ("A", "D65")
    )
    expected = 1e6 / 2856.0 - 1e6 / 6504.0
    assert judged(warm, day).light_mired.tolist() == pytest.approx([expected] * 3, abs=1.5)


def curves(camera: list[float]) -> np.ndarray:
    """S(b) = max(0, mean + PC b), its 99 numbers in a row."""
    mean, components = (values.numpy() for values in mean_and_components())
    return np.maximum(0.0, mean + components @ np.array(camera)).ravel()


def test_distance_of_curves_is_relative_to_the_true_ones(truth: Decomposition) -> None:
    found, true = [[2.5, -2.0], [0.0, 0.0], [1.0, 1.0]], [[-1.0, 2.5], [-2.5, 0.5], [1.0, 1.0]]
    errors = judged(
        replace(truth, camera=torch.tensor(found)), replace(truth, camera=torch.tensor(true))
    )
    expected = []
    for ours, theirs in zip(found, true, strict=True):
        difference = np.linalg.norm(curves(ours) - curves(theirs))
        expected.append(float(difference / np.linalg.norm(curves(theirs))))
    assert errors.curves.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    # The other norm would not do.
    lengths = [np.linalg.norm(curves(camera[0])) for camera in (found, true)]
    assert abs(lengths[0] / lengths[1] - 1.0) > 0.01
    mean = summarise(errors)["camera"]["curves_relative"]
    assert mean == pytest.approx(sum(expected) / 3.0, rel=1e-4)


# Albedo --------------------------------------------------------------------------------------


def test_scaled_albedo_has_the_best_factor_of_each_face_and_plain_albedo_none(
    truth: Decomposition,
) -> None:
    """s = <found, true> / <found, found> over mask and channels, then the mean square of s f - t."""
    found = truth.edit(melanin=0.3, haemoglobin=-0.1)
    mask = torch.zeros_like(truth.melanin)
    mask[..., 2:9, 3:8] = 1.0
    square = judged(found, truth, mask).square
    for i in range(3):
        f, t = (
            albedo(maps)[i][:, mask[i, 0] > 0].double().numpy().ravel() for maps in (found, truth)
        )
        scale = (f @ t) / (f @ f)
        assert float(square["albedo_scaled"][i]) == pytest.approx(
            np.mean((scale * f - t) ** 2), rel=1e-3
        )
        assert float(square["albedo"][i]) == pytest.approx(np.mean((f - t) ** 2), rel=1e-3)
    # That more melanin darkens is forgiven, and its hue is not.
    assert (square["albedo_scaled"] < 0.8 * square["albedo"]).all()
    assert (square["albedo_scaled"] > 0.0).all()


# Similarity ----------------------------------------------------------------------------------


def test_a_flat_map_is_compared_on_a_range_of_a_twentieth() -> None:
    """Where the truth is nothing, SSIM is c1 / (x^2 + c1) with c1 = (0.01 * 0.05)^2."""
    true = torch.zeros(1, 1, 24, 24, dtype=torch.float64)
    mask = torch.ones_like(true)
    for value, expected in ((0.0, 1.0), (5e-4, 0.5), (1.5e-3, 0.1)):
        assert float(similarity(true + value, true, mask)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("span", [0.003, 0.02, 0.049, 0.2, 3.0])
def test_the_range_is_that_of_the_true_map_and_at_least_a_twentieth(span: float) -> None:
    """Of scikit-image with that range: a map that hardly varies is not stretched."""
    generator = torch.Generator().manual_seed(2)
    true = torch.rand(1, 1, 40, 40, dtype=torch.float64, generator=generator)
    true = 0.3 + span * (true - true.min()) / (true.max() - true.min())
    found = true + 0.3 * span * torch.rand(true.shape, dtype=torch.float64, generator=generator)
    ours = similarity_map(found, true, torch.ones_like(true))[0, 0].numpy()
    _, theirs = structural_similarity(
        *(x[0, 0].numpy() for x in (found, true)),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=max(span, 0.05),
        full=True,
    )
    np.testing.assert_allclose(ours[5:-5, 5:-5], theirs[5:-5, 5:-5], atol=1e-6)


def test_what_is_outside_the_mask_does_not_widen_the_range() -> None:
    true = torch.zeros(1, 1, 24, 24, dtype=torch.float64)
    true[..., :8] = 9.0
    mask = torch.zeros_like(true)
    mask[..., 8:] = 1.0
    found = torch.where(mask > 0, true + 5e-4, true)
    assert float(similarity(found, true, mask)) == pytest.approx(0.5, rel=1e-4)
    assert math.isfinite(float(similarity(found, true, 0.0 * mask)))
