"""The skin table taken apart: exact where it is a product, honest where it is not."""

import pytest
import torch

from biofacenet.physics.skin import SkinParameters, reflectance_table
from biofacenet.physics.tables import Tables
from biofacenet.rendering.banded.separable import factor, kept_bands


@pytest.fixture(scope="module")
def table() -> torch.Tensor:
    return reflectance_table()


@pytest.mark.parametrize(("bands", "error"), [(33, 1e-14), (32, 1e-8), (24, 1e-4), (16, 1e-3)])
def test_published_table(table: torch.Tensor, bands: int, error: float) -> None:
    parts = factor(table, bands)
    assert parts.components == bands  # one product for each band: the table is separable
    assert parts.error <= error
    torch.testing.assert_close(parts.table(), table, rtol=0, atol=1.0001 * parts.error)


def test_kept_bands_are_reproduced_exactly(table: torch.Tensor) -> None:
    kept, combination = kept_bands(table, 16)
    assert kept.tolist() == sorted(set(kept.tolist()))
    torch.testing.assert_close(combination[:, kept], torch.eye(16, dtype=torch.float64))


def test_other_parameters_stay_separable() -> None:
    parts = factor(reflectance_table(SkinParameters(blood_oxygenation=0.6)), 33)
    assert (parts.components, parts.error < 1e-14) == (33, True)


def test_a_surface_costs_one_component_in_place_of_a_band(table: torch.Tensor) -> None:
    colours = torch.linspace(0.02, 0.05, 33, dtype=torch.float64)  # it need not be white
    glossy = (1 - colours) * table + colours
    every = factor(glossy, 33)
    assert (every.components, every.error < 1e-14) == (34, True)
    torch.testing.assert_close(every.mixing[0], colours)
    few = factor(glossy, 32)
    assert (few.components, few.error < 1e-7) == (32, True)


@pytest.mark.parametrize(("bands", "error"), [(33, 1e-14), (32, 1e-8), (16, 1e-3)])
def test_measured_skin(bands: int, error: float) -> None:
    parts = factor(Tables.computed("measured").skin, bands)
    assert parts.components == (34 if bands == 33 else bands)
    assert parts.error <= error


def test_inseparable_table_gets_terms_and_states_its_error(table: torch.Tensor) -> None:
    axis = torch.linspace(0, 1, 256, dtype=torch.float64)
    bent = table * (1 + 0.2 * torch.exp(-((axis[:, None] - axis[None]) ** 2) / 0.1))[..., None]
    close = factor(bent, 33, tolerance=1e-9, max_terms=20)
    assert close.components > 33
    assert close.error <= 1e-9
    rough = factor(bent, 33, max_terms=1)
    assert rough.components == 33
    assert rough.error == pytest.approx(float((rough.table() - bent).abs().max()))
    assert rough.error > 1e-3


def test_zero_band() -> None:
    table = torch.rand(4, 4, 3, dtype=torch.float64)[:, :1] * torch.rand(1, 4, 3).double()
    table[..., 1] = 0
    assert factor(table, 3).error < 1e-14


@pytest.mark.parametrize("bands", [0, 34])
def test_band_count_out_of_range(table: torch.Tensor, bands: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.33"):
        kept_bands(table, bands)


def test_bad_tables() -> None:
    with pytest.raises(ValueError, match="shape"):
        factor(torch.zeros(256, 33))
    with pytest.raises(ValueError, match="NaN"):
        factor(torch.full((4, 4, 3), float("nan")))
