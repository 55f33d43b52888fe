"""Sixty odd inputs: each gives rows with numbers, or a row that says in a line why not; never a traceback."""

import csv
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFilter, ImageOps
from skimage import data

from biofacenet import BioFaceNet
from biofacenet.analysis import ByNetwork
from biofacenet.analysis.measuring.files import Measurer
from biofacenet.analysis.measuring.regions import REGIONS
from biofacenet.analysis.measuring.rows import Row, header, table
from biofacenet.system.files import write_csv

SIDE = 160


def portrait(side: int = SIDE) -> Image.Image:
    return Image.fromarray(data.astronaut()[:256, 96:352]).resize((side, side))


def plain(value: int, size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    return Image.new("RGB", size, (value, value, value))


def side_by_side() -> Image.Image:
    two = Image.new("RGB", (2 * SIDE, SIDE))
    two.paste(portrait(), (0, 0))
    two.paste(ImageOps.mirror(portrait()), (SIDE, 0))
    return two


def stored(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def enormous() -> bytes:
    """A PNG whose header says 100,000 x 100,000 pixels, and which holds next to none of them."""

    def chunk(name: bytes, body: bytes) -> bytes:
        checked = name + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, photometric="rgb")
    return stream.getvalue()


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("face.txt", "no face")
    return stream.getvalue()


def tinted(red: float, green: float, blue: float) -> Image.Image:
    values = np.asarray(portrait(), float) * (red, green, blue)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


FACE = stored(portrait(), "PNG")
JPEG = stored(portrait(), "JPEG", quality=90)

NAMES = (
    *(
        "a,b.png",
        'a"b.png',
        "a\nb.png",
        "a\tb.png",
        "=1+1.png",
        "+1.png",
        "@sum.png",
        "-1.png",
        " .png",
    ),
    *(os.fsdecode(b"caf\xe9.png"), "\x1b[31mred.png", "👩\u200d🔬.png", "\u202egnp.exe", "[x].png"),
    *("é" * 120 + ".png", "a;b.png", "'a.png", "face.PNG.txt", "None", "nan.png"),
)

MEASURED: dict[str, Callable[[], bytes]] = {
    "grey.png": lambda: stored(portrait().convert("L"), "PNG"),
    "palette.gif": lambda: stored(portrait().convert("P"), "GIF"),
    "transparent.png": lambda: stored(portrait().convert("RGBA"), "PNG"),
    "cmyk.jpg": lambda: stored(portrait().convert("CMYK"), "JPEG"),
    "webp.webp": lambda: stored(portrait(), "WEBP"),
    "sixteen.tif": lambda: tiff(np.asarray(portrait()).astype(np.uint16) * 257),
    "lying.jpg": lambda: stored(portrait().rotate(90), "JPEG", exif=exif(6)),
    "two.png": lambda: stored(side_by_side(), "PNG"),
    "blurred.png": lambda: stored(portrait().filter(ImageFilter.GaussianBlur(2)), "PNG"),
    "wrong-ending.jpg": lambda: FACE,
}

REFUSED: dict[str, Callable[[], bytes]] = {
    "empty.jpg": lambda: b"",
    "text.jpg": lambda: b"no photo, " * 50,
    "page.png": lambda: b"<!DOCTYPE html><html></html>",
    "paper.jpg": lambda: b"%PDF-1.7\n%%EOF",
    "archive.png": archive,
    "zeros.jpg": lambda: bytes(4000),
    "cut.jpg": lambda: JPEG[: len(JPEG) // 3],
    "cut.png": lambda: FACE[: len(FACE) // 3],
    "enormous.png": enormous,
    "pixel.png": lambda: stored(plain(200, (1, 1)), "PNG"),
    "row.png": lambda: stored(plain(200, (300, 1)), "PNG"),
    "nan.tif": lambda: tiff(np.full((32, 32, 3), np.nan, np.float32)),
    "raw.dng": lambda: tiff(np.asarray(portrait())),
    "no-film.mp4": lambda: b"no film" * 100,
    "empty.mov": lambda: b"",
    "wall.png": lambda: stored(plain(180), "PNG"),
    "black.png": lambda: stored(plain(0), "PNG"),
    "white.png": lambda: stored(plain(255), "PNG"),
    "strip.png": lambda: stored(portrait().resize((900, 16)), "PNG"),
    "noise.png": lambda: stored(
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (99, 99, 3), np.uint8)), "PNG"
    ),
}

EITHER: dict[str, Callable[[], bytes]] = {
    "least.png": lambda: stored(portrait(16), "PNG"),
    "yellow.png": lambda: stored(tinted(1.0, 0.8, 0.5), "PNG"),
    "small.png": lambda: stored(portrait(48), "PNG"),
    "half.png": lambda: stored(portrait().crop((SIDE // 2, 0, SIDE, SIDE)), "PNG"),
    "upside-down.png": lambda: stored(portrait().rotate(180), "PNG"),
    "dark.png": lambda: stored(tinted(0.05, 0.05, 0.05), "PNG"),
    "bright.png": lambda: stored(tinted(4.0, 4.0, 4.0), "PNG"),
    "green.png": lambda: stored(tinted(0.2, 1.0, 0.2), "PNG"),
}


@pytest.fixture(scope="module")
def measurer() -> Measurer:
    return Measurer(ByNetwork(BioFaceNet.from_pretrained("small"), 48, resolution=48), "a network")


def written(rows: list[Row], folder: Path) -> list[dict[str, str]]:
    """What a spreadsheet reads of them."""
    write_csv(folder / "faces.csv", table(rows))
    with (folder / "faces.csv").open(newline="", encoding="utf-8") as text:
        read = list(csv.DictReader(text))
    assert all(list(row) == header() and None not in row.values() for row in read)
    return read


def check(rows: list[Row], path: Path, folder: Path, measured: bool | None) -> None:
    assert rows
    faces = [row for row in rows if not row["problem"]]
    assert len(faces) % len(REGIONS) == 0
    if measured is not None:
        assert bool(faces) == measured, rows[0]["problem"]
    for row, cells in zip(rows, written(rows, folder), strict=True):
        assert row["photo"] == str(path)
        for cell in cells.values():
            assert not cell.lstrip().startswith(("=", "@", "\t")), cell
            assert "\n" not in cell
        if row["problem"]:
            assert str(row["problem"]).count("\n") == 0
            assert "Traceback" not in str(row["problem"])
            assert row["region"] is None
        elif row["region"] == "skin":
            assert 0.0 <= row.number("melanosomes_percent") <= 43.0


@pytest.mark.parametrize("name", [*MEASURED, *REFUSED, *EITHER])
def test_odd_contents(measurer: Measurer, tmp_path: Path, name: str) -> None:
    make = (MEASURED | REFUSED | EITHER)[name]
    path = tmp_path / name
    path.write_bytes(make())
    expected = None if name in EITHER else name in MEASURED
    check(measurer(path), path, tmp_path, expected)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_odd_names(measurer: Measurer, tmp_path: Path, name: str) -> None:
    """Measured as any, under a relative path as people type it, with a sheet that has such a name."""
    path = tmp_path / name
    path.write_bytes(stored(portrait(64), "PNG"))
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        check(measurer(Path(name)), Path(name), tmp_path, None)
    finally:
        os.chdir(before)


def test_what_is_no_file(measurer: Measurer, tmp_path: Path) -> None:
    """A folder, nothing, links to nothing and to themselves, a pipe, a URL."""
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    names = ("folder.jpg", "missing.jpg", "dangling.jpg", "loop.jpg", "pipe.jpg", "missing.mp4")
    for path in (*(tmp_path / name for name in names), Path("https://example.org/a.jpg")):
        check(measurer(path), path, tmp_path, False)


def test_a_sheet_of_an_odd_name(measurer: Measurer, tmp_path: Path) -> None:
    path = tmp_path / "=1+1$x_{\n.png"
    path.write_bytes(FACE)
    check(measurer(path, tmp_path / "sheet"), path, tmp_path, True)
    with Image.open(tmp_path / "sheet-1.png") as sheet:
        assert sheet.size[0] == 1600
