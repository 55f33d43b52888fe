"""The terms of the objective against hand-computed cases, and what earlier versions got wrong."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from biofacenet.decomposition import Decomposition
from biofacenet.physics.colour import luminance
from biofacenet.physics.illuminant import Illuminant
from biofacenet.training.losses import (
    VEIL,
    appearance_loss,
    camera_loss,
    objective,
    shading_loss,
    specular_loss,
    truth_loss,
    veil_loss,
)
from biofacenet.training.settings import LossWeights


def at_random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def half_mask() -> Tensor:
    mask = torch.zeros(2, 1, 4, 4, dtype=torch.float64)
    mask[:, :, :, :2] = 1.0
    return mask


def test_appearance_is_the_squared_error_on_the_0_255_scale_per_masked_pixel() -> None:
    image = at_random(2, 3, 4, 4)
    mask = torch.zeros(2, 1, 4, 4, dtype=torch.float64)
    mask[0, 0, 0, 0] = mask[1, 0, 2, 3] = 1.0
    rendered = image.clone()
    rendered[0, :, 0, 0] += torch.tensor([0.1, 0.0, -0.2], dtype=torch.float64)
    rendered[1, :, 1, 1] += 7.0  # outside the mask
    expected = (25.5**2 + 51.0**2) / 2
    assert float(appearance_loss(rendered, image, mask)) == pytest.approx(expected)


def test_pixel_terms_do_not_depend_on_how_much_lies_outside_the_mask() -> None:
    """The pitfall: a mean over all pixels rewards small masks."""
    image, rendered, mask = at_random(2, 3, 4, 4), at_random(2, 3, 4, 4, seed=1), half_mask()
    specular, diffuse = at_random(2, 1, 4, 4, seed=2), at_random(2, 1, 4, 4, seed=3)

    def padded(x: Tensor) -> Tensor:
        return torch.nn.functional.pad(x, (0, 12, 0, 12), value=0.7)

    wide = torch.nn.functional.pad(mask, (0, 12, 0, 12))
    for narrow_value, wide_value in (
        (
            appearance_loss(rendered, image, mask),
            appearance_loss(padded(rendered), padded(image), wide),
        ),
        (specular_loss(specular, mask), specular_loss(padded(specular), wide)),
        (
            shading_loss(diffuse, specular, mask),
            shading_loss(padded(diffuse), padded(specular), wide),
        ),
    ):
        assert float(narrow_value) == pytest.approx(float(wide_value), rel=1e-12)


def test_specular_is_the_mean_of_magnitudes_in_the_mask() -> None:
    specular = at_random(2, 1, 4, 4)
    assert float(specular_loss(specular, half_mask())) == pytest.approx(
        float(specular[:, :, :, :2].mean())
    )


def test_camera_is_the_squared_length() -> None:
    camera = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert float(camera_loss(camera)) == pytest.approx((25 + 1) / 2)


def test_shading_ignores_the_scale_of_each_image() -> None:
    proxy, mask = at_random(2, 1, 4, 4), half_mask()
    factors = torch.tensor([3.0, 0.02], dtype=torch.float64)[:, None, None, None]
    assert float(shading_loss(proxy * factors, proxy, mask)) == pytest.approx(0.0, abs=1e-20)


def test_shading_scale_is_the_least_squares_optimum() -> None:
    proxy, diffuse, mask = at_random(1, 1, 4, 4), at_random(1, 1, 4, 4, seed=1), half_mask()[:1]
    best = min(
        float((((scale * diffuse - proxy) * mask) ** 2).sum() / mask.sum())
        for scale in torch.linspace(0.0, 3.0, 30001, dtype=torch.float64)
    )
    assert float(shading_loss(diffuse, proxy, mask)) == pytest.approx(best, abs=1e-8)


def test_an_empty_mask_gives_zero_not_nan() -> None:
    image, mask = at_random(1, 3, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    diffuse = at_random(1, 1, 4, 4).requires_grad_()
    total = appearance_loss(image, image + 1, mask) + shading_loss(diffuse, diffuse.detach(), mask)
    total.backward()
    assert float(total.detach()) == 0.0
    assert torch.isfinite(diffuse.grad).all()


def a_decomposition() -> Decomposition:
    maps = [at_random(2, 1, 4, 4, seed=seed) for seed in range(4)]
    weights = torch.full((2, 14), 1 / 14, dtype=torch.float64)
    light = Illuminant(weights, torch.full((2,), 6500.0, dtype=torch.float64))
    return Decomposition(*maps, light, at_random(2, 2, seed=9))


def test_total_is_the_published_weighted_sum() -> None:
    decomposition, mask = a_decomposition(), half_mask()
    image, proxy = at_random(2, 3, 4, 4, seed=7), at_random(2, 1, 4, 4, seed=8)
    rendered = decomposition.render()
    terms = objective(decomposition, rendered, image, mask, proxy)
    expected = (
        1e-3 * appearance_loss(rendered, image, mask)
        + 1e-4 * camera_loss(decomposition.camera)
        + 1e-5 * specular_loss(decomposition.specular, mask)
        + 1e-5 * shading_loss(decomposition.diffuse, proxy, mask)
    )
    assert float(terms.total) == pytest.approx(float(expected), rel=1e-12)
    assert terms.values()["camera"] == pytest.approx(float(camera_loss(decomposition.camera)))


def test_truth_is_the_mean_over_the_mask_of_named_errors() -> None:
    truth, mask = a_decomposition(), half_mask()
    found = truth.map(torch.clone)
    found.diffuse[0, 0, 3, 0] += 0.5
    found.specular[1, 0, 0, 1] += 0.7
    found.melanin[:, :, :, 3] += 5.0  # outside the mask
    inside = (slice(None), slice(None), slice(None), slice(0, 2))
    diffuse = truth.diffuse[inside].mean(dim=(1, 2, 3))
    bright = luminance(truth.render())[inside].mean(dim=(1, 2, 3))
    matt = replace(truth, specular=0.0 * truth.specular).render()
    body = matt[0, :, 3, 0] * 0.5 / truth.diffuse[0, 0, 3, 0]  # linear in the shading
    expected = (
        (0.5 / diffuse[0]) ** 2
        + (body / bright[0]).square().sum()
        + (0.3425 * 0.7 / bright[1]) ** 2
    )
    assert float(truth_loss(found, truth, mask)) == pytest.approx(float(expected) / 16, rel=1e-4)
    found = truth.map(torch.clone)
    found.camera[1] += torch.tensor([0.6, -0.8], dtype=torch.float64)
    mask[1] = 0.0  # the camera also changes what is rendered
    assert float(truth_loss(found, truth, mask)) == pytest.approx(0.05 * 1.0 / 2)
    found = truth.map(torch.clone)
    found.illuminant.weights[1] = torch.eye(14, dtype=torch.float64)[0]
    off = 33.0 * (found.spectrum() - truth.spectrum())[1]
    assert float(truth_loss(found, truth, mask)) == pytest.approx(
        0.05 * float(off.square().mean()) / 2
    )


@pytest.mark.parametrize("pigment", ["melanin", "haemoglobin"])
def test_truth_counts_pigments_as_they_are_and_as_they_look(pigment: str) -> None:
    truth, mask = a_decomposition(), half_mask()
    found = truth.map(torch.clone)
    getattr(found, pigment)[0, 0, 1, 1] += 0.02
    matt = [replace(one, specular=0.0 * one.specular).render() for one in (found, truth)]
    bright = luminance(truth.render())[0, :, :, :2].mean()
    seen = ((matt[0] - matt[1])[0, :, 1, 1] / bright).square().sum()
    assert float(truth_loss(found, truth, mask)) == pytest.approx(float(0.02**2 + seen) / 16)


def test_truth_counts_dark_skin_as_light_skin() -> None:
    """The same highlight, as strong as half the face, costs the same on both."""
    mask, costs = half_mask(), []
    for melanin in (-0.8, 0.8):
        truth = a_decomposition()
        truth.melanin.fill_(melanin)
        truth.specular.zero_()
        bright = luminance(truth.render())[:, :, :, :2].mean(dim=(1, 2, 3), keepdim=True)
        found = truth.map(torch.clone)
        found.specular += 0.5 * bright / 0.3425
        costs.append(float(truth_loss(found, truth, mask)))
    assert costs == pytest.approx([0.25, 0.25], rel=1e-3)


def test_truth_of_the_parts_of_a_batch_adds_up() -> None:
    truth, mask = a_decomposition(), half_mask()
    mask[1, :, :2] = 0.0
    found = truth.map(lambda values: values + 0.1)
    parts = [
        truth_loss(found[i], truth[i], mask[i : i + 1], pixels=mask.sum(), images=2) for i in (0, 1)
    ]
    assert float(sum(parts)) == pytest.approx(float(truth_loss(found, truth, mask)))


@pytest.mark.parametrize("term", ["appearance", "camera", "specular", "shading", "truth"])
def test_each_term_can_be_weighted_alone(term: str) -> None:
    decomposition, mask = a_decomposition(), half_mask()
    image, proxy = at_random(2, 3, 4, 4, seed=7), at_random(2, 1, 4, 4, seed=8)
    alone = {"appearance": 0.0, "camera": 0.0, "specular": 0.0, "shading": 0.0, term: 2.0}
    terms = objective(
        decomposition,
        decomposition.render(),
        image,
        mask,
        proxy,
        LossWeights(**alone),
        truth=decomposition.map(lambda values: values + 0.1),
    )
    assert float(terms.total) == pytest.approx(2.0 * terms.values()[term], rel=1e-12)
    assert terms.values()[term] > 0


def test_appearance_compares_linear_not_display_values() -> None:
    """The pitfall: in sRGB-encoded space equal linear errors weigh more in the dark."""
    mask = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    values = [
        float(
            appearance_loss(
                torch.full((1, 3, 1, 1), level + 0.01, dtype=torch.float64),
                torch.full((1, 3, 1, 1), level, dtype=torch.float64),
                mask,
            )
        )
        for level in (0.02, 0.7)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    assert values[0] == pytest.approx(3 * 2.55**2, rel=1e-9)
    assert math.isfinite(values[0])


def shining(
    specular: Tensor, mask: Tensor, images: int | None = None, diffuse: float = 0.8
) -> Tensor:
    """The loss of faces in even light with this specular shading, (B, 1, H, W)."""
    return veil_loss(torch.full_like(specular, diffuse), specular, mask, images)


def test_a_veil_is_what_the_less_shining_half_of_a_face_has_over_the_limit() -> None:
    mask = torch.ones(2, 1, 4, 4)
    even = torch.full((2, 1, 4, 4), 0.8 * VEIL)
    assert float(shining(even, mask)) == pytest.approx(0.0, abs=1e-9)
    thrice = torch.cat((even[:1], 3.0 * even[:1]))
    assert float(shining(thrice, mask)) == pytest.approx(2.0**2 / 2)
    assert float(shining(thrice, mask, 8)) == pytest.approx(2.0**2 / 8)
    # The same light on more skin: it is the ratio that counts.
    assert float(shining(thrice, mask, diffuse=2.4)) == pytest.approx(0.0, abs=1e-9)


def test_highlights_are_no_veil_and_what_is_beside_the_mask_does_not_count() -> None:
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1.0
    specular = torch.full((1, 1, 4, 4), 0.02)
    specular[..., 2:] = 9.0  # beside the mask
    specular[:, :, :2, :2] = 5.0  # half of it
    assert float(shining(specular, mask)) == pytest.approx(0.0, abs=1e-9)
    specular[:, :, 2, :2] = 5.0  # more than half
    assert float(shining(specular, mask)) > 1.0
    assert float(shining(specular, 0.0 * mask)) == 0.0


def test_a_veil_pulls_down_the_pixels_that_count_alone() -> None:
    specular = torch.linspace(0.5, 1.0, 16).reshape(1, 1, 4, 4).requires_grad_()
    mask = torch.ones(1, 1, 4, 4)
    mask[..., 3, 3] = 0.0
    (slope,) = torch.autograd.grad(shining(specular, mask), specular)
    assert torch.isfinite(slope).all()
    assert (slope.flatten()[:8] > 0.0).all()
    assert (slope.flatten()[8:] == 0.0).all()
