"""What synthetic faces look like: skin tones, marks, lights, highlights, covers and the photograph."""

import math

import numpy as np
import pytest
import torch

from biofacenet.data import Faces, generate
from biofacenet.data.synthetic.covers import draw_covers
from biofacenet.data.synthetic.draws import Draws
from biofacenet.data.synthetic.hair import draw_hair
from biofacenet.data.synthetic.identity import draw_identity
from biofacenet.data.synthetic.light import LIGHT_KINDS, draw_lights
from biofacenet.data.synthetic.parts import divide_into_parts
from biofacenet.data.synthetic.photograph import eight_bits, photograph, second_colour
from biofacenet.data.synthetic.shading import highlight
from biofacenet.data.synthetic.spots import FINE, spots_at, stroke
from biofacenet.data.synthetic.tones import MEASURED_GROUPS, MEASURED_LIMITS, draw_tone
from biofacenet.data.synthetic.view import place_head
from biofacenet.decomposition.parts import PART_NAMES
from biofacenet.physics.lighting import directional_light

MANY = 600


@pytest.fixture(scope="module")
def faces() -> Faces:
    return generate(range(24), seed=11, size=32, skin="measured")


def test_each_group_of_lightness_is_drawn_as_often() -> None:
    tones = np.array([vars(draw_tone(Draws(0, i), "measured")).copy() for i in range(MANY)])
    melanin = np.array([tone["melanin"] for tone in tones])
    middles = np.array([group.melanin for group in MEASURED_GROUPS.values()])
    nearest = np.abs(melanin[:, None] - middles).argmin(axis=1)
    shares = np.bincount(nearest, minlength=len(middles)) / MANY
    assert shares.min() > 0.5 / len(middles)
    assert shares.max() < 1.6 / len(middles)
    (low, high), _ = MEASURED_LIMITS
    assert low <= melanin.min() < -0.35
    assert 0.5 < melanin.max() <= high


def test_blood_varies_between_people_as_redness_does() -> None:
    blood = np.array([draw_tone(Draws(1, i), "measured").haemoglobin for i in range(MANY)])
    assert 0.25 < blood.std() < 0.45  # 0.34 between the subjects of the archive
    published = np.array([draw_tone(Draws(1, i), "published").haemoglobin for i in range(MANY)])
    assert 0.08 < published.std() < 0.2


@pytest.mark.parametrize("skin", ["measured", "published"])
def test_another_melanin_leaves_all_else(skin: str) -> None:
    dark, light = (generate([5], size=32, skin=skin, melanin=m) for m in (0.5, -0.3))  # type: ignore[arg-type]
    torch.testing.assert_close(dark.truth.camera, light.truth.camera)
    torch.testing.assert_close(dark.truth.illuminant.weights, light.truth.illuminant.weights)
    torch.testing.assert_close(dark.normals, light.normals)


def test_the_size_of_the_picture_changes_no_draw() -> None:
    small, large = (generate([3, 8], seed=2, size=size, skin="measured") for size in (32, 64))
    torch.testing.assert_close(small.truth.illuminant.cct, large.truth.illuminant.cct)
    torch.testing.assert_close(small.truth.camera, large.truth.camera)
    shrunk = torch.nn.functional.avg_pool2d(large.truth.melanin, 2)
    assert (shrunk - small.truth.melanin).abs().median() < 0.05


def test_spots_are_where_they_were_put() -> None:
    texture = spots_at(np.array([[0.25, 0.05]]), np.array([0.02]), np.array([0.7]))[0, 0]
    row, column = divmod(int(texture.argmax()), FINE[1])
    assert column == pytest.approx((0.25 + 1.0) / 2.0 * (FINE[1] - 1), abs=1.0)
    assert row == pytest.approx((1.35 - 0.05) / 2.6 * (FINE[0] - 1), abs=1.0)
    assert float(texture.max()) == pytest.approx(0.7, rel=0.1)
    outside = spots_at(np.array([[5.0, 5.0]]), np.array([0.02]), np.array([1.0]))
    assert float(outside.abs().max()) == 0.0


def test_a_stroke_is_about_as_high_all_along() -> None:
    line = stroke(np.array([-0.3, 0.0]), np.array([0.3, 0.0]), 0.02, 0.0)[0, 0]
    middle = line.amax(dim=0)[40:120]
    along = middle[middle > 0.5 * middle.max()]
    assert len(along) > 0.8 * 0.6 / 2.0 * FINE[1]
    assert 0.7 < float(along.mean()) < 1.3


def sphere(size: int) -> torch.Tensor:
    steps = (torch.arange(size) + 0.5) / size * 2.0 - 1.0
    x, y = torch.meshgrid(steps, -steps, indexing="xy")
    z = (1.0 - x.square() - y.square()).clamp(min=0.0).sqrt()
    return torch.stack((x, y, z))


@pytest.mark.parametrize("alpha", [0.15, 0.3, 0.6])
def test_a_highlight_head_on_is_that_of_the_formula(alpha: float) -> None:
    """At n = l = v: D = 1 / (pi alpha^2), G = 1, F = F0, so pi D G F / 4 = F0 / (4 alpha^2)."""
    ahead = torch.tensor([0.0, 0.0, 1.0])
    normal = ahead[:, None, None]
    found = highlight(normal, ahead, torch.full((1, 1), alpha), 0.028)
    assert float(found) == pytest.approx(0.028 / (4.0 * alpha**2), rel=1e-4)


def test_a_highlight_lies_where_the_normal_halves_light_and_viewer() -> None:
    size = 101
    angle = math.radians(40.0)
    direction = torch.tensor([math.sin(angle), 0.0, math.cos(angle)])
    found = highlight(sphere(size), direction, torch.full((size, size), 0.15), 0.028)
    row, column = divmod(int(found.argmax()), size)
    assert row == size // 2
    assert (column + 0.5) / size * 2.0 - 1.0 == pytest.approx(math.sin(angle / 2.0), abs=0.06)


@pytest.mark.parametrize("alpha", [0.3, 0.5])
def test_microfacets_return_no_more_than_falls_in(alpha: float) -> None:
    """White ones, head on: all but what goes below the horizon, past 45 degrees of tilt, or is masked."""
    angles = (np.arange(90) + 0.5) / 90.0 * (np.pi / 2.0)
    normal, rough = torch.tensor([0.0, 0.0, 1.0])[:, None, None], torch.full((1, 1), alpha)
    values = [
        float(highlight(normal, torch.tensor([math.sin(a), 0.0, math.cos(a)]), rough, 1.0))
        for a in angles
    ]
    returned = float((2.0 * np.array(values) * np.sin(angles)).sum() * (angles[1] - angles[0]))
    reached = 1.0 / (1.0 + alpha**2)  # GGX's share of facets that tilt by less than 45 degrees
    assert 0.8 * reached < returned < reached


def test_all_kinds_of_light_are_drawn_and_come_from_where_they_say() -> None:
    found = [draw_lights(Draws(3, i)) for i in range(200)]
    assert {lights.kind for lights in found} == set(LIGHT_KINDS)
    for lights in found:
        main = lights.sources[0].direction
        assert float(main.norm()) == pytest.approx(1.0, abs=1e-5)
        if lights.kind == "below":
            assert main[1] < -0.3
        if lights.kind == "back":
            assert main[2] < 0.0
        if lights.kind == "side":
            assert abs(float(main[0])) > 0.5
        sources = sum(s.strength * directional_light(s.direction) for s in lights.sources)
        torch.testing.assert_close(lights.lighting[0], lights.ambient[0] + sources)


def test_a_second_colour_comes_from_its_side_alone() -> None:
    lights = next(
        lights
        for lights in (draw_lights(Draws(4, i)) for i in range(100))
        if not torch.equal(lights.tint, torch.ones(3))
    )
    away = -lights.tinted[:, None, None]
    grey = torch.full((3, 1, 1), 0.3)
    torch.testing.assert_close(second_colour(grey, away, lights), grey)
    toward = second_colour(grey, -away, lights)
    torch.testing.assert_close(toward[:, 0, 0], 0.3 * lights.tint)


def test_covers_leave_no_skin_below_them() -> None:
    glasses = hats = 0
    for index in range(40):
        draws = Draws(6, index)
        who = draw_identity(draws, "measured")
        view = place_head(draws, who, 16)
        covers = draw_covers(draws, who, view)
        hair = draw_hair(draws, who).on_head(view, draws.grain(view.x))
        parts = covers.over(divide_into_parts(view, hair))
        covered = covers.glasses | covers.cloth
        for part in (parts.skin, parts.face_skin, parts.eye, parts.hair, parts.mouth):
            assert not (part & covered).any()
        assert not (covers.glasses & covers.cloth).any()
        glasses += bool(covers.glasses.any())
        hats += bool(covers.cloth.any())
    assert 2 < glasses < 24
    assert 1 < hats < 17


def test_every_part_is_seen_in_some_face(faces: Faces) -> None:
    assert faces.geometry is not None
    assert set(faces.geometry.parts.unique().tolist()) == set(range(len(PART_NAMES)))


def test_photographs_are_of_eight_bits_and_keep_what_is_seen() -> None:
    ramp = torch.linspace(0.02, 0.8, 48).expand(3, 48, 48)
    plain = eight_bits(ramp)
    noisy = []
    for index in range(30):
        taken = photograph(Draws(9, index), ramp)
        assert torch.equal(taken, photograph(Draws(9, index), ramp))
        assert taken.shape == ramp.shape
        assert 0.0 <= float(taken.min()) <= float(taken.max()) <= 1.0
        noisy.append(taken)
        assert float((taken.mean(dim=0).mean(dim=0).diff() > -0.05).float().mean()) > 0.9
    off = (torch.stack(noisy) - plain).abs()
    assert 0.003 < float(off.median()) < 0.08
    # Balance is off by some percent, and neutral on average.
    shift = torch.stack([(p[0] / p[1].clamp(min=0.05)).median() for p in noisy])
    assert 0.9 < float(shift.min()) < 0.99
    assert 1.01 < float(shift.max()) < 1.12
