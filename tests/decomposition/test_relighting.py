"""Light from another direction: what changes, and that it is what another lamp would have shown."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from biofacenet import Decomposition
from biofacenet.data.records import Faces
from biofacenet.data.synthetic.faces import generate
from biofacenet.decomposition import Edit
from biofacenet.decomposition.edit import direction_of
from biofacenet.decomposition.parts import PART_NAMES, part_index
from biofacenet.physics.lighting import directional_light, fit_harmonics, sh_shading

SIDE = 48


@pytest.fixture(scope="module")
def faces() -> Faces:
    return generate(range(4), seed=5, size=64, noise=False, skin="published")


@pytest.fixture(scope="module")
def maps(faces: Faces) -> Decomposition:
    """What is true of them, with normals where skin is."""
    return replace(faces.known(), normals=faces.normals)


def ball() -> tuple[Tensor, Tensor]:
    """Normals (1, 3, S, S) of a half sphere, and where it is."""
    steps = (torch.arange(SIDE) + 0.5) / SIDE * 2.0 - 1.0
    x, y = steps[None, :].expand(SIDE, SIDE), -steps[:, None].expand(SIDE, SIDE)
    inside = ((x * x + y * y) < 0.95).float()
    z = (1.0 - x * x - y * y).clamp(min=0.0).sqrt()
    return (torch.stack((x, y, z)) * inside)[None], inside[None, None]


def under_a_lamp(normals: Tensor, direction: tuple[float, float, float]) -> Tensor:
    """Lambert's law and a quarter from all around, worked out without harmonics."""
    cosine = (normals * torch.tensor(direction).view(3, 1, 1)).sum(dim=1, keepdim=True)
    return 0.75 * cosine.clamp(min=0.0) + 0.25


def alike(one: Tensor, other: Tensor, where: Tensor) -> float:
    inside = where.expand_as(one) > 0
    return float(torch.corrcoef(torch.stack((one[inside], other[inside])))[0, 1])


@pytest.mark.parametrize("direction", ["left", "above", "30", "-50,40"])
def test_faces_look_as_under_the_other_lamp(
    faces: Faces, maps: Decomposition, direction: str
) -> None:
    after = maps.edit(light_from=direction)
    lamp = under_a_lamp(faces.normals, direction_of(direction))
    for i in range(len(faces)):
        true = replace(maps[i], diffuse=lamp[i : i + 1].clamp(min=1e-3), specular=maps[i].specular)
        before_shading = alike(maps.diffuse[i], lamp[i], faces.mask[i])
        after_shading = alike(after.diffuse[i], lamp[i], faces.mask[i])
        assert after_shading > max(before_shading, 0.75)
        rendered = [found.render()[0] for found in (maps[i], after[i], true)]
        before_light, after_light = (alike(one, rendered[2], faces.mask[i]) for one in rendered[:2])
        assert after_light > min(before_light, 0.97)  # some are lit from there already


def test_pigments_light_camera_and_the_mean_brightness_stay(
    faces: Faces, maps: Decomposition
) -> None:
    after = maps.edit(light_from="left")
    torch.testing.assert_close(after.melanin, maps.melanin, atol=1e-6, rtol=0)
    torch.testing.assert_close(after.haemoglobin, maps.haemoglobin, atol=1e-6, rtol=0)
    assert torch.equal(after.spectrum(), maps.spectrum())
    inside = faces.mask > 0
    assert float(after.diffuse[inside].mean()) == pytest.approx(
        float(maps.diffuse[inside].mean()), rel=0.05
    )
    assert (after.diffuse - maps.diffuse).abs()[inside].mean() > 0.1 * maps.diffuse[inside].mean()
    assert (after.specular <= maps.specular * 1.0001).all()
    outside = faces.mask == 0
    assert torch.equal(after.diffuse[outside], maps.diffuse[outside])  # nobody knows normals there


def test_detail_stays(maps: Decomposition, faces: Faces) -> None:
    """A dark line across the face is as dark against what is beside it."""
    row = int(faces.mask[0, 0].sum(dim=1).argmax())
    line = maps.diffuse.clone()
    line[:, :, row] *= 0.7
    plain = maps.edit(light_from="right").diffuse
    lined = replace(maps, diffuse=line).edit(light_from="right").diffuse
    share = (lined / plain)[0, 0, row][faces.mask[0, 0, row] > 0]
    assert share.median() == pytest.approx(0.7, abs=0.05)


def test_left_is_the_viewers_and_mirrors_to_right() -> None:
    normals, inside = ball()
    lit = sh_shading(normals, directional_light(torch.tensor([0.0, 0.3, 0.954])).expand(1, 3, 9))
    plane = torch.zeros(1, 1, SIDE, SIDE)
    found = generate([0], size=16, skin="published").known()
    maps = replace(
        found,
        melanin=plane,
        haemoglobin=plane,
        diffuse=(lit + 0.3).clamp(min=0.02),
        specular=plane + 0.05,
        normals=normals,
    )
    left, right = maps.edit(light_from="left").diffuse, maps.edit(light_from="right").diffuse
    torch.testing.assert_close(left * inside, right.flip(3) * inside, atol=2e-3, rtol=1e-3)
    half = SIDE // 2
    assert (left * inside)[..., :half].sum() > 1.5 * (left * inside)[..., half:].sum()
    above = maps.edit(light_from="above").diffuse * inside
    assert above[..., :half, :].sum() > 1.3 * above[..., half:, :].sum()


def test_only_the_head_is_relit(maps: Decomposition) -> None:
    parts = torch.zeros(len(maps), len(PART_NAMES), *maps.diffuse.shape[2:])
    parts[:, part_index("skin"), :, :32] = 1.0
    parts[:, part_index("background"), :, 32:] = 1.0
    after = replace(maps, parts=parts).edit(light_from="left")
    assert torch.equal(after.diffuse[..., 32:], maps.diffuse[..., 32:])
    assert not torch.equal(after.diffuse[..., :32], maps.diffuse[..., :32])


def test_a_light_is_found_whatever_shadows_fall() -> None:
    normals, inside = ball()
    light = torch.zeros(1, 9)
    light[0, 0], light[0, 3], light[0, 2] = 1.0, 0.4, 0.5
    shading = sh_shading(normals, light[:, None].expand(1, 3, 9))
    found = fit_harmonics(shading, normals, inside)
    torch.testing.assert_close(
        sh_shading(normals, found[:, None].expand(1, 3, 9)) * inside,
        shading * inside,
        atol=0.02,
        rtol=0,
    )
    spotted = shading.clone()
    spotted[..., 20:28, 20:26] *= 0.2
    again = fit_harmonics(spotted, normals, inside)
    back = sh_shading(normals, again[:, None].expand(1, 3, 9))
    off = ((back - shading).abs() * inside)[..., 20:28, 20:26].mean()
    assert off < 0.12 * shading[..., 20:28, 20:26].mean()


def test_directions() -> None:
    assert direction_of("front") == pytest.approx((0.0, 0.0, 1.0))
    assert direction_of("90,0") == pytest.approx((1.0, 0.0, 0.0), abs=1e-9)
    assert direction_of("-90,0") == pytest.approx((-1.0, 0.0, 0.0), abs=1e-9)
    assert direction_of("0,90") == pytest.approx((0.0, 1.0, 0.0), abs=1e-9)
    assert math.hypot(*direction_of("33")) == pytest.approx(1.0)
    for wrong in ("sideways", "200", "10,95", "1,2,3", "nan", ""):
        with pytest.raises(ValueError, match=r"light_from .*expected left, right, above"):
            Edit(light_from=wrong).check()


def test_without_normals_it_is_refused(maps: Decomposition) -> None:
    with pytest.raises(ValueError, match="light_from needs normals"):
        replace(maps, normals=None).edit(light_from="left")
