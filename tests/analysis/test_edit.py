"""Editing: every change does what it says, and nothing else; photos stay photos."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from skimage.color import rgb2lab

from biofacenet import Decomposition, Illuminant
from biofacenet.analysis.editing import apply, paste
from biofacenet.analysis.retouching import Change
from biofacenet.decomposition import Edit
from biofacenet.decomposition.edit import LOOKS, MAX_BLOOD, MAX_MELANOSOMES
from biofacenet.errors import DataError
from biofacenet.photos.boxes import Box
from biofacenet.photos.reading import Photo
from biofacenet.physics import Spectrum
from biofacenet.physics.skin import SKINS, SkinName
from biofacenet.plotting.encoding import display

Command = Callable[..., subprocess.CompletedProcess[str]]


def decomposition(batch: int = 2) -> Decomposition:
    generator = torch.Generator().manual_seed(0)

    def plane(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(batch, 1, 24, 24, generator=generator)

    return Decomposition(
        melanin=plane(-0.7, 0.2),
        haemoglobin=plane(-0.6, 0.3),
        diffuse=plane(0.8, 1.6),
        specular=plane(0.02, 0.3),
        illuminant=Illuminant.standard("D65", batch=batch),
        camera=torch.tensor([[0.5, -0.5]]).repeat(batch, 1),
    )


def lab(maps: Decomposition) -> np.ndarray:
    return rgb2lab(display(maps.render()[0])).mean(axis=(0, 1))


def test_nothing_changed_is_the_same() -> None:
    before = decomposition()
    after = before.edit()
    for one, other in zip(before.arguments()[:4], after.arguments()[:4], strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    assert torch.equal(before.camera, after.camera)
    image = torch.rand(2, 3, 24, 24)
    assert (apply(image, before, after) - image).abs().max() < 1e-5


def test_pigments_darken_and_redden() -> None:
    plain = lab(decomposition())
    assert lab(decomposition().edit(melanin=0.6))[0] < plain[0] - 5
    assert lab(decomposition().edit(melanin=-0.2))[0] > plain[0] + 1
    assert lab(decomposition().edit(haemoglobin=0.4))[1] > plain[1] + 3
    assert lab(decomposition().edit(haemoglobin_scale=0.5))[1] < plain[1] - 1
    assert lab(decomposition().edit(specular_scale=0.0))[0] < plain[0] - 3
    assert lab(decomposition().edit(diffuse_scale=1.3))[0] > plain[0] + 3


def test_no_melanin_at_all_is_the_least_that_the_table_has() -> None:
    assert (decomposition().edit(melanin_scale=0.0).melanin == -1).all()


@pytest.mark.parametrize("factor", [0.5, 1.7])
def test_scales_are_of_fractions(factor: float) -> None:
    before = decomposition()
    after = before.edit(melanin_scale=factor, haemoglobin_scale=factor)
    torch.testing.assert_close(after.melanosomes(), factor * before.melanosomes())
    torch.testing.assert_close(after.blood(), factor * before.blood())


@pytest.mark.parametrize("skin", ["published", "measured"])
def test_amounts_are_percent_of_what_maps_show(skin: SkinName) -> None:
    before = replace(decomposition(), skin=skin)
    more = before.edit(melanin="+2%", haemoglobin="+0.5%")
    torch.testing.assert_close(more.melanosomes(), before.melanosomes() + 0.02)
    torch.testing.assert_close(more.blood(), before.blood() + 0.005)
    less = before.edit(melanin="-1%")
    torch.testing.assert_close(less.melanosomes(), (before.melanosomes() - 0.01).clamp(min=4.3e-7))
    assert before.edit(melanin="x3").melanin.equal(before.edit(melanin_scale=3.0).melanin)


def test_ranges_of_amounts_are_those_of_the_skin() -> None:
    for skin in SKINS.values():
        assert skin.max_melanosome_fraction == MAX_MELANOSOMES
        assert skin.max_blood_fraction == MAX_BLOOD


def test_evened_maps_go_to_their_median_and_redness_only_down() -> None:
    before = decomposition(1)
    even = before.edit(even_melanin=1.0, less_redness=0.5)
    torch.testing.assert_close(even.melanin, before.melanin.median().expand_as(before.melanin))
    half = before.edit(even_melanin=0.5).melanosomes() - before.melanosomes().median()
    torch.testing.assert_close(half, 0.5 * (before.melanosomes() - before.melanosomes().median()))
    high = before.haemoglobin > before.haemoglobin.median()
    assert (even.haemoglobin[high] < before.haemoglobin[high]).all()
    torch.testing.assert_close(even.haemoglobin[~high], before.haemoglobin[~high])


@pytest.mark.parametrize("look", LOOKS)
def test_looks_are_edits_and_what_is_said_goes_before_them(look: str) -> None:
    meant = Edit(look=look).resolved()
    meant.check()
    assert meant != Edit()
    assert meant.resolved() == meant
    name, value = next(iter(LOOKS[look].items()))
    other = replace(Edit(look=look), **{name: 0.25})
    assert getattr(other.resolved(), name) == 0.25 != value


def test_old_numbers_on_the_command_line_are_told_how_to_be_spelt() -> None:
    with pytest.raises(ValueError, match=r"melanin 0\.6: expected a factor such as x1\.5.*Python"):
        Edit(melanin="0.6").check()


def test_maps_stay_in_their_range() -> None:
    after = decomposition().edit(melanin=5.0, haemoglobin=-5.0)
    assert (after.melanin == 1).all()
    assert (after.haemoglobin == -1).all()


def test_lights_and_cameras() -> None:
    before = decomposition()
    lit = before.edit(light="F11")
    assert lit.illuminant.weights[:, 1].sum() == 0
    assert len(lit) == 2
    warm = before.edit(cct=4500.0)
    assert warm.illuminant.cct.tolist() == [4500.0, 4500.0]
    seen = before.edit(camera=(-2.0, 1.0))
    assert seen.camera.tolist() == [[-2.0, 1.0]] * 2
    for other in (lit, seen):
        assert (other.render() - before.render()).abs().max() > 0.01


def test_mask_keeps_the_rest() -> None:
    before = decomposition()
    mask = torch.zeros(1, 1, 24, 24)
    mask[..., :12] = 1.0
    after = before.edit(melanin=0.5, specular_scale=0.0, mask=mask)
    assert torch.equal(after.melanin[..., 12:], before.melanin[..., 12:])
    assert torch.equal(after.specular[..., 12:], before.specular[..., 12:])
    assert (after.specular[..., :12] == 0).all()
    image = torch.rand(2, 3, 24, 24)
    edited = apply(image, before, before.edit(light="A", melanin=0.5), mask)
    assert torch.equal(edited[..., 12:], image[..., 12:])


@pytest.mark.parametrize(
    "change",
    [
        {"melanin": float("nan")},
        {"haemoglobin": float("inf")},
        {"specular_scale": -0.1},
        {"diffuse_scale": float("inf")},
        {"light": "F13"},
        {"light": "A", "cct": 5000.0},
        {"cct": 3000.0},
        {"camera": (0.0, 4.0)},
        {"melanin": "0.6"},
        {"melanin": "+44%"},
        {"haemoglobin": "-8%"},
        {"melanin": "x21"},
        {"melanin_scale": 21.0},
        {"melanin": "x"},
        {"melanin": "+2"},
        {"even_melanin": 1.1},
        {"less_redness": -0.1},
        {"look": "green"},
        {"areas": "cheeks"},
        {"areas": "ears"},
        {"areas": "skin=2"},
    ],
)
def test_what_cannot_be(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        decomposition().edit(**change)


def test_edits_survive_storage(tmp_path: Path) -> None:
    after = decomposition().edit(melanin=0.3, light="F2")
    after.save(tmp_path / "maps.npz")
    assert torch.equal(Decomposition.load(tmp_path / "maps.npz").render(), after.render())


@pytest.mark.parametrize("box", [Box(10, 5, 20), Box(-8, -8, 30), Box(30, 20, 40)])
def test_paste_changes_the_box_alone(box: Box) -> None:
    pixels = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0)) * 0.5
    photo = Photo(Path("x.png"), pixels)
    one, none = torch.ones(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)
    assert torch.equal(paste(photo, box, Change(one, none)), pixels)
    brighter = paste(photo, box, Change(1.5 * one, none + 0.02))
    changed = (brighter - pixels).abs().amax(dim=0) > 1e-3
    expected = torch.zeros(40, 50, dtype=torch.bool)
    rows = slice(max(0, box.top), max(0, box.top + box.size))
    expected[rows, max(0, box.left) : max(0, box.left + box.size)] = True
    assert torch.equal(changed, expected)


# Command line --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    Image.fromarray(data.astronaut()).save(folder / "astronaut.png")
    decomposition(1).save(folder / "maps.npz")
    (folder / "text.jpg").write_text("no photo")
    return folder


@pytest.fixture(scope="module")
def command(in_process: Command) -> Command:
    return partial(in_process, "biofacenet.edit")


def opened(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


def test_photo_of_which_nothing_is_changed(workplace: Path, command: Command) -> None:
    done = command("astronaut.png", "--size", "64", "--out", "same", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "nothing changed" in done.stdout
    edited = opened(workplace / "same" / "astronaut" / "edited.png")
    assert np.abs(edited - data.astronaut()).max() <= 1


def test_photo_with_more_melanin(workplace: Path, command: Command) -> None:
    changes = ("--melanin", "x3", "--haemoglobin", "x0.5", "--specular-scale", "0")
    done = command("astronaut.png", *changes, cwd=workplace)
    assert done.returncode == 0, done.stderr
    folder = workplace / "edits" / "astronaut"
    assert {path.name for path in folder.iterdir()} == {"edited.png", "figure.png", "maps.npz"}
    before, edited = data.astronaut().astype(int), opened(folder / "edited.png")
    cheek = (slice(123, 131), slice(190, 198))
    assert edited[cheek].mean() < before[cheek].mean() - 25
    assert np.array_equal(edited[400:], before[400:])
    assert opened(folder / "figure.png").shape[1] > 1000


def test_earlier_results_stay_unless_they_may_go(workplace: Path, command: Command) -> None:
    edit = partial(command, "maps.npz", "--out", "again", cwd=workplace)
    folder = workplace / "again"
    assert edit("--melanin", "x2").returncode == 0
    first = (folder / "maps" / "edited.png").read_bytes()
    assert edit("--melanin", "x5").returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == ["maps", "maps-2"]
    assert (folder / "maps" / "edited.png").read_bytes() == first
    assert edit("--melanin", "x5", "--overwrite").returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == ["maps", "maps-2"]
    assert (folder / "maps" / "edited.png").read_bytes() != first


def test_stored_maps(workplace: Path, command: Command) -> None:
    done = command("maps.npz", "--light", "F11", "--out", "lit", cwd=workplace)
    assert done.returncode == 0, done.stderr
    folder = workplace / "lit" / "maps"
    expected = decomposition(1).edit(light="F11")
    assert np.array_equal(opened(folder / "edited.png"), display(expected.render()[0]).astype(int))
    assert torch.equal(Decomposition.load(folder / "maps.npz").melanin, expected.melanin)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("text.jpg",),
        ("nowhere.npz",),
        ("astronaut.png", "--light", "moon"),
        ("astronaut.png", "--specular-scale", "-1"),
        ("astronaut.png", "--melanin", "0.6"),
        ("astronaut.png", "--melanin", "+50%"),
        ("astronaut.png", "--haemoglobin", "-9%"),
        ("astronaut.png", "--areas", "ears"),
        ("astronaut.png", "--look", "green"),
        ("maps.npz", "--areas", "cheeks"),
        ("astronaut.png", "--model", "none", "--light-from", "left"),
        ("astronaut.png", "--model", "nowhere"),
        ("astronaut.png", "--crop", "nose"),
    ],
)
def test_errors_are_one_line(workplace: Path, arguments: tuple[str, ...], command: Command) -> None:
    done = command(*arguments, "--out", "wrong", cwd=workplace)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert not (workplace / "wrong").exists()


# Measured lights and cameras -----------------------------------------------------------------

NANOMETRES = range(400, 721, 10)


def lamp_file(folder: Path) -> Path:
    """A white LED, as a blue line and a yellow hump."""
    path = folder / "lamp.csv"
    power = [
        np.exp(-0.5 * ((nm - 450) / 12) ** 2) + 0.6 * np.exp(-0.5 * ((nm - 570) / 55) ** 2)
        for nm in NANOMETRES
    ]
    lines = [f"{nm},{one}\n" for nm, one in zip(NANOMETRES, power, strict=True)]
    path.write_text("wavelength_nm,power\n" + "".join(lines))
    return path


def camera_file(folder: Path, blue: float = 455.0) -> Path:
    path = folder / "camera.csv"
    rows = [
        ",".join(f"{np.exp(-0.5 * ((nm - c) / 30) ** 2):.6f}" for c in (600, 530, blue))
        for nm in NANOMETRES
    ]
    lines = [f"{nm},{row}\n" for nm, row in zip(NANOMETRES, rows, strict=True)]
    path.write_text("wavelength_nm,R,G,B\n" + "".join(lines))
    return path


def test_files_are_lights_and_cameras(tmp_path: Path) -> None:
    before = decomposition()
    lamp, camera = lamp_file(tmp_path), camera_file(tmp_path)
    lit = before.edit(light=str(lamp))
    assert torch.equal(lit.render(), before.edit(light=Spectrum.from_csv(lamp)).render())
    seen = lit.edit(camera=str(camera))
    assert lit.spectrum().shape == (2, 33)
    assert seen.spectral_sensitivity().argmax(dim=2).tolist() == [[20, 13, 5]] * 2
    assert seen[1].spectrum().shape == (1, 33)
    both = before.edit(light=str(lamp), camera=str(camera))
    torch.testing.assert_close(seen.render(), both.render())
    images = [one.render() for one in (before, lit, seen)]
    assert min((a - b).abs().max() for a, b in pairwise(images)) > 0.005
    back = both.edit(light="D65", camera=(0.5, -0.5))
    torch.testing.assert_close(back.render(), before.render())


def test_measured_lights_survive_storage_joining_and_moving(tmp_path: Path) -> None:
    after = decomposition().edit(
        light=str(lamp_file(tmp_path)), camera=str(camera_file(tmp_path)), melanin=0.2
    )
    after.save(tmp_path / "maps.npz")
    assert torch.equal(Decomposition.load(tmp_path / "maps.npz").render(), after.render())
    joined = Decomposition.join([decomposition(1), after])
    expected = torch.cat((decomposition(1).render(), after.render()))
    torch.testing.assert_close(joined.render(), expected, rtol=0, atol=1e-4)
    exact = after.to(dtype=torch.float64).render()
    torch.testing.assert_close(after.render().double(), exact, rtol=0, atol=1e-5)


def test_files_of_ordinary_maps_stay_as_earlier_versions_read_them(tmp_path: Path) -> None:
    decomposition().save(tmp_path / "maps.npz")
    with np.load(tmp_path / "maps.npz") as file:
        assert str(file["format"]) == "biofacenet decomposition 2"
        assert not any(name.startswith("measured") for name in file.files)


def test_a_light_that_a_channel_does_not_see_is_one_line(tmp_path: Path) -> None:
    red = tmp_path / "red.csv"
    red.write_text("".join(f"{nm},{int(nm > 600)}\n" for nm in NANOMETRES))
    camera = tmp_path / "camera.csv"
    camera.write_text(
        "".join(f"{nm},{nm - 390},{nm - 390},{max(0, 500 - nm)}\n" for nm in NANOMETRES)
    )
    told = r"light red\.csv and camera camera\.csv: the camera's blue channel sees no light"
    with pytest.raises(DataError, match=told):
        decomposition().edit(light=str(red), camera=str(camera))


def test_the_command_takes_files_of_lights_and_cameras(command: Command, tmp_path: Path) -> None:
    decomposition(1).save(tmp_path / "maps.npz")
    lamp, camera = lamp_file(tmp_path), camera_file(tmp_path)
    edit = partial(
        command, str(tmp_path / "maps.npz"), "--out", str(tmp_path / "out"), cwd=tmp_path
    )
    done = edit("--light", str(lamp), "--camera", str(camera))
    assert done.returncode == 0, done.stderr
    assert "light lamp.csv, camera camera.csv" in done.stdout
    after = Decomposition.load(next((tmp_path / "out").rglob("maps.npz")))
    expected = decomposition(1).edit(light=str(lamp), camera=str(camera))
    torch.testing.assert_close(after.render(), expected.render())
    for wrong, told in (
        (("--light", tmp_path / "missing.csv"), "no such file"),
        (("--light", camera), "4 columns; expected two"),
        (("--camera", lamp), "2 columns; expected four"),
        (("--camera", "0.5"), "2 words, each a number, or a file"),
        (("--light", "moon"), "or a CSV file"),
    ):
        failed = edit(*map(str, wrong))
        assert failed.returncode == 2, wrong
        assert told in failed.stderr
        assert failed.stderr.count("\n") == 1
