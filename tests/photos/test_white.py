"""What white is: boxes, photos of reference, cards and charts."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from torch import Tensor

from biofacenet.errors import BioFaceNetError, PhotoError
from biofacenet.photos.charts import PATCHES, find_card
from biofacenet.photos.reading import Photo, read_photo
from biofacenet.photos.white import balanced, exposure, of_box, read_white
from biofacenet.photos.white_choice import WhiteChoice, parse_box, parse_reflectance
from biofacenet.physics.colour import linear_to_srgb, srgb_to_linear

LIGHT = (0.8, 0.7, 0.5)


def scene(light: tuple[float, float, float] = LIGHT, *, side: int = 400) -> np.ndarray:
    """A wall of many greys under a light, linear (side, side, 3)."""
    rng = np.random.default_rng(3)
    coarse = cv2.resize(rng.uniform(0.35, 0.7, (9, 9)), (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(coarse[..., None] * np.array(light))


def photo_of(linear: np.ndarray, path: str = "seen.png") -> Photo:
    pixels = torch.from_numpy(linear.astype(np.float32)).permute(2, 0, 1).clamp(0.0, 1.0)
    return Photo(Path(path), linear_to_srgb(pixels))


def pasted(
    linear: np.ndarray, card: np.ndarray, angle: float, middle: tuple[int, int]
) -> np.ndarray:
    """A card turned by degrees about its middle."""
    height, width = card.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    matrix[:, 2] += np.array(middle) - (width / 2, height / 2)
    size = linear.shape[1::-1]
    over = cv2.warpAffine(np.ones((height, width), np.float32), matrix, size)[..., None]
    return np.asarray(linear * (1 - over) + cv2.warpAffine(card.astype(np.float32), matrix, size))


def chart(light: tuple[float, float, float] = LIGHT, *, cell: int = 24, gap: int = 6) -> np.ndarray:
    picture = np.full((4 * cell + 5 * gap, 6 * cell + 7 * gap, 3), 0.03)
    for (row, column), _ in np.ndenumerate(PATCHES[..., 0]):
        y, x = (gap + i * (cell + gap) for i in (row, column))
        picture[y : y + cell, x : x + cell] = PATCHES[row, column]
    return picture * np.array(light)


def card(share: float = 0.18, light: tuple[float, float, float] = LIGHT) -> np.ndarray:
    return np.full((70, 110, 3), share) * np.array(light)


# Boxes ---------------------------------------------------------------------------------------


def test_a_box_tells_the_light_and_balances_the_photo() -> None:
    linear = scene()
    linear[100:160, 200:300] = card(0.5)[:60, :100]
    photo = photo_of(linear)
    white = read_white(photo, WhiteChoice("210,110,80,40", reflectance="0.5"))
    assert white.light == pytest.approx(LIGHT, rel=1e-3)
    assert white.cast == pytest.approx(0.6, abs=0.01)
    seen = srgb_to_linear(balanced(photo, white).pixels)[:, 130, 250]
    assert seen.tolist() == pytest.approx([0.5] * 3, rel=1e-3)
    assert any("reflectance 0.5" in note for note in balanced(photo, white).notes)


def bad(kind: str) -> tuple[Photo, tuple[int, int, int, int]]:
    linear = scene()
    fill: Tensor | np.ndarray | float = {
        "overexposed": 1.0,
        "dark": 0.002,
        "coloured": np.array((0.6, 0.1, 0.05)),
        "uneven": np.tile([[[0.1], [0.6]]], (20, 20, 1)),
        "does not lie in the photo": 0.5,
    }[kind]
    linear[100:120, 100:140] = fill
    return photo_of(linear), (100, 100, 40, 20) if "lie" not in kind else (380, 100, 40, 20)


@pytest.mark.parametrize(
    "kind", ["overexposed", "dark", "coloured", "uneven", "does not lie in the photo"]
)
def test_what_cannot_be_white_is_refused_in_a_line(kind: str) -> None:
    photo, box = bad(kind)
    with pytest.raises(PhotoError, match=kind) as caught:
        of_box(photo, box, 0.9)
    assert "seen.png" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5", "-1,2,30,40", "1,2,3,40", "a", "1,2,٣٠,40"]
)
def test_boxes_that_are_none(text: str) -> None:
    with pytest.raises(BioFaceNetError, match="LEFT,TOP,WIDTH,HEIGHT"):
        parse_box(text)


@pytest.mark.parametrize("text", ["0", "1.01", "-0.2", "nan", "inf", "black", "18 %"])
def test_reflectances_that_are_none(text: str) -> None:
    with pytest.raises(BioFaceNetError, match="share of light"):
        parse_reflectance(text)


def test_what_is_asked_of_a_white_is_checked_at_once() -> None:
    assert parse_reflectance("Grey") == 0.18
    assert not WhiteChoice().given
    with pytest.raises(BioFaceNetError, match="--white"):
        WhiteChoice(reflectance="grey")


# Photos of reference -------------------------------------------------------------------------


def exif(seconds: float, iso: int = 200) -> bytes:
    block = Image.Exif()
    inner = block.get_ifd(ExifTags.IFD.Exif)
    inner[ExifTags.Base.ExposureTime] = seconds
    inner[ExifTags.Base.FNumber] = 4.0
    inner[ExifTags.Base.ISOSpeedRatings] = iso
    return block.tobytes()


def stored(path: Path, seconds: float, level: float) -> Path:
    picture = 255.0 * linear_to_srgb(torch.tensor(level * np.array(LIGHT)))
    array = np.broadcast_to(picture.round().byte().numpy(), (60, 90, 3))
    file = io.BytesIO()
    Image.fromarray(array.copy()).save(file, "JPEG", quality=98, exif=exif(seconds))
    path.write_bytes(file.getvalue())
    return path


def test_a_photo_of_the_card_under_the_same_exposure(tmp_path: Path) -> None:
    photo = read_photo(stored(tmp_path / "face.jpg", 0.01, 0.3))
    assert exposure(photo.exif) == pytest.approx(0.01 * 200 / 16)
    card_photo = stored(tmp_path / "card.jpg", 0.01, 0.18)
    white = read_white(photo, WhiteChoice(reference=card_photo, reflectance="grey"))
    assert white.light == pytest.approx(LIGHT, rel=0.04)
    assert white.path == card_photo


def test_a_photo_of_the_card_under_another_exposure_is_refused(tmp_path: Path) -> None:
    photo = read_photo(stored(tmp_path / "face.jpg", 0.01, 0.3))
    other = stored(tmp_path / "card.jpg", 0.02, 0.18)
    with pytest.raises(PhotoError, match=r"exposed 2 times as much"):
        read_white(photo, WhiteChoice(reference=other))
    with pytest.raises(PhotoError, match="no such file"):
        read_white(photo, WhiteChoice(reference=tmp_path / "none.jpg"))


# Cards that are found --------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [0, 14, 90, 175])
def test_a_chart_is_found_however_it_is_turned(angle: float) -> None:
    white = read_white(photo_of(pasted(scene(), chart(), angle, (180, 230))), WhiteChoice("auto"))
    assert white.kind == "checker"
    assert white.light == pytest.approx(LIGHT, rel=0.03)


def test_a_chart_whose_colours_are_others_is_none() -> None:
    wrong = chart()[:, :, ::-1] * (0.6, 1.0, 1.6)  # red and blue exchanged
    with pytest.raises(PhotoError, match=r"no ColorChecker and no grey card|may be a grey card"):
        find_card(photo_of(pasted(scene(), wrong, 0, (180, 230))))


@pytest.mark.parametrize("angle", [0, 20])
def test_a_grey_card_is_found(angle: float) -> None:
    photo = photo_of(pasted(scene(), card(), angle, (120, 260)))
    white = read_white(photo, WhiteChoice("auto"))
    assert (white.kind, white.reflectance) == ("card", 0.18)
    assert white.light == pytest.approx(LIGHT, rel=0.02)
    with_share = read_white(photo, WhiteChoice("auto", reflectance="0.36"))
    assert with_share.light[0] == pytest.approx(LIGHT[0] / 2, rel=0.02)


def test_no_card_and_two_cards_are_told_of() -> None:
    with pytest.raises(PhotoError, match=r"no ColorChecker and no grey card found.*--white LEFT"):
        find_card(photo_of(scene()))
    two = pasted(pasted(scene(), card(), 0, (100, 100)), card(0.3), 10, (260, 300))
    with pytest.raises(PhotoError, match="2 rectangles may be a grey card"):
        find_card(photo_of(two))
