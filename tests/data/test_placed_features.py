"""Brows, eyes, lips and folds of heads of a model: where they are, as photographs have them."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_heads import tiny_model

from benchmarks.face_statistics import photographs
from benchmarks.feature_shapes import shapes_of
from biofacenet.data.synthetic.draws import Draws
from biofacenet.data.synthetic.faces import generate
from biofacenet.data.synthetic.features import Brows
from biofacenet.data.synthetic.folds import draw_folds
from biofacenet.data.synthetic.heads.faces import ModelledHead, _turn_eyes, eyeball_middle
from biofacenet.data.synthetic.heads.prepared import IRIS, PreparedModel
from biofacenet.data.synthetic.heads.reading import read_heads
from biofacenet.data.synthetic.heads.seen import Seen, nearer, see_modelled_head
from biofacenet.data.synthetic.surface import Pose
from biofacenet.data.synthetic.view import Frame
from biofacenet.preparation.people import read_folder

OFF = {
    "brows over eyes": 0.05,
    "brows, inner ends from the middle": 0.05,
    "brows, outer ends from the middle": 0.06,
    "brows, fall to the outer ends": 0.035,
    "eyes, width": 0.09,
    "eyes, area by width": 0.04,
    "lips, width": 0.09,
    "lips, area by width": 0.04,
}
"""Most difference of medians from those of photographs, in distances of the eyes."""


FACES_DIR = os.environ.get("BIOFACENET_FACES_DIR")

needs_photographs = pytest.mark.skipif(
    FACES_DIR is None or not (Path(FACES_DIR) / "london").is_dir(),
    reason="BIOFACENET_FACES_DIR names no folder that holds london/, photographs, and ict/, the head model",
)


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> PreparedModel:
    return read_heads(tiny_model().write_packed(tmp_path_factory.mktemp("heads") / "ball.npz"))


def seen(model: PreparedModel, distance: float = math.inf, thin_lips: float = 0.0) -> Seen:
    vertices = model.mean.copy()
    head = ModelledHead(model, vertices, _turn_eyes(model, vertices, 0.0, 0.0), False)
    x, y = Frame(1.2, 0.0, -0.1).samples(256)
    return see_modelled_head(head, Pose(), Brows(0.29, 0.03), x, y, distance, thin_lips)


def test_eyes_that_look_ahead_stay_as_the_model_has_them(ball: PreparedModel) -> None:
    vertices = ball.mean.copy()
    vertices[ball.eyeballs[0].vertices[3], 2] += 0.05  # a cornea beside the middle
    model = PreparedModel(**{**vars(ball), "mean": vertices})
    moved = vertices.copy()
    gaze = _turn_eyes(model, moved, 0.0, 0.0)
    np.testing.assert_allclose(moved, vertices, atol=1e-6)
    for number, eye in enumerate(model.eyeballs):
        usual = vertices[eye.vertices]
        ahead = usual[usual[:, 2].argmax()] - eyeball_middle(usual)
        np.testing.assert_allclose(gaze[number], ahead / np.linalg.norm(ahead), atol=1e-6)
    turned = _turn_eyes(model, vertices.copy(), 0.2, 0.1)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), 1.0, atol=1e-6)
    assert (turned[:, 0] > gaze[:, 0]).all()
    assert (turned[:, 1] > gaze[:, 1]).all()


@pytest.mark.parametrize("distance", [5.0, 18.0, math.inf])
def test_irises_are_before_the_middles_of_eyeballs(ball: PreparedModel, distance: float) -> None:
    found = seen(ball, distance)
    x, _ = Frame(1.2, 0.0, -0.1).samples(256)
    iris = found.features.iris
    for eye in ball.eyeballs:
        usual = ball.mean[eye.vertices]
        pole = usual[usual[:, 2].argmax()][None]
        expected = float((nearer(pole, distance) if math.isfinite(distance) else pole)[0, 0])
        side = (x * expected > 0.0) & (iris < 1.0)
        assert side.sum() > 20
        assert float(x[side].mean()) == pytest.approx(expected, abs=0.2 * IRIS)


def test_the_border_of_thin_lips_lies_within_that_of_full_ones(ball: PreparedModel) -> None:
    full, thin = (seen(ball, thin_lips=by).features.lips for by in (0.0, 0.7))
    assert (thin <= full + 1e-6).all()
    assert 0.1 < float((thin > 0.5).sum()) / float((full > 0.5).sum()) < 0.95
    assert float(thin.max()) > 0.6


def test_folds_lie_where_faces_fold_and_deepen_with_age() -> None:
    x, y = Frame(1.0, 0.0, -0.1).samples(128)
    point = torch.stack((x, y, torch.full_like(x, 0.7)))
    kept = {age: [draw_folds(Draws(8, n), point, age) for n in range(24)] for age in (0.0, 1.0)}
    young, old = (torch.stack(kept[age]) for age in (0.0, 1.0))
    for folds in (young, old):
        assert 0.3 <= float(folds.min()) <= float(folds.max()) <= 1.0
    assert (old <= young + 1e-6).all()
    assert float(1.0 - old.mean()) > 3.0 * float(1.0 - young.mean())
    beside_nose = (x.abs() < 0.36) & (x.abs() > 0.12) & (y < -0.3) & (y > -0.55)
    forehead = (x.abs() < 0.2) & (y > 0.36) & (y < 0.7)
    cheeks = ((x.abs() - 0.55).abs() < 0.12) & ((y + 0.2).abs() < 0.1)
    for where in (beside_nose, forehead):
        assert float(old[:, where].amin(dim=1).median()) < 0.85
    assert float(old[:, cheeks].min()) > 0.98


@needs_photographs
def test_features_are_where_photographs_have_them() -> None:
    assert FACES_DIR is not None
    people = photographs(read_folder(Path(FACES_DIR) / "london"), 96)
    made = generate(range(96), seed=41, size=96, heads=Path(FACES_DIR) / "ict" / "ict_facekit.npz")
    assert made.geometry is not None
    of_photos = [shapes_of(person.labels) for person in people if person.labels is not None]
    of_heads = [shapes_of(labels[0].numpy()) for labels in made.geometry.parts]
    photos, faces = ([each for each in found if each] for found in (of_photos, of_heads))
    assert len(photos) > 40
    assert len(faces) > 25
    off = {
        name: float(np.median([face[name] for face in faces]))
        - float(np.median([photo[name] for photo in photos]))
        for name in OFF
    }
    assert {name: value for name, value in off.items() if abs(value) > OFF[name]} == {}, off
