"""The measured skin against its formulas written out, and against skin that was measured."""

from pathlib import Path

import numpy as np
import pytest
import torch

from biofacenet import SkinParameters, Tables
from biofacenet.evaluation.spectra import summarise
from biofacenet.fitting.spectra import SpectraFit, fit_spectra
from biofacenet.physics.skin import SKINS
from biofacenet.physics.spectra import WAVELENGTHS

# Golden spectra ------------------------------------------------------------------------------

# Extinction at 400, 500, 560, 600 and 700 nm: eumelanin in mL/(mg cm), haemoglobin with and without
# oxygen in cm^-1/M (Jacques; Prahl: omlc.org).
NM = np.array([400.0, 500.0, 560.0, 600.0, 700.0])
EUMELANIN = np.array([14.63662677, 8.137126733, 5.456365208, 4.300290909, 2.423924324])
OXY = np.array([266232.0, 20932.8, 32613.2, 3200.0, 290.0])
DEOXY = np.array([223296.0, 20862.0, 53788.0, 14677.2, 1794.28])


def measured_skin(row: int, column: int) -> np.ndarray:
    """One spectrum of the table, in numbers alone; row counts haemoglobin, column melanin.

    An epidermis of eumelanin and bare tissue (Lambert-Beer) beneath a surface that returns 6.5 %; a
    dermis 0.04 cm thick with 66 % of its blood oxygenated, in vessels 16.5 micrometres in radius
    (Kubelka-Munk); less scattering tissue without end below it.
    """
    melanosomes = 0.43 * (0.01 + 0.99 * column / 255.0) ** 3
    blood = 0.07 * (0.01 + 0.99 * row / 255.0) ** 3
    tissue = 4.4 * (0.0244 + 8.53 * np.exp(-(NM - 154.0) / 66.2))
    eumelanin = 80.0 * EUMELANIN * 0.02
    once = np.exp(-(melanosomes * eumelanin + (1.0 - melanosomes) * 0.02 * tissue))

    whole = 2.303 * 150.0 / 66500.0 * (0.66 * OXY + 0.34 * DEOXY)
    depth = 2.0 * 0.00165 * whole
    packed = whole * (1.0 - np.exp(-depth)) / depth
    scattering = 0.45 * (2e5 * NM**-1.5 + 2e12 * NM**-4.0)
    mu = 2.0 * (blood * packed + (1.0 - blood) * tissue)
    k, beta = np.sqrt(mu * (mu + 2.0 * scattering)), np.sqrt(mu / (mu + 2.0 * scattering))
    up, down = np.exp(0.04 * k), np.exp(-0.04 * k)
    divisor = (1.0 + beta) ** 2 * up - (1.0 - beta) ** 2 * down
    layer = (1.0 - beta**2) * (up - down) / divisor
    through = 4.0 * beta / divisor

    ratio = 2.0 * (0.003 * packed + 0.997 * tissue) / (0.3 * scattering)
    below = 1.0 + ratio - np.sqrt(ratio * (ratio + 2.0))
    dermis = layer + through**2 * below / (1.0 - layer * below)
    return 0.065 + 0.935 * once**2 * dermis


GOLDEN = {
    (0, 0): (0.6735302004611, 0.6762671994775, 0.6233520698129, 0.6770139260163, 0.6884976652462),
    (128, 128): (
        0.1016649852789,
        0.1953566701715,
        0.2461249924202,
        0.337162024316,
        0.4668231762387,
    ),
    (64, 192): (
        0.06510120700613,
        0.06985200262827,
        0.08653466409502,
        0.1125521508294,
        0.2130834685341,
    ),
    (200, 40): (
        0.3848401698101,
        0.4942932436536,
        0.3915899721297,
        0.5801130809809,
        0.6676667086615,
    ),
    (255, 255): (
        0.06500000045435,
        0.06500479637103,
        0.06512442776569,
        0.06623544628157,
        0.08639648116889,
    ),
}


@pytest.fixture(scope="module")
def table() -> torch.Tensor:
    return Tables.computed("measured").skin


@pytest.mark.parametrize(("row", "column"), GOLDEN)
def test_golden_spectra(row: int, column: int, table: torch.Tensor) -> None:
    """Twelve digits, worked out with fifty from the formulas above."""
    bands = [WAVELENGTHS.index(int(nm)) for nm in NM]
    np.testing.assert_allclose(measured_skin(row, column), GOLDEN[row, column], rtol=1e-11)
    np.testing.assert_allclose(table[row, column, bands], GOLDEN[row, column], rtol=1e-11)


def test_all_map_values_follow_the_formulas(table: torch.Tensor) -> None:
    bands = [WAVELENGTHS.index(int(nm)) for nm in NM]
    for row in range(0, 256, 17):
        for column in range(0, 256, 15):
            np.testing.assert_allclose(
                table[row, column, bands], measured_skin(row, column), rtol=1e-11
            )


def test_measured_is_another_skin_than_published() -> None:
    assert SKINS["published"] == SkinParameters()
    assert SKINS["measured"] != SkinParameters()


# Skin that was measured ----------------------------------------------------------------------

FACES = Path(__file__).parent / "figures" / "issa_faces.csv"
GROUPS = ("very light", "light", "intermediate", "tan", "brown", "dark")


@pytest.fixture(scope="module")
def archived() -> tuple[torch.Tensor, torch.Tensor, tuple[str, ...]]:
    """Wavelengths (31,), reflectances (54, 31), and the group of each."""
    lines = [line for line in FACES.read_text("utf-8").splitlines() if not line.startswith("#")]
    heading = lines[0].split(",")
    cells = [line.split(",") for line in lines[1:]]
    wavelengths = torch.tensor([float(nm) for nm in heading[4:]], dtype=torch.float64)
    reflectances = torch.tensor(
        [[float(value) for value in row[4:]] for row in cells], dtype=torch.float64
    )
    return wavelengths, reflectances, tuple(row[0] for row in cells)


@pytest.fixture(scope="module")
def fits(
    archived: tuple[torch.Tensor, torch.Tensor, tuple[str, ...]],
) -> dict[str, SpectraFit]:
    wavelengths, reflectances, _ = archived
    return {
        "published": fit_spectra(wavelengths, reflectances, "published"),
        "measured": fit_spectra(wavelengths, reflectances, "measured"),
    }


def test_the_archived_faces_are_what_they_are_said_to_be(
    archived: tuple[torch.Tensor, torch.Tensor, tuple[str, ...]],
) -> None:
    """Nine of each group, with the source; light groups reflect more than dark ones."""
    heading = FACES.read_text("utf-8").partition("tone,")[0]
    assert all(line.startswith("#") for line in heading.splitlines())
    assert "10.1038/s41597-025-04857-5" in heading
    assert "CC BY 4.0" in heading
    wavelengths, reflectances, groups = archived
    assert wavelengths.tolist() == list(range(400, 701, 10))
    assert groups == tuple(name for name in GROUPS for _ in range(9))
    assert ((reflectances > 0.02) & (reflectances < 0.8)).all()
    means = reflectances.mean(dim=1).reshape(6, 9).mean(dim=1)
    assert (means.diff() < 0).all()


def test_measured_skin_comes_close_to_faces_from_very_light_to_dark(
    archived: tuple[torch.Tensor, torch.Tensor, tuple[str, ...]], fits: dict[str, SpectraFit]
) -> None:
    """Of 3,751 faces that nothing was tuned on the median RMS is 0.0101, and 0.0530 of the published
    constants; that of a group is between 0.0064 (dark) and 0.0130 (very light)."""
    *_, groups = archived
    everyone, *each = summarise(fits["measured"], groups)
    assert everyone.count == 54
    assert 0.007 < everyone.median_rms < 0.0125
    assert everyone.rms_95 < 0.025
    assert everyone.median_difference < 2.5
    assert {one.group for one in each} == set(GROUPS)
    for one in each:
        assert one.count == 9
        assert one.median_rms < 0.0165, one.group
    assert next(one for one in each if one.group == "dark").median_rms < 0.009


def test_published_skin_does_not(
    archived: tuple[torch.Tensor, torch.Tensor, tuple[str, ...]], fits: dict[str, SpectraFit]
) -> None:
    *_, groups = archived
    everyone, *each = summarise(fits["published"], groups)
    assert 0.045 < everyone.median_rms < 0.065
    assert everyone.median_difference > 10.0
    assert all(one.median_rms > 0.03 for one in each)
    # Spectrum by spectrum, not only on the whole.
    assert (fits["measured"].rms < 0.5 * fits["published"].rms).double().mean() > 0.95


def test_melanin_orders_the_groups(fits: dict[str, SpectraFit]) -> None:
    medians = fits["measured"].melanin.reshape(6, 9).quantile(0.5, dim=1)
    assert (medians.diff() > 0).all()
