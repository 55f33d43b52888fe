"""The skin as a few functions: as exact as promised under lights and cameras that were held out."""

from dataclasses import replace

import pytest
import torch

from biofacenet import Renderer, Tables
from biofacenet.errors import DataError
from biofacenet.rendering.accuracy import ACCURACIES, Accuracy
from biofacenet.rendering.basis import Basis, errors, half_fold, white_balanced

BOUNDS = {
    ("published", "default"): 5e-6,
    ("published", "fast"): 5e-5,
    ("measured", "default"): 2e-7,
    ("measured", "fast"): 3e-6,
}


def largest(basis: Basis, tables: Tables, count: int = 100) -> float:
    """Over lights and cameras that no basis is made with, on a part of the nodes."""
    lights = white_balanced(tables, count, seed=99).flatten(0, 1)
    difference = (basis.table() - tables.skin)[::5, ::5]
    return float((difference @ lights.T).abs().max())


@pytest.mark.parametrize(("skin", "accuracy"), BOUNDS)
def test_bounds_hold_for_lights_held_out(skin: str, accuracy: Accuracy) -> None:
    tables = Tables.computed(skin)  # type: ignore[arg-type]
    basis = half_fold(tables, accuracy)
    assert basis.functions.shape == (256, {"fast": 5, "default": 6}[accuracy])
    assert basis.melanin_fixed == (skin == "published")
    found = largest(basis, tables)
    assert found <= BOUNDS[skin, accuracy]
    error, band_error = errors(basis, tables)
    assert 0.2 * found < error < 5 * found
    assert band_error == pytest.approx(float((basis.table() - tables.skin).abs().max()))
    if accuracy == "default":
        assert band_error <= 1e-4  # any light of a single band


@pytest.mark.parametrize("skin", ["published", "measured"])
def test_exact_is_exact_to_rounding(skin: str) -> None:
    tables = Tables.computed(skin)  # type: ignore[arg-type]
    basis = half_fold(tables, "exact")
    assert basis.functions.shape[1] <= 16
    assert (basis.table() - tables.skin).abs().max() < 1e-13


def test_any_table_is_taken_apart_and_its_error_stated(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    table = Tables.computed().skin
    axis = torch.linspace(0, 1, 256, dtype=torch.float64)
    bent = table * (1 + 0.2 * torch.exp(-((axis[:, None] - axis[None]) ** 2) / 0.1))[..., None]
    for foreign, bound in ((0.95 * table.sqrt() + 0.05, 1e-4), (bent, 2e-3)):
        tables = replace(Tables.computed(), skin=foreign)
        renderer = Renderer(tables=tables, backend="cpp")
        assert largest(half_fold(tables), tables) <= bound
        assert renderer.table_error <= bound
        decomposition = random_decomposition()
        exact = Renderer(tables=tables, accuracy="exact", backend="cpp")
        expected = Renderer(tables=tables, backend="reference")(*decomposition.arguments())
        torch.testing.assert_close(exact(*decomposition.arguments()), expected, rtol=0, atol=1e-12)


def test_noise_has_no_short_sum_and_is_still_exact() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(60, 70, 33, generator=generator, dtype=torch.float64)
    tables = replace(Tables.computed(), skin=noise)
    assert errors(half_fold(tables, "exact"), tables)[1] < 1e-12
    assert errors(half_fold(tables), tables)[0] > 1e-2


@pytest.mark.parametrize("nodes", [(2, 2), (3, 300), (17, 5)])
@pytest.mark.parametrize("accuracy", ACCURACIES)
def test_tables_of_any_number_of_nodes(nodes: tuple[int, int], accuracy: Accuracy) -> None:
    h, m = (torch.linspace(0, 1, n, dtype=torch.float64) for n in nodes)
    bands = torch.linspace(0.5, 2, 33, dtype=torch.float64)
    skin = torch.exp(-bands * (0.3 * h[:, None, None] + 0.5 * m[None, :, None]))
    tables = replace(Tables.computed(), skin=skin)
    assert errors(half_fold(tables, accuracy), tables)[1] < 1e-4


def test_bad_tables() -> None:
    for skin, match in (
        (torch.zeros(256, 33), "shape"),
        (torch.full((4, 4, 33), torch.nan), "NaN"),
    ):
        with pytest.raises(DataError, match=match):
            half_fold(replace(Tables.computed(), skin=skin))
