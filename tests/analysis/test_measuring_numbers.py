"""What stands in the table of measurements, quantity by quantity, against formulas and implanted truth."""

import csv
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from biofacenet.analysis.measuring.cautions import CAUTIONS
from biofacenet.analysis.measuring.codebook import codebook
from biofacenet.analysis.measuring.colours import QUANTITIES, ita, skin_colours
from biofacenet.analysis.measuring.columns import COLUMNS, ita_class
from biofacenet.analysis.measuring.regions import REGIONS
from biofacenet.analysis.measuring.rows import Row, header, problem_row, table
from biofacenet.analysis.measuring.spots import find_spots
from biofacenet.physics import daylight
from biofacenet.physics.colour import cielab
from biofacenet.physics.skin import MEASURED, blood_fraction, melanosome_fraction, reflectance
from biofacenet.physics.spectra import WAVELENGTHS
from biofacenet.system.files import write_csv

# Rows ----------------------------------------------------------------------------------------


def test_the_header_and_the_codebook_are_of_one_table() -> None:
    text = codebook()
    named = re.findall(r"^\| ([\w-]+) \|", text, re.M)
    assert named == ["column", *header(), "region", *REGIONS, "warning", *CAUTIONS]
    assert len(set(header())) == len(header())
    for column in COLUMNS:
        assert column.definition
        assert column.definition[-1] in ".:", column.name
        assert column.decimals is not None or not column.unit, "numbers have a unit, text has none"


def test_rows_are_rounded_as_they_are_written(tmp_path: Path) -> None:
    row = Row(
        {"photo": "a.jpg", "region": "chin", "lab_l": 61.23456, "pixels": 12, "lab_b": math.nan}
    )
    assert row["lab_l"] == 61.23
    assert row["lab_b"] is None
    assert math.isnan(row.number("ita_degrees"))
    write_csv(tmp_path / "faces.csv", table([row]))
    with (tmp_path / "faces.csv").open(newline="") as text:
        (read,) = csv.DictReader(text)
    assert (read["lab_l"], read["lab_b"], read["pixels"]) == ("61.23", "", "12")


def test_rows_know_their_columns() -> None:
    with pytest.raises(ValueError, match="no column 'shoe_size'"):
        Row({"shoe_size": 43})
    with pytest.raises(ValueError, match="column region holds text"):
        Row({"region": 1.5})
    with pytest.raises(KeyError):
        Row()["shoe_size"]


def test_names_and_problems_are_no_formulas() -> None:
    row = problem_row("=1+1.jpg", "=cmd|'/c calc'!A1\n happens", faces=0)
    cells = dict(zip(header(), table([row])[1], strict=True))
    assert cells["photo"] == Path("=1+1.jpg")  # a path: write_csv puts ./ before it
    assert row["problem"] == "=cmd|'/c calc'!A1 happens"  # and an apostrophe before text


# Colour --------------------------------------------------------------------------------------


def test_colours_are_those_of_the_reflectance() -> None:
    """Against the model itself, without the table between."""
    torch.manual_seed(0)
    melanin, haemoglobin = torch.rand(2, 200) * 1.6 - 0.8
    found = skin_colours(melanin, haemoglobin, "measured")
    spectra = reflectance(
        melanosome_fraction(melanin.double(), MEASURED),
        blood_fraction(haemoglobin.double(), MEASURED),
        MEASURED,
    )
    light = daylight(torch.tensor([6504.0], dtype=torch.float64))[0]
    lab = cielab(spectra, light)
    assert (found[:3].T - lab).abs().max() < 0.05
    bands = np.array(WAVELENGTHS)
    red, green = (
        np.array([np.interp(at, bands, one) for one in spectra.numpy()]) for at in (655.0, 568.0)
    )
    np.testing.assert_allclose(found[3].numpy(), 100 * np.log10(1 / red), atol=0.05)
    np.testing.assert_allclose(found[4].numpy(), 100 * np.log10(red / green), atol=0.05)


def test_indices_rise_with_their_pigments() -> None:
    line = torch.linspace(-0.8, 0.8, 30)
    more_melanin = skin_colours(line, torch.zeros(30), "measured")
    more_blood = skin_colours(torch.full((30,), -0.3), line, "measured")
    index = {name: QUANTITIES.index(name) for name in QUANTITIES}
    assert bool((more_melanin[index["melanin_index"]].diff() > 0).all())
    assert bool((more_blood[index["erythema_index"]].diff() > 0).all())
    assert bool((more_blood[index["lab_a"]].diff() > 0).all())


@pytest.mark.parametrize(
    ("lightness", "b", "degrees", "name"),
    [
        (70.0, 15.0, 53.13, "light"),  # 180 / pi atan(20 / 15)
        (72.0, 12.0, 61.39, "very light"),
        (60.0, 18.0, 29.05, "intermediate"),
        (55.0, 18.0, 15.52, "tan"),
        (45.0, 18.0, -15.52, "brown"),
        (30.0, 12.0, -59.04, "dark"),
    ],
)
def test_typology_angle_and_its_classes(
    lightness: float, b: float, degrees: float, name: str
) -> None:
    """Chardon et al. 1991, with the classes of Del Bino and Bernerd 2013."""
    assert ita(lightness, b) == pytest.approx(degrees, abs=0.01)
    assert ita_class(degrees) == name


def test_ends_of_classes_belong_to_the_darker_one() -> None:
    edges = {55.0: "light", 41.0: "intermediate", 28.0: "tan", 10.0: "brown", -30.0: "dark"}
    assert {at: ita_class(at) for at in edges} == edges


# Spots ---------------------------------------------------------------------------------------

EYES = 160.0


def skin_with(discs: list[tuple[int, int, float, float]], texture: float = 0.03) -> np.ndarray:
    """(200, 200), pigment 0.04 with texture and a slope, and discs: row, column, radius, factor."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:200, 0:200]
    plane = 0.04 * np.exp(texture * rng.standard_normal((200, 200)) + 0.002 * x)
    for row, column, radius, factor in discs:
        plane[(y - row) ** 2 + (x - column) ** 2 <= radius**2] *= factor
    return plane


def test_spots_are_counted_and_measured() -> None:
    plane = skin_with([(60, 60, 4.0, 1.8), (120, 130, 5.0, 1.8), (150, 40, 3.0, 1.8)])
    found = find_spots(plane, np.ones(plane.shape, bool), EYES)
    true = np.pi * (16 + 25 + 9) / 200**2
    assert found.number == 3
    assert found.area == pytest.approx(true, rel=0.1)
    assert found.contrast == pytest.approx(0.8, abs=0.12)


@pytest.mark.parametrize(
    "plane",
    [
        skin_with([]),
        skin_with([], texture=0.15),
        skin_with([(100, 100, 40.0, 1.8)]),  # a patch larger than any spot
        skin_with([(100, 100, 0.5, 3.0)]),  # a single pixel: noise
        skin_with([(100, 100, 5.0, 0.5)]),  # a pale one
        skin_with([(100, 100, 5.0, 1.1)]),  # too faint
    ],
    ids=["even", "texture", "patch", "pixel", "pale", "faint"],
)
def test_what_is_no_spot(plane: np.ndarray) -> None:
    found = find_spots(plane, np.ones(plane.shape, bool), EYES)
    assert found.number == 0
    assert found.area == 0.0
    assert found.contrast is None


def test_the_edge_of_a_region_makes_no_spots() -> None:
    """Beyond it may be hair, three times as dark: it does not count as the skin around."""
    plane, inside = skin_with([(100, 60, 5.0, 1.8)]), np.ones((200, 200), bool)
    inside[:, 100:] = False
    plane[:, 100:] = 0.2
    assert find_spots(plane, inside, EYES).number == 1
    assert find_spots(plane, np.zeros_like(inside), EYES).number == 0
