"""Hair, hats, scarves and clothes of people with heads of a model."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_heads import tiny_model

from biofacenet.data import generate
from biofacenet.data.synthetic.clothes import draw_clothes
from biofacenet.data.synthetic.covers import draw_covers
from biofacenet.data.synthetic.draws import Draws
from biofacenet.data.synthetic.grown import GrownHair, grow_hair
from biofacenet.data.synthetic.heads.prepared import PreparedModel
from biofacenet.data.synthetic.heads.reading import read_heads
from biofacenet.data.synthetic.identity import Identity, draw_identity
from biofacenet.data.synthetic.light import draw_lights
from biofacenet.data.synthetic.loose_hair import gaps
from biofacenet.data.synthetic.pigments import _melanin_of_hairs
from biofacenet.data.synthetic.shading import light_on
from biofacenet.data.synthetic.strands import Run, draw_run, long_noise, shares
from biofacenet.data.synthetic.strokes import beard_noise, draw_brow_hairs, draw_lashes
from biofacenet.data.synthetic.view import View, place_head

KINDS = ("crown", "back", "parting", "curls")


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> PreparedModel:
    return read_heads(tiny_model().write_packed(tmp_path_factory.mktemp("heads") / "ball.npz"))


def met(ball: PreparedModel, index: int, size: int = 32) -> tuple[Draws, Identity, View]:
    draws = Draws(12, index)
    who = draw_identity(draws, "measured", heads=ball)
    return draws, who, place_head(draws, who, size, yaw=0.0)


def ray(count: int = 40000) -> torch.Tensor:
    return torch.linspace(0.0, 3000.0, count)


# Strands --------------------------------------------------------------------------------------


def test_noise_of_strands_is_normal_and_long() -> None:
    across, along = ray(), 0.37 * ray()
    noise = long_noise(across, along)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.12)
    assert float(noise.std()) == pytest.approx(1.0, abs=0.2)
    assert torch.equal(noise, long_noise(across, along))
    # Over a tenth of its length it hardly changes; over a strand's width it does.
    near = (long_noise(across, along + 0.1) - noise).std()
    far = (long_noise(across + 1.0, along) - noise).std()
    assert float(near) < 0.3 * float(far)
    assert float((shares(noise) < 0.25).float().mean()) == pytest.approx(0.25, abs=0.07)


def test_noise_has_no_seams() -> None:
    x = torch.arange(-5000.0, 5000.0, 0.37)
    step = (long_noise(x + 1e-3, 0.3 * x) - long_noise(x - 1e-3, 0.3 * x)).abs()
    assert float(step.max()) < 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_strands_lie_on_the_surface(kind: str) -> None:
    run: Run = draw_run(Draws(1, 1), kind, 0.1)
    point = torch.nn.functional.normalize(
        torch.randn(3, 500, generator=torch.manual_seed(0)), dim=0
    )
    tangent = run.direction(point, point)  # a ball: its normals are its places
    assert float((tangent * point).sum(dim=0).abs().max()) < 1e-4
    assert float((tangent.norm(dim=0) - 1.0).abs().median()) < 1e-4
    across, along = run.places(point)
    assert across.isfinite().all()
    assert along.isfinite().all()


def test_light_is_of_what_faces_it() -> None:
    lights = draw_lights(Draws(2, 3))
    main = lights.sources[0].direction[:, None, None]
    assert float(light_on(main, lights)) > float(light_on(-main, lights)) + 0.1
    assert float(light_on(-main, lights)) > 0.0


# Hair -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hairs(ball: PreparedModel) -> list[tuple[View, GrownHair]]:
    found = []
    for index in range(16):
        draws, who, view = met(ball, index)
        found.append((view, grow_hair(draws, who, view, covered=False)))
    return found


def test_hair_covers_the_crown_and_leaves_the_face(hairs: list[tuple[View, GrownHair]]) -> None:
    crowned = 0
    for view, hair in hairs:
        _, y, _ = view.surface.point
        head = view.surface.hit & ~view.surface.neck
        assert not (hair.on_head & ~head).any()
        assert not (hair.behind & head).any()
        face = head & (view.x.abs() < 0.3) & (y < 0.2) & (y > -0.8)
        assert face.any()
        assert not (hair.on_head & face).any()
        top = head & (y > 1.0)
        crowned += bool(top.any()) and float(hair.on_head[top].float().mean()) > 0.8
        length = hair.tangent[:, hair.on_head].norm(dim=0)
        assert float((length - 1.0).abs().median() if len(length) else 0.0) < 1e-3
        assert 0.0 <= float(hair.near.min()) <= float(hair.near.max()) <= 1.0
    assert crowned > 8


def test_a_hairline_is_made_of_strands(hairs: list[tuple[View, GrownHair]]) -> None:
    """Heights of the first covered sample of neighbouring columns differ, in each style."""
    for _, hair in hairs:
        columns = hair.on_head[:, 16:48]
        if float(columns.any(dim=0).float().mean()) < 1.0:
            continue
        lowest = columns.shape[0] - columns.flip(0).float().argmax(dim=0)
        assert len(lowest.unique()) > 2
        assert float(lowest.float().diff().abs().mean()) > 0.15


def test_skin_below_hair_gets_less_light(hairs: list[tuple[View, GrownHair]]) -> None:
    darker = 0
    for view, hair in hairs:
        shaded = hair.shading(view).surface.occlusion
        assert (shaded <= view.surface.occlusion).all()
        far = view.surface.hit & (view.surface.point[1] < 0.0) & (view.x.abs() < 0.35)
        torch.testing.assert_close(shaded[far], view.surface.occlusion[far], atol=0.01, rtol=0)
        darker += bool((shaded < 0.8 * view.surface.occlusion).any())
    assert darker > 8


def test_no_wall_shows_between_strands_and_beside_the_head(
    hairs: list[tuple[View, GrownHair]],
) -> None:
    """A gap as narrow as a lock, with hair or head on both its sides, is dark hair farther behind."""
    view, _ = hairs[0]
    step = abs(float(view.x[0, 1] - view.x[0, 0]))
    size = view.x.shape[0]
    cover, head = (
        torch.zeros(size, size, dtype=torch.bool),
        torch.zeros(size, size, dtype=torch.bool),
    )
    narrow, wide = max(1, round(0.06 / step)), round(0.3 / step)
    middle = size // 2
    cover[: size // 2, : middle - narrow], head[: size // 2, middle:] = True, True
    found = gaps(cover, head, view)
    assert found[4 : size // 2 - 4, middle - narrow : middle].all()
    assert not (found & (cover | head)).any()
    cover[:, max(0, middle - wide) :] = False
    assert not gaps(cover, head, view)[4 : size // 2 - 4, middle - wide // 2].any()


def test_brows_are_as_dark_as_the_hair(ball: PreparedModel) -> None:
    _, who, _ = met(ball, 0)
    dark, fair = (replace(who, melanin=-0.5, hair_colour=np.full(3, c)) for c in (0.01, 0.3))
    assert _melanin_of_hairs(dark) > 0.9
    assert _melanin_of_hairs(dark) > _melanin_of_hairs(fair) + 0.3
    assert _melanin_of_hairs(replace(fair, melanin=0.7)) == pytest.approx(0.8)


def test_hair_has_the_colour_of_its_person_and_shines(ball: PreparedModel) -> None:
    ratios = []
    for index in range(6):
        draws, who, view = met(ball, index)
        hair = grow_hair(draws, who, view, covered=False)
        colour = hair.colour(draws, who, draw_lights(draws))
        assert colour.isfinite().all()
        assert float(colour.min()) >= 0.0
        shown = colour[:, hair.on_head]
        if shown.shape[1] > 50 and not hair.shaved:
            found, own = shown.median(dim=1).values, torch.from_numpy(who.hair_colour).float()
            ratios.append(float(((found / found.sum()) - (own / own.sum())).abs().max()))
            assert float(shown.std(dim=1).min()) > 0.0
    assert len(ratios) > 2
    assert max(ratios) < 0.12


def test_hair_below_a_hat_lies_flat(ball: PreparedModel) -> None:
    wider = 0
    for index in range(10):
        free, flat = (
            grow_hair(*met(ball, index), covered=covered).behind.sum() for covered in (False, True)
        )
        assert flat <= free + 20
        wider += bool(free > 1.3 * flat + 20)
    assert wider > 2


# What is worn ---------------------------------------------------------------------------------


def test_hats_lie_above_the_eyes_and_scarves_around_the_face(ball: PreparedModel) -> None:
    worn = 0
    for index in range(60):
        draws, who, view = met(ball, index, 16)
        covers = draw_covers(draws, who, view)
        if covers.worn is None:
            assert not covers.cloth.any()
            continue
        worn += 1
        _, y, _ = view.surface.point
        face = view.surface.hit & (view.x.abs() < 0.35) & (y < 0.1) & (y > -0.5)
        assert not (covers.cloth & face).any()
        assert (covers.cloth & ~view.surface.hit).any()  # it stands out from the head
        assert 0.0 <= float(covers.worn.shade.min()) <= float(covers.worn.shade.max()) <= 1.0
        lengths = covers.worn.normal[:, covers.cloth].norm(dim=0)
        torch.testing.assert_close(lengths, torch.ones_like(lengths), atol=0.01, rtol=0)
    assert 3 < worn < 20


def test_clothes_begin_at_the_neck(ball: PreparedModel) -> None:
    lines = []
    for index in range(12):
        draws, _, view = met(ball, index)
        clothes = draw_clothes(draws, view)
        assert not (clothes.cover & (view.y > -0.75)).any()
        assert not (clothes.outer & (view.x.abs() < 0.1) & (view.y > -1.2)).any()
        assert clothes.cover[-1].float().mean() > 0.3  # shoulders may fall within the picture
        assert 0.0 < float(clothes.shade.min()) <= float(clothes.shade.max()) <= 1.0
        torch.testing.assert_close(
            clothes.normal.norm(dim=0), torch.ones_like(view.x), atol=1e-4, rtol=0
        )
        lines.append(int(clothes.cover.sum()))
    assert len(set(lines)) > 6  # no two alike


# Brows and beards -----------------------------------------------------------------------------


def test_brows_are_hairs_where_they_grow() -> None:
    steps = torch.linspace(-0.6, 0.6, 240)
    x, y = torch.meshgrid(steps, 0.4 * steps + 0.3, indexing="xy")
    brows = ((x.abs() - 0.3).abs() < 0.2).float() * ((y - 0.3).abs() < 0.05)
    hidden = draw_brow_hairs(Draws(3, 0), brows, x, y)
    assert float(hidden[brows == 0.0].abs().max()) == 0.0
    within = hidden[brows > 0.0]
    assert 0.0 <= float(within.min()) <= float(within.max()) <= 1.0
    assert 0.3 < float(within.mean()) < 0.95
    assert float(within.std()) > 0.1
    half = draw_brow_hairs(Draws(3, 0), 0.5 * brows, x, y)[brows > 0.0]
    assert float(half.mean()) < 0.85 * float(within.mean())


def test_lashes_stand_at_the_lid() -> None:
    x, y = torch.meshgrid(
        torch.linspace(0.1, 0.5, 300), torch.linspace(0.2, 0.0, 150), indexing="xy"
    )
    lid = torch.exp(-(((y - 0.12) / 0.014) ** 2))
    hidden = draw_lashes(Draws(4, 0), lid, x, y, made_up=True)
    assert 0.0 <= float(hidden.min()) <= float(hidden.max()) <= 1.0
    assert float(hidden[lid < 1e-4].max()) == 0.0
    assert float(hidden[lid > 0.9].mean()) > 0.4
    between = hidden[(lid > 0.1) & (lid < 0.5)]
    assert float(between.std()) > 0.05  # single ones


def test_a_beard_grows_down() -> None:
    """Its noise changes faster across than down."""
    x, y = torch.meshgrid(
        torch.linspace(-0.2, 0.2, 400), torch.linspace(-0.9, -0.5, 400), indexing="xy"
    )
    noise = beard_noise(torch.stack((x, y, torch.full_like(x, 0.7))))
    assert float(noise.std()) == pytest.approx(1.0, abs=0.25)
    assert float(noise.diff(dim=1).abs().mean()) > 1.5 * float(noise.diff(dim=0).abs().mean())


def test_all_of_it_is_in_pictures_of_any_size(ball: PreparedModel) -> None:
    for size in (16, 48):
        faces = generate([0, 1], 4, size=size, heads=ball.path)
        assert faces.image.isfinite().all()
        assert np.isfinite(faces.truth.diffuse.numpy()).all()
