"""Photos change by the ratio of reflectance: the same edit is the same change of everybody's skin."""

from dataclasses import replace

import pytest
import torch

from biofacenet import Decomposition, Illuminant
from biofacenet.analysis.areas import Areas, Frame
from biofacenet.analysis.retouching import (
    LIPS_FOLLOW,
    Change,
    Retouch,
    body,
    change_of,
    gloss,
)
from biofacenet.decomposition import Edit
from biofacenet.photos.boxes import Box

SIDE = 32


def planes(low: float, high: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(1, 1, SIDE, SIDE, generator=generator)


def skin(melanin: float = -0.2, diffuse: float = 1.2, shine: float = 0.02) -> Decomposition:
    flat, shading = torch.ones(1, 1, SIDE, SIDE), planes(0.9, 1.1)
    return Decomposition(
        melanin=melanin * flat,
        haemoglobin=-0.1 * flat,
        diffuse=diffuse * shading,
        specular=shine * shading,
        illuminant=Illuminant.standard("D65"),
        camera=torch.zeros(1, 2),
        skin="measured",
    )


def change_of_light(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor([0.2126, 0.7152, 0.0722]).reshape(1, 3, 1, 1)
    return ((after * weights).sum(1) / (before * weights).sum(1)).log()


@pytest.mark.parametrize("melanin", [-0.5, -0.1, 0.2])
def test_a_pixel_is_multiplied_by_the_change_of_reflectance(melanin: float) -> None:
    """Whatever the photo shows there, such as a freckle, keeps its contrast in every channel."""
    before = skin(melanin)
    after = before.edit(melanin="x2")
    image = before.render() * planes(0.3, 1.0, seed=1)
    changed = change_of(image, before, after).of(image)
    torch.testing.assert_close(changed / image, body(after) / body(before), rtol=2e-3, atol=0)


def test_the_same_edit_is_the_same_change_in_bright_and_dim_light() -> None:
    for edit in (Edit(melanin="x3"), Edit(melanin="+3%"), Edit(haemoglobin="x0.5")):
        changes = []
        for light in (0.5, 1.0, 2.0):
            before = skin(diffuse=light, shine=0.02 * light)
            image = before.render()
            after = change_of(image, before, before.edit(edit)).of(image)
            changes.append(float(change_of_light(image, after).median()))
        assert max(changes) - min(changes) < 1e-3
        assert abs(changes[0]) > 0.02


def test_highlights_keep_their_place_and_their_light() -> None:
    before = skin()
    shine = before.specular.clone()
    shine[..., 10:14, 10:14] += 0.1
    before = replace(before, specular=shine)
    image = before.render()
    changed = change_of(image, before, before.edit(melanin="x3")).of(image)
    there = (..., slice(10, 14), slice(10, 14))
    plain = skin()
    without = plain.render()
    base = change_of(without, plain, plain.edit(melanin="x3")).of(without)
    torch.testing.assert_close(
        (changed - base)[there], (image - without)[there], rtol=0.02, atol=2e-3
    )
    assert gloss(image, before)[..., 20:, 20:].abs().max() < 1e-6


def test_grey_light_in_the_shade_is_no_highlight() -> None:
    """Under a chin light comes from a shirt; if it stayed, it would lie on darker skin as a haze."""
    before = skin()
    shade, shine = before.diffuse.clone(), before.specular.clone()
    under = (..., slice(3 * SIDE // 4, SIDE), slice(None))
    shade[under] *= 0.4
    shine[under] += 0.05
    lit = (..., slice(4, 8), slice(4, 8))
    shine[lit] += 0.05
    before = replace(before, diffuse=shade, specular=shine)
    image = before.render()
    found = gloss(image, before)
    assert found[..., 3 * SIDE // 4 + 2 :, :].abs().max() < 1e-4
    assert found[lit].min() > 0.01


def test_removed_highlights_leave_the_skin_under_them() -> None:
    before = skin()
    shine = before.specular.clone()
    shine[..., 10:14, 10:14] += 0.1
    glossy = replace(before, specular=shine)
    image = glossy.render()
    matt = change_of(image, glossy, glossy.edit(specular_scale=0.0)).of(image)
    torch.testing.assert_close(matt, before.render(), rtol=0.02, atol=2e-3)


def test_what_is_not_in_the_mask_stays_and_nothing_becomes_negative() -> None:
    before = skin()
    image = before.render()
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., :16] = 1.0
    changed = change_of(image, before, before.edit(melanin="x9", light="A"), mask).of(image)
    assert torch.equal(changed[..., 16:], image[..., 16:])
    assert (changed >= 0).all()
    assert Change(torch.ones(1, 3, 1, 1), -torch.ones(1, 3, 1, 1)).of(image).min() == 0.0


# A frame with room around the part ----------------------------------------------------------

ROOM = 8


def framed(maps: Decomposition) -> tuple[Frame, Areas]:
    """Skin down the middle of a frame, with lips, and hair beside it."""
    side = SIDE + 2 * ROOM
    inner = slice(ROOM, ROOM + SIDE)
    picture = torch.full((1, 3, side, side), 0.3)
    picture[..., inner, inner] = maps.render()
    frame = Frame(Box(0, 0, side), picture, inner, inner)
    empty = torch.zeros(1, 1, side, side)
    body_, lips, hair, cheeks = (empty.clone() for _ in range(4))
    body_[..., 4:, 12:36] = 1.0
    lips[..., 30:34, 20:28] = 1.0
    hair[..., 10:30, 8:12] = 1.0
    cheeks[..., 22:28, 14:20] = 1.0
    others = ("brows", "eyes", "teeth", "glasses", "forehead", "nose", "chin", "neck")
    areas = Areas(
        skin=body_ * (1.0 - lips),
        lips=lips,
        hair=hair,
        head=torch.maximum(body_, hair),
        cheeks=cheeks,
        **dict.fromkeys(others, empty),
    )
    return frame, areas


def test_skin_changes_beyond_the_square_as_within() -> None:
    maps = skin()
    frame, areas = framed(maps)
    gain = Retouch(frame, maps, areas).change(Edit(melanin="x2")).gain
    below = gain[..., ROOM + SIDE :, 14:34]
    middle = gain[..., 24:28, 14:34]
    torch.testing.assert_close(below.mean((2, 3)), middle.mean((2, 3)), rtol=0.01, atol=0)
    steps = (gain[..., 1:, 14:20].log() - gain[..., :-1, 14:20].log()).abs()
    assert steps[..., 6:, :].max() < 0.01  # no seam where the square ends
    assert (gain[..., :8] == 1).all()


def test_lips_and_hair_keep_their_colour_unless_they_are_named() -> None:
    maps = skin()
    frame, areas = framed(maps)
    face = Retouch(frame, maps, areas)
    lips, hair = (..., slice(31, 33), slice(21, 27)), (..., slice(12, 28), slice(9, 11))
    cheek, other = (..., slice(23, 27), slice(15, 19)), (..., slice(23, 27), slice(24, 30))

    def change(areas: str | None, where: tuple[object, ...]) -> float:
        gain = face.change(Edit(melanin="x3", areas=areas)).gain.log()
        return float(gain[where].mean())  # type: ignore[index]

    full = change(None, other)
    assert full < -0.3
    assert change("skin", lips) == change(None, hair) == 0.0
    assert change(None, lips) == pytest.approx(LIPS_FOLLOW * full, rel=0.05)
    blood = face.change(Edit(haemoglobin="x0.3")).gain.log()
    assert blood[lips].abs().max() == 0.0 < blood[other].abs().max()  # type: ignore[index]
    assert change("skin,lips=0.5", lips) == pytest.approx(0.5 * full, rel=0.05)
    assert change("cheeks", cheek) == pytest.approx(full, rel=0.05)
    assert change("cheeks", other) == 0.0
    assert change("skin,cheeks=0", cheek) == 0.0
    assert change("skin,cheeks=0", other) == pytest.approx(full, rel=0.05)
    assert change("hair", hair) == pytest.approx(full, rel=0.05)


def test_a_blotch_of_a_map_does_not_show_in_the_photo() -> None:
    """Shading that a map takes for pigment is not multiplied; freckles of the photo stay."""
    maps = skin(melanin=-0.5)
    melanin = maps.melanin.clone()
    melanin[..., 16:20, 10:16] += 0.5
    blotched = replace(maps, melanin=melanin)
    frame, areas = framed(maps)
    gain = Retouch(frame, blotched, areas).change(Edit(melanin="x3")).gain.log()
    there, beside = gain[..., 25:27, 19:23].mean(), gain[..., 25:27, 28:34].mean()
    assert 0.5 < float(there / beside) < 2.0
    exact = (body(blotched.edit(melanin="x3")) / body(blotched)).log()
    assert float(exact[..., 17:19, 11:15].mean() / beside) > 2.0  # by the map itself


def test_the_darkest_skin_darkens_as_a_whole() -> None:
    """Edits end where real skin does; the lighter half of a face does not go there alone."""
    maps = skin(melanin=0.45)  # 16 %, of 18 %
    melanin = maps.melanin.clone()
    melanin[..., :16] = 0.38
    melanin[..., 20:] = 0.52
    frame, areas = framed(replace(maps, melanin=melanin))
    for edit in (Edit(melanin="x3"), Edit(melanin="+9%")):
        gain = Retouch(frame, replace(maps, melanin=melanin), areas).change(edit).gain.log()
        changes = gain[..., 12:36, 14:19].mean(1).flatten()
        assert changes.max() < 0
        assert changes.min() > 2 * changes.median()
        assert changes.max() < changes.median() / 2


def test_maps_change_where_the_photo_does() -> None:
    maps = skin()
    frame, areas = framed(maps)
    after = Retouch(frame, maps, areas).maps_under(Edit(melanin="x2", specular_scale=0.5))
    part = (..., slice(ROOM, ROOM + SIDE), slice(ROOM, ROOM + SIDE))
    where = areas.skin[part] == 1
    torch.testing.assert_close(after.melanosomes()[where], 2 * maps.melanosomes()[where])
    away = ~where & (areas.lips[part] == 0)
    torch.testing.assert_close(after.melanin[away], maps.melanin[away])
    torch.testing.assert_close(after.haemoglobin, maps.haemoglobin)
    lips = maps.melanin.lerp(maps.edit(melanin="x2").melanin, LIPS_FOLLOW)
    torch.testing.assert_close(after.melanin[~away], torch.where(where, after.melanin, lips)[~away])
    wall = areas.head[part] == 0
    assert torch.equal(after.specular[wall], maps.specular[wall])


def test_nothing_changed_is_a_gain_of_one() -> None:
    maps = skin()
    frame, areas = framed(maps)
    change = Retouch(frame, maps, areas).change(Edit())
    assert torch.equal(change.gain, torch.ones_like(change.gain))
    assert torch.equal(change.offset, torch.zeros_like(change.offset))
