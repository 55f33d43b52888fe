"""Tone curves that the greys of a chart tell, and photos in which they are undone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from biofacenet.errors import PhotoError
from biofacenet.photos.charts import COLUMNS, NEUTRAL, PATCHES, find_card
from biofacenet.photos.greys import Grey, tone_curve
from biofacenet.photos.reading import Photo
from biofacenet.photos.white import balanced, of_box, of_checker, read_white, with_greys
from biofacenet.photos.white_choice import WhiteChoice
from biofacenet.physics.colour import linear_to_srgb, srgb_to_linear

SHARES = PATCHES[NEUTRAL[0]].mean(axis=1).tolist()
KEPT = SHARES[NEUTRAL[1]]


def bent(scene: torch.Tensor, contrast: float = 0.35) -> torch.Tensor:
    """As phones store light of a scene, sRGB-encoded: more contrast, highlights pressed together."""
    knee = 0.7
    pressed = knee + 0.3 * (1.0 - torch.exp((knee - scene) / 0.3))
    encoded = linear_to_srgb(torch.where(scene > knee, pressed, scene))
    return encoded + contrast * (encoded.square() * (3.0 - 2.0 * encoded) - encoded)


def greys_of(light: float = 0.9) -> list[Grey]:
    seen = srgb_to_linear(bent(torch.tensor(SHARES) * light)).tolist()
    return [Grey(share, (value, value, value)) for share, value in zip(SHARES, seen, strict=True)]


def test_a_curve_is_undone_between_the_greys() -> None:
    curve = tone_curve(greys_of(), KEPT)
    assert curve is not None
    scene = 0.9 * torch.linspace(0.05, 0.85, 40)
    seen = srgb_to_linear(bent(scene))
    factor = curve.undone(seen) / scene
    assert float(factor.max() / factor.min()) < 1.03
    assert float((seen / scene).max() / (seen / scene).min()) > 1.4, "what was there to undo"
    # The light of the grey that is kept stays what the photo says.
    kept = srgb_to_linear(bent(torch.tensor([0.9 * KEPT])))
    assert float(curve.undone(kept) / kept) == pytest.approx(1.0, abs=1e-4)
    by_table = curve.undone_encoded(linear_to_srgb(seen))
    torch.testing.assert_close(by_table, curve.undone(seen), rtol=3e-3, atol=1e-5)


def test_beyond_the_greys_the_last_factor_holds() -> None:
    curve = tone_curve(greys_of(), KEPT)
    assert curve is not None
    low, high = np.exp(curve.seen[0]), np.exp(curve.seen[-1])
    found = curve.undone(torch.tensor([0.0, 0.3 * low, low, high, 1.2 * high], dtype=torch.float64))
    assert float(found[0]) == 0.0
    assert float(found[1] / found[2]) == pytest.approx(0.3)
    assert float(found[4] / found[3]) == pytest.approx(1.2)


def test_what_is_no_curve_is_not_undone() -> None:
    greys = greys_of()
    assert tone_curve(greys[:3], greys[0].reflectance) is None, "too few"
    assert tone_curve(greys, 0.5) is None, "none that the photo is kept by"
    swapped = [
        replace(one, rgb=other.rgb) for one, other in zip(greys, reversed(greys), strict=True)
    ]
    assert tone_curve(swapped, KEPT) is None
    # A shadow on the three dark ones.
    shadowed = [*greys[:3], *(replace(one, rgb=(0.2 * one.rgb[0],) * 3) for one in greys[3:])]
    assert tone_curve(shadowed, KEPT) is None


def scene() -> torch.Tensor:
    """Light of a scene, (3, 300, 400): a ColorChecker before a wall that gets brighter, under a light."""
    linear = torch.linspace(0.25, 0.7, 400).expand(3, 300, 400).clone()
    cell, gap = 30, 8
    linear[:, 30 : 30 + 4 * (cell + gap) + gap, 30 : 30 + 6 * (cell + gap) + gap] = 0.03
    for (row, column), _ in np.ndenumerate(PATCHES[..., 0]):
        y, x = (30 + gap + i * (cell + gap) for i in (row, column))
        colour = torch.from_numpy(PATCHES[row, column]).float()
        linear[:, y : y + cell, x : x + cell] = colour[:, None, None]
    linear[:, 230:290, 320:390] = torch.tensor([0.35, 0.2, 0.13])[:, None, None]
    return linear * torch.tensor([0.95, 0.9, 0.8])[:, None, None]


def test_a_photo_with_a_chart_is_brought_to_the_light_of_the_scene() -> None:
    photo = Photo(Path("seen.png"), (255.0 * bent(scene())).round() / 255.0)
    card = find_card(photo)
    assert [share for share, _ in card.greys] == SHARES
    assert len(card.greys) == COLUMNS
    white = read_white(photo, WhiteChoice("auto"))
    assert white.curve is not None
    assert "tone curve undone by 6 greys" in white.told()
    assert white.notes[-1] == "tone curve undone by 6 greys"
    skin = srgb_to_linear(balanced(photo, white).pixels[:, 260, 350])
    assert skin.tolist() == pytest.approx([0.35, 0.2, 0.13], rel=0.04)
    # By one grey alone it is far off.
    plain = of_box(photo, card.box, card.reflectance)
    alone = srgb_to_linear(balanced(photo, plain).pixels[:, 260, 350])
    assert abs(float(alone[2]) / 0.13 - 1.0) > 0.15


def test_raw_light_and_given_reflectances_have_no_curve() -> None:
    photo = Photo(Path("seen.png"), bent(scene()), linear=True)
    assert read_white(photo, WhiteChoice("auto")).curve is None
    developed = replace(photo, linear=False)
    assert read_white(developed, WhiteChoice("auto", reflectance="0.6")).curve is None


def test_greys_that_are_cut_off_do_not_count_and_too_few_are_told_of() -> None:
    photo = Photo(Path("seen.png"), bent(scene()))
    card = find_card(photo)
    cut = replace(photo, pixels=photo.pixels.clone())
    left, top, width, height = card.greys[0][1]
    cut.pixels[:, top : top + height, left : left + width] = 1.0
    white = of_box(cut, card.box, card.reflectance, kind="checker")
    found = with_greys(white, cut, card.greys)
    assert found.curve is not None
    assert len(found.curve.seen) == 5
    assert "tell no tone curve" in with_greys(white, cut, card.greys[:3]).notes[-1]
    assert with_greys(white, cut, ()) == white


def test_where_the_second_grey_is_overexposed_a_darker_one_is_read() -> None:
    photo = Photo(Path("seen.png"), bent(scene()))
    greys = find_card(photo).greys
    for count, (_, (left, top, width, height)) in enumerate(greys[:4], 1):
        photo.pixels[:, top : top + height, left : left + width] = 1.0
        if count > 1:
            assert of_checker(photo, greys).reflectance == greys[count][0]
    for _, (left, top, width, height) in greys[4:]:
        photo.pixels[:, top : top + height, left : left + width] = 0.0
    with pytest.raises(PhotoError, match="overexposed"):
        of_checker(photo, greys)
