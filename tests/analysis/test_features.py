"""Mouths, brows and edges: what pixels are mixtures of, and how much of their light is the skin's."""

import numpy as np
import pytest

from biofacenet.analysis.features import (
    beard,
    brows,
    share_of_light,
    skin_between_hairs,
    skin_light,
    upper,
)
from biofacenet.analysis.mouths import mouth

SIDE = 96
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE] + 0.5


def disc(x: float, y: float, across: float, down: float) -> np.ndarray:
    found: np.ndarray = ((COLUMNS - x) / across) ** 2 + ((ROWS - y) / down) ** 2 <= 1.0
    return found


@pytest.mark.parametrize("gain", [0.4, 1.6])
@pytest.mark.parametrize("other", [0.03, 0.9])
def test_an_edge_edited_by_its_share_of_light_is_the_edge_of_edited_skin(
    gain: float, other: float
) -> None:
    """In front of dark hair and of a bright wall, by the exact mixture."""
    skin, area = 0.3, np.clip((60.0 - COLUMNS) / 12.0, 0.0, 1.0).astype(np.float32)
    light = (area * skin + (1.0 - area) * other).astype(np.float32)
    share = share_of_light(area, light, skin_light(light, area))
    edited = light * (1.0 + share * (gain - 1.0))
    expected = area * skin * gain + (1.0 - area) * other
    np.testing.assert_allclose(edited, expected, rtol=0.1)
    plain = light * (1.0 + area * (gain - 1.0))
    assert np.abs(plain - expected).max() > 3.0 * np.abs(edited - expected).max()


def test_between_the_hairs_of_a_brow_skin_changes_and_hairs_stay() -> None:
    """Pixels half hair, half skin change by the light of their skin: brows get no rim."""
    share = disc(48, 40, 20, 6).astype(np.float32)
    hair = share * np.clip(np.sin(COLUMNS) * 2.0, 0.0, 1.0)
    skin, dark = 0.4, 0.06
    light = ((1.0 - hair) * skin + hair * dark).astype(np.float32)
    found = brows(share, np.ones_like(share), light, 2)
    kept = hair * dark / light
    inside = disc(48, 40, 17, 4)
    np.testing.assert_allclose(found[inside], kept[inside], atol=0.06)
    assert found[~disc(48, 40, 24, 10)].max() == 0.0
    assert not brows(0.0 * share, np.ones_like(share), light, 2).any()


def shares_of(lips: np.ndarray) -> dict[str, np.ndarray]:
    lips = lips.astype(np.float32)
    nothing = np.zeros_like(lips)
    return {"skin": 1.0 - lips, "lips": lips, "teeth": nothing, "hair": nothing, "eyes": nothing}


def coloured(where: np.ndarray, colour: tuple[float, float, float], rest: np.ndarray) -> np.ndarray:
    return np.where(where[..., None], np.array(colour, np.float32), rest).astype(np.float32)


def test_closed_lips_of_dark_skin_are_no_teeth_and_a_smile_has_some() -> None:
    lips = disc(48, 60, 16, 7)
    plain = np.ones((SIDE, SIDE, 3), np.float32) * np.array((0.28, 0.22, 0.20), np.float32)
    closed = coloured(lips, (0.27, 0.235, 0.22), plain)  # greyer than the skin, and no darker
    closed = coloured(lips & (np.abs(ROWS - 60) < 1), (0.1, 0.08, 0.08), closed)
    body = np.ones((SIDE, SIDE), np.float32)
    found, teeth = mouth(shares_of(lips), body, closed, 2, SIDE)
    assert found[disc(48, 60, 13, 5)].min() > 0.8
    assert teeth.max() < 0.2
    within = disc(48, 60, 10, 3)
    found, teeth = mouth(
        shares_of(lips), body, coloured(within, (0.75, 0.73, 0.68), closed), 2, SIDE
    )
    assert teeth[disc(48, 60, 9, 2)].min() > 0.8
    assert found[disc(48, 60, 9, 2)].max() < 0.2


def test_teeth_in_the_shade_of_the_corners_are_teeth_also_beside_a_mouth_told_too_small() -> None:
    skin, red = (0.80, 0.62, 0.53), (0.70, 0.36, 0.38)
    lips, row = disc(48, 60, 18, 8), disc(48, 60, 14, 3)
    plain = np.ones((SIDE, SIDE, 3), np.float32) * np.array(skin, np.float32)
    picture = coloured(row, (0.86, 0.84, 0.80), coloured(lips, red, plain))
    shade = np.clip(1.0 - np.abs(COLUMNS - 48) / 30, 0.0, 1.0)  # a half in the corners
    picture = (picture * np.where(row, shade, 1.0)[..., None]).astype(np.float32)
    told = lips & (ROWS < 62)  # the lower lip is taken for skin
    found, teeth = mouth(shares_of(told), np.ones((SIDE, SIDE), np.float32), picture, 2, SIDE)
    assert teeth[disc(48, 60, 12, 2)].min() > 0.8
    assert found[lips & (ROWS > 64) & (np.abs(COLUMNS - 48) < 8)].mean() > 0.5
    assert (found + teeth)[~disc(48, 60, 22, 11)].max() < 0.05


def test_a_row_of_teeth_below_the_eyes_is_seen_though_no_mouth_was_told() -> None:
    plain = np.ones((SIDE, SIDE, 3), np.float32) * np.array((0.80, 0.62, 0.53), np.float32)
    lips, row = disc(48, 64, 14, 6), disc(48, 64, 11, 3)
    smile = coloured(row, (0.88, 0.87, 0.80), coloured(lips, (0.72, 0.42, 0.42), plain))
    eyes = (disc(35, 39, 4, 2) | disc(61, 39, 4, 2)).astype(np.float32)
    shares = shares_of(np.zeros_like(row)) | {"eyes": eyes}
    body = np.ones((SIDE, SIDE), np.float32)
    found, teeth = mouth(shares, body, smile, 2, SIDE)
    assert teeth[disc(48, 64, 9, 2)].min() > 0.8
    assert found[lips & ~disc(48, 64, 13, 5)].mean() > 0.4
    for other in (shares_of(np.zeros_like(row)), shares):  # no eyes; no teeth
        closed = smile if other is not shares else coloured(lips, (0.72, 0.42, 0.42), plain)
        assert mouth(other, body, closed, 2, SIDE)[1].max() < 0.1


@pytest.mark.parametrize(
    ("colour", "kept"),
    [((0.36, 0.35, 0.34), True), ((0.03, 0.025, 0.02), False), ((0.40, 0.25, 0.18), False)],
    ids=("grey", "dark", "skin"),
)
def test_a_grey_beard_keeps_its_colour(colour: tuple[float, float, float], kept: bool) -> None:
    """Dark hairs and skin change with the rest; a small highlight is no beard."""
    skin = np.array((0.42, 0.26, 0.19), np.float32)[:, None, None]
    chin, spot = disc(48, 72, 16, 6), disc(48, 72, 2, 2)
    body = disc(48, 44, 34, 44).astype(np.float32)
    mouth_ = np.zeros_like(body)

    def found(where: np.ndarray) -> np.ndarray:
        hair = np.array(colour, np.float32)[:, None, None]
        picture = np.where(where, hair, skin).astype(np.float32)
        return beard(body, body, mouth_, picture, SIDE)

    share = found(chin)
    assert share[~disc(48, 72, 19, 9)].max() == 0.0
    if kept:
        assert share[disc(48, 72, 12, 4)].min() > 0.7
    else:
        assert share.max() < 0.05
    assert found(spot).max() == 0.0
    mouth_[:] = chin
    assert found(chin).max() < 0.2  # what is mouth is no beard


def test_a_mouth_of_which_a_network_loses_the_middle_is_filled() -> None:
    lips = disc(48, 60, 16, 7)
    shares = shares_of(lips & ~disc(48, 60, 8, 2))
    plain = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    found, teeth = mouth(shares, np.ones((SIDE, SIDE), np.float32), plain, 2, SIDE)
    assert (found + teeth)[disc(48, 60, 8, 2)].min() > 0.9


def test_nostrils_are_neither_mouths_nor_brows() -> None:
    eyes, lips = disc(30, 30, 5, 3) | disc(66, 30, 5, 3), disc(48, 72, 14, 5)
    nostril = disc(42, 56, 2, 1)
    above = upper(eyes.astype(np.float32), lips.astype(np.float32))
    assert above[eyes].min() == 1.0
    assert above[disc(48, 18, 30, 3)].min() == 1.0
    assert above[nostril].max() == 0.0
    turned = upper(eyes.T.astype(np.float32), lips.T.astype(np.float32))
    np.testing.assert_allclose(turned, above.T, atol=1e-4)
    assert (upper(0.0 * above, above) == 1.0).all()
    plain = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    found, _ = mouth(
        shares_of(0.4 * nostril + lips), np.ones((SIDE, SIDE), np.float32), plain, 2, SIDE
    )
    assert found[nostril].max() < 0.1 < found[lips].min()


def test_skin_fades_between_hairs_of_its_lightness_and_not_into_dark_ones() -> None:
    body = (COLUMNS < 48).astype(np.float32)
    told = np.full((SIDE, SIDE), 0.8, np.float32)
    light = np.where(ROWS < 48, 0.9, 0.2)
    found = skin_between_hairs(body, told, light, 200)
    steps = found[24, 48:]
    assert steps[0] > 0.7
    assert (np.diff(steps) <= 0.0).all()
    assert steps[9:].max() == 0.0
    assert found[72].max() == 0.0
