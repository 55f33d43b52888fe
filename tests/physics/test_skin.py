"""The skin table against golden values, an independent scalar version, and what physics demands."""

import math
from dataclasses import asdict, fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from biofacenet import SkinParameters, Tables
from biofacenet.errors import DataError
from biofacenet.physics.skin import (
    MEASURED,
    MEASURED_RANGES,
    PUBLISHED,
    blood_fraction,
    dermis_reflectance,
    look_up,
    melanosome_fraction,
    reflectance,
    reflectance_table,
    skin_parameters,
)
from biofacenet.physics.spectra import WAVELENGTHS, figures

TABLE = reflectance_table()


@pytest.mark.parametrize(
    ("row", "column", "golden"),
    [
        (0, 0, (0.58684258, 0.80331653, 0.8312199, 0.79501671)),
        (128, 128, (0.0014642163, 0.20358649, 0.45522311, 0.61834002)),
        (64, 192, (0.0011180671, 0.034122766, 0.16455332, 0.35997605)),
    ],
)
def test_golden_values(row: int, column: int, golden: tuple[float, ...]) -> None:
    found = TABLE[row, column, [0, 10, 20, 32]]
    torch.testing.assert_close(
        found, torch.tensor(golden, dtype=torch.float64), atol=1e-8, rtol=1e-7
    )


def scalar_reflectance(row: int, column: int, band: int, p: SkinParameters = PUBLISHED) -> float:
    """One table entry, written out from the published formulas with plain numbers."""
    nm = WAVELENGTHS[band]
    eumelanin, pheomelanin, oxy_ext, deoxy_ext = (
        float(figures("chromophores")[name][band])
        for name in (
            "eumelanin_ext",
            "pheomelanin_ext",
            "oxyhaemoglobin_ext",
            "deoxyhaemoglobin_ext",
        )
    )
    f_mel = p.max_melanosome_fraction * (0.01 + 0.99 * column / 255) ** 3
    f_blood = p.max_blood_fraction * (0.01 + 0.99 * row / 255) ** 3
    base = p.baseline_scale * (0.0244 + 8.53 * math.exp(-(nm - 154) / 66.2))
    share, y, width = p.eumelanin_share, p.blood_oxygenation, p.epidermis_thickness
    melanin = share * (p.eumelanin_concentration * eumelanin * width)
    melanin += (1 - share) * (p.pheomelanin_concentration * pheomelanin * width)
    oxy = y * 2.303 * oxy_ext * p.haemoglobin_concentration / p.haemoglobin_molar_mass
    deoxy = (1 - y) * 2.303 * deoxy_ext * p.haemoglobin_concentration / p.haemoglobin_molar_mass
    c = p.epidermis_blood_share * f_blood
    mu_epi = f_mel * melanin + c * (y * oxy + (1 - y) * deoxy)
    mu_epi += p.epidermis_baseline_path * base * (1 - f_mel - c)
    blood, r = oxy + deoxy, p.vessel_radius
    if r:
        blood *= (1 - math.exp(-2 * r * blood)) / (2 * r * blood)
    mu = p.diffuse_path * (f_blood * blood + (1 - f_blood) * base)
    s = p.scattering_scale * (2e5 * nm**-1.5 + 2e12 * nm**-4)
    k, beta, d = math.sqrt(mu * (mu + 2 * s)), math.sqrt(mu / (mu + 2 * s)), p.dermis_thickness
    up, down = math.exp(k * d), math.exp(-k * d)
    divisor = (1 + beta) ** 2 * up - (1 - beta) ** 2 * down
    dermis = (1 - beta**2) * (up - down) / divisor
    if p.deep_scattering:
        deep = p.deep_blood_fraction * blood + (1 - p.deep_blood_fraction) * base
        ratio = p.diffuse_path * deep / (p.deep_scattering * s)
        below = 1 + ratio - math.sqrt(ratio**2 + 2 * ratio)
        dermis += (4 * beta / divisor) ** 2 * below / (1 - dermis * below)
    surface = p.surface_reflectance
    return surface + (1 - surface) * math.exp(-mu_epi) ** 2 * dermis


def test_table_equals_the_formulas_written_out() -> None:
    rng = np.random.default_rng(0)
    for row, column, band in zip(*rng.integers(0, (256, 256, 33), (300, 3)).T, strict=True):
        expected = scalar_reflectance(int(row), int(column), int(band))
        assert float(TABLE[row, column, band]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", [field.name for field in fields(SkinParameters)])
@pytest.mark.parametrize(
    "start", [PUBLISHED, replace(MEASURED, epidermis_blood_share=0.2, eumelanin_share=0.8)]
)
def test_each_parameter_stands_where_the_formulas_have_it(start: SkinParameters, name: str) -> None:
    changed = replace(start, **{name: 0.9 * asdict(start)[name]})
    table = reflectance_table(changed)
    # What is nothing stays nothing, and blood below matters where light comes back from there.
    assert torch.equal(table, reflectance_table(start)) == (asdict(start)[name] == 0.0)
    for row, column, band in ((255, 255, 20), (200, 30, 2), (90, 140, 32)):
        expected = scalar_reflectance(row, column, band, changed)
        assert float(table[row, column, band]) == pytest.approx(expected, rel=1e-12)


def test_published_constants() -> None:
    assert asdict(PUBLISHED) == {
        "blood_oxygenation": 0.75,
        "haemoglobin_concentration": 150,
        "haemoglobin_molar_mass": 66500,
        "eumelanin_concentration": 80,
        "pheomelanin_concentration": 12,
        "eumelanin_share": 0.61,
        "epidermis_thickness": 0.02,
        "dermis_thickness": 0.3,
        "epidermis_blood_share": 0.25,
        "max_melanosome_fraction": 0.43,
        "max_blood_fraction": 0.07,
        "surface_reflectance": 0,
        "epidermis_baseline_path": 1,
        "baseline_scale": 1,
        "diffuse_path": 1,
        "scattering_scale": 1,
        "vessel_radius": 0,
        "deep_scattering": 0,
        "deep_blood_fraction": 0,
    }


def test_table_is_separable_in_every_band() -> None:
    product = TABLE[:, 17:18] * TABLE[200:201, :]
    torch.testing.assert_close(TABLE * TABLE[200:201, 17:18], product, atol=1e-15, rtol=1e-12)


def test_more_pigment_never_reflects_more() -> None:
    assert ((TABLE > 0) & (TABLE <= 1)).all()
    assert (TABLE.diff(dim=1) < 0).all()
    # Blood replaces bare tissue. Where it absorbs more than that in both layers, more of it means
    # less light; that is so in every band, even around 680 nm where blood is clearest.
    table = figures("chromophores")
    per_extinction = 2.303 * 150 / 66500
    oxy = 0.75 * per_extinction * table["oxyhaemoglobin_ext"]
    deoxy = 0.25 * per_extinction * table["deoxyhaemoglobin_ext"]
    nm = torch.tensor(WAVELENGTHS, dtype=torch.float64)
    tissue = 0.0244 + 8.53 * torch.exp(-(nm - 154) / 66.2)
    assert ((oxy + deoxy > tissue) & (0.75 * oxy + 0.25 * deoxy > tissue)).all()
    assert (TABLE.diff(dim=0) < 0).all()


def test_measured_skin_keeps_to_its_ranges_and_darkens_with_pigment() -> None:
    changed = {name for name, value in asdict(MEASURED).items() if value != asdict(PUBLISHED)[name]}
    assert changed <= set(MEASURED_RANGES)
    for name, (low, high) in MEASURED_RANGES.items():
        assert low <= getattr(MEASURED, name) <= high, name
    table = Tables.computed("measured").skin
    assert (table.diff(dim=0) < 0).all()
    assert (table.diff(dim=1) < 0).all()
    # Nothing is darker than the surface, and the darkest skin hardly brighter.
    assert table.min() >= MEASURED.surface_reflectance
    assert table[255, 255, 0] == pytest.approx(MEASURED.surface_reflectance, abs=1e-3)
    assert table.max() < 1


def test_tissue_like_the_layer_below_it_makes_the_layer_infinite() -> None:
    """With the same blood and scattering beneath, thickness does not matter."""
    blood = torch.tensor([0.004], dtype=torch.float64)
    same = replace(MEASURED, deep_scattering=1.0, deep_blood_fraction=0.004)
    found = [dermis_reflectance(blood, replace(same, dermis_thickness=d)) for d in (0.01, 5.0)]
    torch.testing.assert_close(found[0], found[1], atol=1e-12, rtol=0)


def test_skins_by_name() -> None:
    assert skin_parameters(None) is skin_parameters("published") is PUBLISHED
    assert skin_parameters("measured") is MEASURED
    assert skin_parameters(MEASURED) is MEASURED
    with pytest.raises(ValueError, match="skin must be one of published, measured, got 'other'"):
        Tables.computed("other")  # type: ignore[arg-type]


def test_a_deep_dermis_returns_the_kubelka_munk_limit() -> None:
    """(1 - beta) / (1 + beta) for an infinitely thick layer: a thick one is not NaN."""
    blood = torch.tensor([0.01, 0.07], dtype=torch.float64, requires_grad=True)
    found = dermis_reflectance(blood, SkinParameters(dermis_thickness=20.0))
    nm = torch.tensor(WAVELENGTHS, dtype=torch.float64)
    tissue = 0.0244 + 8.53 * torch.exp(-(nm - 154) / 66.2)
    table = figures("chromophores")
    whole = 0.75 * table["oxyhaemoglobin_ext"] + 0.25 * table["deoxyhaemoglobin_ext"]
    whole = whole * 2.303 * 150 / 66500
    mu = blood.detach()[:, None] * whole + (1 - blood.detach()[:, None]) * tissue
    beta = torch.sqrt(mu / (mu + 2 * (2e5 * nm**-1.5 + 2e12 * nm**-4)))
    torch.testing.assert_close(found.detach(), (1 - beta) / (1 + beta))
    (slope,) = torch.autograd.grad(found.sum(), blood)
    assert torch.isfinite(slope).all()


def test_figures_are_the_authors(authors: Path) -> None:
    for column, name in (
        ("eumelanin_ext", "eumelanin_ext"),
        ("pheomelanin_ext", "pheomelanin_ext"),
        ("oxyhaemoglobin_ext", "oxy_hemo_ext_coeff"),
        ("deoxyhaemoglobin_ext", "deoxy_hemo_ext_coeff"),
    ):
        published = scipy.io.loadmat(authors / "skinmodel" / f"{name}.mat")[name].ravel()
        np.testing.assert_allclose(figures("chromophores")[column], published, rtol=1e-9)


def test_map_values_are_table_centres_and_fractions() -> None:
    ends = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(melanosome_fraction(ends), torch.tensor([0.43e-6, 0.43]).double())
    torch.testing.assert_close(blood_fraction(ends), torch.tensor([0.07e-6, 0.07]).double())
    v = 2 * 100 / 255 - 1
    at = torch.tensor(v, dtype=torch.float64)
    found = reflectance(melanosome_fraction(at), blood_fraction(-at))
    torch.testing.assert_close(found, TABLE[155, 100])


def read(melanin: float, haemoglobin: float) -> torch.Tensor:
    at = [torch.full((1, 1, 1, 1), v, dtype=torch.float64) for v in (melanin, haemoglobin)]
    return look_up(TABLE, *at)[0, :, 0, 0]


@pytest.mark.parametrize(("row", "column"), [(0, 0), (255, 255), (0, 255), (255, 0), (31, 200)])
def test_look_up_is_exact_at_the_nodes(row: int, column: int) -> None:
    torch.testing.assert_close(read(2 * column / 255 - 1, 2 * row / 255 - 1), TABLE[row, column])


def test_look_up_is_bilinear_between_and_clamped_beyond() -> None:
    m, h = 2 * 40.25 / 255 - 1, 2 * 80.5 / 255 - 1
    corners = TABLE[80:82, 40:42]
    expected = (corners * torch.tensor([0.75, 0.25], dtype=torch.float64)[:, None]).sum(1).mean(0)
    torch.testing.assert_close(read(m, h), expected)
    torch.testing.assert_close(read(1.7, -1.2), TABLE[0, 255])


def test_look_up_gradient_is_the_slope_of_the_table() -> None:
    melanin, haemoglobin = (
        torch.full((1, 1, 1, 1), 2 * at / 255 - 1, dtype=torch.float64, requires_grad=True)
        for at in (40.5, 80.25)
    )
    look_up(TABLE, melanin, haemoglobin).sum().backward()
    cell = TABLE[80:82, 40:42].sum(dim=2)
    across = (0.75 * cell[0].diff() + 0.25 * cell[1].diff()) * 255 / 2
    down = (cell[1] - cell[0]).mean() * 255 / 2
    torch.testing.assert_close(melanin.grad.ravel(), across)
    torch.testing.assert_close(haemoglobin.grad.sum(), down)


def test_look_up_reads_each_pixel_of_each_image(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    maps = random_decomposition(3, 4, 6)
    whole = look_up(TABLE, maps.melanin, maps.haemoglobin)
    assert whole.shape == (3, 33, 4, 6)
    for b, y, x in ((0, 0, 0), (1, 3, 2), (2, 1, 5)):
        one = read(float(maps.melanin[b, 0, y, x]), float(maps.haemoglobin[b, 0, y, x]))
        torch.testing.assert_close(whole[b, :, y, x], one)


def test_parameters_act_as_physics_says() -> None:
    fractions = torch.tensor(0.05, dtype=torch.float64), torch.tensor(0.03, dtype=torch.float64)
    usual = reflectance(*fractions)
    oxygenated = reflectance(*fractions, SkinParameters(blood_oxygenation=0.98))
    assert (oxygenated[24:30] > usual[24:30]).all()  # 640..690 nm: red blood is red
    assert (reflectance(*fractions, SkinParameters(eumelanin_concentration=100)) < usual).all()
    assert (reflectance(*fractions, SkinParameters(eumelanin_share=0.2)) > usual).all()
    assert (reflectance(*fractions, SkinParameters(epidermis_thickness=0.03)) < usual).all()
    thicker = reflectance(*fractions, SkinParameters(dermis_thickness=0.5))
    assert (thicker >= usual * (1 - 1e-12)).all()  # no light comes through where blood is opaque
    assert (thicker[20:] > usual[20:]).all()
    assert not torch.equal(Tables.computed(SkinParameters(blood_oxygenation=0.5)).skin, TABLE)


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
@pytest.mark.parametrize("name", [field.name for field in fields(SkinParameters)])
def test_parameters_out_of_range_are_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        SkinParameters(**{name: value})


def test_another_table_can_be_loaded_from_either_kind_of_mat_file(tmp_path: Path) -> None:
    table = np.random.default_rng(1).uniform(size=(256, 256, 33)).astype(np.float32)
    old, new = tmp_path / "old.mat", tmp_path / "new.mat"
    scipy.io.savemat(old, {"Newskincolour": table})
    with h5py.File(new, "w", userblock_size=512) as file:
        file["Newskincolour"] = table.T
    for path in (old, new):
        np.testing.assert_array_equal(Tables.from_mat(skin=path).skin, table)


@pytest.mark.parametrize("content", [b"hello", b"", b"\x89HDF\r\n\x1a\n" + b"\0" * 100])
def test_damaged_mat_files_are_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "skin.mat"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"skin\.mat") as caught:
        Tables.from_mat(skin=path)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="no such file"):
        Tables.from_mat(skin=tmp_path / "nowhere.mat")


def test_a_table_of_another_shape_is_told(tmp_path: Path) -> None:
    path = tmp_path / "skin.mat"
    scipy.io.savemat(path, {"something": np.zeros((3, 4))})
    with pytest.raises(DataError, match=r"\(256, 256, 33\).*something \(3, 4\)"):
        Tables.from_mat(skin=path)
    scipy.io.savemat(path, {"skin": np.full((256, 256, 33), np.nan)})
    with pytest.raises(DataError, match=r"skin\.mat.*NaN"):
        Tables.from_mat(skin=path)
