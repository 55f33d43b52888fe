"""Hair as lines in space: where it grows, that it stays off the face, and how it falls."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_heads import tiny_model

from biofacenet.data.synthetic import wisp_samples
from biofacenet.data.synthetic.draws import Draws
from biofacenet.data.synthetic.grown import grow_hair
from biofacenet.data.synthetic.hair import Hair, draw_hair
from biofacenet.data.synthetic.heads.prepared import PreparedModel
from biofacenet.data.synthetic.heads.reading import read_heads
from biofacenet.data.synthetic.identity import draw_identity
from biofacenet.data.synthetic.strands import draw_run
from biofacenet.data.synthetic.view import View, place_head
from biofacenet.data.synthetic.wisp_samples import Wisps
from biofacenet.data.synthetic.wisps import lay_wisps

RUNS = {"short": "crown", "tied": "back", "long": "parting", "curly": "curls"}


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> PreparedModel:
    return read_heads(tiny_model().write_packed(tmp_path_factory.mktemp("heads") / "ball.npz"))


def seen(ball: PreparedModel, size: int = 32) -> tuple[View, Hair]:
    draws = Draws(12, 2)
    who = draw_identity(draws, "measured", heads=ball)
    view = place_head(draws, who, size, yaw=0.0)
    return view, draw_hair(draws, who)


def laid(
    ball: PreparedModel, kind: str, seed: int = 0, size: int = 32, **style: float
) -> tuple[View, Wisps]:
    """Hair that grows above a line on the forehead."""
    view, hair = seen(ball, size)
    assert view.shells is not None
    inside = view.shells.places[1] - 0.5 - 0.6 * view.shells.places[2].clamp(min=0.0)
    draws = Draws(seed, 5)
    run = draw_run(draws, RUNS[kind], 0.1)
    changed = replace(hair, kind=kind, **{"volume": 0.1, "length": -0.9, **style})
    risen = torch.full_like(inside, 0.1)
    found = lay_wisps(draws, changed, run, view.shells, inside, risen, view.pose)
    assert found is not None
    return view, found


@pytest.mark.parametrize("kind", RUNS)
def test_wisps_cover_where_hair_grows(ball: PreparedModel, kind: str) -> None:
    view, found = laid(ball, kind)
    head = view.surface.hit
    top = head & (view.surface.point[1] > 0.95)
    assert float(found.hit[top].float().mean()) > 0.7
    face = head & (view.x.abs() < 0.4) & (view.surface.point[1].abs() < 0.35)
    assert face.any()
    assert float(found.hit[face].float().mean()) < 0.02
    assert (found.hit & ~head).any()  # it stands out


@pytest.mark.parametrize("kind", RUNS)
def test_wisps_have_directions_normals_and_light(ball: PreparedModel, kind: str) -> None:
    _, found = laid(ball, kind)
    for vectors in (found.tangent, found.normal):
        lengths = vectors[:, found.hit].norm(dim=0)
        torch.testing.assert_close(lengths, torch.ones_like(lengths), atol=1e-3, rtol=0)
    assert float(found.open.min()) >= 0.0
    assert float(found.open.max()) <= 1.0
    assert float(found.open[found.hit].std()) > 0.01  # some lie below others
    assert float(found.locks[found.hit].std()) > 0.2


@pytest.mark.parametrize("kind", RUNS)
def test_pieces_that_are_left_out_early_are_not_seen(
    ball: PreparedModel, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, quick = laid(ball, kind)
    monkeypatch.setattr(wisp_samples, "BEHIND", 100.0)
    _, whole = laid(ball, kind)
    differs = (quick.hit != whole.hit) | ((quick.open - whole.open).abs() > 1e-3)
    assert float(differs.float().mean()) < 0.005


def test_a_thin_hair_hides_half_of_the_samples_that_it_crosses(
    ball: PreparedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wisp_samples, "ENDS", 1.0)
    view, _ = seen(ball, 64)
    assert view.shells is not None
    hairs, high = 30, 1.0
    x = torch.linspace(-0.9, 0.9, hairs)[:, None, None].expand(hairs, 1, 9)
    y = torch.linspace(-high, high, 9).expand_as(x)
    lines = torch.stack((x, y, torch.full_like(x, 3.0)), -1)
    found = wisp_samples.draw_wisps(
        np.random.default_rng(0),
        lines,
        torch.tensor([0.0, 0.0, 1.0]).expand(hairs, 9, 3),
        torch.ones(hairs, 9, dtype=torch.bool),
        view.shells,
    )
    crossed = hairs * 2.0 * high / view.shells.step  # upright, and half a sample wide
    assert float(found.hit.sum()) == pytest.approx(0.5 * crossed, rel=0.1)


def test_wisps_come_of_their_draws(ball: PreparedModel) -> None:
    _, one = laid(ball, "short", 1)
    _, same = laid(ball, "short", 1)
    _, other = laid(ball, "short", 2)
    assert torch.equal(one.hit, same.hit)
    assert torch.equal(one.locks, same.locks)
    assert not torch.equal(one.hit, other.hit)


def test_long_hair_reaches_down_as_far_as_it_is_long(ball: PreparedModel) -> None:
    lowest = {}
    for length in (-0.5, -1.2):
        view, found = laid(ball, "long", length=length)
        lowest[length] = float(view.y[found.hit & ~view.surface.hit].quantile(0.02))
    assert lowest[-1.2] < lowest[-0.5] - 0.3
    view, short = laid(ball, "short")
    assert float(view.y[short.hit].min()) > lowest[-0.5]


def test_long_hair_falls_and_combed_hair_goes_back(ball: PreparedModel) -> None:
    view, long = laid(ball, "long")
    beside = long.hit & ~view.surface.hit & (view.y < 0.0)
    assert beside.any()
    assert float(long.tangent[1, beside].median()) < -0.9
    view, back = laid(ball, "tied")
    top = back.hit & view.surface.hit & (view.x.abs() < 0.3) & (view.surface.point[1] > 0.9)
    assert float(back.tangent[2, top].median()) < -0.3


def test_more_volume_stands_out_farther(ball: PreparedModel) -> None:
    view, hair = seen(ball)
    assert view.shells is not None
    inside = view.shells.places[1] - 0.5
    area = []
    for rise in (0.03, 0.25):
        draws = Draws(3, 3)
        run = draw_run(draws, "crown", 0.0)
        risen = torch.full_like(inside, rise)
        style = replace(hair, kind="short", volume=0.1)
        found = lay_wisps(draws, style, run, view.shells, inside, risen, view.pose)
        assert found is not None
        area.append(int((found.hit & ~view.surface.hit).sum()))
    assert area[1] > 1.5 * area[0]


@pytest.mark.parametrize("kind", ["bald", "shaved"])
def test_hair_that_is_too_short_has_none(ball: PreparedModel, kind: str) -> None:
    view, hair = seen(ball)
    assert view.shells is not None
    grows = torch.ones(view.shells.places.shape[1])
    run = draw_run(Draws(1, 1), "crown", 0.0)
    style = replace(hair, kind=kind)
    assert lay_wisps(Draws(1, 2), style, run, view.shells, grows, grows, view.pose) is None


def test_a_head_without_room_for_hair_has_none(ball: PreparedModel) -> None:
    view, hair = seen(ball)
    assert view.shells is not None
    nowhere = torch.full((view.shells.places.shape[1],), -1.0)
    run = draw_run(Draws(1, 1), "crown", 0.0)
    style = replace(hair, kind="short")
    assert lay_wisps(Draws(1, 2), style, run, view.shells, nowhere, nowhere, view.pose) is None


def test_hair_of_a_head_shows_its_wisps_but_for_below_a_hat(ball: PreparedModel) -> None:
    """The outline of hair beside a head is finer than that of its shell: it has more edges."""
    edges = {}
    for covered in (False, True):
        edges[covered] = 0
        for index in range(12):
            draws = Draws(12, index)
            who = draw_identity(draws, "measured", heads=ball)
            view = place_head(draws, who, 48, yaw=0.0)
            behind = grow_hair(draws, who, view, covered=covered).behind
            edges[covered] += int((behind[:, 1:] ^ behind[:, :-1]).sum())
    assert edges[False] > 1.5 * edges[True]


def test_wisps_are_as_thin_as_samples(ball: PreparedModel) -> None:
    """Larger pictures show more of them, not wider ones."""
    shares = []
    for size in (24, 64):
        view, found = laid(ball, "short", size=size)
        top = view.surface.hit & (view.surface.point[1] > 0.95)
        shares.append(float(found.hit[top].float().mean()))
    assert min(shares) > 0.7
    assert abs(shares[0] - shares[1]) < 0.2
