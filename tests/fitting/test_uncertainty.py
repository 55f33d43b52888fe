"""Standard deviations of estimates: slopes against differences, and intervals against the truth."""

import math
from collections.abc import Callable

import pytest
import torch

from biofacenet import Decomposition, Illuminant
from biofacenet.data import Faces, generate
from biofacenet.fitting.image import Fit, fit
from biofacenet.fitting.uncertainty import UNKNOWNS, Spread, estimate, interval, slopes
from biofacenet.physics.colour import srgb_to_linear

Make = Callable[..., Decomposition]


def rendered(found: Decomposition) -> torch.Tensor:
    """(N, 3)"""
    return found.render(accuracy="fast")[0].flatten(1).T


def test_pixel_slopes_are_those_of_differences(random_decomposition: Make) -> None:
    found = random_decomposition(batch=1, height=5, width=6)
    step = 1e-6
    for column, name in enumerate(UNKNOWNS):
        ends = []
        for sign in (-1.0, 1.0):
            value = getattr(found, name)
            shading = name in ("diffuse", "specular")
            moved = value * math.exp(sign * step) if shading else value + sign * step
            ends.append(rendered(Decomposition(**{**vars(found), name: moved})))
        expected = (ends[1] - ends[0]) / (2 * step)
        # Between two entries the tables are straight: only a pixel beside one differs.
        torch.testing.assert_close(
            slopes(found).pixel[:, :, column], expected, rtol=1e-4, atol=1e-5
        )


def test_image_slopes_foretell_another_light_and_camera(random_decomposition: Make) -> None:
    found = random_decomposition(batch=1, height=5, width=6)
    light = found.illuminant
    share, kelvin, b = torch.zeros(14, dtype=torch.float64), 3.0, torch.tensor([0.01, -0.005])
    share[3], share[7] = 0.004, 0.003
    weights = light.weights * (1 - share.sum()) + share
    moved = Decomposition(
        *(getattr(found, name) for name in UNKNOWNS),
        Illuminant(weights, light.cct + kelvin),
        found.camera + b,
    )
    change = torch.cat((share, torch.tensor([kelvin], dtype=torch.float64), b.double()))
    expected = rendered(moved) - rendered(found)
    foretold = slopes(found).image @ change
    assert (foretold - expected).norm() < 0.03 * expected.norm()


def test_deviations_follow_from_what_a_picture_shows(random_decomposition: Make) -> None:
    found = random_decomposition(batch=1, height=8, width=8)
    usual = estimate(found)
    for name, level, deviation in zip(UNKNOWNS, Spread().level, Spread().deviation, strict=True):
        values = getattr(usual, name)
        assert values.shape == found.melanin.shape
        assert (values > 0).all()
        # A picture can only tell more than the prior alone.
        assert (values <= (level**2 + deviation**2) ** 0.5 + 1e-6).all()
    noisier = estimate(found, spread=Spread(noise=0.2))
    surer = estimate(found, spread=Spread(light=1e-6, cct=1e-6, camera=1e-6))
    for name in UNKNOWNS:
        assert (getattr(noisier, name) > getattr(usual, name)).all()
        assert (getattr(surer, name) <= getattr(usual, name) + 1e-6).all()
    # In the dark a picture tells nothing of pigments.
    dark = Decomposition(**{**vars(found), "diffuse": found.diffuse * 1e-4})
    assert estimate(dark).melanin.min() > 0.95 * (1.0 + 0.1**2) ** 0.5


def test_whole_posterior_is_that_of_the_linear_model_solved_at_once(
    random_decomposition: Make,
) -> None:
    """With one patch for each pixel, the formulas are those of one large Gaussian."""
    found = random_decomposition(batch=1, height=2, width=3)
    count, spread = 6, Spread(patches=6)
    local = slopes(found)
    # Unknowns: deviations of 6 pixels, then the level, then light and camera.
    design = torch.zeros(3 * count, 4 * count + 21, dtype=torch.float64)
    for i in range(count):
        rows = slice(3 * i, 3 * i + 3)
        design[rows, 4 * i : 4 * i + 4] = local.pixel[i]
        design[rows, 4 * count :] = torch.cat((local.pixel[i], local.image[i]), dim=1)
    shared = [*spread.level, *[spread.light] * 14, spread.cct, spread.camera, spread.camera]
    prior = torch.tensor([*spread.deviation] * count + shared, dtype=torch.float64) ** -2
    covariance = torch.linalg.inv(torch.diag(prior) + design.T @ design / spread.noise**2)
    found_ones = estimate(found, spread=spread)
    for column, name in enumerate(UNKNOWNS):
        mean = torch.zeros(4 * count + 21, dtype=torch.float64)
        for i in range(count):
            both = torch.zeros(4 * count + 21, dtype=torch.float64)
            both[4 * i + column] = both[4 * count + column] = 1.0
            mean += both / count
            expected = (both @ covariance @ both).sqrt().float()
            torch.testing.assert_close(
                getattr(found_ones, name).flatten()[i], expected, rtol=1e-4, atol=1e-6
            )
        expected = float((mean @ covariance @ mean).sqrt())
        assert getattr(found_ones, f"face_{name}") == pytest.approx(expected, rel=1e-4)


FACES = 24


@pytest.fixture(scope="module")
def faces() -> Faces:
    return generate(range(830_000, 830_000 + FACES), noise=False, skin="published")


@pytest.fixture(scope="module")
def fitted(faces: Faces) -> Fit:
    return fit(srgb_to_linear(faces.image), faces.mask, skin="published")


@pytest.mark.slow
def test_intervals_of_68_percent_hold_the_truth_about_so_often(faces: Faces, fitted: Fit) -> None:
    pixels: dict[str, list[torch.Tensor]] = {name: [] for name in UNKNOWNS}
    means: dict[str, list[bool]] = {name: [] for name in UNKNOWNS}
    for i in range(FACES):
        found = fitted.decomposition[i]
        mask = faces.mask[i : i + 1]
        said = estimate(found, mask)
        for name in UNKNOWNS:
            ours, true = getattr(found, name)[mask > 0], getattr(faces.truth[i], name)[mask > 0]
            if name in ("diffuse", "specular"):
                ours, true = ours.clamp(min=1e-3).log(), true.clamp(min=1e-3).log()
            error = (ours - true).abs()
            pixels[name].append(error < getattr(said, name)[mask > 0])
            means[name].append(bool((ours - true).mean().abs() < getattr(said, f"face_{name}")))
    for name in UNKNOWNS:
        covered = torch.cat(pixels[name]).float().mean()
        of_faces = sum(means[name]) / FACES
        print(f"{name}: {covered:.2f} of pixels, {of_faces:.2f} of faces")  # noqa: T201
        # Of the curvature alone: calibration stretches them (test_calibration.py).
        assert 0.4 < covered < 0.87
        # 24 faces: three standard errors are 0.29.
        assert 0.3 < of_faces < 0.96


@pytest.mark.slow
def test_deviations_tell_sure_pixels_from_unsure_ones(faces: Faces, fitted: Fit) -> None:
    """Across faces, errors of melanin are larger where they are said to be."""
    said, errors = [], []
    for i in range(FACES):
        mask = faces.mask[i : i + 1] > 0
        said.append(estimate(fitted.decomposition[i], mask.float()).melanin[mask].mean())
        error = fitted.decomposition.melanin[i] - faces.truth.melanin[i]
        errors.append(error[mask[0]].abs().mean())
    both = torch.stack((torch.stack(said), torch.stack(errors))).argsort(dim=1).argsort(dim=1)
    assert torch.corrcoef(both.float())[0, 1] > 0.15


def test_an_interval_of_a_fraction_holds_its_value_and_stays_in_range() -> None:
    low, high = interval("melanin", 0.0, 0.1, skin="published")
    assert 0 < low < 0.43 * 0.505**3 < high < 0.43
    assert high - 0.43 * 0.505**3 > 0.43 * 0.505**3 - low
    assert interval("haemoglobin", 0.95, 0.3, skin="measured")[1] == pytest.approx(0.07)


def test_other_shapes_are_refused(random_decomposition: Make) -> None:
    with pytest.raises(ValueError, match="batch of 2"):
        slopes(random_decomposition(batch=2))
    with pytest.raises(ValueError, match=r"\(1, 1, 4, 5\)"):
        estimate(random_decomposition(batch=1), torch.ones(1, 1, 5, 5))
