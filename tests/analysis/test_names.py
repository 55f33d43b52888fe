"""Names of photos are data: any works, none leads out of the folder for results, all can be shown."""

import csv
import errno
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.table import Table

from biofacenet.analysis.batch import new_folders, one_by_one, result_folders
from biofacenet.cli import run
from biofacenet.data.synthetic.faces import generate
from biofacenet.decomposition import Decomposition
from biofacenet.errors import BioFaceNetError, PhotoError
from biofacenet.network.pretrained import Stored
from biofacenet.photos.paths import EXAMPLE
from biofacenet.photos.reading import read_photo
from biofacenet.photos.video import Writer, frames
from biofacenet.preparation.labels import Known
from biofacenet.preparation.parts import Plan, Rejection, Used
from biofacenet.preparation.photos import index_of, tell_rejections, write_rejections
from biofacenet.system.console import console
from biofacenet.system.files import write_json
from biofacenet.system.names import folder_name, shown

LATIN = os.fsdecode(b"caf\xe9.png")
"""A name in Latin-1, as old cameras and archives hold them: no UTF-8."""

ODD = (
    *("...png", "..png", ".png", "....png", ".hidden.png", "face.", " .png", "-.png", LATIN),
    *("a\nb.png", "\x1b[31mred.png", "[bold]x.png", "{0}%s%d.png", "$x_{.png", "=1+1.png"),
    *("é" * 125 + ".png", "x" * 255, "\u202egnp.exe.png", "NUL", "~", "*?.png", "👩\u200d🔬.png"),
)


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], io.BytesIO]:
    """Standard output and error of an encoding, as strict as Python makes them, and what they hold."""

    def make(encoding: str) -> io.BytesIO:
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, errors="strict"))
        monkeypatch.setattr(sys, "stderr", sys.stdout)
        return raw

    return make


@pytest.mark.parametrize("name", ODD)
def test_results_stay_in_their_folder(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    folders = result_folders(out, (Path("a") / name, Path("b") / name))
    for folder in folders:
        folder.mkdir(parents=True)
        assert folder.resolve().parent == out.resolve()
    assert len(list(out.iterdir())) == 2


@pytest.mark.parametrize("overwrite", [False, True])
def test_earlier_folders_stay_and_a_line_says_so(
    tmp_path: Path, overwrite: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    def names(*photos: str) -> list[str]:
        places = tuple(map(Path, photos))
        return [path.name for path in new_folders(tmp_path, places, overwrite=overwrite)]

    assert names("me.jpg", "a/me.jpg") == ["me", "me-2"]
    assert capsys.readouterr().out == ""
    for name in ("me", "me-2", "you"):
        (tmp_path / name).mkdir()
    assert names("ME.jpg") == (["ME"] if overwrite else ["ME-3"])
    said = " ".join(capsys.readouterr().out.split())
    assert ("--overwrite" in said) is not overwrite
    assert ("ME-3" in said) is not overwrite
    assert names("me.jpg", "you.jpg", "she.jpg") == (
        ["me", "you", "she"] if overwrite else ["me-3", "you-2", "she"]
    )
    assert capsys.readouterr().out.startswith("" if overwrite else "2 folders")


def test_names_that_some_file_system_takes_for_one(tmp_path: Path) -> None:
    """Cases, and accents as one character or two."""
    photos = tuple(map(Path, ("\u00e9.jpg", "e\u0301.jpg", "STRASSE.jpg", "straße.jpg")))
    names = [folder.name for folder in result_folders(tmp_path, photos)]
    assert [name[-2:] == "-2" for name in names] == [False, True, False, True]


@pytest.mark.parametrize("name", ODD)
def test_names_are_shown_in_one_line_without_orders_to_the_terminal(name: str) -> None:
    assert all(c.isprintable() or c == "\u200d" for c in shown(name))
    assert shown("Ünïcode 中文 [bold]") == "Ünïcode 中文 [bold]"
    assert shown(LATIN) == "caf\\xe9.png"
    assert folder_name(Path("a/face.v2.jpg")) == "face.v2"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_outputs_of_any_encoding(output: Callable[[str], io.BytesIO], encoding: str) -> None:
    """Also what a pipe holds is there at once."""
    raw = output(encoding)

    def main() -> None:
        console.print(f"{LATIN} 中 [bold]x[/bold]")
        table = Table("[red]heading")
        table.add_row("[dim]cell")
        console.print(table)
        assert b"[bold]x[/bold]" in raw.getvalue()
        assert b"[red]heading" in raw.getvalue()
        assert b"[dim]cell" in raw.getvalue()
        raise BioFaceNetError(f"{LATIN}: bad 中\x1b[31m")

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 2
    last = raw.getvalue().splitlines()[-1]
    assert last.startswith(b"error: caf\\xe9.png: bad ")
    assert b"\x1b" not in last


BROKEN: dict[str, Exception] = {
    "damaged": PhotoError("1.png: damaged"),
    "name too long": OSError(errno.ENAMETOOLONG, "File name too long", "out/1"),
    "folder taken away": FileNotFoundError(errno.ENOENT, "No such file", "out/1"),
    "no memory": MemoryError(),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_one_bad_photo_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """And of each that is done there is a line at once."""
    said: list[str] = []

    def work(path: Path, folder: Path) -> Iterator[str]:
        so_far = capsys.readouterr()
        said.extend(so_far)
        if path.name == "1.png":
            raise BROKEN[kind]
        yield f"{path.name} -> {folder.name}"

    photos = [Path(f"{number}.png") for number in range(3)]
    with pytest.raises(SystemExit) as ended:
        one_by_one(photos, result_folders(tmp_path, tuple(photos)), work, what="photos")
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert said[:5] == ["", "", "0.png -> 0\n", "", ""]
    assert said[5].startswith("error: ")
    assert said[5].count("\n") == 1
    assert captured.out.splitlines() == ["2.png -> 2", "1 of 3 photos could not be used"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_stops_all(tmp_path: Path, number: int) -> None:
    seen = []

    def work(path: Path, folder: Path) -> Iterator[str]:
        seen.append(path)
        raise OSError(number, os.strerror(number), str(folder))
        yield ""

    with pytest.raises(OSError, match=os.strerror(number)):
        one_by_one([Path("a"), Path("b")], [tmp_path / "a", tmp_path / "b"], work, what="photos")
    assert seen == [Path("a")]


def test_a_file_in_the_way_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "1").write_text("mine")

    def work(path: Path, folder: Path) -> Iterator[str]:
        raise AssertionError
        yield ""

    photos = (Path("0.png"), Path("1.png"))
    with pytest.raises(BioFaceNetError, match="a file, where results need a folder"):
        one_by_one(photos, result_folders(tmp_path, photos), work, what="photos")


# Files whose names, or those of their folders, are no UTF-8 ----------------------------------


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / os.fsdecode(b"m\xfcller")
    folder.mkdir()
    return folder


def test_photos_and_tables(place: Path, output: Callable[[str], io.BytesIO]) -> None:
    photo = place / LATIN
    photo.write_bytes(EXAMPLE.read_bytes())
    assert read_photo(photo).path == photo
    with pytest.raises(PhotoError, match=r"m\\xfcller/a\\nb.png: no such file"):
        read_photo(place / "a\nb.png")
    write_json(place / "s.json", {"photo": str(photo), "name": "中"})
    assert json.loads((place / "s.json").read_text("utf-8")) == {"photo": str(photo), "name": "中"}
    assert "中" in (place / "s.json").read_text("utf-8")
    rejected = [Rejection(photo, "no face", f"{photo}: no face")]
    write_rejections(place / "rejected.csv", rejected)
    with (place / "rejected.csv").open(encoding="utf-8") as stream:
        assert list(csv.reader(stream))[1][0].endswith("m\\xfcller/caf\\xe9.png")
    raw = output("utf-8")
    run(lambda: tell_rejections(rejected, place / "rejected.csv"))
    assert b"m\\xfcller/caf\\xe9.png" in raw.getvalue()
    assert raw.getvalue().count(b"\n") == 2
    plan = Plan(place, 32, "mean", 32)
    index_of({"01": [(Used(photo, "0" * 64, ({"face": 1},)), 0)]}, plan, {photo: Known()}).encode(
        "utf-8"
    )


def test_maps_and_networks(place: Path) -> None:
    pytest.importorskip("OpenEXR")
    from biofacenet.analysis.formats import write_formats
    from biofacenet.network import pretrained

    maps = generate([0], seed=1, size=16, skin="published").known()
    maps.save(place / "maps.npz")
    assert Decomposition.load(place / "maps.npz").melanin.shape == (1, 1, 16, 16)
    write_formats(maps, place, ("png16", "exr"))
    assert (place / "maps.exr").read_bytes()[:4] == b"\x76\x2f\x31\x01"
    pretrained.write(place, {"a": maps.melanin}, size="small", skin="published")
    stored = Stored(
        place / pretrained.WEIGHTS_FILE, "small", "published", shaped=True, compared=False
    )
    assert stored.weights()["a"].shape == (1, 1, 16, 16)


@pytest.mark.parametrize("name", [os.fsdecode(b"\xe9.mp4"), "10:30.mp4", "%03d.mp4", "{0}.mp4"])
def test_videos(place: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a colon is no address of the network, one with a number no pattern."""
    pytest.importorskip("av")
    monkeypatch.chdir(place)
    writer = Writer(Path(name), 10.0)
    for number in range(3):
        writer.add(np.full((32, 32, 3), 80 * number, np.uint8), number / 10)
    writer.close()
    assert [path.name for path in place.iterdir()] == [name]
    with frames(Path(name)) as (_, stream):
        assert len(list(stream)) == 3
