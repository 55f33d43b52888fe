"""Formats of phones, files that are something else than their names say, and what is passed over."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from biofacenet.errors import BioFaceNetError, PhotoError
from biofacenet.photos import kinds
from biofacenet.photos.kinds import what_it_is
from biofacenet.photos.numbered_colour import profile_of
from biofacenet.photos.paths import expand
from biofacenet.photos.reading import read_photo

PICTURE = np.full((48, 64, 3), (200, 120, 90), np.uint8)
"""Skin, with a blue upper left corner."""
PICTURE[:16, :16] = (60, 60, 200)

FORMATS = {"HEIF": "pillow_heif", "JXL": "pillow_jxl"}


def written(kind: str, path: Path, **options: Any) -> Path:
    pytest.importorskip(FORMATS[kind])
    kinds.formats()
    Image.fromarray(PICTURE).save(path, kind, quality=95, **options)
    return path


def found(path: Path) -> np.ndarray:
    """Levels (H, W, 3) of a photo that is read."""
    return 255.0 * read_photo(path).pixels.numpy().transpose(1, 2, 0)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["IMG_1.heic", "IMG_1.jxl", "IMG_1.jpg", "IMG_1"])
def test_photos_of_phones_are_told_by_their_bytes(tmp_path: Path, kind: str, name: str) -> None:
    assert np.abs(found(written(kind, tmp_path / name)) - PICTURE).mean() < 4.0


@pytest.mark.parametrize("kind", FORMATS)
def test_photos_of_phones_are_turned_upright(tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a phone"  # to be turned by a quarter, clockwise
    path = written(kind, tmp_path / "a", exif=exif.tobytes())
    assert np.abs(found(path) - PICTURE[::-1].transpose(1, 0, 2)).mean() < 4.0
    kept = Image.Exif()
    kept.load(read_photo(path).exif)
    assert kept.get(0x010F) == "a phone"
    assert 0x0112 not in kept


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("part", [0.1, 0.5])
def test_photos_of_phones_that_are_cut_short(tmp_path: Path, kind: str, part: float) -> None:
    path = written(kind, tmp_path / "a.heic")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(PhotoError, match="damaged or cut short") as error:
        read_photo(path)
    assert "\n" not in str(error.value)


# Colour by number ----------------------------------------------------------------------------


def by_hand(levels: np.ndarray, columns: list[list[float]]) -> np.ndarray:
    """Levels of sRGB from those of other primaries: linear light, a matrix, and back."""
    srgb = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175]])
    srgb = np.vstack((srgb, [0.0193339, 0.119192, 0.9503041]))
    encoded = levels / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    linear = np.linalg.inv(srgb) @ np.array(columns) @ linear
    linear = linear.clip(0.0, 1.0)
    return np.asarray(
        255.0 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    )


# To XYZ under D65 (SMPTE EG 432-1 and ITU-R BT.2020).
P3 = [
    [0.4865709, 0.2656677, 0.1982173],
    [0.2289746, 0.6917385, 0.0792869],
    [0, 0.0451134, 1.0439444],
]
BT_2020 = [
    [0.6369580, 0.1446169, 0.1688810],
    [0.2627002, 0.6779981, 0.0593017],
    [0, 0.0280727, 1.0609851],
]


@pytest.mark.parametrize(("primaries", "matrix"), [(12, P3), (9, BT_2020)])
@pytest.mark.parametrize("level", [(200, 120, 90), (128, 128, 128), (90, 60, 50)])
def test_wide_colour_becomes_srgb(
    primaries: int, matrix: list[list[float]], level: tuple[int, int, int]
) -> None:
    profile = profile_of({"color_primaries": primaries, "transfer_characteristics": 13})
    image = Image.fromarray(np.full((4, 4, 3), level, np.uint8))
    converted = ImageCms.profileToProfile(
        image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), renderingIntent=1
    )
    assert converted is not None
    expected = by_hand(np.array(level, float), matrix)
    assert np.abs(np.asarray(converted)[0, 0] - expected).max() <= 2.0


@pytest.mark.parametrize("numbers", [None, {}, {"color_primaries": 1}, {"color_primaries": 2}])
def test_what_is_srgb_or_says_nothing_stays(numbers: dict[str, Any] | None) -> None:
    assert profile_of(numbers) == b""


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"color_primaries": 9, "transfer_characteristics": 16}, "PQ"),
        ({"color_primaries": 9, "transfer_characteristics": 18}, "HLG"),
        ({"color_primaries": 1, "transfer_characteristics": 8}, "linear"),
        ({"color_primaries": 11, "transfer_characteristics": 13}, "primaries 11"),
    ],
)
def test_colour_that_is_not_converted_is_refused(numbers: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        profile_of(numbers)


def test_colour_by_number_in_a_file(tmp_path: Path) -> None:
    wide = {"color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 6}
    path = written("HEIF", tmp_path / "a.heic", full_range_flag=1, **wide)
    expected = by_hand(np.array([200.0, 120.0, 90.0]), P3)
    assert np.abs(found(path)[40, 40] - expected).max() < 5.0
    hdr = wide | {"color_primaries": 9, "transfer_characteristics": 16}
    with pytest.raises(PhotoError, match="PQ"):
        read_photo(written("HEIF", tmp_path / "b.heic", full_range_flag=1, **hdr))


# Kinds ---------------------------------------------------------------------------------------

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)


@pytest.mark.parametrize(
    ("head", "what", "remedy"),
    [
        (HEIC, "HEIC", "biofacenet[photos]"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafheix", "HEIC", "biofacenet[photos]"),
        (b"\xff\x0a" + bytes(9), "JPEG XL", "biofacenet[photos]"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", "biofacenet[photos]"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000", "convert it to JPEG"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isommp42", "a video", ".mp4"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "a web page", "save the photo in it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "git lfs pull"),
        (b"<?xml version='1.0'?><svg>", "SVG", "convert it"),
        (b"PK\x03\x04", "a ZIP archive", "unpack it"),
        (b"nothing known", "not a photo of a known format", "convert it"),
    ],
)
def test_what_a_file_is_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: bytes, what: str, remedy: str
) -> None:
    """Where the extra is not installed."""
    monkeypatch.setattr(kinds, "formats", lambda: kinds.FORMATS)
    monkeypatch.setattr("biofacenet.photos.reading.formats", lambda: kinds.FORMATS)
    assert what in what_it_is(head)[0]
    assert remedy in what_it_is(head)[1]
    path = tmp_path / "IMG_2.jpg"
    path.write_bytes(head)
    with pytest.raises(PhotoError) as error:
        read_photo(path)
    assert f"IMG_2.jpg: {what_it_is(head)[0]}; expected a photo as JPEG" in str(error.value)
    assert "\n" not in str(error.value)


# What is passed over -------------------------------------------------------------------------


def test_files_of_other_kinds_are_counted_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "b.HEIC", "c.jxl", "d.jp2", "e.CR2", "f.jp2", "in/notes", ".hidden.jp2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = expand([tmp_path], tell=True)
    assert [path.name for path in found] == ["a.png", "b.HEIC", "c.jxl"]
    assert capsys.readouterr().out == (
        f"{tmp_path}: passed over 4 other files (2 of .jp2, 1 of .cr2, 1 of no ending): "
        "d.jp2, e.CR2, f.jp2, ..\n"
    )
    expand([tmp_path])
    expand([tmp_path / "a.png"], tell=True)
    assert capsys.readouterr().out == ""


def test_a_folder_of_other_kinds_alone(tmp_path: Path) -> None:
    (tmp_path / "a\n.cr2").write_bytes(b"x")
    with pytest.raises(BioFaceNetError) as error:
        expand([tmp_path], tell=True)
    assert r"without a photo in it, but 1 other file (1 of .cr2): a\n.cr2;" in str(error.value)
