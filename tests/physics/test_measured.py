"""Lights and cameras of any sampling at the 33 bands: fine integrals, and files as people write them."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from biofacenet import Tables
from biofacenet.errors import DataError
from biofacenet.physics import WAVELENGTHS, CameraCurves, Spectrum, spectral_sensitivity
from biofacenet.physics.spectra import band_weights, to_bands, unit_sum

BANDS = torch.tensor(WAVELENGTHS, dtype=torch.float64)
FINE = torch.arange(380.0, 781.0, dtype=torch.float64)


def bump(x: torch.Tensor, centre: float, width: float) -> torch.Tensor:
    return torch.exp(-0.5 * ((x - centre) / width) ** 2)


def curves(x: torch.Tensor) -> torch.Tensor:
    """Of a made-up camera: (3, L)."""
    return torch.stack([bump(x, centre, 35.0) for centre in (600.0, 540.0, 460.0)])


# Bands ---------------------------------------------------------------------------------------


def test_samples_at_the_bands_stay_as_they_are() -> None:
    torch.testing.assert_close(band_weights(BANDS), torch.eye(33, dtype=torch.float64))
    values = torch.rand(2, 33, dtype=torch.float64)
    assert torch.equal(to_bands(BANDS, values), values)


def test_five_nanometres_are_a_triangle_of_quarters() -> None:
    row = band_weights(torch.arange(380.0, 781.0, 5.0))[10]  # 500 nm
    assert row.nonzero().flatten().tolist() == [23, 24, 25]  # 495, 500, 505 nm
    torch.testing.assert_close(row[23:26], torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64))


@pytest.mark.parametrize(
    "places",
    [
        FINE,
        torch.arange(395.0, 731.0, 4.0),
        torch.arange(405.0, 716.0, 10.0),
        torch.arange(430.0, 671.0, 20.0),
        torch.tensor([*range(390, 500, 3), *range(503, 600, 17), *range(601, 721, 7)]),
    ],
    ids=["1 nm", "4 nm", "10 nm between", "20 nm, short", "uneven"],
)
def test_an_even_light_is_even_at_any_sampling(places: torch.Tensor) -> None:
    even = torch.ones(len(places), dtype=torch.float64)
    torch.testing.assert_close(to_bands(places.double(), even), torch.ones_like(BANDS))


def test_straight_spectra_are_read_between_and_beyond_the_samples() -> None:
    """20 nm apart, so the bands between lie halfway; beyond the ends the last value holds."""
    places = torch.arange(430.0, 671.0, 20.0, dtype=torch.float64)
    torch.testing.assert_close(to_bands(places, 3.0 * places), 3.0 * BANDS.clamp(430.0, 670.0))


def test_a_line_is_shared_by_its_neighbours_and_keeps_its_power() -> None:
    line = (FINE == 546.0).double()
    found = to_bands(FINE, line)
    torch.testing.assert_close(found[14:16], torch.tensor([0.04, 0.06], dtype=torch.float64))
    torch.testing.assert_close(10.0 * found.sum(), line.sum())


@pytest.mark.parametrize("line", [546.1, 487.7, 611.5])
def test_the_colour_of_a_line_is_that_of_the_fine_spectra(line: float) -> None:
    """The nearest band alone is off by the slope of the curves over up to 5 nm."""
    x = torch.arange(380.0, 780.05, 0.1, dtype=torch.float64)
    light = bump(x, line, 0.5)
    true = curves(x) @ light
    ours = curves(BANDS) @ to_bands(x, light)
    nearest = curves(BANDS)[:, round((line - 400.0) / 10.0)]
    true, ours, nearest = (raw / raw.sum() for raw in (true, ours, nearest))
    assert (ours - true).abs().max() < 0.01
    assert (nearest - true).abs().max() > 3.0 * (ours - true).abs().max()


def test_bands_have_gradients() -> None:
    values = torch.rand(401, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(to_bands(FINE, values).sum(), values)
    torch.testing.assert_close(gradient, band_weights(FINE).sum(dim=0))


# Values and objects --------------------------------------------------------------------------


def test_samples_in_any_order_and_of_any_kind_are_the_same_light() -> None:
    x = np.arange(380.0, 781.0, 5.0)
    values = 1.0 + np.sin(x / 50.0)
    first = Spectrum(tuple(x), tuple(values))
    others = [
        Spectrum.of((x, values)),
        Spectrum.of((x[::-1], values[::-1])),
        Spectrum.of((torch.from_numpy(x), 7.0 * torch.from_numpy(values))),
        Spectrum.of(SimpleNamespace(wavelengths=x, values=values, name="lamp")),
        Spectrum.of(first),
    ]
    assert others[3].name == str(others[3]) == "lamp"
    for other in others:
        torch.testing.assert_close(other.bands(), first.bands())
    assert first.bands().sum() == pytest.approx(1.0)
    assert first.bands(dtype=torch.float32).dtype == torch.float32


def test_curves_are_in_the_order_of_their_labels_and_of_unit_sum() -> None:
    rgb = curves(FINE)
    plain = CameraCurves.of((FINE, rgb))
    labelled = SimpleNamespace(
        wavelengths=FINE.numpy(), values=rgb.flip(0).T.numpy(), labels=["blue", "green", "red"]
    )
    torch.testing.assert_close(CameraCurves.of(labelled).bands(), plain.bands())
    torch.testing.assert_close(plain.bands(), unit_sum(to_bands(FINE, rgb)))
    gains = torch.tensor([[2.0], [1.0], [0.3]])
    torch.testing.assert_close(CameraCurves.of((FINE, gains * rgb)).bands(), plain.bands())
    torch.testing.assert_close(CameraCurves.of((FINE.flip(0), rgb.flip(1))).bands(), plain.bands())
    labelled.labels = ["x_bar", "y_bar", "z_bar"]
    with pytest.raises(ValueError, match=r"x_bar.*expected R, G and B"):
        CameraCurves.of(labelled)


def test_distributions_of_colour_science_are_taken_as_they_are() -> None:
    colour = pytest.importorskip("colour")
    led = colour.SDS_ILLUMINANTS["LED-B3"]
    found = Spectrum.of(led)
    assert found.name == led.name
    torch.testing.assert_close(
        found.bands(), unit_sum(to_bands(*map(torch.from_numpy, (led.wavelengths, led.values))))
    )
    camera = colour.MSDS_CAMERA_SENSITIVITIES["Nikon 5100 (NPL)"]
    peaks = BANDS[CameraCurves.of(camera).bands().argmax(dim=1)]
    assert peaks.tolist() == sorted(peaks.tolist(), reverse=True)


def test_dark_noise_is_no_light() -> None:
    x = tuple(range(400, 721, 10))
    noisy = Spectrum(x, (-0.005, *[1.0] * 32))
    assert noisy.values[0] == 0.0
    with pytest.raises(ValueError, match=r"-0\.5 at 400 nm; expected 0 or more"):
        Spectrum(x, (-0.5, *[1.0] * 32))


AXIS = tuple(range(400, 721, 10))


@pytest.mark.parametrize(
    ("wavelengths", "values", "message"),
    [
        (AXIS, (1.0,) * 32, "33 wavelengths, but 32 values"),
        (AXIS, (math.nan, *[1.0] * 32), "nan at 400 nm"),
        (AXIS, (math.inf, *[1.0] * 32), "inf at 400 nm"),
        (AXIS, (0.0,) * 33, "is 0 from 400 to 720 nm"),
        (AXIS, ("a",) * 33, "row of numbers"),
        (AXIS[::-1], (1.0,) * 33, "ascend"),
        (AXIS[5:], (1.0,) * 28, "450 to 720 nm; expected at least 430 to 670"),
        (AXIS[::3], (1.0,) * 11, "30 nm apart"),
        ((0.4, 0.55, 0.72), (1.0,) * 3, "0.4 to 0.72 nm"),
        ((), (), "none"),
    ],
)
def test_what_is_no_light_is_told(
    wavelengths: tuple[float, ...], values: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Spectrum(wavelengths, values)
    with pytest.raises(ValueError, match=message):
        CameraCurves(wavelengths, (values,) * 3)


def test_light_beyond_what_is_seen_is_no_light() -> None:
    x = tuple(range(300, 901, 10))
    with pytest.raises(ValueError, match="is 0 from 400 to 720 nm"):
        Spectrum(x, tuple(float(nm < 380 or nm > 740) for nm in x))


def test_other_things_are_no_spectra() -> None:
    for kind in (Spectrum, CameraCurves):
        with pytest.raises(TypeError, match="wavelengths and values"):
            kind.of("D65")
        with pytest.raises(TypeError, match="dict"):
            kind.of({})
    with pytest.raises(ValueError, match="three curves"):
        CameraCurves.of((AXIS, ((1.0,) * 33,) * 4))


# Files ---------------------------------------------------------------------------------------

LIGHTS = {
    "plain": "".join(f"{nm},{nm / 500}\n" for nm in AXIS),
    "heading": "wavelength_nm,power\n" + "".join(f"{nm},{nm / 500}\n" for nm in AXIS),
    "German": "nm;W\n" + "".join(f"{nm},0;{str(nm / 500).replace('.', ',')}\n" for nm in AXIS),
    "tabs": "".join(f"{nm}\t{nm / 500:.6e}\t\n" for nm in AXIS),
    "blanks": "".join(f"  {nm}   {nm / 500}\r\n\r\n" for nm in reversed(AXIS)),
    "instrument": "\ufeff# 2026\nData from Node\n\n>>>>>Begin Spectral Data<<<<<\n"
    + "".join(f"{nm}\t{nm / 500}\n" for nm in AXIS),
}


@pytest.mark.parametrize("form", LIGHTS)
def test_lights_are_read_as_people_write_them(tmp_path: Path, form: str) -> None:
    path = tmp_path / "lamp.csv"
    path.write_text(LIGHTS[form], "utf-8")
    found = Spectrum.from_csv(path)
    assert found.name == "lamp.csv"
    torch.testing.assert_close(found.bands(), unit_sum(BANDS))


@pytest.mark.parametrize(
    "heading",
    ["", "nm,R,G,B\n", "nm,red,green,blue\n", "nm,Blue channel,r_sensitivity,GREEN\n"],
)
def test_cameras_are_read_by_their_headings(tmp_path: Path, heading: str) -> None:
    rgb = curves(BANDS)
    columns = rgb[[2, 0, 1]] if "channel" in heading else rgb
    path = tmp_path / "camera.csv"
    lines = [f"{nm},{r},{g},{b}\n" for nm, (r, g, b) in zip(AXIS, columns.T.tolist(), strict=True)]
    path.write_text(heading + "".join(lines), "utf-8")
    torch.testing.assert_close(CameraCurves.from_csv(path).bands(), unit_sum(rgb))


def test_cameras_that_predict_wrote_are_read_back(tmp_path: Path, random_decomposition) -> None:  # type: ignore[no-untyped-def]
    from biofacenet.plotting.light import camera_csv, light_csv

    maps = random_decomposition(1, 2, 2)
    camera_csv(maps, tmp_path / "camera.csv")
    light_csv(maps, tmp_path / "light.csv")
    light = Spectrum.from_csv(tmp_path / "light.csv").bands()
    torch.testing.assert_close(light, maps.spectrum()[0], rtol=1e-6, atol=1e-8)
    tables = Tables.computed()
    curve = spectral_sensitivity(maps.camera, tables.camera_mean, tables.camera_components)[0]
    found = CameraCurves.from_csv(tmp_path / "camera.csv").bands()
    torch.testing.assert_close(found, unit_sum(curve), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no columns of numbers"),
        ("wavelength,power\n", "no columns of numbers"),
        ("400\n410\n", "no columns of numbers"),
        ("400,1\n410,nan\n", "line 2 holds 'nan'; expected a number"),
        ("400,1\n410,1,2\n", "line 2 has 3 columns; expected 2"),
        ("400,1\n\n# a remark\nend of data\n", "line 4 has 1 columns"),
        ("400,1,2\n410,1,2\n", "3 columns; expected two"),
        ("400,1\n400,1\n720,1\n", "ascend, each once"),
        ("400,1\n720,1\n", "320 nm apart"),
        ("x\n" * 300 + "400,1\n", "no columns of numbers"),
    ],
)
def test_files_that_are_no_light_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "lamp.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=message) as told:
        Spectrum.from_csv(path)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_what_is_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        Spectrum.from_csv(tmp_path / "missing.csv")
    with pytest.raises(DataError, match="no such file"):
        CameraCurves.from_csv(tmp_path)
    (tmp_path / "photo.csv").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    with pytest.raises(DataError, match="not a text file"):
        CameraCurves.from_csv(tmp_path / "photo.csv")
    with (tmp_path / "huge.csv").open("wb") as stream:
        stream.truncate(2**30)
    with pytest.raises(DataError, match="larger than 16 MB"):
        Spectrum.from_csv(tmp_path / "huge.csv")
    (tmp_path / "xyz.csv").write_text("nm,x,y,z\n" + "".join(f"{nm},1,1,1\n" for nm in AXIS))
    with pytest.raises(DataError, match="named x, y, z; expected R, G, B"):
        CameraCurves.from_csv(tmp_path / "xyz.csv")
