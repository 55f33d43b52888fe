"""What makes heads of a model look like people: expressions, distance, folds, edges of hair and cloth."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_heads import tiny_model

from biofacenet.data.synthetic.detail import draw_detail
from biofacenet.data.synthetic.draws import Draws
from biofacenet.data.synthetic.features import Brows, beard
from biofacenet.data.synthetic.grown import grow_hair
from biofacenet.data.synthetic.heads.faces import EXPRESSIONS, ModelledHead, _draw_expression
from biofacenet.data.synthetic.heads.prepared import PreparedModel
from biofacenet.data.synthetic.heads.reading import read_heads
from biofacenet.data.synthetic.heads.seen import EYES_Z, Seen, nearer, see_modelled_head
from biofacenet.data.synthetic.identity import Identity, draw_identity
from biofacenet.data.synthetic.light import Lights, Source, draw_lights
from biofacenet.data.synthetic.loose_hair import curls
from biofacenet.data.synthetic.parts import divide_into_parts
from biofacenet.data.synthetic.pigments import draw_pigments
from biofacenet.data.synthetic.shading import draw_shading
from biofacenet.data.synthetic.strands import draw_run
from biofacenet.data.synthetic.surface import Pose
from biofacenet.data.synthetic.view import Frame, View, place_head
from biofacenet.data.synthetic.worn import _brim, _scarf

BROWS = Brows(height=0.29, thickness=0.03)


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> PreparedModel:
    return read_heads(tiny_model().write_packed(tmp_path_factory.mktemp("heads") / "ball.npz"))


def met(ball: PreparedModel, index: int, size: int = 32) -> tuple[Draws, Identity, View]:
    draws = Draws(14, index)
    who = draw_identity(draws, "measured", heads=ball)
    return draws, who, place_head(draws, who, size, yaw=0.0)


def seen(ball: PreparedModel, distance: float = math.inf, crease: float = 0.0) -> Seen:
    gaze = np.array([[0.0, 0.0, 1.0]] * 2, dtype=np.float32)
    head = ModelledHead(ball, ball.mean.copy(), gaze, False, (crease, 0.05))
    x, y = Frame(1.2, 0.0, -0.1).samples(128)
    return see_modelled_head(head, Pose(), BROWS, x, y, distance)


# Expressions ----------------------------------------------------------------------------------


def test_both_sides_of_a_face_move_nearly_alike(ball: PreparedModel) -> None:
    names = {name for _, movements in EXPRESSIONS.values() for name in movements}
    zero = np.zeros_like(ball.mean)
    sided = {f"{name}_{side}": zero for name in names for side in "LR"}
    model = replace(
        ball, expression={**sided, "jawOpen": zero, "eyeBlink_L": zero, "eyeBlink_R": zero}
    )
    calm = 0
    for index in range(200):
        amounts = _draw_expression(Draws(1, index), model)
        assert set(amounts) <= set(model.expression)
        blinks = {name for name in amounts if name.startswith("eyeBlink")}  # less: wider open
        assert all(-0.3 * (name in blinks) <= amount <= 1.0 for name, amount in amounts.items())
        for name in names:
            left, right = amounts.get(f"{name}_L", 0.0), amounts.get(f"{name}_R", 0.0)
            assert abs(left - right) <= 0.13 * max(abs(left), abs(right))
        calm += max(amounts.values()) < 0.2
    assert 60 < calm < 130
    assert sum(often for often, _ in EXPRESSIONS.values()) == pytest.approx(1.0)


# Distance -------------------------------------------------------------------------------------


def test_what_is_nearer_is_larger_and_eyes_are_as_large_from_anywhere() -> None:
    places = np.array([[0.3, 0.1, EYES_Z], [0.3, 0.1, 1.0], [0.3, 0.1, -0.2]], dtype=np.float32)
    found = nearer(places, 5.0)
    np.testing.assert_allclose(found[0], places[0], rtol=1e-6)
    np.testing.assert_allclose(found[1, 0], 0.3 * 4.4 / 4.0, rtol=1e-6)
    assert found[2, 0] < 0.3
    np.testing.assert_array_equal(found[:, 2], places[:, 2])
    np.testing.assert_allclose(nearer(places, 1e6), places, atol=1e-5)


def test_a_head_at_arms_length_shows_less_of_its_sides(ball: PreparedModel) -> None:
    far, near = seen(ball).surface, seen(ball, 5.0).surface
    face = near.hit & ~near.neck
    assert float(near.point[0][face].abs().max()) < float(
        far.point[0][far.hit & ~far.neck].abs().max()
    )
    assert (near.normal[:, face].norm(dim=0) - 1.0).abs().max() < 1e-4


# Folds ----------------------------------------------------------------------------------------


def test_folds_take_light_at_lids_and_between_lips(ball: PreparedModel) -> None:
    plain, folded = seen(ball).surface, seen(ball, crease=0.7).surface
    for surface in (plain, folded):
        assert 0.0 < float(surface.crevice.min()) <= float(surface.crevice.max()) <= 1.0
        assert (surface.crevice[~surface.hit] == 1.0).all()
    middle = (plain.point[0].abs() < 0.1) & plain.hit
    between = middle & ((plain.point[1] + 0.56).abs() < 0.02)
    cheeks = (
        plain.hit
        & ((plain.point[0].abs() - 0.45).abs() < 0.1)
        & ((plain.point[1] + 0.2).abs() < 0.12)
    )
    assert float(plain.crevice[between].min()) < 0.6
    assert float(plain.crevice[cheeks].min()) > 0.85
    deeper = plain.crevice - folded.crevice
    assert float(deeper.max()) > 0.2
    assert float(deeper[(plain.point[1] < 0.0) & plain.hit].abs().max()) < 0.02


def test_marks_over_lids_are_heights(ball: PreparedModel) -> None:
    over = ball.marks[:, 6]
    lids = ball.landmarks[[37, 38, 43, 44]]
    assert np.abs(over[lids]).max() < 0.12  # the ball's vertices lie far apart
    above = ball.mean[:, 1] > 0.5
    assert over[above].min() > 0.2
    assert over[ball.mean[:, 1] < -0.3].max() < 0.0


def test_light_in_folds_is_less(ball: PreparedModel) -> None:
    draws, who, view = met(ball, 3)
    parts = divide_into_parts(view, torch.zeros_like(view.surface.hit))
    pigments = replace(draw_pigments(draws, who, view, parts), relief=torch.zeros_like(view.x))
    half = replace(view, surface=replace(view.surface, crevice=0.5 * view.surface.crevice))
    lights = draw_lights(Draws(2, 0))
    whole = draw_shading(Draws(2, 1), view, lights, pigments)
    less = draw_shading(Draws(2, 1), half, lights, pigments)
    face = view.surface.hit & (whole.diffuse > 0.1)
    torch.testing.assert_close(less.diffuse[face], 0.5 * whole.diffuse[face], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(less.open[face], 0.5 * whole.open[face], rtol=1e-4, atol=1e-5)
    assert (less.specular <= whole.specular).all()


def test_hollows_see_a_part_of_a_wide_light_and_all_of_a_small_one(ball: PreparedModel) -> None:
    draws, who, view = met(ball, 4)
    parts = divide_into_parts(view, torch.zeros_like(view.surface.hit))
    pigments = draw_pigments(draws, who, view, parts)
    hollow = replace(view, surface=replace(view.surface, occlusion=torch.full_like(view.x, 0.5)))
    free = replace(view, surface=replace(view.surface, occlusion=torch.ones_like(view.x)))
    dark = torch.zeros(3, 9)
    share = {}
    for size in (0.0, 0.5):
        source = Source(torch.tensor([0.0, 0.0, 1.0]), 1.0, size)
        lights = Lights("front", (source,), dark, dark, torch.ones(3), source.direction)
        one, other = (draw_shading(Draws(2, 1), each, lights, pigments) for each in (hollow, free))
        lit = view.surface.hit & (other.diffuse > 0.1)
        share[size] = float((one.diffuse[lit] / other.diffuse[lit]).median())
    assert share[0.0] == pytest.approx(1.0)
    assert share[0.5] == pytest.approx(0.6, abs=0.02)


# Edges of hair --------------------------------------------------------------------------------


def test_single_hairs_grow_on_skin_at_the_hairs_edge(ball: PreparedModel) -> None:
    grown = 0
    for index in range(16):
        draws, who, view = met(ball, index)
        hair = grow_hair(draws, who, view, covered=False)
        assert 0.0 <= float(hair.fuzz.min()) <= float(hair.fuzz.max()) <= 1.0
        head = view.surface.hit & ~view.surface.neck
        assert not (hair.fuzz[~head] > 0.0).any()
        middle = (
            head
            & (view.x.abs() < 0.3)
            & (view.surface.point[1] < 0.3)
            & (view.surface.point[1] > -0.6)
        )
        assert float(hair.fuzz[middle].max()) == 0.0
        part = hair.fuzz[(hair.fuzz > 0.05) & (hair.fuzz < 0.9)]
        grown += len(part) > 10
        none = grow_hair(Draws(14, 100 + index), who, view, covered=True).fuzz
        assert float(none.max()) == 0.0
    assert grown > 5


def test_hairs_at_the_edge_darken_skin(ball: PreparedModel) -> None:
    _, who, view = met(ball, 5)
    who = replace(who, melanin=-0.2, hair_colour=np.array([0.012, 0.009, 0.008]))
    parts = divide_into_parts(view, torch.zeros_like(view.surface.hit))
    fuzz = (view.surface.point[1] > 0.5) * view.surface.hit * 0.8
    bare = draw_pigments(Draws(3, 0), who, view, parts)
    with_hairs = draw_pigments(Draws(3, 0), who, view, parts, fuzz)
    covered = fuzz > 0.0
    assert float((with_hairs.melanin - bare.melanin)[covered].median()) > 0.5
    torch.testing.assert_close(with_hairs.melanin[~covered], bare.melanin[~covered])


def test_curls_are_noise_of_one_size_in_any_direction() -> None:
    x, y = Frame(1.3, 0.0, 0.0).samples(256)
    run = draw_run(Draws(1, 0), "curls", 0.0)
    noise = curls(run, x, y)
    assert float(noise.std()) == pytest.approx(0.8, abs=0.3)
    across = noise[:, 1:] - noise[:, :-1]
    down = noise[1:] - noise[:-1]
    assert float(across.std()) == pytest.approx(float(down.std()), rel=0.25)


def test_beards_end_softly() -> None:
    y, x = torch.meshgrid(torch.linspace(0.0, -1.2, 400), torch.tensor([0.45]), indexing="ij")
    point = torch.stack((x, y, torch.full_like(x, 0.6)))
    hard, soft = beard(point)[:, 0], beard(point, 0.06)[:, 0]
    assert float((soft[1:] - soft[:-1]).max()) < 0.7 * float((hard[1:] - hard[:-1]).max())
    moved = beard(point, 0.06, 0.1 * torch.ones_like(x))[:, 0]
    assert float(moved.sum()) < float(soft.sum()) - 10.0  # its edge lies lower


# Edges of cloth -------------------------------------------------------------------------------


def test_a_scarf_covers_ears_and_has_a_smooth_border(ball: PreparedModel) -> None:
    for index in range(4):
        draws, _, view = met(ball, index, 64)
        assert view.shells is not None
        ear = (
            view.surface.hit
            & (view.surface.point[0].abs() > 0.72)
            & (view.surface.point[1].abs() < 0.2)
        )
        view = replace(view, surface=replace(view.surface, ear=ear))
        worn = _scarf(draws, view, view.shells)
        assert worn.cloth[ear].all()
        lengths = worn.normal[:, worn.cloth].norm(dim=0)
        torch.testing.assert_close(lengths, torch.ones_like(lengths), atol=0.01, rtol=0)
        middle = (view.y > -0.4) & (view.y < 0.2)
        face = ~worn.cloth & view.surface.hit & middle
        rows = face.any(dim=1).nonzero()[:, 0]
        first = face[rows].float().argmax(dim=1).float()
        turns = (first[2:] - 2.0 * first[1:-1] + first[:-2]).abs()
        assert float(turns.max()) <= 3.0  # no teeth, those of triangles were 6 samples high


def test_a_peak_begins_where_its_cap_ends(ball: PreparedModel) -> None:
    for distance in (5.0, math.inf):
        x, y = Frame(1.3, 0.0, 0.0).samples(128)
        gaze = np.array([[0.0, 0.0, 1.0]] * 2, dtype=np.float32)
        head = ModelledHead(ball, ball.mean.copy(), gaze, False)
        found = see_modelled_head(head, Pose(), BROWS, x, y, distance)
        _, _, view = met(ball, 0)
        view = replace(
            view, pose=torch.eye(3), x=x, y=y, surface=found.surface, shells=found.shells
        )
        brim, _ = _brim(Draws(1, 2), view, found.shells, 0.6)
        on_head = brim & found.surface.hit & (found.surface.point[0].abs() < 0.1)
        heights = found.surface.point[1][on_head]
        assert float(heights.min()) < 0.62
        assert float(heights.max()) > 0.58


# Skin -----------------------------------------------------------------------------------------


def test_patches_of_skin_differ_as_much_more_as_they_are_told_to() -> None:
    def drawn(uneven: tuple[float, float]) -> tuple[float, float]:
        detail = draw_detail(Draws(3, 1), light=0.5, age=0.2, uneven=uneven)
        return float(detail.melanin.std()), float(detail.haemoglobin.std())

    melanin, blood = drawn((1.0, 1.0))
    more = drawn((1.5, 2.0))
    assert more[0] == pytest.approx(1.5 * melanin, rel=1e-3)
    assert more[1] > 1.7 * blood  # vessels on it are as they were
