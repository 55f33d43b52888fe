"""What is written: 16-bit PNG, OpenEXR, colour temperature, transforms, EXIF; and exact round trips."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import colour
import cv2
import numpy as np
import OpenEXR
import pytest
import torch
from PIL import ExifTags, Image
from skimage import data

from biofacenet import BioFaceNet, Decomposition, Illuminant, cli, edit, fit
from biofacenet.analysis import ByFitting, ByNetwork
from biofacenet.analysis.formats import check_formats, write_formats
from biofacenet.data.synthetic.faces import generate
from biofacenet.errors import BioFaceNetError
from biofacenet.fitting.enlarging import enlarge, explain
from biofacenet.photos.framing import choose_parts
from biofacenet.photos.reading import read_photo
from biofacenet.physics.colour import srgb_to_linear
from biofacenet.physics.illuminant import ILLUMINANT_NAMES
from biofacenet.physics.spectra import WAVELENGTHS
from biofacenet.physics.temperature import correlated_temperature


def light(name: str) -> torch.Tensor:
    one = torch.ones(1, 1, 2, 2)
    maps = Decomposition(one, one, one, one, Illuminant.standard(name), torch.zeros(1, 2))
    return maps.spectrum()


@pytest.mark.parametrize("name", [*ILLUMINANT_NAMES, "D50", "D75"])
def test_colour_temperature_is_that_of_another_library(name: str) -> None:
    spectrum = light(name).double()
    power = colour.SpectralDistribution(dict(zip(WAVELENGTHS, spectrum[0].tolist(), strict=True)))
    observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"].copy()
    observer = observer.align(colour.SpectralShape(400, 720, 10))
    xyz = colour.sd_to_XYZ(power, observer, method="Integration")
    expected = colour.temperature.uv_to_CCT_Ohno2013(colour.UCS_to_uv(colour.XYZ_to_UCS(xyz)))
    kelvin, duv = correlated_temperature(spectrum)
    assert float(kelvin) == pytest.approx(expected[0], rel=5e-3)
    assert float(duv) == pytest.approx(expected[1], abs=5e-4)


def test_colour_temperature_of_planckian_radiators() -> None:
    metres = 1e-9 * torch.tensor(list(WAVELENGTHS), dtype=torch.float64)
    for kelvin in (1500.0, 2855.5, 6504.0, 20000.0):
        power = metres**-5 / torch.expm1(1.4388e-2 / (metres * kelvin))
        found, duv = correlated_temperature(power[None])
        assert float(found) == pytest.approx(kelvin, rel=2e-3)
        assert abs(float(duv)) < 1e-5


def test_other_formats_hold_the_maps(
    random_decomposition: Callable[..., Decomposition], tmp_path: Path
) -> None:
    maps = random_decomposition(1, 6, 9, dtype=torch.float32)
    said = write_formats(maps, tmp_path, ("png16", "exr"))["value_of_65535"]
    quantities = {"melanosomes": maps.melanosomes(), "blood": maps.blood()}
    quantities |= {"diffuse": maps.diffuse, "specular": maps.specular}
    for name, expected in quantities.items():
        stored = cv2.imread(str(tmp_path / f"{name}-16.png"), cv2.IMREAD_UNCHANGED)
        assert stored.dtype == np.uint16
        full = said[f"{name}-16.png"]
        np.testing.assert_allclose(stored / 65535 * full, expected[0, 0], atol=full / 65535)
    with OpenEXR.File(str(tmp_path / "maps.exr")) as file:
        channels = {name: channel.pixels for name, channel in file.channels().items()}
    quantities |= {"melanin": maps.melanin, "haemoglobin": maps.haemoglobin}
    assert channels.keys() == quantities.keys()
    for name, expected in quantities.items():
        np.testing.assert_array_equal(channels[name], expected[0, 0])


def test_a_missing_library_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(BioFaceNetError, match=r"biofacenet\[exr\]"):
        check_formats(("exr",))


# Detail --------------------------------------------------------------------------------------


def test_maps_that_explain_an_image_are_the_nearest() -> None:
    faces = generate(range(2), seed=3, size=32, noise=False, skin="published")
    truth = faces.truth
    same = explain(truth, truth.render())
    torch.testing.assert_close(same.melanin, truth.melanin, atol=1e-3, rtol=0)
    changed = truth.map(torch.clone)
    changed.diffuse *= 1.1
    changed.melanin += 0.03
    target = changed.render()
    found = explain(truth, target)
    before = (truth.render() - target).square().mean().sqrt()
    assert (found.render() - target).square().mean().sqrt() < 0.1 * before
    distance = (found.diffuse / truth.diffuse).log().abs().mean()
    assert distance < 0.2


def test_maps_at_a_higher_resolution_render_to_the_photo() -> None:
    """Rendering the enlarged maps is as near to the large photo as the small maps were to the small."""
    faces = generate([4], seed=3, size=128, noise=False, skin="published")
    large, mask = srgb_to_linear(faces.image), faces.mask
    truth = generate([4], seed=3, size=32, noise=False, skin="published").truth
    small = torch.nn.functional.adaptive_avg_pool2d(large, 32)
    maps = enlarge(truth, small, large, shrunk=0.1)  # no JPEG
    assert maps.melanin.shape == (1, 1, 128, 128)
    plain = truth.map(
        lambda x: (
            torch.nn.functional.interpolate(x, size=(128, 128), mode="bilinear")
            if x.ndim == 4
            else x
        )
    )

    def error(rendered: torch.Tensor, image: torch.Tensor) -> float:
        inside = torch.nn.functional.adaptive_avg_pool2d(mask, image.shape[2:]) == 1
        return float((rendered - image).square()[inside.expand(1, 3, -1, -1)].mean().sqrt())

    here, there = error(truth.render(), small), error(maps.render(), large)
    assert there < 1.2 * here + 0.003
    # Not nearer: fine highlights, which this dark face has, stay smooth.
    assert there < 0.8 * error(plain.render(), large)


# Round trips ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("album")
    upright = data.astronaut()[20:260, 90:330]
    opacity = np.full((*upright.shape[:2], 1), 255, np.uint8)
    opacity[:60], opacity[200:] = 0, 120
    Image.fromarray(np.concatenate((upright, opacity), axis=2)).save(folder / "cut-out.png")
    there = cv2.getRotationMatrix2D((120, 120), -20, 1.0)
    Image.fromarray(cv2.warpAffine(upright, there, (240, 240), borderMode=1)).save(
        folder / "turned.png"
    )
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "somebody"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] = 200
    # Orientation 6: the first row stored is the right side as seen.
    Image.fromarray(np.rot90(upright).copy()).save(folder / "phone.jpg", exif=exif, quality=95)
    return folder


def test_decomposed_saved_loaded_and_rendered_is_the_same(album: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    photo = read_photo(album / "turned.png")
    (part,) = choose_parts(photo)
    assert abs(part.box.angle) > 10
    network = BioFaceNet("small").eval()
    for result in (
        ByFitting(48, 5)(photo, part),
        ByNetwork(network, 48, resolution=100)(photo, part),
    ):
        result.decomposition.save(tmp_path / "maps.npz")
        again = Decomposition.load(tmp_path / "maps.npz")
        assert torch.equal(again.render(), result.reconstruction)


def run(module: object, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["biofacenet", *arguments])
    cli.run(module.main)  # type: ignore[attr-defined]


def test_editing_nothing_returns_the_photo(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(edit, [str(album), "--size", "32", "--out", str(tmp_path), "--everywhere"], monkeypatch)
    for path in album.iterdir():
        photo = read_photo(path)
        edited = read_photo(tmp_path / path.stem / "edited.png")
        assert edited.pixels.shape == photo.pixels.shape
        assert float((edited.pixels - photo.pixels).abs().max()) < 1.01 / 255
        if photo.alpha is not None:
            assert edited.alpha is not None
            torch.testing.assert_close(edited.alpha, photo.alpha, atol=1e-3, rtol=0)
    with Image.open(tmp_path / "phone" / "edited.png") as picture:
        exif = picture.getexif()
        assert exif.get(ExifTags.Base.Orientation, 1) == 1
        assert exif[ExifTags.Base.Artist] == "somebody"
        assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 200
        assert picture.info["icc_profile"]


def test_summary_places_the_maps_in_the_photo(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--size", "24", "--steps", "2", "--out", str(tmp_path), "--format", "png16"]
    run(fit, [str(album / "turned.png"), *arguments], monkeypatch)
    summary = json.loads((tmp_path / "turned" / "summary.json").read_text("utf-8"))
    matrix, box = np.array(summary["maps_to_photo"]), summary["crop"]
    assert summary["map_size"] == [24, 24]
    middle = (box["left"] + box["width"] / 2, box["top"] + box["height"] / 2)
    assert matrix @ (12, 12, 1) == pytest.approx(middle, abs=1e-3)
    slope = np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))
    assert slope == pytest.approx(box["degrees_clockwise"], abs=1e-2)
    assert 1000 < summary["light_cct_kelvin"] < 30000
    assert abs(summary["light_duv"]) < 0.05
    assert (tmp_path / "turned" / "melanosomes-16.png").exists()


def test_all_of_a_photo(album: Path) -> None:
    photo = read_photo(album / "turned.png")
    torch.manual_seed(0)
    network = BioFaceNet("small").eval()
    (whole,) = choose_parts(photo, "image")
    for result in (ByFitting(40, 3)(photo, whole), ByNetwork(network, 48)(photo, whole)):
        assert result.part.kind == "whole"
        assert (whole.box.left, whole.box.top, whole.box.size) == (0, 0, 240)
    wide = Image.fromarray(data.astronaut()[20:260])
    wide.save(album.parent / "wide.png")
    strip = read_photo(album.parent / "wide.png")
    result = ByNetwork(network, 64)(strip, choose_parts(strip, "image")[0])
    assert result.image.shape == (1, 3, 30, 64)
    assert result.decomposition.melanin.shape == (1, 1, 30, 64)
