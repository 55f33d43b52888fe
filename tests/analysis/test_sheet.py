"""The sheet of a face: maps where skin is, colours that span what the skin has, numbers in the titles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2lab

from biofacenet import Decomposition, Illuminant
from biofacenet.analysis import Result, write
from biofacenet.photos import Photo, choose_parts
from biofacenet.physics.colour import linear_to_srgb
from biofacenet.plotting.canvas import Sheet
from biofacenet.plotting.figures import decomposition_figure, map_figure
from biofacenet.plotting.maps import MAP_NAMES, greyed, in_colours, scale_of_skin, ticks

SIDE = 40


def face() -> tuple[Decomposition, torch.Tensor]:
    """Skin of gentle differences in the middle, and a wall of everything else around it."""
    generator = torch.Generator().manual_seed(4)
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., 8:32, 10:30] = 1.0

    def plane(skin: tuple[float, float], wall: tuple[float, float]) -> torch.Tensor:
        noise = torch.rand(1, 1, SIDE, SIDE, generator=generator)
        inside, outside = (low + (high - low) * noise for low, high in (skin, wall))
        return torch.where(mask > 0.5, inside, outside)

    maps = Decomposition(
        melanin=plane((-0.1, 0.1), (-1.0, 1.0)),
        haemoglobin=plane((-0.2, 0.0), (-1.0, 1.0)),
        diffuse=plane((0.9, 1.2), (0.1, 3.0)),
        specular=plane((0.02, 0.1), (0.1, 2.0)),
        illuminant=Illuminant.standard("D65"),
        camera=torch.zeros(1, 2),
        skin="measured",
    )
    return maps, mask


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is drawn on sheets from now on."""
    found: list[str] = []
    save = Sheet.save

    def kept(sheet: Sheet, path: str | Path) -> None:
        found.extend(text.get_text() for text in sheet.figure.texts)
        save(sheet, path)

    monkeypatch.setattr(Sheet, "save", kept)
    return found


# Colours and numbers along bars ------------------------------------------------------------------


@pytest.mark.parametrize("name", MAP_NAMES)
def test_colours_span_the_skin(name: str) -> None:
    generator = np.random.default_rng(2)
    values = generator.uniform(0.2, 0.7, 2000)
    low, high = scale_of_skin(name, values).get_clim()
    assert (low, high) == pytest.approx((0.21, 0.69), abs=0.01)
    # A few pixels of hair or highlight do not matter.
    values[:20] = 0.99
    assert scale_of_skin(name, values).get_clim() == pytest.approx((low, high), abs=0.01)
    # Of even skin no noise is shown: there is some width, within the map's range.
    for even in (0.5, 0.0, -1.0, 1.0) if name in ("melanin", "haemoglobin") else (0.5, 0.0):
        least, most = scale_of_skin(name, np.full(9, even)).get_clim()
        assert most - least >= 0.05 - 1e-9
        assert least <= even <= most
        assert least >= (-1.0 if name in ("melanin", "haemoglobin") else 0.0)
    # Lightness goes one way, which any eye for colour sees.
    line = np.linspace(low, high, 64)[None]
    lightness = rgb2lab(in_colours(line, scale_of_skin(name, generator.uniform(0.2, 0.7, 2000))))
    steps = np.diff(lightness[0, :, 0])
    assert (steps < 0.1).all() or (steps > -0.1).all()
    assert abs(lightness[0, -1, 0] - lightness[0, 0, 0]) > 60


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        *(("melanin", -1.0, 1.0), ("melanin", -0.1, 0.05), ("melanin", 0.2, 0.9)),
        *(("melanin", -1.0, -0.5), ("haemoglobin", -0.3, 0.3), ("haemoglobin", 0.9, 1.0)),
        *(("diffuse", 0.13, 2.9), ("specular", 0.0, 0.051), ("", 0.0, 0.0441)),
    ],
)
def test_bars_have_round_numbers_where_they_belong(name: str, low: float, high: float) -> None:
    places, numbers = ticks(name, low, high, skin="measured")
    assert 3 <= len(places) <= 8
    assert places == sorted(places)
    assert low - 1e-9 <= places[0]
    assert places[-1] <= high + 1e-9
    for place, number in zip(places, numbers, strict=True):
        assert len(number.replace(".", "").strip("0")) <= 3
        most = {"melanin": 43.0, "haemoglobin": 7.0}.get(name)
        expected = place if most is None else most * (0.01 + 0.99 * (place + 1.0) / 2.0) ** 3
        assert float(number) == pytest.approx(expected, abs=2e-3 * (most or high))


def test_what_is_no_skin_is_grey() -> None:
    generator = np.random.default_rng(3)
    picture, photo = generator.integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)
    inside = np.zeros((6, 6), bool)
    inside[2:4, 1:5] = True
    plain, faint = greyed(picture, inside), greyed(picture, inside, photo)
    for shown in (plain, faint):
        assert (shown[inside] == picture[inside]).all()
        assert np.ptp(shown[~inside], axis=1).max() == 0
        assert shown[~inside].min() > 180
    assert np.ptp(plain[~inside]) == 0
    # The photo is still to be recognised.
    order = np.argsort(photo[~inside].astype(int).sum(axis=1))
    assert (np.diff(faint[~inside][order, 0].astype(int)) >= 0).all()
    assert np.ptp(faint[~inside]) > 20


# Sheets ------------------------------------------------------------------------------------------


def test_a_wall_changes_nothing_unless_all_is_shown(tmp_path: Path) -> None:
    maps, mask = face()
    wall = replace(maps, melanin=torch.where(mask > 0.5, maps.melanin, -maps.melanin))
    for number, each in enumerate((maps, wall)):
        map_figure(each, "melanin", tmp_path / f"{number}.png", mask=mask)
        map_figure(each, "melanin", tmp_path / f"all-{number}.png", mask=mask, show_all=True)
    one, other, full, another = (
        pixels(tmp_path / f"{name}.png") for name in ("0", "1", "all-0", "all-1")
    )
    assert (one == other).all()
    differs = (full != another).any(axis=2)
    assert differs.mean() > 0.3
    # In the middle, both show the skin in the same colours.
    height, width = one.shape[:2]
    middle = np.s_[height // 2 - 60 : height // 2 + 60, width // 2 - 60 : width // 2 + 60]
    assert (one[middle] == full[middle]).all()
    assert np.ptp(one[middle].astype(int)) > 100


def test_the_error_is_that_of_skin(tmp_path: Path, texts: list[str]) -> None:
    maps, mask = face()
    photo = torch.where(mask > 0.5, maps.render() + 0.03, torch.zeros(1, 3, SIDE, SIDE))
    decomposition_figure(photo, maps, tmp_path / "skin.png", mask=mask)
    assert "linear RGB, RMSE of skin 0.0300" in texts
    texts.clear()
    decomposition_figure(photo, maps, tmp_path / "all.png")
    (said,) = [text for text in texts if "RMSE" in text]
    assert "of skin" not in said
    assert float(said.split()[-1]) > 0.1


@pytest.mark.parametrize("show_all", [False, True])
def test_titles_have_the_numbers_of_the_summary(
    show_all: bool, tmp_path: Path, texts: list[str]
) -> None:
    maps, mask = face()
    image = maps.render().clamp(0.0, 1.0)
    photo = Photo(Path("face.png"), linear_to_srgb(image[0]))
    (part,) = choose_parts(photo, "whole")
    result = Result(photo, part, image, maps, image, mask)
    write(result, tmp_path / "out", method="by hand", show_all=show_all)
    numbers = result.numbers
    # On its own sheet, and on that of all.
    for pigment in (numbers.melanosomes, numbers.blood):
        low, high = pigment.interval
        expected = (
            f"median of skin {pigment.median:.2f} %, 68 % interval {low:.2f} to {high:.2f}"
            if pigment.median < 2
            else f"median of skin {pigment.median:.1f} %, 68 % interval {low:.1f} to {high:.1f}"
        )
        assert texts.count(expected) == 2
    usual = float(maps.diffuse[mask > 0.5].median())
    assert sum(text.startswith(f"median of skin {usual:#.2g}, 68 %") for text in texts) == 2
    # The wall shows if it was asked for: the sheet of melanin has its extremes of colour.
    picture = pixels(tmp_path / "out" / "melanin-scale.png")[80:160, 60:460]
    assert (np.ptp(picture.astype(int), axis=2).max() > 20) == show_all


def test_a_warning_stands_below_the_title(tmp_path: Path, texts: list[str]) -> None:
    maps, mask = face()
    photo = maps.render()
    decomposition_figure(photo, maps, tmp_path / "plain.png", mask=mask, title="face.png")
    # The longest there is.
    warning = (
        "network, refined and fit disagree beyond their 68 % intervals: melanosomes 12.3 % (10.4 to 14.1) "
        "and 3.6 % (2.1 to 5.2), blood 1.50 % (1.00 to 2.00) and 0.20 % (0.10 to 0.30)"
    )
    said = {"warning": warning}
    decomposition_figure(
        photo, maps, tmp_path / "warned.png", mask=mask, title="face.png", said=said
    )
    assert texts.count(warning) == 1
    plain, warned = pixels(tmp_path / "plain.png"), pixels(tmp_path / "warned.png")
    assert warned.shape[0] > plain.shape[0]
    red = (warned[..., 0].astype(int) - warned[..., 1]) > 100
    assert red[50:90].sum() > 50
    assert not red[:, -40:].any()  # it ends on the sheet
