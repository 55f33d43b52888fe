"""Measuring where it is known what white is: levels are absolute, and say so."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from biofacenet import BioFaceNet
from biofacenet.analysis import ByNetwork
from biofacenet.analysis.measuring.cautions import CAUTIONS
from biofacenet.analysis.measuring.photo import measure_photo
from biofacenet.analysis.measuring.rows import Row
from biofacenet.analysis.measuring.settings import Settings, check
from biofacenet.analysis.whitening import WithWhite
from biofacenet.errors import BioFaceNetError, PhotoError
from biofacenet.photos.framing import Wanted
from biofacenet.photos.paths import EXAMPLE
from biofacenet.photos.reading import Photo, read_photo
from biofacenet.photos.white_choice import WhiteChoice
from biofacenet.physics.colour import linear_to_srgb, srgb_to_linear

BOX = "4,4,24,24"


@cache
def method() -> ByNetwork:
    return ByNetwork(BioFaceNet.from_pretrained("small"))


def with_card(level: float = 0.2, gains: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Photo:
    """The example with a card in its corner, all of it under factors of R, G and B, in 8 bits."""
    photo = read_photo(EXAMPLE)
    linear = srgb_to_linear(photo.pixels)
    linear[:, :32, :32] = level
    seen = linear_to_srgb((linear * torch.tensor(gains)[:, None, None]).clamp(0.0, 1.0))
    return replace(photo, pixels=(255.0 * seen).round() / 255.0)


def skin(photo: Photo, choice: WhiteChoice | None) -> Row:
    way = method() if choice is None else WithWhite(method(), choice)
    rows = measure_photo(photo, way, Wanted(face="largest"))
    return next(row for row in rows if row["region"] == "skin")


def test_a_white_makes_levels_absolute_whatever_exposure_and_balance() -> None:
    choice = WhiteChoice(BOX, reflectance="0.5")
    first = skin(with_card(), choice)
    assert (first["level"], first["light_from"]) == ("absolute", "white")
    assert "prior-only" not in str(first["warnings"])
    assert str(first["white"]).startswith("box at 4,4,24,24, reflectance 0.5")
    low, middle, high = (first.number(f"melanosomes_percent{x}") for x in ("_low", "", "_high"))
    assert low is not None
    assert middle is not None
    assert high is not None
    assert low < middle < high
    dim = skin(with_card(gains=(0.9, 0.8, 0.7)), choice)
    assert dim.number("melanosomes_percent") == pytest.approx(middle, rel=0.05)
    assert dim.number("blood_percent") == pytest.approx(first.number("blood_percent"), rel=0.15)
    # The same skin beside a brighter card is darker.
    beside = skin(with_card(0.4), choice)
    assert float(beside.number("melanosomes_percent") or 0.0) > 1.2 * middle
    assert float(beside.number("lab_l") or 0.0) < float(first.number("lab_l") or 0.0) - 5.0


def test_without_a_white_levels_say_that_they_are_relative() -> None:
    row = skin(with_card(), None)
    assert (row["level"], row["white"]) == ("relative", "")
    assert row["light_from"] != "white"


def test_a_white_that_cannot_be_is_told_of() -> None:
    assert "white-unlikely" in CAUTIONS
    # A wall in far more light than the face.
    row = skin(with_card(0.9, (0.99, 0.99, 0.99)), WhiteChoice(BOX, reflectance="0.03"))
    assert "white-unlikely" in str(row["warnings"])
    with pytest.raises(PhotoError, match="overexposed"):
        skin(with_card(1.0), WhiteChoice(BOX))


def test_what_is_white_is_checked_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(BioFaceNetError, match="LEFT,TOP,WIDTH,HEIGHT"):
        check(Settings((EXAMPLE,), tmp_path, white="somewhere"))
    with pytest.raises(BioFaceNetError, match="share of light"):
        check(Settings((EXAMPLE,), tmp_path, white=BOX, white_reflectance="2"))
