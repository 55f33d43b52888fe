"""Odd inputs of every kind in one folder: each is rows with numbers, or a row that says in a line why not."""

import csv
import io
import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from skimage import data

DOOR = "biofacenet.measure"

QUICK = ("--size", "48", "--resolution", "64", "--no-sheets", "--workers", "0", "--out", "out")

SIDE = 128

FORMULA = ("=", "+", "-", "@", "\t")


def portrait(side: int = SIDE) -> Image.Image:
    return Image.fromarray(data.astronaut()[:256, 96:352]).resize((side, side))


def stored(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def plain(value: int, *size: int) -> bytes:
    return stored(Image.new("RGB", size or (64, 64), (value, value, value)))


def of_values(values: np.ndarray) -> bytes:
    return stored(Image.fromarray(values.round().clip(0, 255).astype(np.uint8)))


def scaled(red: float, green: float, blue: float) -> bytes:
    return of_values(np.asarray(portrait(), float) * (red, green, blue))


def tiff(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, photometric="rgb")
    return stream.getvalue()


def pasted(
    *places: tuple[int, int], side: int = SIDE, ground: tuple[int, int] = (256, 160)
) -> bytes:
    picture = Image.new("RGB", ground, (90, 100, 110))
    for place in places:
        picture.paste(portrait(side), place)
    return stored(picture)


def turned(orientation: int, degrees: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return stored(portrait().rotate(degrees), "JPEG", exif=exif)


def animated() -> bytes:
    one = portrait()
    return stored(one, "GIF", save_all=True, append_images=[one.rotate(90), ImageOps.invert(one)])


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("face.txt", "no face")
    return stream.getvalue()


def alpha_only() -> bytes:
    clear = portrait().convert("RGBA")
    clear.putalpha(0)
    return stored(clear)


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


NOISE = np.random.default_rng(0).integers(0, 256, (96, 96, 3))

FACE, JPEG = stored(portrait()), stored(portrait(), "JPEG", quality=90)


MEASURED = {
    "plain.png": lambda: FACE,
    "wrong-ending.jpg": lambda: FACE,
    "jpeg-in.tif": lambda: JPEG,
    "animated.gif": animated,
    "cmyk.jpg": lambda: stored(portrait().convert("CMYK"), "JPEG"),
    "palette.png": lambda: stored(portrait().quantize(48)),
    "grey.png": lambda: stored(portrait().convert("L")),
    "sixteen.tif": lambda: tiff(np.asarray(portrait()).astype(np.uint16) * 257),
    "brighter-than-one.tif": lambda: tiff(np.asarray(portrait(), np.float32) / 160.0),
    "lying-by-exif.jpg": lambda: turned(6, 90),
    "over-by-exif.jpg": lambda: turned(3, 180),
    "lying.png": lambda: stored(portrait().rotate(90)),
    "two.png": lambda: pasted((0, 16), (128, 16)),
}

EITHER = {
    "quality-1.jpg": lambda: stored(portrait(), "JPEG", quality=1),
    "blue-lit.png": lambda: scaled(0.6, 0.75, 1.0),
    "over.png": lambda: stored(portrait().rotate(180)),
    "half-at-the-border.png": lambda: pasted((192, 16)),
    "tiny-face.png": lambda: pasted((40, 40), side=40),
    "dark.png": lambda: scaled(1 / 64, 1 / 64, 1 / 64),
    "bright.png": lambda: scaled(4.0, 4.0, 4.0),
    "inverted.png": lambda: stored(ImageOps.invert(portrait())),
    "solarised.png": lambda: stored(ImageOps.solarize(portrait(), 100)),
    "deep-blue.png": lambda: scaled(0.1, 0.15, 1.0),
}

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.jpg": (lambda: b"", "empty"),
    "cut.jpg": (lambda: half(JPEG), "cut short"),
    "cut.png": (lambda: half(FACE), "cut short"),
    "cut.tif": (lambda: half(tiff(np.asarray(portrait()))), "cut short"),
    "cut.webp": (lambda: half(stored(portrait(), "WEBP")), "cut short"),
    "pixel.png": (lambda: plain(9, 1, 1), "1 x 1"),
    "row.png": (lambda: plain(9, 300, 1), "300 x 1"),
    "column.png": (lambda: plain(9, 1, 300), "1 x 300"),
    "black.png": (lambda: plain(0), "no face"),
    "white.png": (lambda: plain(255), "no face"),
    "skin-coloured.png": (lambda: stored(Image.new("RGB", (64, 64), (200, 150, 120))), "no face"),
    "noise.png": (lambda: of_values(NOISE), "no face"),
    "alpha-only.png": (alpha_only, "no face"),
    "nan.tif": (lambda: tiff(np.full((32, 32, 3), np.nan, np.float32)), "NaN"),
    "megapixels.png": (lambda: stored(Image.new("1", (10_050, 10_050))), "enormous"),
    "drawing.jpg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a drawing"),
    "page.png": (lambda: b"<!DOCTYPE html><html></html>", "a web page"),
    "archive.png": (archive, "a ZIP archive"),
    "table.jpg": (lambda: b'{"face": 1}', "not a photo"),
    "letter.jpg": (lambda: b"Dear Eileen, " * 50, "not a photo"),
    "zeros.jpg": (lambda: bytes(4000), "not a photo"),
    "no-film.mp4": (lambda: b"no film" * 100, ""),
}

NAMED = {
    "drawing.svg": (lambda: b"<svg/>", "a drawing"),
    "notes.txt": (lambda: b"no photo", "not a photo"),
    "data.json": (lambda: b"{}", "not a photo"),
    "many.zip": (archive, "a ZIP archive"),
    "scene.exr": (lambda: b"\x76\x2f\x31\x01" + bytes(64), "not a photo"),
}
"""Of endings that a folder passes over: given by name."""

NAMES = (
    *("a,b.png", 'a"b.png', "a\nb.png", "a\tb.png", "=1+1.png", "+1.png", "@sum.png", "-1.png"),
    *(" .png", os.fsdecode(b"caf\xe9.png"), "👩\u200d🔬.png", "\u202egnp.png", "שלום.png"),
    *("\x1b[31mred.png", "x" * 251 + ".png", "[x].png", "%s{0}$(ls).png"),
)

NO_FILES = {
    "dangling.jpg": "a link to no file",
    "loop.jpg": "a link to no file",
    "pipe.jpg": "not a regular file",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("odd")
    album = place / "album"
    album.mkdir()
    for name, make in (MEASURED | EITHER).items():
        (album / name).write_bytes(make())
    for name, (make, _) in REFUSED.items():
        (album / name).write_bytes(make())
    for name, (make, _) in NAMED.items():
        (place / name).write_bytes(make())
    little = stored(portrait(64))
    for name in NAMES:
        (album / name).write_bytes(little)
    (album / "dangling.jpg").symlink_to("nowhere.jpg")
    (album / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(album / "pipe.jpg")
    (album / "folder.jpg").mkdir()
    (album / "folder.jpg" / "inside.png").write_bytes(little)
    return place


@pytest.fixture(scope="module")
def ended(
    folder: Path, in_process: Callable[..., subprocess.CompletedProcess[str]]
) -> subprocess.CompletedProcess[str]:
    return in_process(DOOR, "album", *NAMED, "missing.jpg", *QUICK, cwd=folder)


@pytest.fixture(scope="module")
def rows(folder: Path, ended: subprocess.CompletedProcess[str]) -> dict[str, list[dict[str, str]]]:
    """Rows of the table by the photo, in the words of the table."""
    assert ended.returncode == 2
    found: dict[str, list[dict[str, str]]] = {}
    with (folder / "out" / "faces.csv").open(newline="", encoding="utf-8") as text:
        for row in csv.DictReader(text):
            assert None not in row
            assert None not in row.values()
            found.setdefault(row["photo"], []).append(row)
    return found


def in_table(name: str) -> str:
    """A file's name as a table has it, in one line and never a formula."""
    shown = (f"\\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c for c in name)
    plainly = "".join(shown).replace("\n", "\\n").replace("\t", "\\t").replace("\x1b", "\\x1b")
    return f"album/{plainly}".replace("\u202e", "\\u202e")


def test_there_are_fifty() -> None:
    assert len(MEASURED) + len(EITHER) + len(REFUSED) + len(NAMED) + len(NO_FILES) >= 50


@pytest.mark.parametrize("name", [*MEASURED, "folder.jpg/inside.png"])
def test_measured(rows: dict[str, list[dict[str, str]]], name: str) -> None:
    found = rows[f"album/{name}"]
    assert not any(row["problem"] for row in found)
    skins = [row for row in found if row["region"] == "skin"]
    assert len(skins) == (2 if name == "two.png" else 1)
    for row in skins:
        ends = [float(row[f"melanosomes_percent{end}"]) for end in ("_low", "", "_high")]
        assert 0.0 <= ends[0] <= ends[1] <= ends[2] <= 43.0


@pytest.mark.parametrize("name", [*REFUSED, *NO_FILES])
def test_refused(
    rows: dict[str, list[dict[str, str]]], ended: subprocess.CompletedProcess[str], name: str
) -> None:
    said = NO_FILES.get(name) or REFUSED[name][1]
    (row,) = rows[f"album/{name}"]
    assert said in row["problem"]
    assert row["region"] == ""
    assert row["melanosomes_percent"] == ""
    assert sum(f"{name}:" in line for line in ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", [*NAMED, "missing.jpg"])
def test_given_by_name(rows: dict[str, list[dict[str, str]]], name: str) -> None:
    (row,) = rows[name]
    assert (NAMED[name][1] if name in NAMED else "no such file") in row["problem"]


@pytest.mark.parametrize("name", EITHER)
def test_either(rows: dict[str, list[dict[str, str]]], name: str) -> None:
    found = rows[f"album/{name}"]
    faces = [row for row in found if row["region"] == "skin"]
    assert bool(faces) != bool(found[0]["problem"])


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names(rows: dict[str, list[dict[str, str]]], name: str) -> None:
    assert rows[in_table(name)]


def test_every_file_has_its_rows(folder: Path, rows: dict[str, list[dict[str, str]]]) -> None:
    files = [path for path in (folder / "album").rglob("*") if not path.is_dir()]
    assert len(rows) == len(files) + len(NAMED) + 1


def test_no_cell_is_a_formula_and_no_line_a_traceback(
    folder: Path, rows: dict[str, list[dict[str, str]]], ended: subprocess.CompletedProcess[str]
) -> None:
    numbers = "0123456789."
    for found in rows.values():
        for row in found:
            for cell in row.values():
                assert "\n" not in cell
                assert not cell.startswith(FORMULA) or (cell[0] in "+-" and cell[1] in numbers)
    assert "Traceback" not in ended.stdout + ended.stderr
    lines = ended.stderr.splitlines()
    assert all(line.startswith("error: ") and line.isprintable() for line in lines)
    refused = [name for name, found in rows.items() if found[0]["problem"]]
    assert len(lines) == len(refused)
    assert f"{len(refused)} of {len(rows)} photos could not be measured" in ended.stdout
    assert not list((folder / "out").glob(".partial-*"))


def test_other_readers_read_as_much(folder: Path, rows: dict[str, list[dict[str, str]]]) -> None:
    """Names with commas, quotes and line ends are cells of their own to all of them."""
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(folder / "out" / "faces.csv", keep_default_na=False, dtype=str)
    assert len(table) == sum(map(len, rows.values()))
    assert set(table["photo"]) == set(rows)


def test_a_file_that_may_not_be_read(
    in_process: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    path = tmp_path / "locked.jpg"
    path.write_bytes(JPEG)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read all files")
    said = in_process(DOOR, "locked.jpg", *QUICK, cwd=tmp_path)
    assert said.returncode == 2
    assert "locked.jpg: cannot be read" in said.stderr
    assert said.stderr.count("\n") == 1
