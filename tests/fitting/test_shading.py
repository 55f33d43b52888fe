"""How much light falls on a face beside a card, as it was learned of a network's maps."""

import json
import math
from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.white import faces_with_card, result_of
from biofacenet import BioFaceNet, Decomposition, Illuminant
from biofacenet.analysis import ByNetwork
from biofacenet.fitting.absolute import absolute
from biofacenet.fitting.known import Known, reflectance
from biofacenet.fitting.shading import (
    CLUES,
    DOUBTS,
    FILE,
    between,
    clues_of,
    learned,
    looked_at,
    terms,
)
from biofacenet.physics.skin import SkinName

SIDE = 48


def ball(side: float = 0.4) -> tuple[Decomposition, Tensor]:
    """Maps of a ball of skin in light from a side, and the photo of them."""
    line = torch.linspace(-0.9, 0.9, SIDE)
    y, x = torch.meshgrid(-line, line, indexing="ij")
    inside = x.square() + y.square() < 0.8
    normals = torch.stack((x, y, (1.0 - x.square() - y.square()).clamp(min=0.05).sqrt()))
    normals = (normals / normals.norm(dim=0))[None]
    towards = torch.tensor([side, 0.2, 1.0])
    shading = 0.2 + torch.einsum("c,bchw->bhw", towards, normals)[:, None].clamp(min=0.0)
    parts = torch.zeros(1, 9, SIDE, SIDE)
    parts[0, 1], parts[0, 0] = inside.float(), (~inside).float()
    maps = Decomposition(
        melanin=torch.full((1, 1, SIDE, SIDE), 0.1),
        haemoglobin=torch.full((1, 1, SIDE, SIDE), 0.3),
        diffuse=shading,
        specular=0.02 * shading,
        illuminant=Illuminant.standard("D65"),
        camera=torch.zeros(1, 2),
        skin="measured",
        normals=normals,
        parts=parts,
    )
    return maps, maps.render()


def told(maps: Decomposition, image: Tensor) -> tuple[Tensor, float]:
    assert maps.parts is not None
    skin = maps.parts[:, 1:2] > 0.5
    clues, middle = clues_of(maps, image, skin, skin)
    return clues, float(middle)


def test_the_maps_own_level_tells_nothing() -> None:
    maps, image = ball()
    first, middle = told(maps, image)
    brighter = replace(maps, diffuse=3.0 * maps.diffuse, specular=3.0 * maps.specular)
    second, other = told(brighter, image)
    torch.testing.assert_close(first, second, atol=1e-4, rtol=0.0)
    assert other - middle == pytest.approx(math.log(3.0), abs=1e-4)


def test_a_mirrored_face_is_told_as_the_face() -> None:
    maps, image = ball()
    assert maps.normals is not None
    flipped = maps.map(lambda x: x.flip(3) if x.ndim == 4 else x)
    assert flipped.normals is not None
    mirror = torch.tensor([-1.0, 1.0, 1.0]).view(1, 3, 1, 1)
    flipped = replace(flipped, normals=flipped.normals * mirror)
    torch.testing.assert_close(
        told(flipped, image.flip(3))[0], told(maps, image)[0], atol=1e-3, rtol=0.0
    )


def test_light_from_a_side_is_a_clue() -> None:
    ahead, aside = (told(*ball(side))[0][CLUES.index("aside")] for side in (0.0, 0.8))
    assert float(ahead) == pytest.approx(0.0, abs=1e-3)
    assert float(aside) > 0.4


def test_larger_maps_say_the_same() -> None:
    maps, image = ball()

    def large(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=4, mode="nearest") if x.ndim == 4 else x

    # Shrunk by half, from 192 to 96 pixels: an edge may move by half a pixel.
    torch.testing.assert_close(
        told(maps.map(large), large(image))[0], told(maps, image)[0], atol=0.03, rtol=0.0
    )


def test_terms_are_all_products() -> None:
    found = terms(torch.tensor([2.0, 3.0]))
    assert found.tolist() == [1.0, 2.0, 3.0, 4.0, 6.0, 9.0]


def test_reflectance_is_that_of_the_renderer_and_falls_with_melanin() -> None:
    """The mean of many lights is near that of daylight."""
    maps, _ = ball()
    one = torch.ones_like(maps.melanin)
    plain = replace(maps, diffuse=one, specular=0.0 * one).render()[0, :, 0, 0].log().tolist()
    assert reflectance(0.1, 0.3, "measured") == pytest.approx(plain, abs=0.2)
    greens = [reflectance(melanin, 0.3, "measured")[1] for melanin in (-0.3, 0.0, 0.3, 0.6)]
    assert greens == sorted(greens, reverse=True)


def test_shadow_highlights_and_edges_are_not_looked_at() -> None:
    inside = torch.ones(1, 1, 4, 4) > 0.5
    skin, diffuse = inside.clone(), torch.ones(1, 1, 4, 4)
    skin[..., 0] = False
    diffuse[..., 1] = 0.1
    specular = torch.zeros(1, 1, 4, 4)
    specular[..., 3] = 0.5
    seen = looked_at(inside, skin, diffuse, specular)
    assert seen[0, 0].any(dim=0).tolist() == [False, False, True, False]
    alone = torch.zeros_like(inside)
    alone[..., 0, 0] = True
    assert int(looked_at(alone, skin, diffuse, specular).sum()) == 1


def test_values_between_levels() -> None:
    levels, values = (0.0, 1.0, 3.0), (1.0, 2.0, 0.0)
    found = [between(x, levels, values) for x in (-1.0, 0.0, 0.5, 2.0, 3.0, 9.0)]
    assert found == pytest.approx([1.0, 1.0, 1.5, 1.0, 0.0, 0.0])


@pytest.mark.parametrize("linear", [True, False])
def test_what_is_learned_is_whole_and_sane(linear: bool) -> None:
    made = learned(linear)
    count = len(CLUES)
    assert made.middle.shape == made.spread.shape == (count,)
    assert made.weights.shape == (1 + count + count * (count + 1) // 2,)
    assert made.doubt.shape == (1 + count,)
    assert float(made.spread.min()) > 0.0
    assert list(made.levels) == sorted(set(made.levels))
    assert len(made.levels) == len(made.shift) == len(made.wider)
    assert max(map(abs, made.shift)) < 0.1
    assert all(0.5 < factor < 2.0 for factor in (*made.wider, made.wider_blood))
    # However odd the clues, shading and its error are those of some face.
    for clues in (made.middle, made.middle + 1e6, torch.full((count,), -1e6)):
        _, error = made(clues)
        assert DOUBTS[0] <= error <= DOUBTS[1]
    assert json.loads(FILE.read_text("utf-8"))["command"] == "python -m benchmarks.white_tuning"


def test_intervals_keep_their_middle_within() -> None:
    for melanin in (-0.4, -0.15, 0.1, 0.6):
        ends = (melanin - 0.05, melanin + 0.07)
        plain = Known(melanin, ends, 0.2, (0.0, 0.5), (5000.0, 6000.0), 1.0)
        known = learned(True).calibrated(plain)
        assert known.melanin_ends[0] < known.melanin < known.melanin_ends[1]
        assert known.haemoglobin == 0.2
        assert known.haemoglobin_ends[0] < 0.2 < known.haemoglobin_ends[1]


def test_without_normals_nothing_is_learned() -> None:
    maps, image = ball()
    bare = replace(maps, normals=None)
    assert absolute(bare, image, of_network=True).learned is None
    assert absolute(maps, image, of_network=False).learned is None
    assert absolute(maps, image, of_network=True).learned is not None


@cache
def shading_errors() -> list[float]:
    method = ByNetwork(BioFaceNet.from_pretrained("small"), 96)
    found = []
    for index in range(24):
        face = faces_with_card(index, 31)
        result = result_of(face, method)
        assert result.absolute is not None
        calm = looked_at(
            result.counted > 0.5,
            result.counted > 0.5,
            result.absolute.shading,
            result.absolute.calm,
        )
        seen = calm[0, 0] & face.mask
        ratio = result.absolute.shading[0, 0][seen] / face.shading[seen].clamp(min=1e-3)
        found.append(abs(float(ratio.log().median())))
    return sorted(found)


@pytest.mark.slow
def test_shading_of_faces_that_nothing_was_learned_of() -> None:
    """Two of three are right to 10 %, and none is far off; chosen with room for another network."""
    errors = shading_errors()
    assert errors[int(0.68 * len(errors))] < 0.1
    assert errors[-2] < 0.3


@pytest.mark.parametrize("skin", ["measured", "published"])
def test_clues_are_of_the_skin_of_the_maps(skin: SkinName) -> None:
    """Colour over reflectance is shading, of all three channels alike, and not with another skin's table."""
    maps, _ = ball(side=0.0)
    maps = replace(maps, skin=skin, specular=torch.zeros_like(maps.specular))
    image = maps.render()
    over = told(maps, image)[0][:3]
    assert float(over.max() - over.min()) < 0.2
    other: SkinName = "published" if skin == "measured" else "measured"
    wrong = told(replace(maps, skin=other), image)[0][:3]
    assert float(wrong.max() - wrong.min()) > 1.0


def test_large_maps_are_looked_at_at_the_side_that_was_learned() -> None:
    maps, image = ball()
    large = maps.map(lambda x: F.interpolate(x, scale_factor=8.0) if x.ndim == 4 else x)
    one, other = told(maps, image)[0], told(large.renormalised(), large.render())[0]
    torch.testing.assert_close(one, other, atol=0.05, rtol=0.0)
