"""Synthetic faces of a chosen melanin or turn: what was chosen, and all else as drawn."""

import pytest
import torch

from biofacenet.data.synthetic.faces import generate
from biofacenet.preparation.settings import SyntheticSettings

INDICES = range(6)


def test_chosen_melanin_is_that_of_the_skin() -> None:
    for melanin in (-0.7, 0.0, 0.75):
        faces = generate(INDICES, 4, size=48, melanin=melanin, skin="published")
        for face in range(len(INDICES)):
            skin = faces.known().melanin[face][faces.mask[face] > 0]
            # Brows, beard and lashes are darker; most of the face is skin.
            assert float(skin.quantile(0.3)) == pytest.approx(melanin, abs=0.15)


@pytest.mark.parametrize("melanin", [-0.7, 0.75])
def test_faces_of_any_melanin_have_the_same_shape_light_and_camera(melanin: float) -> None:
    drawn, chosen = (
        generate(INDICES, 4, skin="published"),
        generate(INDICES, 4, melanin=melanin, skin="published"),
    )
    for name in ("normals", "mask", "coordinates"):
        assert torch.equal(getattr(drawn, name), getattr(chosen, name)), name
    a, b = drawn.known(), chosen.known()
    assert torch.equal(a.camera, b.camera)
    assert torch.equal(a.illuminant.weights, b.illuminant.weights)
    assert torch.equal(a.illuminant.cct, b.illuminant.cct)
    # Exposure differs, and multiplies all of the lighting.
    ratio = chosen.lighting / drawn.lighting
    torch.testing.assert_close(ratio, ratio[:, :1, :1].expand_as(ratio), rtol=1e-4, atol=0)


def test_melanin_beyond_its_axis_is_refused() -> None:
    for melanin in (-1.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"melanin must lie in \[-1, 1\]"):
            generate([0], melanin=melanin, skin="published")


@pytest.mark.parametrize(("yaw", "seen"), [(-60.0, 0.4), (0.0, 0.0), (60.0, -0.4)])
def test_a_chosen_turn_shows_that_side_of_every_head(yaw: float, seen: float) -> None:
    faces = generate(INDICES, 4, yaw=yaw, skin="published")
    x = (2.6 * faces.coordinates[:, 0] - 1.3) * faces.mask[:, 0]
    middle = x.sum((1, 2)) / faces.mask.sum((1, 2, 3))
    slack = 0.05 if yaw == 0.0 else 0.17  # a scarf covers the side of a head
    torch.testing.assert_close(middle, torch.full((len(INDICES),), seen), atol=slack, rtol=0)


def test_faces_have_the_skin_that_the_command_gives_them() -> None:
    assert generate([0], size=16).known().skin == SyntheticSettings().skin == "measured"
