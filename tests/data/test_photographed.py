"""Faces on heads of a model are like photographs: framing, surroundings that vary, lips and dark skin."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_heads import tiny_model

from biofacenet.data.synthetic.backdrops import BESIDE_FACE, paint_any_background
from biofacenet.data.synthetic.colours import any_colour
from biofacenet.data.synthetic.covers import cloth_of
from biofacenet.data.synthetic.draws import Draws
from biofacenet.data.synthetic.heads.prepared import PreparedModel
from biofacenet.data.synthetic.heads.reading import read_heads
from biofacenet.data.synthetic.identity import draw_identity
from biofacenet.data.synthetic.light import draw_lights
from biofacenet.data.synthetic.lips import draw_lips
from biofacenet.data.synthetic.tones import PHOTOGRAPHED_BLOOD, PHOTOGRAPHED_DARKEST, draw_tone
from biofacenet.data.synthetic.view import View, place_head
from biofacenet.decomposition import Decomposition
from biofacenet.physics.colour import luminance
from biofacenet.physics.illuminant import ILLUMINANT_NAMES, Illuminant

FACES_DIR = os.environ.get("BIOFACENET_FACES_DIR")


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> PreparedModel:
    return read_heads(tiny_model().write_packed(tmp_path_factory.mktemp("heads") / "ball.npz"))


@pytest.fixture(scope="module")
def view(ball: PreparedModel) -> View:
    draws = Draws(0, 0)
    return place_head(draws, draw_identity(draws, "measured", heads=ball), 16)


def bright(rgb: torch.Tensor) -> float:
    return float(luminance(rgb.reshape(1, 3, -1, 1)).mean())


@pytest.mark.skipif(
    not FACES_DIR or not (Path(FACES_DIR) / "ict").is_dir(),
    reason="BIOFACENET_FACES_DIR names no folder that holds ict/, the head model",
)
def test_heads_are_framed_as_faces_found_on_photographs() -> None:
    """Distance of the eyes 0.242 of the side and 0.408 from the top, in the median of 37 photographs."""
    model = read_heads(Path(FACES_DIR or "") / "ict")
    apart, height = [], []
    for index in range(14):
        draws = Draws(0, index)
        who = draw_identity(draws, "measured", heads=model)
        seen = place_head(draws, who, 8, yaw=0.0)
        marks = seen.frame.pixels(seen.landmarks, 1)
        left, right = marks[36:42].mean(dim=0), marks[42:48].mean(dim=0)
        apart.append(float((right - left).norm()))
        height.append(float((right + left)[1] / 2.0))
    assert float(np.mean(apart)) == pytest.approx(0.242, abs=0.015)
    assert float(np.mean(height)) == pytest.approx(0.408, abs=0.03)


def test_surroundings_are_black_to_white_whatever_the_skin(view: View) -> None:
    """Half of them are brighter or darker than the face by the same factor for dark and light skin."""
    ratios = []
    for face in (0.02, 0.4):
        found = []
        for index in range(150):
            draws = Draws(5, index)
            lights = draw_lights(draws)
            found.append(bright(paint_any_background(draws, view, lights, face)) / face)
        ratios.append(np.array(found))
    dark, light = ratios
    same = np.isclose(dark, light, rtol=1e-4)
    assert 0.35 < same.mean() < 0.65
    low, high = np.quantile(dark[same], (0.1, 0.9))
    assert low < 3.0 * BESIDE_FACE[0]
    assert high > 0.4 * BESIDE_FACE[1]
    # The others have light of their own: what is behind does not change with the face.
    np.testing.assert_allclose((0.02 * dark)[~same], (0.4 * light)[~same], rtol=1e-4)
    assert np.quantile((0.02 * dark)[~same], 0.9) > 20.0 * np.quantile((0.02 * dark)[~same], 0.1)


def test_things_have_any_colour() -> None:
    colours = [any_colour(Draws(6, index)) for index in range(300)]
    levels = np.array([bright(colour) for colour in colours])
    assert levels.min() < 0.015
    assert levels.max() > 0.75
    assert all(0.0 < float(c.min()) <= float(c.max()) <= 0.95 for c in colours)
    strongest = np.array([int(c.argmax()) for c in colours if c.max() > 2.0 * c.min()])
    assert 0.1 < len(strongest) / len(colours) < 0.5
    assert np.bincount(strongest, minlength=3).min() > 0.15 * len(strongest)  # of any hue


def test_cloth_of_varied_colours_reaches_black_and_white(view: View) -> None:
    rows = slice(20, 24)
    found = [bright(cloth_of(Draws(7, i), view, rows, varied=True)) for i in range(150)]
    assert np.quantile(found, 0.05) < 0.02
    assert np.quantile(found, 0.95) > 0.6


def colour_of(melanin: float, haemoglobin: float) -> np.ndarray:
    """Ln R/G, ln G/B and ln Y of measured skin at D65."""
    one = torch.ones(1, 1, 1, 1)
    weights = torch.zeros(1, len(ILLUMINANT_NAMES))
    weights[0, 1] = 1.0
    shown = Decomposition(
        (melanin * one).clamp(-0.98, 0.98),
        (haemoglobin * one).clamp(-0.98, 0.98),
        one,
        1e-6 * one,
        Illuminant(weights, torch.tensor([6500.0])),
        torch.zeros(1, 2),
        "measured",
    ).render()
    red, green, blue = shown.flatten().log().tolist()
    return np.array([red - green, green - blue, math.log(bright(shown))])


def lips_beside_cheeks(ball: PreparedModel, melanin: float) -> np.ndarray:
    """Median difference of the colours of bare lips and of even skin of some melanin."""
    off = []
    for index in range(40):
        draws = Draws(8, index)
        who = draw_identity(draws, "measured", melanin, heads=ball)
        more, blood = draw_lips(draws, who, made_up=False)
        lips = colour_of(who.melanin + more, who.haemoglobin + blood)
        off.append(lips - colour_of(who.melanin, who.haemoglobin))
    return np.median(off, axis=0)


def test_lips_have_the_colours_of_photographs(ball: PreparedModel) -> None:
    """Beside cheeks: redder, less yellow, darker in light skin and brighter in dark skin."""
    red, yellow, dark = lips_beside_cheeks(ball, -0.2)
    assert red > 0.1
    assert yellow < -0.13
    assert dark < 0.0
    red, yellow, dark = lips_beside_cheeks(ball, 0.3)
    assert yellow < -0.1
    assert dark > 0.1


def test_dark_skin_of_heads_is_that_of_photographs() -> None:
    found = [draw_tone(Draws(9, i), "measured", photographed=True) for i in range(400)]
    dark = [tone for tone in found if tone.melanin > 0.3]
    assert len(dark) > 40
    colours = np.array([colour_of(t.melanin, t.haemoglobin) for t in dark[:60]])
    assert np.median(colours[:, 1]) == pytest.approx(0.38, abs=0.1)  # ln G/B of black people
    assert max(tone.melanin for tone in found) <= PHOTOGRAPHED_DARKEST
    # All other skin is as light as the archive's, and a little less red.
    usual = [draw_tone(Draws(9, i), "measured") for i in range(400)]
    same = [one.melanin == other.melanin for one, other in zip(found, usual, strict=True)]
    assert sum(same) > 300
    less = np.array([o.haemoglobin - t.haemoglobin for t, o in zip(found, usual, strict=True)])
    assert float(np.median(less[same])) == pytest.approx(-PHOTOGRAPHED_BLOOD, abs=1e-6)


def test_hair_of_heads_may_have_any_colour_on_any_skin(ball: PreparedModel) -> None:
    fair = [
        draw_identity(Draws(10, i), "measured", heads=ball).hair_colour.mean() for i in range(150)
    ]
    dark = [
        who.hair_colour.mean()
        for who in (draw_identity(Draws(10, i), "measured", heads=ball) for i in range(150))
        if who.light < 0.2
    ]
    assert max(fair) < 0.61
    assert 0.1 < float((np.array(dark) > 0.06).mean()) < 0.5
