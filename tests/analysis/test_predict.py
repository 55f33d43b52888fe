"""Pictures have what they should; predict works from photo to files, and fails in one line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from skimage.color import rgb2lab

from biofacenet import BioFaceNet, Decomposition, Illuminant
from biofacenet.analysis import ByNetwork
from biofacenet.analysis.batch import _further, result_folders
from biofacenet.errors import BioFaceNetError, NoFaceError, PhotoError
from biofacenet.photos.boxes import Box, crop
from biofacenet.photos.framing import choose_parts, crop_text, parse_crop
from biofacenet.photos.reading import Photo, read_photo
from biofacenet.physics.colour import srgb_to_linear
from biofacenet.physics.illuminant import ILLUMINANT_NAMES
from biofacenet.plotting.encoding import display
from biofacenet.plotting.figures import decomposition_figure
from biofacenet.plotting.grids import contact_sheet, training_grid
from biofacenet.plotting.light import camera_csv, camera_plot, light_csv, light_plot
from biofacenet.plotting.maps import MAP_NAMES, albedo_image, map_image

Command = Callable[..., subprocess.CompletedProcess[str]]
RESULTS = {
    "figure.png",
    "melanin.png",
    "haemoglobin.png",
    "diffuse.png",
    "specular.png",
    "albedo.png",
    "normals.png",
    "parts.png",
    "reconstruction.png",
    "input.png",
    "mask.png",
    "maps.npz",
    "light.png",
    "light.csv",
    "camera.png",
    "camera.csv",
    "summary.json",
    *(f"{name}-scale.png" for name in MAP_NAMES),
}


def decomposition(batch: int = 1, height: int = 32, width: int = 32) -> Decomposition:
    """Smooth maps that cover their ranges."""
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"
    )

    def maps(plane: torch.Tensor) -> torch.Tensor:
        return plane.expand(batch, 1, height, width).contiguous()

    weights = torch.softmax(torch.arange(14.0) / 4, dim=0).expand(batch, 14).contiguous()
    return Decomposition(
        melanin=maps(x),
        haemoglobin=maps(y),
        diffuse=maps(2.0 - 0.5 * x * y),
        specular=maps(0.2 * (1 - x**2) + 0.01),
        illuminant=Illuminant(weights, torch.full((batch,), 5600.0)),
        camera=torch.tensor([[0.5, -1.0]]).repeat(batch, 1),
    )


def opened(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.array(image.convert("RGB"))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


# Pictures ------------------------------------------------------------------------------------


def lightness(picture: np.ndarray) -> np.ndarray:
    """CIELAB lightness of 8-bit sRGB."""
    return rgb2lab(picture)[..., 0]


@pytest.mark.parametrize("name", ["melanin", "haemoglobin"])
def test_pigment_colours_darken_evenly_over_a_fixed_range(name):
    maps = decomposition(height=65, width=65)
    if name == "haemoglobin":
        maps.haemoglobin = maps.haemoglobin.mT.contiguous()
    line = lightness(map_image(maps, name))[0]
    assert line[0] > 95
    assert line[-1] < 18
    assert np.all(np.abs(np.diff(line) - (line[-1] - line[0]) / 64) < 0.8)
    half = maps.map(torch.clone)
    setattr(half, name, getattr(half, name) / 2)
    assert lightness(map_image(half, name))[0, 0] == pytest.approx(line[16], abs=0.6)


@pytest.mark.parametrize("name", ["diffuse", "specular"])
def test_shadings_are_grey_and_survive_an_outlier(name):
    maps = decomposition()
    setattr(maps, name, torch.full((1, 1, 32, 32), 0.5))
    getattr(maps, name)[0, 0, 0, 0] = 1e4
    getattr(maps, name)[0, 0, 0, 1] = 0.25
    picture = map_image(maps, name)
    assert picture.shape == (32, 32, 3)
    assert picture.dtype == np.uint8
    assert np.ptp(picture, axis=2).max() == 0
    assert picture[5, 5, 0] == 255
    assert picture[0, 1, 0] == pytest.approx(128, abs=1)


def test_unknown_map():
    with pytest.raises(ValueError, match="albedo"):
        map_image(decomposition(), "albedo")


def test_albedo_is_the_rendering_under_a_shading_that_makes_white_white():
    maps = decomposition()
    bare = maps.map(torch.clone)
    bare.diffuse = torch.full_like(maps.diffuse, 1 / 0.3425)
    bare.specular = torch.zeros_like(maps.specular)
    difference = albedo_image(maps).astype(int) - display(bare.render()[0])
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    ("height", "width", "title"),
    [(64, 64, "portrait.jpg"), (32, 96, ""), (96, 32, "写真\n" + "long name " * 20)],
)
def test_decomposition_figure(tmp_path, height, width, title):
    maps = decomposition(height=height, width=width)
    path = tmp_path / "new" / "figure.png"
    decomposition_figure(maps.render() * 0.9, maps, path, title=title)
    picture = opened(path)
    assert picture.shape[1] == 1600
    assert 700 < picture.shape[0] < 2200
    # Content in every panel, and a white margin all around: nothing is cut off.
    assert np.ptp(picture[: picture.shape[0] // 2], axis=(0, 1)).min() > 200
    for edge in (picture[:6], picture[-6:], picture[:, :6], picture[:, -6:]):
        assert edge.min() == 255
    assert list(path.parent.iterdir()) == [path]


def test_light_and_camera_files(tmp_path):
    maps = decomposition(batch=2)
    light_plot(maps, tmp_path / "light.png")
    camera_plot(maps, tmp_path / "camera.png")
    for name in ("light", "camera"):
        picture = opened(tmp_path / f"{name}.png")
        assert picture.shape == (460, 800, 3)
        assert picture.min() < 100

    light_csv(maps, tmp_path / "light.csv")
    light = rows(tmp_path / "light.csv")
    assert [int(row["wavelength_nm"]) for row in light] == list(range(400, 721, 10))
    power = torch.tensor([float(row["power"]) for row in light])
    torch.testing.assert_close(power, maps.spectrum()[0])
    assert float(power.sum()) == pytest.approx(1.0, abs=1e-6)

    camera_csv(maps, tmp_path / "camera.csv")
    camera = rows(tmp_path / "camera.csv")
    assert list(camera[0]) == ["wavelength_nm", "R", "G", "B"]
    curves = torch.tensor([[float(row[channel]) for row in camera] for channel in "RGB"])
    torch.testing.assert_close(curves, maps.spectral_sensitivity()[0])


def test_training_grid(tmp_path):
    maps = decomposition(batch=3, height=64, width=64)
    mask = torch.zeros(3, 1, 64, 64)
    mask[:2, :, 16:48, 16:48] = 1.0  # the third face has no mask at all
    rendered = maps.render()
    path = tmp_path / "grid.png"
    # The true shading is seven times the predicted one: by least squares they look the same.
    training_grid(rendered * 1.1, mask, 7 * maps.diffuse, maps, rendered, path, title="epoch 1")
    picture = opened(path)
    tile, gap, left = 140, 6, 20
    top = picture.shape[0] - 20 - 3 * tile - 2 * gap
    assert picture.shape[1] == 2 * left + 8 * tile + 7 * gap
    assert picture[:top].min() < 100  # headings

    def cell(row: int, column: int) -> np.ndarray:
        y, x = top + row * (tile + gap), left + column * (tile + gap)
        return picture[y : y + tile, x : x + tile].astype(int)

    inner = slice(45, 95)
    true, shading = cell(0, 1)[inner, inner], cell(0, 4)[inner, inner]
    assert np.abs(true - shading).max() <= 2
    assert cell(0, 2)[70, 70].min() == 255
    assert cell(0, 2)[5, 5].max() == 0
    for column in range(3, 8):
        assert np.ptp(cell(0, column)[:30]) == 0  # blank outside the mask
        assert np.ptp(cell(0, column)[inner, inner]) > 10
        assert np.ptp(cell(2, column)) == 0


def test_contact_sheet(tmp_path):
    images = torch.rand(7, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    contact_sheet(images, tmp_path / "sheet.png", columns=3)
    picture = opened(tmp_path / "sheet.png")
    assert picture.shape == (3 * 128 + 2 * 4, 3 * 128 + 2 * 4, 3)
    assert picture[-1, -1].min() == 255  # the last places stay empty
    assert picture[60, 60].max() < 255


def test_a_picture_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(Exception, match=r"expand|size|shape"):
        decomposition_figure(torch.zeros(1, 3, 8, 9), decomposition(), tmp_path / "figure.png")
    assert list(tmp_path.iterdir()) == []


# Choosing ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> BioFaceNet:
    torch.manual_seed(0)
    return BioFaceNet("small").eval()


def grey_photo(height: int = 60, width: int = 100) -> Photo:
    return Photo(Path("grey.png"), torch.full((3, height, width), 0.5))


def test_choosing_the_box():
    photo = grey_photo()
    (middle,) = choose_parts(photo, "whole")
    assert (middle.box, middle.kind) == (Box(20, 0, 60), "central")
    with pytest.raises(NoFaceError, match=r"grey.png: no face found; .*--crop .*--whole-image"):
        choose_parts(photo, "face")
    (named,) = choose_parts(photo, "-5, 10, 40")
    assert (named.box, named.kind) == (Box(-5, 10, 40), "named")


@pytest.mark.parametrize(
    "box",
    [Box(3, 4, 20), Box(-3, 4, 20, 12.5), Box(0, 0, 20, tall=31), Box(1, 2, 20, -33.06, 40)],
)
def test_a_box_as_text_is_the_box(box):
    assert parse_crop(crop_text(box)) == box


@pytest.mark.parametrize(
    "crop",
    [
        "nose",
        "1,2",
        "1,2,x",
        "1,2,0",
        "1,2,15",
        "1.5,2,30",
        "",
        "1,2,30@",
        "1,2,30x9",
        "1,2,30@400",
    ],
)
def test_a_crop_that_is_none(crop):
    with pytest.raises(BioFaceNetError, match="LEFT,TOP,SIZE"):
        choose_parts(grey_photo(), crop)


@pytest.mark.parametrize("crop", ["100,0,40", "0,60,40", "-40,0,40", "0,0,100000000"])
def test_a_crop_beside_the_photo(crop):
    with pytest.raises(PhotoError, match="100 x 60"):
        choose_parts(grey_photo(), crop)


@pytest.mark.parametrize("size", [0, 8, 100, 4096, -16])
def test_a_size_the_network_cannot_take(model, size):
    with pytest.raises(BioFaceNetError, match="multiple of 16"):
        ByNetwork(model, size)


@pytest.mark.parametrize("size", [16, 64, 208])
def test_decompose(model, size):
    photo = grey_photo()
    prediction = ByNetwork(model, size)(photo, choose_parts(photo, "whole")[0])
    assert prediction.image.shape == (1, 3, size, size)
    assert prediction.decomposition.melanin.shape == (1, 1, size, size)
    torch.testing.assert_close(prediction.reconstruction, prediction.decomposition.render())
    difference = prediction.reconstruction - prediction.image
    assert prediction.rmse == pytest.approx(float(difference.square().mean().sqrt()))
    # sRGB 0.5 is 0.2140 linear, and that is what the network is given.
    assert float(prediction.image.mean()) == pytest.approx(0.2140, abs=1e-3)


def test_folders_of_one_name_are_told_apart(tmp_path):
    photos = tuple(map(Path, ("a/me.jpg", "b/me.png", "me-2.jpg", "ME.jpg", "you.v2.jpg")))
    names = [folder.name for folder in result_folders(tmp_path, photos)]
    assert names == ["me", "me-2", "me-2-2", "ME-3", "you.v2"]


# The command line ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, model) -> Path:
    """A folder with a trained network's place filled, and photos."""
    folder = tmp_path_factory.mktemp("workplace")
    model.save_pretrained(folder / "runs" / "001" / "model")
    Image.fromarray(data.astronaut()).save(folder / "astronaut.png")
    (folder / "other").mkdir()
    Image.fromarray(data.astronaut()[:300]).resize((200, 117)).save(
        folder / "other" / "astronaut.png"
    )
    (folder / "letter.jpg").write_text("no photo")
    return folder


@pytest.fixture(scope="module")
def predict(in_process: Command) -> Command:
    def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return in_process("biofacenet.predict", *arguments, cwd=folder)

    return call


def test_earlier_results_stay_unless_they_may_go(workplace, predict):
    def again(*arguments: str) -> tuple[list[str], str]:
        how = ("--size", "32", "--resolution", "32", "--whole-image", "--out", "again")
        done = predict(workplace, "other/astronaut.png", *how, *arguments)
        assert done.returncode == 0, done.stderr
        return sorted(path.name for path in (workplace / "again").iterdir()), done.stdout

    assert again()[0] == ["astronaut"]
    first = (workplace / "again" / "astronaut" / "summary.json").stat().st_ino
    folders, said = again()
    assert folders == ["astronaut", "astronaut-2"]
    assert "astronaut-2" in said
    assert "--overwrite" in said
    assert (workplace / "again" / "astronaut" / "summary.json").stat().st_ino == first
    folders, said = again("--overwrite")
    assert folders == ["astronaut", "astronaut-2"]
    assert (workplace / "again" / "astronaut" / "summary.json").stat().st_ino != first


def test_further_faces_go_beside_earlier_results(tmp_path):
    """The second face of a photo would be in the folder of the first in an earlier run."""
    taken = {"me", "me-2", "me-3"}
    further = _further(tmp_path / "me-3", taken)
    assert [next(further).name for _ in range(3)] == ["me-3", "me-3-2", "me-3-3"]
    taken = {"me", "me-2"}
    further = _further(tmp_path / "me", taken)
    assert [next(further).name for _ in range(2)] == ["me", "me-3"]


def test_predict_writes_everything(workplace, predict):
    done = predict(workplace, "astronaut.png", "--size", "64")
    assert (done.returncode, done.stderr) == (0, "")
    folder = workplace / "predictions" / "astronaut"
    assert "predictions/astronaut/figure.png" in done.stdout
    maps = Decomposition.load(folder / "maps.npz")
    shape = {"normals.png", "parts.png"} if maps.normals is not None else set()
    assert {path.name for path in folder.iterdir()} == RESULTS | shape

    # As large as the face is in the photo.
    side = json.loads((folder / "summary.json").read_text("utf-8"))["crop"]["size"]
    assert maps.melanin.shape == (1, 1, side, side)
    stored = opened(folder / "reconstruction.png").astype(int)
    assert np.abs(display(maps.render()[0]) - stored).max() <= 1
    for name in MAP_NAMES:
        np.testing.assert_array_equal(opened(folder / f"{name}.png"), map_image(maps, name))
    assert opened(folder / "figure.png").shape[1] == 1600

    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert summary["photo"] == "astronaut.png"
    assert summary["photo_size"] == [512, 512]
    assert (summary["crop_kind"], summary["crop_choice"]) == ("face", "face found")
    assert 120 < summary["crop"]["left"] < 160
    assert summary["method"] == "model small, on cpu"
    assert 4000 <= summary["daylight_cct_kelvin"] <= 25000
    weights = dict(zip(ILLUMINANT_NAMES, maps.illuminant.weights[0].tolist(), strict=True))
    for name, weight in summary["illuminant_weights"].items():
        assert weight == pytest.approx(weights[name], abs=1e-4)
    assert summary["camera_b"] == pytest.approx(maps.camera[0].tolist(), abs=1e-4)
    shown = torch.from_numpy(opened(folder / "input.png")).permute(2, 0, 1) / 255
    error = (maps.render()[0] - srgb_to_linear(shown)).square().mean().sqrt()
    assert summary["rmse_linear_rgb"] == pytest.approx(float(error), abs=2e-3)
    assert summary["biofacenet_version"]
    assert len(rows(folder / "light.csv")) == len(rows(folder / "camera.csv")) == 33


def test_a_bad_photo_does_not_stop_the_others(workplace, predict):
    photos = ("astronaut.png", "letter.jpg", "other/astronaut.png", "missing.png")
    done = predict(workplace, *photos, "--out", "several", "--crop", "whole", "--size", "32")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("error: letter.jpg: ")
    assert lines[1].startswith("error: missing.png: ")
    for name in ("astronaut", "astronaut-2"):
        assert {path.name for path in (workplace / "several" / name).iterdir()} == RESULTS
    sides = [
        json.loads((workplace / "several" / name / "summary.json").read_text("utf-8"))["crop"][
            "size"
        ]
        for name in ("astronaut", "astronaut-2")
    ]
    assert sides == [512, 117]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("astronaut.png", "--size", "100"), "multiple of 16"),
        (("astronaut.png", "--crop", "nose"), "LEFT,TOP,SIZE"),
        (("astronaut.png", "--model", "nowhere"), "nowhere"),
        (("astronaut.png", "--device", "quantum"), "quantum"),
        (("astronaut.png", "--out", "letter.jpg", "--size", "32"), "letter.jpg"),
    ],
)
def test_mistakes_end_in_one_line(workplace, arguments, words, predict):
    done = predict(workplace, *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert words in done.stderr


def test_without_a_model_the_shipped_one_is_used(tmp_path):
    """In a folder with nothing but a photo, right after installation: lips are redder than cheeks."""
    Image.fromarray(data.astronaut()).save(tmp_path / "astronaut.png")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "biofacenet.predict", "astronaut.png"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "small" in done.stdout
    photo = read_photo(tmp_path / "astronaut.png")
    result = ByNetwork(BioFaceNet.from_pretrained("small"), resolution=1024)(photo)
    maps = Decomposition.load(tmp_path / "predictions" / "astronaut" / "maps.npz")
    torch.testing.assert_close(maps.haemoglobin, result.decomposition.haemoglobin)

    def mean(*places):  # left, top, right, bottom, in pixels of the photo
        marked = torch.zeros(3, 512, 512)
        for left, top, right, bottom in places:
            marked[:, top:bottom, left:right] = 1.0
        inside = crop(marked, result.part.box, maps.haemoglobin.shape[-1])[0] > 0.5
        return float(maps.haemoglobin[0, 0][inside].mean())

    lips = mean((214, 140, 236, 142), (214, 150, 233, 154))
    assert lips > mean((190, 123, 198, 131), (249, 121, 259, 131)) + 0.05


def test_a_model_that_is_not_there_is_told_of(tmp_path, predict):
    Image.fromarray(data.astronaut()).save(tmp_path / "astronaut.png")
    done = predict(tmp_path, "astronaut.png", "--model", "runs/001/model")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "runs/001/model: no such folder" in done.stderr


def test_photos_are_not_changed(workplace, predict):
    before = (workplace / "astronaut.png").read_bytes()
    folder = workplace / "mine" / "astronaut"
    folder.mkdir(parents=True)
    (folder / "diary.txt").write_text("keep me")
    done = predict(workplace, "astronaut.png", "--out", "mine", "--size", "32")
    assert done.returncode == 0
    assert (folder / "diary.txt").read_text() == "keep me"
    assert (workplace / "astronaut.png").read_bytes() == before
    photo = read_photo(workplace / "astronaut.png")
    assert photo.pixels.shape == (3, 512, 512)


def test_refining_brings_the_rendering_closer(workplace):
    photo = read_photo(workplace / "astronaut.png")
    model = BioFaceNet("small").eval()
    plain = ByNetwork(model, 64)(photo)
    refined = ByNetwork(model, 64, refine=60)(photo)
    assert refined.mask is not None
    assert refined.skin_rmse is not None
    error = (plain.reconstruction - plain.image).square().mean(dim=1, keepdim=True)
    before = float(((error * refined.mask).sum() / refined.mask.sum()).sqrt())
    assert refined.skin_rmse < 0.5 * before
    with pytest.raises(BioFaceNetError, match="refine"):
        ByNetwork(model, refine=-1)
