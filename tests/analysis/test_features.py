"""Mouths, brows and edges: what pixels are mixtures of, and how much of their light is the skin's."""

import numpy as np
import pytest

from biofacenet.analysis.features import (
    brows,
    mouth,
    share_of_light,
    skin_between_hairs,
    skin_light,
    upper,
)

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
    return {"skin": 1.0 - lips, "lips": lips, "teeth": nothing, "hair": nothing}


def coloured(where: np.ndarray, colour: tuple[float, float, float], rest: np.ndarray) -> np.ndarray:
    return np.where(where[..., None], np.array(colour, np.float32), rest).astype(np.float32)


def test_closed_lips_of_dark_skin_are_no_teeth_and_a_smile_has_some() -> None:
    lips = disc(48, 60, 16, 7)
    plain = np.ones((SIDE, SIDE, 3), np.float32) * np.array((0.28, 0.22, 0.20), np.float32)
    closed = coloured(lips, (0.27, 0.235, 0.22), plain)  # greyer than the skin, and no darker
    closed = coloured(lips & (np.abs(ROWS - 60) < 1), (0.1, 0.08, 0.08), closed)
    body = np.ones((SIDE, SIDE), np.float32)
    found, teeth = mouth(shares_of(lips), body, closed, 2)
    assert found[disc(48, 60, 13, 5)].min() > 0.8
    assert teeth.max() < 0.2
    within = disc(48, 60, 10, 3)
    found, teeth = mouth(shares_of(lips), body, coloured(within, (0.75, 0.73, 0.68), closed), 2)
    assert teeth[disc(48, 60, 9, 2)].min() > 0.8
    assert found[disc(48, 60, 9, 2)].max() < 0.2


def test_a_mouth_of_which_a_network_loses_the_middle_is_filled() -> None:
    lips = disc(48, 60, 16, 7)
    shares = shares_of(lips & ~disc(48, 60, 8, 2))
    plain = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    found, teeth = mouth(shares, np.ones((SIDE, SIDE), np.float32), plain, 2)
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
    found, _ = mouth(shares_of(0.4 * nostril + lips), np.ones((SIDE, SIDE), np.float32), plain, 2)
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
