"""Folders that are written to keep what else is in them, and are whole or as they were."""

import csv
import os
import stat
from pathlib import Path

import pytest
import torch

from biofacenet import BioFaceNet
from biofacenet.errors import BioFaceNetError
from biofacenet.preparation.parts import remove_parts
from biofacenet.system.files import whole_directory, write_csv
from biofacenet.training import checkpoints


def write(path: Path, **files: str) -> None:
    with whole_directory(path) as folder:
        for name, text in files.items():
            (folder / name).write_text(text)


def content(folder: Path) -> dict[str, str]:
    """Of all files below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text("utf-8", "replace") for path in files}


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with other people's files in it."""
    (tmp_path / "shelf" / "thesis").mkdir(parents=True)
    (tmp_path / "shelf" / "thesis" / "chapter.txt").write_text("years of work")
    (tmp_path / "shelf" / ".git").mkdir()
    (tmp_path / "shelf" / "a").write_text("old")
    return tmp_path / "shelf"


OTHERS = {"thesis/chapter.txt": "years of work"}


def test_other_files_stay(shelf: Path) -> None:
    write(shelf, a="new", b="new")
    assert content(shelf) == {**OTHERS, "a": "new", "b": "new"}
    assert (shelf / ".git").is_dir()
    assert [item.name for item in shelf.parent.iterdir()] == ["shelf"]


def test_a_network_and_a_checkpoint_go_into_folders_with_other_files(shelf: Path) -> None:
    network = BioFaceNet("small")
    network.save_pretrained(shelf)
    assert content(shelf).keys() == {*OTHERS, "a", "config.json", "model.safetensors"}
    assert BioFaceNet.from_pretrained(shelf).size == "small"
    checkpoints.save(shelf, network.write)
    assert (shelf / "thesis" / "chapter.txt").is_file()
    path = checkpoints.write(shelf, 3, network, {"step": 3})
    (path / "notes.txt").write_text("mine")
    assert checkpoints.write(shelf, 3, network, {"step": 4}) == path
    assert checkpoints.damage(path) == ""
    assert (path / "notes.txt").read_text() == "mine"
    assert torch.load(path / checkpoints.STATE_FILE, weights_only=True) == {"step": 4}


def test_the_working_directory(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shelf)
    for name in (".", "", "thesis/.."):
        write(Path(name), a=f"into {name}")
        assert content(shelf) == {**OTHERS, "a": f"into {name}"}
    assert Path.cwd() == shelf
    assert Path("a").is_file()  # it is not another folder of that name


@pytest.mark.parametrize("there", [True, False])
def test_a_link_to_a_folder_stays_one(shelf: Path, there: bool) -> None:
    link, target = shelf.parent / "link", shelf if there else shelf.parent / "to" / "come"
    link.symlink_to(target)
    write(link, a="new")
    assert link.is_symlink()
    assert content(target) == {**(OTHERS if there else {}), "a": "new"}


def test_a_link_in_the_folder_is_replaced_and_its_target_is_not(shelf: Path) -> None:
    """As in the cache of the hub, where folders of one model share their files."""
    (shelf / "b").symlink_to("thesis/chapter.txt")
    write(shelf, b="new")
    assert content(shelf) == {**OTHERS, "a": "old", "b": "new"}


@pytest.mark.parametrize("links", [True, False])
def test_all_files_take_their_places_or_none(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Also where the file system knows no links."""
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target.name == "c" and self.name == "c":
            raise OSError(5, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    if not links:
        monkeypatch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(1, "no")))
    before = content(shelf)
    with pytest.raises(OSError, match="Input/output"):
        write(shelf, a="new", b="new", c="new")
    assert content(shelf) == before


def test_a_folder_of_the_name_of_a_file_is_kept(shelf: Path) -> None:
    before = content(shelf)
    with pytest.raises(OSError, match="thesis"):
        write(shelf, a="new", thesis="new")
    assert content(shelf) == before


def test_nothing_is_left_of_a_folder_that_did_not_come(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_directory(tmp_path / "new") as folder:
        (folder / "a").write_text("half")
        raise KeyboardInterrupt
    assert not any(tmp_path.iterdir())


def test_results_are_as_private_as_other_new_files(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write(tmp_path / "mine", a="x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o700


def test_a_file_in_the_way_of_a_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / "best").write_text("mine")
    with pytest.raises(BioFaceNetError, match="best"):
        checkpoints.save(tmp_path / "best", lambda folder: None)
    assert (tmp_path / "best").read_text() == "mine"


def test_prepare_removes_its_own_parts_alone(tmp_path: Path) -> None:
    """An album may have a folder of that name."""
    own = tmp_path / "parts" / "1-size-96-mean-from-96" / "0a" / "0a12.npz"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"x")
    (tmp_path / "parts" / "wheel.jpg").write_bytes(b"x")
    (tmp_path / "parts" / "size").mkdir()
    remove_parts(tmp_path / "parts")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["parts", "size", "wheel.jpg"]
    (tmp_path / "parts" / "wheel.jpg").unlink()
    (tmp_path / "parts" / "size").rmdir()
    remove_parts(tmp_path / "parts")
    assert not any(tmp_path.iterdir())
    remove_parts(tmp_path / "parts")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Path("=1+1.png"), "./=1+1.png"),
        (Path("-x.png"), "./-x.png"),
        (Path("@SUM(A1).png"), "./@SUM(A1).png"),
        (Path("a/=1.png"), "a/=1.png"),
        ("=HYPERLINK(0)", "'=HYPERLINK(0)"),
        (" =1", "' =1"),
        ("\t=1", "'\\t=1"),
        ("＝1+1", "'＝1+1"),
        ("+49 30 1", "'+49 30 1"),
        ("-0.5", "-0.5"),
        ("-inf", "-inf"),
        ("+1e-3", "+1e-3"),
        (-0.5, "-0.5"),
        ("–", "–"),
        ("caf\udce9\nb", "caf\\xe9\\nb"),
        (None, ""),
    ],
)
def test_cells_of_tables_are_no_formulas(tmp_path: Path, value: object, expected: str) -> None:
    """And a name is still that of the same file."""
    write_csv(tmp_path / "a.csv", [["name"], [value, 1]])
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [["name"], [expected, "1"]]
    if isinstance(value, Path):
        assert Path(expected) == value
