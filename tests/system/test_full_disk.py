"""A full disk: the path is named, nothing half written stays, and what was there before is as it was."""

import errno
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from biofacenet.analysis.folder import write
from biofacenet.cli import run
from biofacenet.plotting.encoding import write_image
from biofacenet.system import files
from biofacenet.system.files import whole_directory, whole_file, write_csv, write_json

MANY = 2**18
"""Bytes of what does not fit."""


@contextmanager
def no_room(most: int = 2**14) -> Iterator[None]:
    """Files cannot become larger, which libraries meet as they do a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def noise(*shape: int) -> np.ndarray:
    found: np.ndarray = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    return found


def hdf5(path: Path) -> None:
    with whole_file(path) as temporary, h5py.File(temporary, "w") as file:
        file["a"] = noise(MANY)


def by_torch(path: Path) -> None:
    with whole_file(path) as temporary:
        torch.save({"a": torch.from_numpy(noise(MANY))}, temporary)


def by_safetensors(path: Path) -> None:
    with whole_file(path) as temporary:
        save_file({"a": torch.from_numpy(noise(MANY))}, temporary)


def zipped(path: Path) -> None:
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, a=noise(MANY))


WRITERS: dict[str, Callable[[Path], None]] = {
    "a.csv": lambda path: write_csv(path, [[number] for number in range(MANY)]),
    "a.json": lambda path: write_json(path, list(range(MANY))),
    "a.png": lambda path: write_image(noise(300, 300, 3), path),
    "a.hdf5": hdf5,
    "a.pt": by_torch,
    "a.safetensors": by_safetensors,
    "a.npz": zipped,
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("inside", [False, True])
def test_the_path_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, inside: bool
) -> None:
    """Of a file by itself, and of one in a folder that is to appear whole."""
    path = tmp_path / "results" / name
    if not inside:
        path.parent.mkdir()
        path.write_text("earlier")

    def main() -> None:
        with no_room():
            if inside:
                with whole_directory(path.parent) as folder:
                    (folder / "first").write_text("x")
                    WRITERS[name](folder / name)
            else:
                WRITERS[name](path)

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 2
    said = capfd.readouterr().err
    assert said.startswith(f"error: {path}: ")
    assert said.endswith("; check the path, its permissions and the free space\n")
    assert said.count("\n") == 1
    assert ("File too large" in said) == (name != "a.pt")  # torch does not say why
    if inside:
        assert not any(tmp_path.iterdir())
    else:
        assert path.read_text() == "earlier"
        assert [item.name for item in path.parent.iterdir()] == [name]


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    for error in (RuntimeError("a bug"), FileNotFoundError(2, "No such file", "/elsewhere")):
        with pytest.raises(type(error)) as caught, whole_file(tmp_path / "a"):
            raise error
        assert caught.value is error
    with pytest.raises(OSError, match="No space left") as full, whole_file(tmp_path / "a"):
        raise OSError("HDF5: errno = 28, error message = 'No space left on device'")
    assert (full.value.errno, full.value.filename) == (errno.ENOSPC, str(tmp_path / "a"))


def test_results_of_a_photo_appear_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stops the writing: the last file that is written fails here."""
    folder = tmp_path / "out" / "me"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")

    def written(result: object, place: Path, **_: object) -> None:
        for name in ("figure.png", "maps.npz"):
            write_json(place / name, name)
        with no_room(100):
            write_json(place / "summary.json", list(range(1000)))

    monkeypatch.setattr("biofacenet.analysis.folder._write", written)
    with pytest.raises(OSError, match="too large") as caught:
        write(None, folder, method="")  # type: ignore[arg-type]
    assert caught.value.filename == str(folder / "summary.json")
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    with pytest.raises(OSError, match="too large"):
        write(None, folder.with_name("you"), method="")  # type: ignore[arg-type]
    assert [path.name for path in folder.parent.iterdir()] == ["me"]


def test_leftovers_of_killed_processes_are_removed(tmp_path: Path) -> None:
    """Also those of folders that were being put in place."""
    for name in (".partial-01234567", ".partial-0123456_.png"):
        (tmp_path / name).mkdir()
    (tmp_path / ".partial-mine").write_text("no temporary name")
    files.remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".partial-mine"]
