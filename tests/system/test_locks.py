"""A folder is one process's at a time, and free as soon as that has ended, however it ended."""

import errno
import fcntl
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from biofacenet.errors import BioFaceNetError
from biofacenet.system import locks
from biofacenet.system.files import remove_leftovers, whole_directory, whole_file
from biofacenet.system.locks import LOCK_FILE, folder_lock


def hold(folder: Path, end: Connection, fork: bool) -> None:
    """Hold a folder until somebody says so, perhaps with a child that lives longer."""
    with folder_lock(folder, "makes faces"):
        child = os.fork() if fork else -1
        if child == 0:
            time.sleep(60)
            os._exit(0)
        end.send(child)
        end.recv()


@pytest.mark.parametrize("fork", [False, True])
def test_the_lock_is_of_the_process(tmp_path: Path, fork: bool) -> None:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=hold, args=(tmp_path, there, fork))
    process.start()
    child = here.recv()
    try:
        expected = rf"{tmp_path}: process {process.pid} makes faces there; wait"
        with pytest.raises(BioFaceNetError, match=expected), folder_lock(tmp_path, "trains"):
            pass
        with folder_lock(tmp_path / "other", "trains"):  # is another folder
            pass
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert (tmp_path / LOCK_FILE).exists()
        with folder_lock(tmp_path, "trains") as held:
            assert held
        assert not (tmp_path / LOCK_FILE).exists()
    finally:
        if child > 0:
            os.kill(child, signal.SIGKILL)


def test_one_process_does_not_get_it_twice(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "new", "trains"):
        assert (tmp_path / "new" / LOCK_FILE).read_text() == f"process {os.getpid()} trains\n"
        with (
            pytest.raises(BioFaceNetError, match="trains there"),
            folder_lock(tmp_path / "new", "x"),
        ):
            pass
    assert not list((tmp_path / "new").iterdir())


def test_what_the_lock_file_says_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / LOCK_FILE
    path.write_bytes(b"\xff\n\x1b[31mgo away" * 100)
    with path.open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with (
            pytest.raises(BioFaceNetError, match="another process works there") as told,
            folder_lock(tmp_path, "trains"),
        ):
            pass
    assert "\n" not in str(told.value)


def test_many_at_once_never_hold_it_together(tmp_path: Path) -> None:
    """Whoever opens the file just before it is removed must not think that it counts."""
    inside, most, got = 0, 0, 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, most, got
        for _ in range(100):
            try:
                with folder_lock(tmp_path, "trains"):
                    with guard:
                        inside, got = inside + 1, got + 1
                        most = max(most, inside)
                    time.sleep(0)
                    with guard:
                        inside -= 1
            except BioFaceNetError:
                pass

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert got >= 6


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_systems_without_locks(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    with folder_lock(tmp_path, "trains") as held:
        assert not held


def test_leftovers_go_and_nothing_else(tmp_path: Path) -> None:
    kept = [".partial-notes", ".partial-mine.txt", "file.hdf5", ".partial-abcdefgh-old/weights"]
    gone = [".partial-a1b2c3_d.hdf5", ".partial-abcdefgh", "below/.partial-abcdefgh.npz"]
    for name in kept + gone:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    with whole_file(tmp_path / "a.csv") as file, whole_directory(tmp_path / "b") as folder:
        (folder / "inner").write_text("x")
        remove_leftovers(tmp_path)
        assert not file.exists()
        assert not folder.exists()
        file.write_text("x")
        folder.mkdir()
    assert not any((tmp_path / name).exists() for name in gone[:2])
    assert (tmp_path / gone[2]).exists()
    remove_leftovers(tmp_path, below=True)
    assert not (tmp_path / gone[2]).exists()
    assert all((tmp_path / name).exists() for name in kept)
    remove_leftovers(tmp_path / "nowhere")
