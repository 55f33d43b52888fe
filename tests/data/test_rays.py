"""Viewing rays meet parametric heads where a search in small steps meets them."""

import pytest
import torch
from torch import Tensor

from biofacenet.data.synthetic.faces import draw_heads
from biofacenet.data.synthetic.features import Brows, Eyes, Mouth
from biofacenet.data.synthetic.landmarks import parametric_landmarks
from biofacenet.data.synthetic.parametric import Cylinder, see_head
from biofacenet.data.synthetic.rays import find_surface
from biofacenet.data.synthetic.shape import Head, Relief, front_depth, implicit, make_relief
from biofacenet.data.synthetic.surface import Pose
from biofacenet.data.synthetic.view import Frame

X, Y = Frame(1.17, 0.0, -0.13).samples(64)


def searched(relief: Relief, turn: Tensor) -> tuple[Tensor, Tensor]:
    """Which rays meet the head, and how far toward the viewer: in 180 steps each."""
    start = turn.T @ torch.stack((X, Y, torch.zeros_like(X))).reshape(3, -1)
    depths = torch.linspace(1.3, -0.5, 181)
    inside = torch.stack(
        [torch.minimum(*implicit(relief, start + turn.T[:, 2:] * depth)) < 0.0 for depth in depths]
    )
    first = inside.int().argmax(dim=0)
    return inside.any(dim=0).reshape(X.shape), depths[first].reshape(X.shape)


@pytest.mark.parametrize(
    "pose", [Pose(), Pose(yaw=0.6, pitch=0.2), Pose(yaw=-0.3, pitch=-0.25, roll=0.15)]
)
def test_rays_meet_the_nearest_surface(pose: Pose) -> None:
    (head,) = draw_heads(1, seed=int(100 * pose.yaw) % 7)
    relief, turn = make_relief(head), pose.rotation()
    found = find_surface(relief, turn, X, Y)
    hit, depth = searched(relief, turn)
    assert float((found.hit != hit).float().mean()) < 0.01
    reached = (turn @ found.point.reshape(3, -1))[2].reshape(X.shape)
    error = (reached - depth)[hit & found.hit]
    assert float(((error > -0.001) & (error < 0.012)).float().mean()) > 0.98
    across = (turn @ found.point.reshape(3, -1))[0].reshape(X.shape)
    torch.testing.assert_close(across[found.hit], X[found.hit], atol=1e-5, rtol=0)


def test_normals_of_a_head_without_features_are_the_analytic_ones() -> None:
    head = Head(half_width=0.72, depth=0.85, jaw=0.6, bumps=())
    relief = make_relief(Head(0.72, 0.85, 0.6, draw_heads(1)[0].bumps[:1]))
    relief.form[:, 0] = 0.0  # no bump at all
    found = find_surface(relief, torch.eye(3), X, Y)
    x, y, z = found.point
    front = found.hit & ~found.ear & (z > 0.2) & (y < -0.06) & (y > -0.9)
    wide = (0.72 * head.taper(y.flatten())).reshape(y.shape)
    step = 1e-3

    def level(yy: Tensor) -> Tensor:
        """Of the vertical term and of the width, at another height."""
        width = (0.72 * head.taper(yy.flatten())).reshape(yy.shape)
        return (x / width).square() + ((0.1 - yy) / 1.18) ** 4

    slope = torch.stack(
        (2.0 * x / wide**2, (level(y + step) - level(y - step)) / (2.0 * step), 2.0 * z / 0.85**2)
    )
    expected = slope / slope.norm(dim=0)
    cosine = (expected * found.normal).sum(dim=0)[front]
    assert int(front.sum()) > 500
    assert float(torch.rad2deg(torch.acos(cosine.clamp(max=1.0))).median()) < 1.0


def test_landmarks_lie_on_the_head() -> None:
    (head,) = draw_heads(1, seed=2)
    relief = make_relief(head)
    mouth, eyes = Mouth(0.2, 0.0, 0.23, 0.05, 0.07), Eyes(0.12, 0.045, 0.0)
    places = parametric_landmarks(head, relief, mouth, eyes, Brows(0.29, 0.02))
    assert places.shape == (68, 3)
    gap = torch.stack(implicit(relief, places.T)).amin(dim=0).abs()
    assert float(gap[17:].max()) < 0.02
    assert float(gap.max()) < 0.1  # the outline is where rays graze
    x, y = places[:, 0], places[:, 1]
    assert (x[:8].diff() > 0).all()
    assert (x[36:40].argsort() == torch.arange(4)).all()
    assert float(y[8]) == pytest.approx(-1.0)
    assert (x[:17] + x[:17].flip(0)).abs().max() < 1e-6
    torch.testing.assert_close(front_depth(relief, places[:, :2]), places[:, 2])


def test_shadows_and_occlusion_of_a_parametric_head() -> None:
    (head,) = draw_heads(1, seed=3)
    found = see_head(make_relief(head), torch.eye(3), X, Y, Cylinder(0.0, 0.4))
    above = found.shadow(torch.tensor([0.0, 1.0, 0.1]))
    for values in (above, found.occlusion):
        assert 0.0 <= float(values.min()) <= float(values.max()) <= 1.0
        assert (values[~found.hit] == 1.0).all()
    x, y, _ = found.point
    forehead = found.hit & (y > 0.45) & (y < 0.9) & (x.abs() < 0.4)
    below_nose = found.hit & (y < -0.38) & (y > -0.45) & (x.abs() < 0.08)
    throat = found.neck & (y < -1.0) & (x.abs() < 0.2) & (y > -1.2)
    assert float(above[forehead].mean()) > 0.9
    assert float(above[below_nose].mean()) < 0.3
    assert float(above[throat].mean()) < 0.3
    ahead = found.shadow(torch.tensor([0.0, 0.0, 1.0]))
    assert float(ahead[found.hit & (found.normal[2] > 0.4)].mean()) > 0.95
    assert float(found.occlusion[below_nose].mean()) < float(found.occlusion[forehead].mean())
