"""Cameras and colour against the authors' tables, known values, and the neutrality of highlights."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from biofacenet import Illuminant, Tables, reference
from biofacenet.errors import DataError
from biofacenet.physics.camera import (
    mean_and_components,
    principal_components,
    spectral_sensitivity,
)
from biofacenet.physics.colour import (
    WHITE_ROW_SUMS,
    XYZ_TO_SRGB,
    ciede2000,
    cielab,
    linear_to_srgb,
    luminance,
    observer,
    raw_to_xyz,
    raw_to_xyz_table,
    read_raw_to_xyz,
    srgb_to_linear,
)
from biofacenet.physics.illuminant import ILLUMINANT_NAMES, daylight
from biofacenet.physics.rebuilding import read_camera_database

MEAN, COMPONENTS = mean_and_components()
TABLE = raw_to_xyz_table(MEAN, COMPONENTS)


def at_random(count: int, limit: float = 3.0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return limit * (2 * torch.rand(count, 2, generator=generator, dtype=torch.float64) - 1)


def test_basis_is_the_authors(authors: Path) -> None:
    published = Tables.from_mat(camera=authors / "CamPCA.mat")
    torch.testing.assert_close(MEAN, published.camera_mean, atol=2e-7, rtol=0)
    torch.testing.assert_close(COMPONENTS, published.camera_components, atol=2e-7, rtol=0)


def test_components_of_the_measured_cameras(authors: Path) -> None:
    mean, components, share = principal_components(read_camera_database(authors / "rgbCMF.mat"))
    torch.testing.assert_close(mean, MEAN, atol=1e-8, rtol=0)
    torch.testing.assert_close(components, COMPONENTS, atol=1e-8, rtol=0)
    assert float(share.sum()) == pytest.approx(0.547, abs=5e-4)


def test_components_recover_a_known_space() -> None:
    generator = torch.Generator().manual_seed(0)
    coordinates = torch.randn(400, 2, generator=generator, dtype=torch.float64)
    curves = MEAN + torch.einsum("clk,nk->ncl", COMPONENTS, coordinates)
    mean, components, share = principal_components(curves)
    torch.testing.assert_close(mean, MEAN, atol=3e-3, rtol=0)
    assert float(share.sum()) == pytest.approx(1.0)
    spanned = torch.linalg.lstsq(components.reshape(99, 2), COMPONENTS.reshape(99, 2)).residuals
    assert (spanned.abs() < 1e-12).all()
    with pytest.raises(ValueError, match="33"):
        principal_components(torch.zeros(3, 99))


def test_sensitivity_is_never_negative_and_linear_where_positive() -> None:
    b = at_random(50)
    curves = spectral_sensitivity(b, MEAN, COMPONENTS)
    linear = MEAN + torch.einsum("clk,bk->bcl", COMPONENTS, b)
    assert (curves >= 0).all()
    assert (linear < 0).any()
    torch.testing.assert_close(curves, linear.clamp(min=0))


def test_table_is_the_authors(authors: Path) -> None:
    """They computed in single precision: a few entries differ by up to 2.6e-7, of a peak of 0.63."""
    published = Tables.from_mat(raw_to_xyz=authors / "Tmatrix.mat").raw_to_xyz
    error = (TABLE - published).abs()
    assert error.max() < 3e-7
    assert (error < 2e-7).double().mean() > 0.9998
    assert error.square().mean().sqrt() < 5e-8


def test_rows_sum_to_the_white_point() -> None:
    torch.testing.assert_close(TABLE.sum(dim=-1), WHITE_ROW_SUMS.expand(128, 128, 3))
    white = XYZ_TO_SRGB @ WHITE_ROW_SUMS
    assert float(white.max() / white.min()) == pytest.approx(1.0, abs=5e-3)
    red_cast = XYZ_TO_SRGB @ torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(
        red_cast, torch.tensor([1.20, 0.95, 0.91]).double(), atol=6e-3, rtol=0
    )


def test_matrix_is_the_least_squares_fit_up_to_row_scale() -> None:
    s = spectral_sensitivity(at_random(5, 2.0), MEAN, COMPONENTS)
    for matrix, curves in zip(raw_to_xyz(s), s, strict=True):
        fitted = torch.linalg.lstsq(curves.T, observer().T).solution.T
        ratio = matrix / fitted
        torch.testing.assert_close(ratio, ratio[:, :1].expand(3, 3), rtol=1e-9, atol=0)


def test_read_is_exact_at_nodes_row_b1_column_b2() -> None:
    nodes = torch.linspace(-3, 3, 128, dtype=torch.float64)
    for i, j in ((0, 0), (127, 127), (0, 127), (20, 90)):
        b = torch.stack((nodes[i], nodes[j]))[None]
        expected = raw_to_xyz(spectral_sensitivity(b, MEAN, COMPONENTS))
        torch.testing.assert_close(read_raw_to_xyz(TABLE, b), expected)
        torch.testing.assert_close(TABLE[i, j], expected[0])
    b = at_random(40, 2.9)
    exact = raw_to_xyz(spectral_sensitivity(b, MEAN, COMPONENTS))
    torch.testing.assert_close(read_raw_to_xyz(TABLE, b), exact, atol=2e-4, rtol=0)
    beyond = read_raw_to_xyz(TABLE, torch.tensor([[9.0, -9.0]], dtype=torch.float64))
    torch.testing.assert_close(beyond[0], TABLE[127, 0])


def test_highlights_are_neutral_for_every_light_and_camera() -> None:
    cameras = at_random(100)
    ccts = (4000.0, 5500.0, 6504.0, 10000.0, 25000.0)
    lights = [
        (name, cct) for name in ILLUMINANT_NAMES for cct in (ccts if name == "D" else (6504.0,))
    ]
    assert len(lights) == 13 + 5
    nothing = torch.zeros(100, 1, 1, 1, dtype=torch.float64)
    for name, cct in lights:
        light = Illuminant.standard(name, cct=cct, batch=100)
        light = Illuminant(light.weights.double(), light.cct.double())
        image = reference.render(nothing, nothing, nothing, nothing + 1, light, cameras)[:, :, 0, 0]
        spread = image.amax(dim=1) / image.amin(dim=1) - 1
        assert spread.max() < 5e-3, name


def test_srgb_transfer_curve() -> None:
    linear = torch.tensor([0.0, 0.0031308, 0.5, 1.0], dtype=torch.float64)
    encoded = torch.tensor([0.0, 0.04045, 0.7353570, 1.0], dtype=torch.float64)
    torch.testing.assert_close(linear_to_srgb(linear), encoded, atol=1e-6, rtol=0)
    values = torch.linspace(0, 1, 1001, dtype=torch.float64)
    torch.testing.assert_close(srgb_to_linear(linear_to_srgb(values)), values, atol=1e-6, rtol=0)
    assert linear_to_srgb(torch.tensor([-1.0, 2.0])).tolist() == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize("value", [0.0, 1e-4, 0.5])
def test_srgb_gradient_is_finite(value: float) -> None:
    for curve in (linear_to_srgb, srgb_to_linear):
        x = torch.tensor(value, requires_grad=True)
        curve(x).backward()
        assert torch.isfinite(x.grad)


def test_luminance_weighs_the_channels() -> None:
    """The middle row of sRGB to XYZ."""
    pure = torch.eye(3).reshape(3, 3, 1, 1)
    assert luminance(pure).flatten().tolist() == pytest.approx([0.2126, 0.7152, 0.0722])
    inverse = torch.linalg.inv(XYZ_TO_SRGB)[1]
    torch.testing.assert_close(luminance(pure.double()).flatten(), inverse, atol=1e-4, rtol=0)


def test_a_matrix_written_by_matlab_is_read_in_column_order(tmp_path: Path) -> None:
    matrices = np.random.default_rng(0).uniform(size=(128, 128, 3, 3))
    columns = matrices.swapaxes(2, 3).reshape(128, 128, 9)
    scipy.io.savemat(tmp_path / "Tmatrix.mat", {"Tmatrix": columns})
    found = Tables.from_mat(raw_to_xyz=tmp_path / "Tmatrix.mat").raw_to_xyz
    np.testing.assert_array_equal(found, matrices)


def database_lines(curves: np.ndarray) -> list[str]:
    """Cameras as the published text file writes them."""
    lines = []
    for i, camera in enumerate(curves):
        lines += [f"Camera {i}", *(" ".join(map(str, channel)) for channel in camera)]
    return lines


def cell_array(*matrices: np.ndarray) -> np.ndarray:
    cells = np.empty((1, len(matrices)), object)
    for i, matrix in enumerate(matrices):
        cells[0, i] = matrix
    return cells


def test_components_have_the_sign_whose_largest_entry_is_positive() -> None:
    curves = torch.rand(9, 3, 33, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    scaled = curves / curves.sum(dim=2, keepdim=True)
    mean, components, share = principal_components(curves)
    flat = components.reshape(99, 2)
    covariance = torch.cov(scaled.reshape(9, 99).T)
    eigenvalues = flat.square().sum(dim=0)
    torch.testing.assert_close(mean, scaled.mean(dim=0))
    torch.testing.assert_close(covariance @ flat, flat * eigenvalues)
    torch.testing.assert_close(eigenvalues, torch.linalg.eigvalsh(covariance).flip(0)[:2])
    torch.testing.assert_close(share, eigenvalues / covariance.trace())
    assert (flat.gather(0, flat.abs().argmax(dim=0, keepdim=True)) > 0).all()


def test_components_read_from_the_published_text_form(tmp_path: Path) -> None:
    curves = np.random.default_rng(0).uniform(size=(5, 3, 33))
    path = tmp_path / "camspec_database.txt"
    path.write_text("\n".join(database_lines(curves)))
    found = principal_components(read_camera_database(path))
    torch.testing.assert_close(found, principal_components(torch.from_numpy(curves)))


DAMAGED_TEXTS = {
    "empty": lambda curves: [],
    "cut short": lambda curves: database_lines(curves)[:-1],
    "words": lambda curves: ["Camera", *["red green blue"] * 3],
    "32 numbers": lambda curves: database_lines(curves[..., :32]),
    "66 numbers": lambda curves: database_lines(np.concatenate((curves, curves), axis=2)),
    "11 numbers": lambda curves: database_lines(curves[..., :11]),
    "no number": lambda curves: database_lines(np.where(curves > 0.9, np.nan, curves)),
}


@pytest.mark.parametrize("name", DAMAGED_TEXTS)
def test_a_damaged_text_database_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    curves = np.random.default_rng(0).uniform(size=(6, 3, 33))
    path = tmp_path / "camspec_database.txt"
    path.write_text("\n".join(DAMAGED_TEXTS[name](curves)))
    with pytest.raises(DataError, match=r"camspec_database\.txt") as caught:
        read_camera_database(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "cells",
    [
        None,
        cell_array(*np.ones((2, 33, 4))),
        cell_array(*np.ones((3, 31, 4))),
        cell_array(np.ones((33, 4)), np.ones((33, 5)), np.ones((33, 4))),
    ],
    ids=["garbage", "two channels", "31 bands", "ragged"],
)
def test_a_damaged_mat_database_is_told_in_one_line(
    tmp_path: Path, cells: np.ndarray | None
) -> None:
    path = tmp_path / "rgbCMF.mat"
    if cells is None:
        path.write_bytes(b"garbage" * 50)
    else:
        scipy.io.savemat(path, {"rgbCMF": cells})
    with pytest.raises(DataError, match=r"rgbCMF\.mat") as caught:
        read_camera_database(path)
    assert "\n" not in str(caught.value)


SHARMA = torch.tensor(
    [
        (50, 2.6772, -79.7751, 50, 0, -82.7485, 2.0425),
        (50, 3.1571, -77.2803, 50, 0, -82.7485, 2.8615),
        (50, 2.8361, -74.02, 50, 0, -82.7485, 3.4412),
        (50, -1.3802, -84.2814, 50, 0, -82.7485, 1),
        (50, -1.1848, -84.8006, 50, 0, -82.7485, 1),
        (50, -0.9009, -85.5211, 50, 0, -82.7485, 1),
        (50, 0, 0, 50, -1, 2, 2.3669),
        (50, -1, 2, 50, 0, 0, 2.3669),
        (50, 2.49, -0.001, 50, -2.49, 0.0009, 7.1792),
        (50, 2.49, -0.001, 50, -2.49, 0.001, 7.1792),
        (50, 2.49, -0.001, 50, -2.49, 0.0011, 7.2195),
        (50, 2.49, -0.001, 50, -2.49, 0.0012, 7.2195),
        (50, -0.001, 2.49, 50, 0.0009, -2.49, 4.8045),
        (50, -0.001, 2.49, 50, 0.001, -2.49, 4.8045),
        (50, -0.001, 2.49, 50, 0.0011, -2.49, 4.7461),
        (50, 2.5, 0, 50, 0, -2.5, 4.3065),
        (50, 2.5, 0, 73, 25, -18, 27.1492),
        (50, 2.5, 0, 61, -5, 29, 22.8977),
        (50, 2.5, 0, 56, -27, -3, 31.903),
        (50, 2.5, 0, 58, 24, 15, 19.4535),
        (50, 2.5, 0, 50, 3.1736, 0.5854, 1),
        (50, 2.5, 0, 50, 3.2972, 0, 1),
        (50, 2.5, 0, 50, 1.8634, 0.5757, 1),
        (50, 2.5, 0, 50, 3.2592, 0.335, 1),
        (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
        (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.263),
        (61.2901, 3.7196, -5.3901, 61.4292, 2.248, -4.962, 1.8731),
        (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
        (22.7233, 20.0904, -46.694, 23.0331, 14.973, -42.5619, 2.0373),
        (36.4612, 47.858, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
        (90.8027, -2.0831, 1.441, 91.1528, -1.6435, 0.0447, 1.4441),
        (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
        (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
        (2.0776, 0.0795, -1.135, 0.9033, -0.0636, -0.5514, 0.9082),
    ],
    dtype=torch.float64,
)
"""L*a*b* twice, and their difference: table 1 of Sharma, Wu and Dalal, 2005."""


def test_colour_difference_of_the_published_pairs() -> None:
    first, second, expected = SHARMA[:, :3], SHARMA[:, 3:6], SHARMA[:, 6]
    torch.testing.assert_close(ciede2000(first, second), expected, atol=5.1e-5, rtol=0)
    torch.testing.assert_close(ciede2000(second, first), expected, atol=5.1e-5, rtol=0)
    assert (ciede2000(first, first) < 1e-6).all()


def test_cielab_against_colour_science() -> None:
    colour = pytest.importorskip("colour")
    light = daylight(torch.tensor(6504.0, dtype=torch.float64))
    spectra = torch.rand(20, 33, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spectra[0] = 0.004  # on the straight part of the curve
    cmf = observer() * light
    white = (cmf.sum(dim=1) / cmf[1].sum()).numpy()
    xyz = (spectra @ cmf.T / cmf[1].sum()).numpy()
    expected = colour.XYZ_to_Lab(xyz, colour.XYZ_to_xy(white))
    np.testing.assert_allclose(cielab(spectra, light), expected, atol=1e-3)
    torch.testing.assert_close(
        cielab(torch.ones(1, 33, dtype=torch.float64), light),
        torch.tensor([[100.0, 0.0, 0.0]], dtype=torch.float64),
    )
    # Fewer bands, and white as seen through them.
    part = cielab(torch.full((1, 31), 0.5, dtype=torch.float64), light, slice(0, 31))
    assert part[0].tolist() == pytest.approx([76.07, 0, 0], abs=0.01)
