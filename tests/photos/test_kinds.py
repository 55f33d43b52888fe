"""Formats of phones, files that are something else than their names say, and what is passed over."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from biofacenet.errors import BioFaceNetError, PhotoError
from biofacenet.photos import kinds
from biofacenet.photos.kinds import what_it_is
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


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_jpeg_xl_of_more_than_8_bits(tmp_path: Path, kind: type) -> None:
    """Also of linear light, where 8 bits would leave steps in the dark."""
    pytest.importorskip("pillow_jxl")
    light = np.linspace(0.0, 0.02, 32 * 32 * 3).reshape(32, 32, 3)
    stored = (light * 65535).round().astype(kind) if kind is np.uint16 else light.astype(kind)
    path = tmp_path / "a.jxl"
    path.write_bytes(imagecodecs.jpegxl_encode(stored, lossless=True))
    photo = read_photo(path)
    assert any("linear" in note.lower() or "Lin" in note for note in photo.notes), photo.notes
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(photo.pixels.permute(1, 2, 0).numpy(), expected, atol=2e-3)


def test_a_jpeg_of_12_bits(tmp_path: Path) -> None:
    """Whole, but of a kind that nothing here reads: not called damaged for sure."""
    path = tmp_path / "a.jpg"
    deep = np.full((32, 32), 2000, np.uint16)
    path.write_bytes(imagecodecs.jpeg_encode(deep, bitspersample=12))
    with pytest.raises(PhotoError, match="rare kind") as error:
        read_photo(path)
    assert "save it anew" in str(error.value)


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
