"""Metrics against cases worked out by hand, and against other libraries."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from skimage.color import rgb2lab
from skimage.metrics import structural_similarity

from biofacenet import Decomposition, Illuminant
from biofacenet.evaluation.metrics import (
    COLUMNS,
    Errors,
    albedo,
    angle,
    best_scale,
    colour_temperature,
    individual_typology_angle,
    lab,
    light_colour,
    masked_mean,
    mean_square,
    measure,
    rank_correlation,
    rank_within,
    similarity,
    similarity_map,
    skin_tones,
)
from biofacenet.evaluation.summary import rmse, summarise, tone_groups
from biofacenet.physics.colour import linear_to_srgb
from biofacenet.physics.illuminant import daylight, fixed_spectra
from biofacenet.physics.skin import reflectance_table


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, 1, -1)


def test_errors_count_only_what_is_inside() -> None:
    found, true, mask = row(1, 2, 9), row(0, 4, 0), row(1, 1, 0)
    assert masked_mean(found, mask) == 1.5
    assert mean_square(found, true, mask) == (1 + 4) / 2
    three = torch.cat((found, found, found), dim=1)
    assert mean_square(three, torch.cat((true, found, found), dim=1), mask) == 5 / 6
    assert mean_square(found, true, 0 * mask) == 0


def test_scale_is_the_least_squares_one() -> None:
    found, true, mask = row(1, 2, 5), row(3, 5, 0), row(1, 1, 0)
    assert best_scale(found, true, mask).item() == pytest.approx(13 / 5)
    assert best_scale(0 * found, true, mask).item() == 1.0


@pytest.mark.parametrize("channels", [1, 3])
def test_similarity_is_that_of_scikit_image(channels: int) -> None:
    generator = torch.Generator().manual_seed(1)
    true = torch.rand(2, channels, 40, 33, generator=generator)
    found = true + 0.2 * torch.rand(true.shape, generator=generator)
    ours = similarity_map(found, true, torch.ones(2, 1, 40, 33))
    for i in range(2):
        _, theirs = structural_similarity(
            *(x[i].permute(1, 2, 0).double().numpy() for x in (found, true)),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=float(true[i].max() - true[i].min()),
            channel_axis=2,
            full=True,
        )
        # Within the border, where the two treat what is missing differently.
        inner = ours[i].permute(1, 2, 0).numpy()[5:-5, 5:-5]
        np.testing.assert_allclose(inner, theirs[5:-5, 5:-5], atol=1e-5)


def test_similarity_inside_a_mask() -> None:
    generator = torch.Generator().manual_seed(0)
    true = torch.rand(1, 1, 24, 24, generator=generator)
    mask = torch.zeros_like(true)
    mask[..., 4:20, 6:18] = 1
    other = torch.where(mask > 0, true, 7 * torch.rand(true.shape, generator=generator))
    assert similarity(true, true, mask) == pytest.approx(1.0, abs=1e-6)
    torch.testing.assert_close(
        similarity(true + 0.1 * mask, true, mask), similarity(other + 0.1, other, mask)
    )
    # Constant 0.5 for constant 0.25: variances vanish, luminance and its constant remain.
    flat = torch.full_like(true, 0.25)
    c1 = (0.01 * 0.05) ** 2
    expected = (2 * 0.25 * 0.5 + c1) / (0.25**2 + 0.5**2 + c1)
    assert similarity(2 * flat, flat, mask).item() == pytest.approx(expected, abs=1e-4)


def test_rank_correlation() -> None:
    found = torch.tensor([1.0, 2.0, 2.0, 5.0, 0.0])
    true = torch.tensor([3.0, 1.0, 4.0, 9.0, 2.0])
    assert rank_correlation(found, true) == pytest.approx(spearmanr(found, true).statistic)
    assert rank_correlation(true**3, true) == pytest.approx(1.0)
    assert rank_correlation(-true, true) == pytest.approx(-1.0)
    assert rank_correlation(torch.ones(5), true) == 0.0
    assert math.isnan(rank_correlation(true, torch.ones(5)))
    maps = torch.stack((true, true.flip(0))).reshape(2, 1, 1, 5)
    mask = torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0]).expand(2, 1, 1, 5)
    within = rank_within(maps, true.expand(2, 1, 1, 5), mask)
    # 3, 1, 9 are themselves; the reverse has 2, 9, 1 for 3, 1, 9: the opposite order.
    assert within.tolist() == pytest.approx([1.0, -1.0])


def test_colour_of_lights() -> None:
    assert angle(row(1, 0, 0)[0, 0], row(3, 0, 0)[0, 0]).item() == 0.0
    assert angle(row(1, 0, 0)[0, 0], row(0, 2, 0)[0, 0]).item() == pytest.approx(90.0)
    assert angle(row(1, 1, 0)[0, 0], row(1, 0, 0)[0, 0]).item() == pytest.approx(45.0)
    white = light_colour(daylight(torch.tensor([6504.0], dtype=torch.float64)))
    assert angle(white, torch.ones(1, 3)).item() < 0.5
    temperatures = torch.tensor([5003.0, 6504.0, 9000.0], dtype=torch.float64)
    assert colour_temperature(daylight(temperatures)).tolist() == pytest.approx(
        temperatures.tolist(), rel=0.01
    )
    assert colour_temperature(fixed_spectra()[:1]).item() == pytest.approx(2856.0, abs=10.0)


def test_lab_and_typology_angle() -> None:
    linear = torch.tensor([[0.2, 0.5, 0.1], [1.0, 1.0, 1.0], [0.001, 0.002, 0.0015]])
    encoded = linear_to_srgb(linear).double().numpy()
    np.testing.assert_allclose(lab(linear).numpy(), rgb2lab(encoded), atol=0.05)
    tones = individual_typology_angle(torch.tensor([[70.0, 9.0, 20.0], [30.0, 9.0, 20.0]]))
    assert tones.tolist() == pytest.approx([45.0, -45.0])


def test_groups_of_skin_tone() -> None:
    tone = torch.tensor([80.0, 55.0, 41.0, 28.0, 10.0, -30.0, -80.0])
    names = ["very light", "light", "intermediate", "tan", "brown", "dark"]
    groups = tone_groups(tone)
    assert list(groups) == names
    assert [groups[name].nonzero().flatten().tolist() for name in names] == [
        *([[0], [1], [2], [3], [4], [5, 6]]),
    ]


def test_darker_skin_has_a_smaller_angle_in_any_light(
    random_decomposition: Callable[..., Decomposition],
) -> None:
    skin = random_decomposition(batch=4, dtype=torch.float32)
    skin.haemoglobin.fill_(-0.3)
    for i, melanin in enumerate((-0.8, -0.3, 0.2, 0.7)):
        skin.melanin[i] = melanin
    mask = torch.ones_like(skin.melanin)
    tones = skin_tones(skin, mask)
    assert (tones.diff() < 0).all()
    assert tones[0] > 55
    assert tones[3] < -30
    other = Decomposition(*skin.arguments())
    other.illuminant = Illuminant.standard("A", batch=4)
    other.camera = torch.zeros(4, 2)
    torch.testing.assert_close(skin_tones(other, mask), tones)


def test_albedo_of_a_white_is_1(random_decomposition: Callable[..., Decomposition]) -> None:
    """By the trace of the reference, over what a reflectance of 1 would give."""
    found = random_decomposition(dtype=torch.float32)
    trace = found.trace()
    white = trace.raw_to_xyz.sum(dim=2) @ torch.tensor([-0.9689, 1.8758, 0.0415])
    expected = trace.albedo / white[0]
    torch.testing.assert_close(albedo(found), expected, rtol=2e-3, atol=1e-5)
    assert reflectance_table().max() < 1


@pytest.fixture
def truth(random_decomposition: Callable[..., Decomposition]) -> Decomposition:
    return random_decomposition(batch=3, height=12, width=10, dtype=torch.float32)


def judged(found: Decomposition, truth: Decomposition) -> Errors:
    return measure(found, truth, truth.render(), torch.ones_like(truth.melanin))


def test_the_truth_has_no_error(truth: Decomposition) -> None:
    errors = judged(truth, truth)
    assert all(square.max() < 1e-12 for square in errors.square.values())
    assert all(one.min() > 0.9999 for one in errors.similarity.values())
    for one in (errors.light_angle, errors.light_kelvin, errors.camera_square, errors.curves):
        assert one.max() < 1e-5
    figures = summarise(errors)
    assert figures["rank_within"] == pytest.approx(dict.fromkeys(figures["rank_within"], 1.0))
    assert figures["rank_between"] == pytest.approx(dict.fromkeys(figures["rank_within"], 1.0))


def test_what_a_scale_forgives_and_what_it_does_not(truth: Decomposition) -> None:
    brighter = truth.edit(diffuse_scale=2.0)
    square = judged(brighter, truth).square
    assert square["diffuse"].max() < 1e-10
    torch.testing.assert_close(square["diffuse_plain"], truth.diffuse.square().mean((1, 2, 3)))
    for name in ("specular", "albedo", "melanin", "haemoglobin"):
        assert square[name].max() < 1e-12
    assert square["reconstruction"].min() > 1e-3

    shinier = truth.edit(specular_scale=2.0)
    unit = truth.diffuse.mean((1, 2, 3))
    torch.testing.assert_close(
        judged(shinier, truth).square["specular"],
        truth.specular.square().mean((1, 2, 3)) / unit**2,
    )


def test_errors_of_pigments_light_and_camera(truth: Decomposition) -> None:
    found = truth.map(lambda x: x.clone())
    found.melanin += 0.1
    found.haemoglobin -= 0.2
    found.camera += torch.tensor([0.3, 0.4])
    found.illuminant = Illuminant.standard("A", batch=3)
    errors = judged(found, truth)
    figures = summarise(errors)
    assert figures["rmse"]["melanin"] == pytest.approx(0.1, abs=1e-5)
    assert figures["rmse"]["haemoglobin"] == pytest.approx(0.2, abs=1e-5)
    assert figures["camera"]["b_rmse"] == pytest.approx(math.sqrt((0.09 + 0.16) / 2), abs=1e-5)
    assert figures["light"]["angle_degrees"] > 10
    kelvin = colour_temperature(truth.spectrum())
    expected = (kelvin - colour_temperature(found.spectrum())).abs().mean()
    assert figures["light"]["cct_kelvin"] == pytest.approx(float(expected))


def test_each_face_counts_alike_and_groups_count_their_own(truth: Decomposition) -> None:
    found = truth.map(lambda x: x.clone())
    found.melanin[0] += 0.3
    errors = judged(found, truth)
    errors.tone = torch.tensor([-50.0, 60.0, 50.0])
    figures = summarise(errors)
    assert figures["rmse"]["melanin"] == pytest.approx(0.3 / math.sqrt(3), abs=1e-5)
    tones = figures["by_skin_tone"]
    assert tones["dark"]["faces"] == tones["light"]["faces"] == 1
    assert tones["dark"]["rmse"]["melanin"] == pytest.approx(0.3, abs=1e-5)
    assert tones["tan"] == {"faces": 0, "rmse": dict.fromkeys(tones["dark"]["rmse"])}
    found.melanin[1] += 0.2
    errors = judged(found, truth)
    errors.tone = torch.tensor([-50.0, 60.0, 50.0])
    ratio = summarise(errors)["dark_to_light"]
    assert set(ratio) == set(COLUMNS)
    assert ratio["melanin"] == pytest.approx(0.3 / (0.2 / math.sqrt(2)), rel=1e-4)


def test_joined_errors(truth: Decomposition) -> None:
    found = truth.edit(melanin=0.1)
    whole = judged(found, truth)
    parts = [judged(found[i], truth[i]) for i in range(3)]
    joined = Errors.join(parts)
    everyone = torch.ones(3, dtype=torch.bool)
    assert rmse(joined, everyone) == pytest.approx(rmse(whole, everyone), rel=1e-5)
