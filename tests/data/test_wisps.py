"""Hair as lines in space: where it grows, that it stays off the face, and how it falls."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_heads import tiny_model
from torch import Tensor

from biofacenet.data import generate
from biofacenet.data.synthetic import faces, wisp_samples
from biofacenet.data.synthetic.draws import Draws
from biofacenet.data.synthetic.dressing import Dressed, dress
from biofacenet.data.synthetic.grown import GrownHair, grow_hair
from biofacenet.data.synthetic.hair import Hair, draw_hair
from biofacenet.data.synthetic.heads.prepared import PreparedModel
from biofacenet.data.synthetic.heads.reading import read_heads
from biofacenet.data.synthetic.identity import draw_identity
from biofacenet.data.synthetic.strands import draw_run
from biofacenet.data.synthetic.view import View, place_head
from biofacenet.data.synthetic.wisp_samples import Wisps
from biofacenet.data.synthetic.wisps import lay_wisps
from biofacenet.decomposition.parts import part_index
from biofacenet.physics.colour import srgb_to_linear

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


def hidden(found: Wisps) -> Tensor:
    """Samples that they hide for the most part."""
    return found.share > 0.5


@pytest.mark.parametrize("kind", RUNS)
def test_wisps_cover_where_hair_grows(ball: PreparedModel, kind: str) -> None:
    view, found = laid(ball, kind)
    head = view.surface.hit
    top = head & (view.surface.point[1] > 0.95)
    assert float(found.share[top].mean()) > 0.6
    face = head & (view.x.abs() < 0.4) & (view.surface.point[1].abs() < 0.35)
    assert face.any()
    assert float(hidden(found)[face].float().mean()) < 0.02
    assert (hidden(found) & ~head).any()  # it stands out


@pytest.mark.parametrize("kind", RUNS)
def test_wisps_have_directions_normals_and_light(ball: PreparedModel, kind: str) -> None:
    _, found = laid(ball, kind)
    for vectors in (found.tangent, found.normal):
        lengths = vectors[:, hidden(found)].norm(dim=0)
        torch.testing.assert_close(lengths, torch.ones_like(lengths), atol=1e-3, rtol=0)
    assert float(found.open.min()) >= 0.0
    assert float(found.open.max()) <= 1.0
    assert float(found.open[hidden(found)].std()) > 0.01  # some lie below others
    assert float(found.locks[hidden(found)].std()) > 0.2


@pytest.mark.parametrize("kind", RUNS)
def test_pieces_that_are_left_out_early_are_not_seen(
    ball: PreparedModel, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, quick = laid(ball, kind)
    monkeypatch.setattr(wisp_samples, "BEHIND", 100.0)
    _, whole = laid(ball, kind)
    differs = (hidden(quick) != hidden(whole)) | ((quick.open - whole.open).abs() > 1e-3)
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
    assert float(found.share.sum()) == pytest.approx(0.5 * crossed, rel=0.03)


def test_wisps_come_of_their_draws(ball: PreparedModel) -> None:
    _, one = laid(ball, "short", 1)
    _, same = laid(ball, "short", 1)
    _, other = laid(ball, "short", 2)
    assert torch.equal(hidden(one), hidden(same))
    assert torch.equal(one.locks, same.locks)
    assert not torch.equal(hidden(one), hidden(other))


def test_long_hair_reaches_down_as_far_as_it_is_long(ball: PreparedModel) -> None:
    lowest = {}
    for length in (-0.5, -1.2):
        view, found = laid(ball, "long", length=length)
        lowest[length] = float(view.y[hidden(found) & ~view.surface.hit].quantile(0.02))
    assert lowest[-1.2] < lowest[-0.5] - 0.3
    view, short = laid(ball, "short")
    assert float(view.y[hidden(short)].min()) > lowest[-0.5]


def test_long_hair_falls_and_combed_hair_goes_back(ball: PreparedModel) -> None:
    view, long = laid(ball, "long")
    beside = hidden(long) & ~view.surface.hit & (view.y < 0.0)
    assert beside.any()
    assert float(long.tangent[1, beside].median()) < -0.9
    view, back = laid(ball, "tied")
    top = hidden(back) & view.surface.hit & (view.x.abs() < 0.3) & (view.surface.point[1] > 0.9)
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
        area.append(int((hidden(found) & ~view.surface.hit).sum()))
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
            hair = grow_hair(draws, who, view, covered=covered)
            behind = (hair.behind | (hair.sheer > 0.5)) & ~view.surface.hit
            edges[covered] += int((behind[:, 1:] ^ behind[:, :-1]).sum())
    assert edges[False] > 1.5 * edges[True]


def test_thin_hair_is_where_no_other_hair_is(ball: PreparedModel) -> None:
    sheer, thin = 0, 0
    for index in range(8):
        draws = Draws(12, index)
        who = draw_identity(draws, "measured", heads=ball)
        hair = grow_hair(draws, who, place_head(draws, who, 48, yaw=0.0), covered=False)
        assert float(hair.sheer.min()) >= 0.0
        assert float(hair.sheer.max()) <= 1.0
        assert not hair.sheer[hair.on_head | hair.behind].any()
        sheer += int((hair.sheer > 0.0).sum())
        thin += int((hair.sheer > 0.0).logical_and(hair.sheer < 0.7).sum())
    assert sheer > 100
    assert thin > 0.5 * sheer


@pytest.mark.parametrize(("sheer", "label"), [(0.4, "skin"), (0.6, "hair")])
def test_skin_below_thin_hair_has_the_label_of_what_hides_or_shows_it(
    ball: PreparedModel, monkeypatch: pytest.MonkeyPatch, sheer: float, label: str
) -> None:
    assert ball.path is not None

    def dressed(*what: object) -> Dressed:
        worn = dress(*what)  # type: ignore[arg-type]
        assert isinstance(worn.hair, GrownHair)
        everywhere = torch.full_like(worn.hair.sheer, sheer)
        nowhere = torch.zeros_like(worn.on_head)
        hair = replace(worn.hair, sheer=everywhere, fuzz=0.0 * everywhere)
        return replace(worn, hair=hair, on_head=nowhere, behind=nowhere)

    bald = generate([3], 12, size=32, heads=ball.path, noise=False)
    monkeypatch.setattr(faces, "dress", dressed)
    thin = generate([3], 12, size=32, heads=ball.path, noise=False)
    assert bald.geometry is not None
    assert thin.geometry is not None
    assert not thin.mask.any()  # none of it is skin alone
    was = (bald.geometry.parts == part_index("skin")) & (bald.mask > 0.5)
    assert was.any()
    found = thin.geometry.parts[was] == part_index(label)
    assert float(found.float().mean()) > 0.9


def test_below_black_hair_skin_is_as_bright_as_its_share(
    ball: PreparedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The truth renders to what the picture shows of the skin."""
    sheer = 0.25

    def dressed(*what: object) -> Dressed:
        worn = dress(*what)  # type: ignore[arg-type]
        assert isinstance(worn.hair, GrownHair)
        hair = replace(worn.hair, sheer=torch.full_like(worn.hair.sheer, sheer))
        nowhere = torch.zeros_like(worn.on_head)
        return replace(worn, hair=hair, on_head=nowhere, behind=nowhere)

    def black(self: GrownHair, *_: object) -> Tensor:
        return torch.zeros(3, *self.open.shape)

    assert ball.path is not None
    plain = generate([3], 12, size=32, heads=ball.path, noise=False)
    monkeypatch.setattr(faces, "dress", dressed)
    monkeypatch.setattr(GrownHair, "colour", black)
    thin = generate([3], 12, size=32, heads=ball.path, noise=False)
    assert thin.truth is not None
    skin = (plain.mask > 0.5).expand(-1, 3, -1, -1)
    assert skin.any()
    seen_of_it = (1.0 - sheer) * thin.truth.render()
    torch.testing.assert_close(
        srgb_to_linear(thin.image)[skin], seen_of_it.clamp(0.0, 1.0)[skin], atol=0.006, rtol=0
    )


def test_wisps_are_as_thin_as_samples(ball: PreparedModel) -> None:
    """Larger pictures show more of them, not wider ones."""
    shares = []
    for size in (24, 64):
        view, found = laid(ball, "short", size=size)
        top = view.surface.hit & (view.surface.point[1] > 0.95)
        shares.append(float(found.share[top].mean()))
    assert min(shares) > 0.6
    assert abs(shares[0] - shares[1]) < 0.2
