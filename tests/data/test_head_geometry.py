"""Heads of a model before the camera: depth buffers, normals, occlusion, shadows, parts."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_heads import RADIUS, tiny_model
from torch import Tensor

from biofacenet.data.records import Faces
from biofacenet.data.synthetic import batches
from biofacenet.data.synthetic.batches import FaceBatches
from biofacenet.data.synthetic.draws import Draws
from biofacenet.data.synthetic.faces import generate
from biofacenet.data.synthetic.features import EYE_X, EYE_Y, MOUTH_Y, Brows
from biofacenet.data.synthetic.heads.canonical import scaled
from biofacenet.data.synthetic.heads.faces import ModelledHead, draw_modelled_head
from biofacenet.data.synthetic.heads.packed import read_packed
from biofacenet.data.synthetic.heads.prepared import PreparedModel
from biofacenet.data.synthetic.heads.raster import depth_maps, rasterise
from biofacenet.data.synthetic.heads.reading import read_heads
from biofacenet.data.synthetic.heads.seen import Seen, see_modelled_head
from biofacenet.data.synthetic.heads.sky import coarse_copy, occlusion
from biofacenet.data.synthetic.identity import draw_identity
from biofacenet.data.synthetic.surface import Pose
from biofacenet.data.synthetic.view import Frame, place_head
from biofacenet.decomposition.parts import part_index
from biofacenet.physics.colour import linear_to_srgb

BROWS = Brows(height=0.29, thickness=0.03)

FACES_DIR = os.environ.get("BIOFACENET_FACES_DIR")

real_model = pytest.mark.skipif(
    not FACES_DIR or not (Path(FACES_DIR) / "ict").is_dir(),
    reason="BIOFACENET_FACES_DIR names no folder that holds ict/, the head model",
)


@pytest.fixture(scope="module")
def ball_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model().write_packed(tmp_path_factory.mktemp("heads") / "ball.npz")


@pytest.fixture(scope="module")
def ball(ball_path: Path) -> PreparedModel:
    return read_heads(ball_path)


def mean_of(model: PreparedModel) -> ModelledHead:
    return ModelledHead(
        model, model.mean.copy(), np.array([[0.0, 0.0, 1.0]] * 2, dtype=np.float32), False
    )


UPRIGHT = Pose()


def seen(model: PreparedModel, pose: Pose = UPRIGHT, samples: int = 96) -> Seen:
    x, y = Frame(1.2, 0.0, -0.1).samples(samples)
    return see_modelled_head(mean_of(model), pose, BROWS, x, y)


# Depth buffers -------------------------------------------------------------------------------


def test_the_nearest_of_random_triangles_is_that_of_a_search_of_all() -> None:
    rng = np.random.default_rng(3)
    size, count = 12, 60
    places = rng.uniform(-3.0, size + 2.0, (3, 3 * count)).astype(np.float32)
    triangles = np.arange(3 * count).reshape(count, 3).T
    grid = rasterise(places, triangles, size)
    for row in range(size):
        for column in range(size):
            best, depth = -1, -np.inf
            for t in range(count):
                a, b, c = places.T[triangles[:, t]].astype(np.float64)
                matrix = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1.0, 1.0, 1.0]])
                if np.linalg.det(matrix) >= 0.0:  # rows go down: it faces away
                    continue
                weights = np.linalg.solve(matrix, [column, row, 1.0])
                if weights.min() < 0.0:
                    continue
                z = weights @ [a[2], b[2], c[2]]
                if z > depth:
                    best, depth, found = t, z, weights
            assert grid.triangle[row, column] == best
            if best >= 0:
                np.testing.assert_allclose(grid.weights[:, row, column], found, atol=1e-4)


def test_each_of_many_grids_is_as_alone() -> None:
    rng = np.random.default_rng(4)
    places = rng.uniform(0.0, 10.0, (3, 4, 30)).astype(np.float32)
    triangles = rng.integers(0, 30, (3, 20))
    together = depth_maps(places, triangles, 10)
    for number in range(4):
        alone = depth_maps(places[:, number : number + 1], triangles, 10)[0]
        np.testing.assert_array_equal(together[number], alone)
    assert np.isfinite(together).any()
    assert np.isinf(together).any()


# A ball ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pose", [Pose(), Pose(yaw=0.4, pitch=-0.2, roll=0.1)])
def test_normals_of_a_ball_are_the_analytic_ones(ball: PreparedModel, pose: Pose) -> None:
    found = seen(ball, pose).surface
    model = read_packed(ball.path)
    unit, origin = scaled(model)
    radius = RADIUS / unit
    middle = pose.rotation() @ torch.from_numpy(-origin / np.float32(unit))
    x, y = Frame(1.2, 0.0, -0.1).samples(96)
    off = torch.stack((x - middle[0], y - middle[1]))
    flat = off.norm(dim=0)
    # Not near the outline, on the eyes or where the neck bends.
    inside = found.hit & (flat < 0.85 * radius) & ~found.neck & (found.point[1] > -0.6)
    depth = (radius**2 - flat.square()).clamp(min=0.0).sqrt()
    expected = torch.stack((*off, depth)) / radius
    cosine = (expected * found.normal).sum(dim=0)[inside]
    degrees = torch.rad2deg(torch.acos(cosine.clamp(max=1.0)))
    assert float(degrees.median()) < 1.5
    assert float(torch.quantile(degrees, 0.9)) < 4.0


def test_canonical_places_turn_with_the_head(ball: PreparedModel) -> None:
    """What is painted at a place stays there: the tip of a turned head's nose moves aside."""
    for pose, toward in ((Pose(yaw=0.3), 1.0), (Pose(yaw=-0.3), -1.0)):
        found = seen(ball, pose)
        tip = found.landmarks[30]
        assert toward * float(tip[0]) > 0.1
        x, y = Frame(1.2, 0.0, -0.1).samples(96)
        nearest = int(((x - tip[0]).square() + (y - tip[1]).square()).argmin())
        place = found.surface.point.reshape(3, -1)[:, nearest]
        assert abs(float(place[0])) < 0.05


def test_eyes_look_where_the_gaze_goes(ball: PreparedModel) -> None:
    x, y = Frame(1.2, 0.0, -0.1).samples(192)
    middles = []
    for turn in (-0.3, 0.0, 0.3):
        head = mean_of(ball)
        toward = np.array([[np.sin(turn), 0.0, np.cos(turn)]] * 2, dtype=np.float32)
        head = ModelledHead(ball, head.vertices, toward, False)
        iris = see_modelled_head(head, Pose(), BROWS, x, y).features.iris
        right = (iris < 1.0) & (x > 0.0)
        assert right.any()
        middles.append(float(x[right].mean()))
    assert middles[0] < middles[1] - 0.02 < middles[2] - 0.04


def test_occlusion_lies_between_none_and_all(ball: PreparedModel) -> None:
    found = seen(ball).surface
    assert 0.0 <= float(found.occlusion.min()) <= float(found.occlusion.max()) <= 1.0
    assert (found.occlusion[~found.hit] == 1.0).all()
    brow = found.hit & (found.point[1] > 0.5)  # nothing stands before a ball's forehead
    assert float(found.occlusion[brow].mean()) > 0.95


def plate(height: float, half: float, facing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A square of many vertices that faces up or down: places, triangles, normals."""
    steps = np.linspace(-half, half, 15)
    x, z = np.meshgrid(steps, steps, indexing="ij")
    places = np.stack((x, np.full_like(x, height), z), axis=2).reshape(-1, 3)
    number = np.arange(225).reshape(15, 15)
    a, b = number[:-1, :-1].ravel(), number[1:, :-1].ravel()
    c, d = number[1:, 1:].ravel(), number[:-1, 1:].ravel()
    up = np.concatenate((np.stack((a, c, b), axis=1), np.stack((a, d, c), axis=1)))
    normals = np.tile([0.0, facing, 0.0], (225, 1))
    return places, up if facing > 0 else up[:, ::-1], normals.astype(np.float32)


def test_a_roof_takes_the_light() -> None:
    floor, floor_triangles, up = plate(-0.4, 0.9, 1.0)
    roof, roof_triangles, down = plate(-0.2, 0.9, -1.0)
    top, top_triangles, above = plate(-0.19, 0.9, 1.0)
    places = np.concatenate((floor, roof, top)).astype(np.float32)
    triangles = np.concatenate((floor_triangles, roof_triangles + 225, top_triangles + 450))
    normals = np.concatenate((up, down, above))
    kinds = np.zeros(len(places), dtype=np.int64)
    share = occlusion(coarse_copy(places, triangles, kinds), places, normals)
    middle = np.abs(floor[:, [0, 2]]).max(axis=1) < 0.3
    assert float(share[:225][middle].max()) < 0.25
    assert float(share[450:].min()) > 0.9
    alone = coarse_copy(places[:225], floor_triangles, kinds[:225])
    assert float(occlusion(alone, places[:225], up).min()) > 0.9


def test_what_stands_before_the_light_casts_a_shadow(ball: PreparedModel) -> None:
    """Light from above at the edge of the ball: its lower half is in shadow; light from ahead is not."""
    found = seen(ball).surface
    from_above = found.shadow(torch.tensor([0.0, 1.0, 0.05]))
    head = found.hit & (found.normal[2] > 0.3)
    lit, dark = head & (found.normal[1] > 0.35), head & (found.normal[1] < -0.35)
    assert 0.0 <= float(from_above.min()) <= float(from_above.max()) <= 1.0
    assert float(from_above[lit].mean()) > 0.95
    assert float(from_above[dark].mean()) < 0.1
    ahead = found.shadow(torch.tensor([0.0, 0.0, 1.0]))
    assert float(ahead[head].mean()) > 0.98
    assert (from_above[~found.hit] == 1.0).all()


# Faces ----------------------------------------------------------------------------------------


def tensors(faces: Faces) -> list[Tensor]:
    geometry = faces.geometry
    assert geometry is not None
    own = [faces.image, faces.normals, faces.mask, faces.coordinates, faces.lighting]
    maps = [torch.from_numpy(values) for values in faces.known().arrays().values()]
    return [*own, *maps, geometry.normals, geometry.parts, geometry.occlusion, geometry.landmarks]


def test_faces_of_a_model_depend_on_seed_and_index_alone(
    ball_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    together = generate([4, 9], seed=1, size=32, heads=ball_path, skin="published")
    alone = generate([9], seed=1, size=32, heads=ball_path, skin="published")
    for one, other in zip(tensors(together), tensors(alone), strict=True):
        assert torch.equal(one[1:], other)
    made = list(
        FaceBatches(range(4), 1, size=16, heads=ball_path, skin="published").made_in_parallel(2)
    )[1]
    again = generate([2, 3], 1, size=16, heads=ball_path, skin="published")
    for one, other in zip(tensors(made), tensors(again), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(alone.image, generate([9], seed=1, size=32, skin="published").image)


@pytest.mark.parametrize("modelled", [False, True], ids=["parametric", "modelled"])
def test_truth_renders_to_the_picture_and_parts_agree_with_the_mask(
    modelled: bool, ball_path: Path
) -> None:
    faces = generate(
        range(6), 3, size=48, noise=False, skin="measured", heads=ball_path if modelled else None
    )
    geometry = faces.geometry
    assert geometry is not None
    coded = torch.round(255.0 * linear_to_srgb(faces.known().render())) / 255.0
    inside = (faces.mask > 0).expand_as(coded)
    assert inside.any()
    off = (faces.image - coded)[inside].abs()
    assert float((off > 1e-5).float().mean()) < 0.01  # a value at the edge of two codes
    assert float(off.max()) < 1.01 / 255.0
    of_face = torch.tensor([part_index(n) for n in ("skin", "lips", "brows", "hair")])
    assert torch.isin(geometry.parts[faces.mask > 0], of_face).all()
    assert torch.equal(faces.normals != 0, (geometry.normals * faces.mask) != 0)
    length = geometry.normals.norm(dim=1)
    assert ((length - 1.0).abs() < 1e-4).logical_or(length == 0).all()
    assert float(geometry.occlusion.min()) >= 0.0
    assert float(geometry.occlusion.max()) <= 1.0
    on_head = geometry.parts == part_index("skin")
    assert float((length[:, None][on_head] > 0).float().mean()) > 0.98


def test_parametric_landmarks_lie_on_their_features() -> None:
    """Where nothing covers them, eyes are between their landmarks and lips within theirs."""
    faces = generate(range(8), 5, size=96, noise=False, yaw=0.0, skin="published")
    geometry = faces.geometry
    assert geometry is not None
    for name, chosen, least in (("lips", slice(48, 60), 8), ("eyes", slice(36, 48), 6)):
        shares = []
        for parts, landmarks in zip(geometry.parts[:, 0], geometry.landmarks, strict=True):
            place = (parts == part_index(name)).nonzero().flip(1) + 0.5
            if len(place) < least:
                continue
            marks = landmarks[chosen]
            low, high = marks.amin(dim=0) - 2.5, marks.amax(dim=0) + 2.5
            shares.append(float(((place > low) & (place < high)).all(dim=1).float().mean()))
        assert len(shares) > 4
        assert min(shares) > 0.95


# The published model --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ict() -> PreparedModel:
    return read_heads(Path(FACES_DIR or "") / "ict")


@real_model
def test_features_of_the_published_model_lie_where_they_are_painted(ict: PreparedModel) -> None:
    place = ict.places[ict.landmarks]
    eyes = place[36:42].mean(axis=0), place[42:48].mean(axis=0)
    for (x, y, _), side in zip(eyes, (-1.0, 1.0), strict=True):
        assert abs(x - side * EYE_X) < 0.02
        assert abs(y - EYE_Y) < 0.02
    assert abs(place[48:60, 1].mean() - MOUTH_Y) < 0.03
    assert abs(place[30, 1] + 0.27) < 0.03
    assert abs(place[8, 1] + 1.0) < 0.03
    assert 1.1 < ict.places[:, 1].max() < 1.3
    names = dict(zip(("lips", "lid", "neck", "ear", "inner"), ict.marks.T[:5], strict=True))
    assert (np.abs(place[:, 0][names["ear"][ict.landmarks] > 0.5])).size == 0
    assert np.abs(ict.places[names["ear"] > 0.5, 0]).min() > 0.6
    assert ict.places[names["neck"] > 0.5, 1].max() < 0.0
    lips = ict.places[names["lips"] > 0.9]
    assert np.abs(lips[:, 0]).max() < 0.3
    seam, over = ict.marks.T[5:]
    assert seam[ict.landmarks[60:68]].min() > 0.7
    assert seam[ict.landmarks[[51, 57, 30, 8]]].max() < 0.05
    assert np.abs(over[ict.landmarks[[37, 38, 43, 44]]]).max() < 0.01
    assert over[ict.landmarks[[40, 41, 46, 47]]].max() < -0.04


@real_model
def test_the_published_mean_head_is_seen_as_its_mirror_image(ict: PreparedModel) -> None:
    found = seen(ict).surface
    mirrored = found.normal.flip(2) * torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    both = found.hit & found.hit.flip(1) & ~found.neck & (found.normal[2] > 0.3)
    cosine = (found.normal * mirrored).sum(dim=0)[both]
    assert float((cosine > 0.97).float().mean()) > 0.95
    assert float((found.hit == found.hit.flip(1)).float().mean()) > 0.99


@real_model
def test_faces_of_the_published_model(ict: PreparedModel) -> None:
    faces = generate(range(4), 2, size=96, skin="measured", heads=ict.path, yaw=10.0)
    geometry = faces.geometry
    assert geometry is not None
    assert (faces.mask.mean(dim=(1, 2, 3)) > 0.1).all()
    for parts, landmarks in zip(geometry.parts[:, 0], geometry.landmarks, strict=True):
        assert landmarks.isfinite().all()
        lips = (parts == part_index("lips")).nonzero().flip(1) + 0.5
        marks = landmarks[48:60]
        if len(lips) > 20:
            inside = (lips > marks.amin(dim=0) - 2.0) & (lips < marks.amax(dim=0) + 2.0)
            assert float(inside.all(dim=1).float().mean()) > 0.95
    draws = [draw_modelled_head(Draws(0, index), ict) for index in range(12)]
    spread = np.stack([head.vertices[ict.landmarks] for head in draws]).std(axis=0)
    assert 0.01 < float(spread.mean()) < 0.15
    assert 1 < sum(head.opened for head in draws) < 12


@real_model
def test_men_of_the_published_model_have_larger_heads_and_pictures_of_one_size(
    ict: PreparedModel,
) -> None:
    width = {}
    for masculine in (0.0, 1.0):
        heads = [draw_modelled_head(Draws(3, index), ict, masculine) for index in range(24)]
        width[masculine] = float(np.mean([head.half_width for head in heads]))
    assert width[1.0] > 1.05 * width[0.0]
    apart = []
    for index in range(24):
        draws = Draws(3, index)
        view = place_head(draws, draw_identity(draws, "measured", heads=ict), 32, yaw=0.0)
        marks = view.frame.pixels(view.landmarks, 32)
        apart.append(float(marks[42:48, 0].mean() - marks[36:42, 0].mean()) / 32.0)
    assert float(np.mean(apart)) == pytest.approx(0.245, abs=0.01)
    assert float(np.std(apart)) < 0.02
