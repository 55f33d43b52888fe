"""Where results cannot go is said before anything is computed, by every command that writes."""

import os
from importlib import import_module
from pathlib import Path

import pytest

from biofacenet.errors import BioFaceNetError
from biofacenet.photos.paths import EXAMPLE
from biofacenet.system.files import check_file, check_folder

PHOTO = str(EXAMPLE)

COMMANDS = {
    "predict": (PHOTO,),
    "fit": (PHOTO,),
    "edit": (PHOTO, "--melanin", "x2"),
    "evaluate": (),
    "skin_fit": (__file__,),
    "synthesize": (),
    "prepare": (PHOTO,),
    "train": (),
    "rebuild": ("cie",),
}


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """A file where results should go."""
    (tmp_path / "taken").write_text("mine")
    return tmp_path / "taken"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("below", ["", "maps/more"])
def test_a_file_in_the_way(
    taken: Path, monkeypatch: pytest.MonkeyPatch, command: str, below: str
) -> None:
    monkeypatch.chdir(taken.parent)
    main = import_module(f"biofacenet.{command}").main
    with pytest.raises(BioFaceNetError, match="taken: a file, where results need a folder"):
        main([*COMMANDS[command], "--out", str(taken / below)])
    assert [path.name for path in taken.parent.iterdir()] == ["taken"]


def test_export_needs_a_file(taken: Path) -> None:
    main = import_module("biofacenet.export").main
    with pytest.raises(BioFaceNetError, match="taken: a file, where results need a folder"):
        main(["small", "--out", str(taken / "face.onnx")])
    (taken.parent / "face.onnx").mkdir()
    with pytest.raises(BioFaceNetError, match=r"face\.onnx: a folder; name a file in it"):
        main(["small", "--out", str(taken.parent / "face.onnx")])


def test_folders_that_may_be_written_to(taken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether they are there, are to come, or are reached by a link; nothing is made."""
    link = taken.parent / "link"
    link.symlink_to(taken.parent / "to" / "come")
    for folder in (taken.parent, taken.parent / "a" / "b", link, Path(), taken / ".."):
        check_folder(folder)
    check_file(taken)
    check_file(taken.parent / "new" / "face.onnx")
    link.unlink()
    link.symlink_to(taken)
    with pytest.raises(BioFaceNetError, match="a file"):
        check_folder(link)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(BioFaceNetError, match="cannot be written to"):
        check_folder(taken.parent / "a" / "b")
