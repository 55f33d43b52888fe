"""Real photographs without truth: each implanted change has a right answer, which an ideal method gives."""

import csv
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from faces_folder import SIDE, points, write_landmarks, write_people, write_picture
from PIL import Image

from biofacenet import BioFaceNet, Decomposition, Illuminant
from biofacenet.data.synthetic.faces import generate
from biofacenet.decomposition.parts import PART_NAMES, part_index
from biofacenet.errors import BioFaceNetError, DataError
from biofacenet.evaluation.baselines import pigment_directions
from biofacenet.evaluation.metrics import WHITE, albedo, rank_correlation
from biofacenet.evaluation.people import views as people_views
from biofacenet.evaluation.people import walls as people_walls
from biofacenet.evaluation.people.changes import implanted, side_light, usual_skin
from biofacenet.evaluation.people.figures import MEASUREMENTS, figures_of, spreads
from biofacenet.evaluation.people.methods import Found, by_network, components, indices
from biofacenet.evaluation.people.numbers import Numbers, numbers_of
from biofacenet.evaluation.people.regions import Regions
from biofacenet.evaluation.people.run import ranking
from biofacenet.evaluation.people.statistics import area_under_curve
from biofacenet.evaluation.people.targets import TARGETS
from biofacenet.evaluation.people.views import PersonViews, PlainView, Polarised, views_of
from biofacenet.evaluation.people.walls import WALLS, before_walls, wall_share
from biofacenet.evaluation.settings import Settings, check
from biofacenet.fitting.agreement import icc_1
from biofacenet.photos.boxes import Box, Part
from biofacenet.physics.colour import srgb_to_linear
from biofacenet.preparation.people import Person, read_folder

SIZE = 48


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def seen(folder: Path) -> list[PersonViews]:
    known = read_folder(folder)
    return [views_of(known, person, SIZE) for person in known.people]


# Statistics ----------------------------------------------------------------------------------


def test_area_under_curve_counts_pairs() -> None:
    a, b = np.array([1.0, 2.0, 2.0]), np.array([0.0, 2.0])
    assert area_under_curve(a, b) == pytest.approx((3 + 2 * 0.5) / 6)
    assert np.isnan(area_under_curve(a, b[:0]))


# An ideal method -----------------------------------------------------------------------------


def even_skin() -> tuple[Decomposition, Regions]:
    """Even skin with redder lips under uneven light, and where it is."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    one = torch.ones(1, 1, 64, 64)

    def box(left: float, right: float, top: float, bottom: float) -> torch.Tensor:
        return ((left < x) & (x < right) & (top < y) & (y < bottom)).float()[None, None]

    regions = Regions(
        mask=box(-0.7, 0.7, -0.8, 0.8),
        left_cheek=box(-0.6, -0.2, 0.0, 0.4),
        right_cheek=box(0.2, 0.6, 0.0, 0.4),
        forehead=box(-0.4, 0.4, -0.7, -0.3),
        lips=box(-0.2, 0.2, 0.5, 0.7),
    )
    truth = Decomposition(
        melanin=0.0 * one,
        haemoglobin=-0.2 + 0.3 * regions.lips,
        diffuse=one * (1.2 + 0.2 * x - 0.1 * y),
        specular=0.02 * one,
        illuminant=Illuminant.standard("D65"),
        camera=torch.zeros(1, 2),
        skin="measured",
    )
    return truth, regions


def ideal_views() -> tuple[PersonViews, dict[str, Decomposition]]:
    """A person whose truth is known, and what an ideal method says of each changed copy."""
    truth, regions = even_skin()
    image = truth.render()
    changed, implants = implanted(image, regions)
    light = implants.light
    answers = {
        "half": replace(truth, diffuse=0.5 * truth.diffuse, specular=0.5 * truth.specular),
        "side": replace(truth, diffuse=light * truth.diffuse, specular=light * truth.specular),
        "mirror": truth.map(lambda v: v.flip(3) if v.ndim == 4 else v),
        "highlight": replace(truth, specular=truth.specular + implants.highlight / WHITE),
        "brown": spotted(truth, "melanin", implants.brown),
        "blood": spotted(truth, "haemoglobin", implants.blood),
    }
    answers |= {name: truth for name in changed if name not in answers}
    wall = 1.0 - regions.mask
    changed |= dict.fromkeys(WALLS, image + wall * (0.5 - image))
    changed |= {"shift": image, "scale": image, "jpeg": image}
    answers |= dict.fromkeys(("shift", "scale", "jpeg", *WALLS), truth)
    person = Person("001", "white")
    return PersonViews(person, (PlainView(image, regions),), changed, implants, {}), answers


def spotted(truth: Decomposition, pigment: str, spot: torch.Tensor) -> Decomposition:
    """The pigment's map that darkens the bare skin as the spot did, as nearly as one number can."""
    line = torch.linspace(-0.2, 0.6, 801)
    flat = torch.zeros(1, 1, 1, 801)
    scale = replace(
        truth,
        **dict.fromkeys(("melanin", "specular"), flat + 0.0),
        haemoglobin=flat - 0.2,
        diffuse=flat + 1.0,
    )
    middle = int((line - float(getattr(truth, pigment)[0, 0, 32, 20])).abs().argmin())
    logs = albedo(replace(scale, **{pigment: line.reshape(1, 1, 1, -1)})).log()[0, :, 0]
    depth = spot[0, 1].min()
    unit = spot[0, :, 36, 20] / spot[0, :, 36, 20].norm()
    along = ((logs - logs[:, middle : middle + 1]) * unit[:, None]).sum(0).numpy()
    assert along.max() > -float(depth)
    wanted = (spot * unit.reshape(1, 3, 1, 1)).sum(1, keepdim=True).numpy()
    added = np.interp(wanted, along[middle:], line[middle:].numpy() - float(line[middle]))
    before = getattr(truth, pigment)
    return replace(truth, **{pigment: before + torch.from_numpy(added).to(before)})


def test_an_ideal_method_gives_the_right_answers() -> None:
    views, answers = ideal_views()

    truth, _ = even_skin()
    assert views.implants is not None
    own = [
        replace(truth, melanin=truth.melanin + 0.2 * views.implants.place),
        replace(truth, haemoglobin=truth.haemoglobin + 0.5 * views.implants.place),
    ]

    def ideal(images: torch.Tensor) -> Found:
        maps = [truth, *(answers[name] for name in views.changed)]
        if len(images) == 2:  # spots as its own skin has them
            maps = own
            for image, one in zip(images, own, strict=True):
                torch.testing.assert_close(image[None], one.render(), rtol=1e-3, atol=1e-5)
        assert len(images) == len(maps)
        whole = Decomposition.join(maps)
        return Found(whole.melanin, whole.haemoglobin, whole)

    values = numbers_of(ideal, views).values
    ones = ("slope_diffuse", "highlight", "brown_albedo", "brown_own", "blood_albedo", "blood_own")
    ones += ("own_melanin", "own_melanin_albedo", "own_haemoglobin", "own_haemoglobin_albedo")
    for name in ones:
        assert values[name] == pytest.approx(1.0, abs=0.02), name
    for pigment in ("melanin", "haemoglobin"):
        for change in ("half", "side", "slope", "mirror", "gain", "shift", "scale", "jpeg", "wall"):
            assert values[f"{change}_{pigment}"] == pytest.approx(0.0, abs=1e-5), change
    assert values["rmse"] == pytest.approx(0.0, abs=1e-6)
    shine = float((truth.specular / truth.diffuse).median())
    assert values["veil"] == pytest.approx(shine, rel=0.2)
    assert values["lips"] == pytest.approx(0.3, abs=1e-3)
    assert values["melanosomes"] == pytest.approx(
        100 * float(even_skin()[0].melanosomes()[0, 0, 0, 0])
    )


def test_a_method_that_gets_it_wrong_is_told_by_how_much() -> None:
    """All light goes into melanin, no highlight and no spot is seen."""
    views, _ = ideal_views()
    truth, regions = even_skin()

    def blind(images: torch.Tensor) -> Found:
        brightness = images[:, 1:2].log()
        melanin = (brightness - brightness[:1]) / -3.0
        whole = Decomposition.join([truth] * len(images))
        whole = replace(whole, melanin=melanin.clamp(-1, 1))
        return Found(whole.melanin, whole.haemoglobin, whole)

    values = numbers_of(blind, views).values
    assert values["half_melanin"] == pytest.approx(np.log(2) / 3, abs=1e-4)
    assert values["slope_melanin"] == pytest.approx(-1 / 3, abs=1e-3)
    assert values["slope_diffuse"] == pytest.approx(0.0, abs=1e-4)
    light = views.implants.light.log() / -3  # type: ignore[union-attr]
    sides = [
        float((light * side).sum() / side.sum())
        for side in (regions.left_cheek, regions.right_cheek)
    ]
    assert values["side_melanin"] == pytest.approx(sides[0] - sides[1], abs=1e-4)
    assert values["mirror_melanin"] > 0.01
    assert values["highlight"] < 0.01
    assert values["brown_own"] == pytest.approx(values["brown_albedo"], abs=1e-4)
    assert abs(values["blood_own"]) < 1e-4
    assert values["own_melanin"] == pytest.approx(values["own_melanin_albedo"], abs=1e-4)
    assert abs(values["own_haemoglobin"]) < 1e-4


def test_a_method_that_leans_on_the_wall_is_told() -> None:
    """Skin is as dark as what surrounds it is bright."""
    views, _ = ideal_views()
    truth, regions = even_skin()

    def leaning(images: torch.Tensor) -> Found:
        around = (images.mean(1, keepdim=True) * (1.0 - regions.mask)).mean((1, 2, 3), keepdim=True)
        melanin = around.expand(-1, 1, 64, 64).contiguous()
        whole = replace(Decomposition.join([truth] * len(images)), melanin=melanin)
        return Found(whole.melanin, whole.haemoglobin, whole)

    values = numbers_of(leaning, views).values
    level = float(((0.5 - truth.render().mean(1, keepdim=True)) * (1.0 - regions.mask)).mean())
    for name in ("wall_black_melanin", "wall_white_melanin"):
        assert values[name] == pytest.approx(level, abs=1e-5)
    for name in ("wall_melanin", "wall_coloured_melanin"):
        assert values[name] == pytest.approx(abs(level), abs=1e-5)
    assert values["wall_haemoglobin"] == 0.0


def test_dark_hair_that_is_taken_for_wall_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, _ = even_skin()
    parts = torch.zeros(1, len(PART_NAMES), 64, 64)
    parts[:, part_index("background"), :, 16:] = 1.0
    parts[:, part_index("skin"), :, :16] = 1.0
    told = SimpleNamespace(decompose=lambda _: replace(truth, parts=parts))
    monkeypatch.setattr(people_walls, "_finder", lambda: told)
    image = torch.full((1, 3, 64, 64), 0.6)
    image[..., 48:] = 0.05
    share = wall_share(image)
    assert share[..., 20:44].min() == 1.0
    assert share[..., 52:].max() == 0.0
    assert share[..., :12].max() == 0.0


def test_walls_are_painted_where_the_wall_is() -> None:
    """Behind a face of known parts; on the face itself nothing changes."""
    made = generate([3], 5, size=64)
    assert made.geometry is not None
    image = srgb_to_linear(made.image)
    true = made.geometry.parts == part_index("background")
    share = wall_share(image)
    assert share[true].mean() > 0.9
    assert share[made.mask > 0].max() < 0.5
    mask = made.mask
    painted = before_walls(image, Regions(mask, mask, mask, mask, mask))
    assert list(painted) == list(WALLS)
    sure = (share > 0.99).expand_as(image)
    for name, found in painted.items():
        colour = torch.tensor(WALLS[name]).view(1, 3, 1, 1).expand_as(image)
        torch.testing.assert_close(found[sure], colour[sure], rtol=0.0, atol=0.02)
        assert torch.equal(found * mask, image * mask)


def test_a_constant_is_no_slope() -> None:
    views, _ = ideal_views()

    def shifted(images: torch.Tensor) -> Found:
        melanin = torch.full_like(images[:, :1], 0.1)
        melanin[0] = 0.0
        return Found(melanin, None)

    assert numbers_of(shifted, views).values["slope_melanin"] == pytest.approx(0.0, abs=1e-6)


def test_maps_of_another_framing_come_back_to_their_pixels(seen: list[PersonViews]) -> None:
    """A map that says where its own pixels' middles are must say where they were photographed."""
    across = (torch.arange(SIZE) + 0.5).expand(1, 1, SIZE, SIZE).contiguous()
    matrix = seen[0].back["scale"]
    middles = torch.arange(SIZE) + 0.5
    expected = matrix[0, 0] * middles + matrix[0, 2]
    found = seen[0].returned("scale", across)[0, 0, SIZE // 2]
    off = (found - expected.float())[4:-4]
    assert off.abs().max() < 0.1
    assert abs(off.mean()) < 0.03  # half a pixel of another size would be 0.07


# Indices -------------------------------------------------------------------------------------


def test_ratios_do_not_move_with_light(seen: list[PersonViews]) -> None:
    for name in ("ln R/G", "ln G/B", "projection"):
        for views in seen:
            values = numbers_of(indices()[name], views).values
            kept = {
                k: v
                for k, v in values.items()
                if k.split("_")[0] in ("half", "side", "mirror", "slope")
            }
            assert kept
            assert max(map(abs, kept.values())) < 1e-4, name
    dark = numbers_of(indices()["-ln R"], seen[0]).values["half_melanin"]
    assert dark == pytest.approx(np.log(2), abs=1e-3)
    gained = numbers_of(indices()["ln R/G"], seen[0]).values["gain_haemoglobin"]
    assert gained == pytest.approx((np.log(1.05) - np.log(0.95)) / 4, abs=1e-4)


def test_indices_do_not_move_with_the_frame(seen: list[PersonViews]) -> None:
    """A pixel says the same wherever it is: shifted, it is the very same pixel."""
    for method in indices().values():
        values = numbers_of(method, seen[0]).values
        for pigment in ("melanin", "haemoglobin"):
            if f"shift_{pigment}" in values:
                assert values[f"shift_{pigment}"] < 1e-4
                assert abs(values[f"scale_{pigment}"]) < 0.12 * abs(values[pigment]) + 0.02


def test_components_separate_two_pigments_from_any_light() -> None:
    rng = np.random.default_rng(0)
    sources = rng.uniform(-1.0, 1.0, (3, 90, 100)) ** 3 * np.array([0.6, 0.5, 0.4])[:, None, None]
    directions = pigment_directions(usual_skin()).double().numpy()
    logs = np.tensordot(directions.T, sources, 1) + np.log([0.4, 0.25, 0.15])[:, None, None]
    image = torch.from_numpy(np.exp(logs)).float()[None]
    method = components([image], [torch.ones(1, 1, 90, 100)])
    assert method is not None
    found = method(image)
    for name, true in zip(("melanin", "haemoglobin"), sources[1:], strict=True):
        ours: torch.Tensor = getattr(found, name)
        assert rank_correlation(ours.flatten(), torch.from_numpy(true).flatten()) > 0.95, name
        darker: torch.Tensor = getattr(method(side_light(100)[..., :90, :] * image), name)
        torch.testing.assert_close(darker, ours, rtol=0.0, atol=1e-4)


# Figures -------------------------------------------------------------------------------------


def person(number: int, group: str, melanin: float, **values: float) -> Numbers:
    photos = {"melanin": [("neutral", melanin), ("smiling", melanin + 0.1)]}
    return Numbers(f"{number:03}", group, {"melanin": melanin, **values}, photos)


def test_figures_are_in_spreads_and_by_group() -> None:
    light = [person(i, "white", 0.1 * i, half_melanin=0.05, lips=1.0) for i in range(4)]
    dark = [person(9 + i, "black", 1 + 0.1 * i, half_melanin=-0.2, lips=i - 0.5) for i in range(3)]
    alone = [person(20, "other", 0.0, half_melanin=3.0, lips=1.0)]
    people = [*light, *dark, *alone]
    figures = figures_of(people, decomposes=True)
    spread = float(np.std([one.values["melanin"] for one in people], ddof=1))
    assert spreads(people)["melanin"] == pytest.approx(spread)
    half = figures["half_melanin"]
    assert half["groups"]["black"] == pytest.approx(0.2 / spread)
    assert half["all"] == pytest.approx((4 * 0.05 + 3 * 0.2 + 3.0) / 8 / spread)
    assert half["worst"] == "black"  # one person is no group
    assert figures["half_map"]["groups"]["white"] == pytest.approx(0.05)
    assert figures["lips"]["groups"] == {"black": pytest.approx(2 / 3), "other": 1.0, "white": 1.0}
    assert figures["auc"]["groups"] == {"black": 1.0, "other": pytest.approx(0.125), "white": None}
    assert figures["repeat_melanin"]["all"] == pytest.approx(1.0)
    assert figures["repeat_melanin"]["groups"]["other"] is None
    assert "many_melanin" not in figures
    assert "rmse" not in figures


def test_targets_say_who_misses_them() -> None:
    light = [person(i, "white", 0.1 * i, lips=1.0, melanosomes=2.0, rmse=0.01) for i in range(4)]
    dark = [person(9 + i, "black", 1, lips=i - 0.5, melanosomes=8.0, rmse=0.02) for i in range(3)]
    alone = [person(20, "west_asian", -5.0, lips=-1.0, melanosomes=8.0, rmse=0.01)]
    figures = figures_of([*light, *dark, *alone], decomposes=True)
    assert figures["lips"]["missed"] == ["all", "black"]  # one person is no group
    assert figures["lips"]["target"] == "≥ 0.99; black ≥ 0.97"
    assert figures["melanosomes"]["missed"] == ["black"]
    assert figures["melanosomes"]["target"] == "white 1 to 4; black 10 to 30"
    assert figures["auc"]["missed"] == []
    assert figures["rmse"]["missed"] == ["all", "black"]
    # Each belongs to a row of the table.
    assert set(TARGETS) <= {one.key for one in MEASUREMENTS}
    assert TARGETS["slope_melanin"].told() == "±0.05"
    assert TARGETS["slope_melanin"].met(-0.06) is False
    assert TARGETS["slope_melanin"].met(0.05) is True
    assert TARGETS["auc"].met(0.1) is None


def test_photos_that_nothing_tells_apart_are_repeats() -> None:
    values = [[0.1, 0.2], [0.5, 0.4, 0.45], [0.9, 1.0]]
    people = [
        Numbers(str(i), "white", {"melanin": v[0]}, {"melanin": [("", one) for one in v]})
        for i, v in enumerate(values)
    ]
    figures = figures_of(people, decomposes=True)
    assert figures["many_melanin"]["all"] == pytest.approx(icc_1(values))
    assert "repeat_melanin" not in figures


# Folders -------------------------------------------------------------------------------------


def test_a_folder_is_read(folder: Path, tmp_path: Path) -> None:
    known = read_folder(folder, people="004,001,002", without="002")
    assert [one.id for one in known.people] == ["001", "004"]
    assert [shot.expression for shot in known.people[0].shots] == ["neutral", "smiling"]
    listed = tmp_path / "kept.txt"
    listed.write_text("003\n\n005\n", "utf-8")
    assert [one.id for one in read_folder(folder, people=str(listed)).people] == ["003", "005"]


def test_landmarks_are_carried_to_other_photos(seen: list[PersonViews]) -> None:
    """The second photo is the first one, darker: its regions are the same."""
    for views in seen:
        first, second = views.plain
        assert second.expression == "smiling"
        for name in ("left_cheek", "right_cheek", "forehead"):
            one, other = getattr(first.regions, name), getattr(second.regions, name)
            both = float((one * other).sum()) / float(torch.maximum(one, other).sum())
            assert both > 0.5, name  # of some 40 pixels, and the darker face may lie a pixel aside


def test_numbered_photos_and_a_table_of_photos(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,group\nA_B,white\n", "utf-8")
    for name in ("A_B_0001", "A_B_0002", "A_C_0001"):
        (tmp_path / f"{name}.png").write_bytes((folder / "000_neutral.png").read_bytes())
    shots = read_folder(tmp_path).people[0].shots
    assert [(shot.path.name, shot.expression) for shot in shots] == [
        ("A_B_0001.png", ""),
        ("A_B_0002.png", ""),
    ]
    table = "id,photo,expression\nA_B,A_C_0001.png,smiling\nA_B,A_B_0001.png,neutral\n"
    (tmp_path / "photos.csv").write_text(table, "utf-8")
    shots = read_folder(tmp_path).people[0].shots
    assert [shot.expression for shot in shots] == ["neutral", "smiling"]
    assert shots[1].path.name == "A_C_0001.png"


def test_pairs_have_a_truth_of_their_own(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "people.csv").write_text("id,group\n1,white\n", "utf-8")
    body = torch.full((3, SIDE, SIDE), 0.2)
    gloss = torch.zeros(3, SIDE, SIDE)
    gloss[:, 60:120, 60:120] = torch.linspace(0.0, 0.3, 60)
    middle = [Part(Box.central(SIDE, SIDE), "face")]  # which no detector finds in an even grey
    monkeypatch.setattr(people_views, "choose_parts", lambda *_, **__: middle)
    write_picture(tmp_path / "a.png", body + gloss)
    write_picture(tmp_path / "b.png", 0.5 * body)
    (tmp_path / "pairs.csv").write_text("id,photo,diffuse,factor\n1,a.png,b.png,2\n", "utf-8")
    known = read_folder(tmp_path)
    views = views_of(known, known.people[0], SIZE)
    pair: Polarised = views.polarised[0]
    assert float(pair.diffuse.mean()) == pytest.approx(0.2, abs=0.005)
    truth, _ = even_skin()
    whole = replace(
        truth.map(lambda v: v[..., :SIZE, :SIZE].contiguous() if v.ndim == 4 else v),
        specular=pair.specular.mean(dim=1, keepdim=True) / WHITE + 1e-4,
    )
    values = numbers_of(lambda _: Found(whole.melanin, whole.haemoglobin, whole), views).values
    assert values["polarised_specular"] == pytest.approx(1.0, abs=1e-3)
    against = replace(whole, specular=1.0 - whole.specular)
    values = numbers_of(lambda _: Found(None, None, against), views).values
    assert values["polarised_specular"] == pytest.approx(-1.0, abs=1e-3)
    assert values["polarised_body"] > 0.0


@pytest.mark.parametrize(
    ("table", "text", "words"),
    [
        ("people.csv", None, "no such table"),
        ("people.csv", "id,gruppe\n1,white\n", "no column group"),
        ("people.csv", "id,group\n", "no row"),
        ("people.csv", "id,group\n1,white\n1,black\n", "line 3: 1 a second time"),
        ("people.csv", "id,group\n1,\n", "line 2: empty"),
        ("people.csv", "id,group\n1,white,more\n", "expected 2 values"),
        ("people.csv", "id,group\n1,white\n2,white\n", "no photo of 2"),
        ("people.csv", b"\xff\xfe", "not a readable table"),
        ("photos.csv", "id,photo\n3,1_neutral.png\n", "nobody has the id '3'"),
        ("photos.csv", "id,photo\n1,gone.png\n", "no such photo"),
        ("photos.csv", f"id,photo\n1,{'x' * 300}\n", "no such photo"),
        ("photos.csv", f"id,photo\n1,{'x' * 5000}\n", "line 2: a value of 5000 characters"),
        ("photos.csv", "id,photo\n1,../1_neutral.png\n", "in the folder"),
        ("photos.csv", "id,photo\n1,/etc/passwd\n", "in the folder"),
        ("pairs.csv", "id,photo,diffuse,factor\n1,1_neutral.png,1_neutral.png,0\n", "above 0"),
        (
            "pairs.csv",
            "id,photo,diffuse,factor\n1,1_neutral.png,1_neutral.png,x\n",
            "expected a number",
        ),
        ("landmarks.csv", "image,x0,y0\n1_neutral,3,4\n", "189 WebMorph or 468 MediaPipe"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(
    tmp_path: Path, table: str, text: str | bytes | None, words: str
) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "1_neutral.png")
    (tmp_path / "people.csv").write_text("id,group\n1,white\n", "utf-8")
    if text is None:
        (tmp_path / table).unlink()
    else:
        (tmp_path / table).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=words) as caught:
        read_folder(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_people_who_are_not_there(folder: Path) -> None:
    with pytest.raises(DataError, match="nobody has the id '999'"):
        read_folder(folder, without="999")
    with pytest.raises(DataError, match="nobody is left"):
        read_folder(folder, people="001", without="001")
    with pytest.raises(DataError, match="not readable"):
        read_folder(folder, people="gone.txt")


def test_photos_that_cannot_be_measured(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "people.csv").write_text("id,group\n1,white\n", "utf-8")
    (tmp_path / "1_neutral.png").write_bytes((folder / "000_neutral.png").read_bytes())
    known = read_folder(tmp_path)
    monkeypatch.setattr("biofacenet.preparation.landmarks.model_path", lambda: None)
    with pytest.raises(DataError, match="pip install"):
        views_of(known, known.people[0], SIZE)
    write_landmarks(tmp_path, ["1_neutral"])
    known = read_folder(tmp_path)
    far = replace(known, landmarks={"1_neutral": points() + 5000})
    with pytest.raises(DataError, match="do not lie around the face"):
        views_of(far, known.people[0], SIZE)


# The command ---------------------------------------------------------------------------------


def test_the_command_writes_tables_and_sheets(
    folder: Path,
    tmp_path: Path,
    in_process: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    torch.manual_seed(1)
    BioFaceNet("small", skin="measured").save_pretrained(tmp_path / "model")
    arguments = ["--photos", str(folder), "--model", "model", "--size", "32", "--without", "005"]
    done = in_process("biofacenet.evaluate", *arguments, "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "evaluation"
    results: dict[str, Any] = json.loads((out / "people.json").read_text("utf-8"))
    assert results["ids"] == ["000", "001", "002", "003", "004"]
    assert results["groups"] == {"black": 2, "white": 3}
    assert results["expressions"] == ["neutral", "smiling"]
    assert {"network", "-ln R", "ln R/G", "projection", "components"} <= set(results["methods"])
    figures = results["methods"]["network"]["figures"]
    assert {"repeat_melanin", "rmse", "slope_diffuse", "blood_own", "half_map"} <= set(figures)
    exposed = results["methods"]["ln R/G"]["figures"]["half_haemoglobin"]["all"]
    assert exposed == pytest.approx(0.0, abs=1e-4)
    with (out / "people.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["method"] == "network"]
    assert len(rows) == 3 * len(figures)
    rmse = next(row for row in rows if (row["measurement"], row["group"]) == ("rmse", "all"))
    assert float(rmse["value"]) == figures["rmse"]["all"]
    with (out / "each_person.csv").open(encoding="utf-8") as stream:
        each = [row for row in csv.DictReader(stream) if row["method"] == "network"]
    squares = [float(row["rmse"]) ** 2 for row in each]
    assert np.sqrt(np.mean(squares)) == pytest.approx(figures["rmse"]["all"])
    text = (out / "people.md").read_text("utf-8")
    assert f"| RMSE in the mask, linear | 0 | ≤ 0.012 | {figures['rmse']['all']:.3f} |" in text
    assert (rmse["target_least"], rmse["target_most"], rmse["met"]) == ("", "0.012", "no")
    assert "all" in figures["rmse"]["missed"]
    assert "never called the worst: black" in text
    assert "worst group" in done.stdout
    for kind in ("best", "median", "worst"):
        with Image.open(out / f"network_{kind}.png") as sheet:
            assert sheet.height > 1000


def test_maps_are_measured_as_large_as_they_are_asked_for(
    folder: Path, tmp_path: Path, in_process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """What a small picture of a spot cannot show, the maps of a large one do."""
    torch.manual_seed(2)
    network = BioFaceNet("small", skin="measured").eval()
    image = torch.full((1, 3, 96, 96), 0.3) * torch.tensor([1.0, 0.6, 0.45]).view(1, 3, 1, 1)
    image[:, 1:, 47:49, 47:49] *= 0.6
    large = by_network(network, size=32, shrunk=0.1)(image).decomposition
    assert large is not None
    assert large.haemoglobin.shape == (1, 1, 96, 96)
    pigment = large.haemoglobin[0, 0]
    assert pigment[47:49, 47:49].mean() - pigment[40:44, 40:44].mean() > 0.05
    small = by_network(network, size=96)(image).melanin
    assert small is not None
    assert torch.equal(small, network.decompose(image).melanin)

    network.save_pretrained(tmp_path / "model")
    arguments = ["--photos", str(folder), "--people", "000,001", "--model", "model"]
    arguments += ["--methods", "network", "--size", "32", "--resolution", "64"]
    done = in_process("biofacenet.evaluate", *arguments, "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "evaluation" / "people.json").read_text("utf-8"))
    assert (result["size"], result["resolution"]) == (32, 64)
    assert result["name"].endswith("64 pixels a side, of which a network sees 32")


def test_a_resolution_is_of_photos(tmp_path: Path) -> None:
    for settings, words in (
        (Settings(resolution=384), "--resolution is of the maps with --photos"),
        (Settings(photos=tmp_path, resolution=7), "resolution 7: expected"),
    ):
        with pytest.raises(BioFaceNetError, match=words):
            check(settings)


def test_the_worst_person_comes_last() -> None:
    views, answers = ideal_views()
    truth, _ = even_skin()

    def method(amount: float) -> Callable[[torch.Tensor], Found]:
        def of(images: torch.Tensor) -> Found:
            maps = [truth, *(answers[name] for name in views.changed)][: len(images)]
            whole = Decomposition.join(maps)
            noise = amount * torch.linspace(0, 1, len(images)).reshape(-1, 1, 1, 1)
            whole = replace(whole, melanin=whole.melanin + noise)
            return Found(whole.melanin, whole.haemoglobin, whole)

        return of

    people = [numbers_of(method(amount), views) for amount in (0.2, 0.0, 0.1)]
    assert ranking(people) == [1, 2, 0]


# Real photographs ----------------------------------------------------------------------------


def test_on_a_few_real_people() -> None:
    faces = os.environ.get("BIOFACENET_FACES_DIR")
    if not faces:
        pytest.skip("BIOFACENET_FACES_DIR does not name the photographs")
    known = read_folder(Path(faces) / "london", people="001,006,042,061")
    people = [views_of(known, person, 64) for person in known.people]
    for views in people:
        regions = views.plain[0].regions
        assert 0.1 < float(regions.mask.mean()) < 0.5
        assert all(
            float(r.sum()) > 20 for r in (regions.left_cheek, regions.forehead, regions.lips)
        )
    redness = [numbers_of(indices()["projection"], views) for views in people]
    assert all(one.values["lips"] > 0.0 for one in redness)
    assert max(abs(one.values["half_haemoglobin"]) for one in redness) < 1e-3
    ratios = figures_of([numbers_of(indices()["ln R/G"], v) for v in people], decomposes=False)
    assert ratios["repeat_haemoglobin"]["all"] > 0.8
    darkness = figures_of([numbers_of(indices()["-ln R"], v) for v in people], decomposes=False)
    assert darkness["auc"]["groups"]["black"] == 1.0
