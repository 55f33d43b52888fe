"""Folders that one process at a time writes to."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import BioFaceNetError

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK_FILE", "folder_lock"]

LOCK_FILE = ".lock"
"""Of a folder, while a process works in it; one that was killed leaves it behind, unlocked."""

WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
"""What file systems say that know no locks."""

_held: set[int] = set()
"""Descriptors of the locks of this process."""


@contextmanager
def folder_lock(folder: str | Path, what: str) -> Iterator[bool]:
    """Keep other processes from the same work in a folder, which is made when missing.

    The lock ends with the process, however that ends, and forked children do not keep it.

    Args:
        folder: the one to be written to.
        what: what this process does there, as said to others: ``makes faces``, ``trains on HOST``.

    Yields:
        Whether the folder is held; not where the file system knows no locks.

    Raises:
        BioFaceNetError: another process, or this one, holds it.
        OSError: the folder cannot be written to.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if fcntl is None:  # pragma: no cover - not on Windows
        yield False
        return
    handle = _locked(folder, what)
    if handle is None:
        yield False
        return
    _held.add(handle)
    try:
        yield True
    finally:
        if handle in _held:  # not in a forked child
            # Removed while it is held: who opened it meanwhile sees that it is gone.
            (folder / LOCK_FILE).unlink(missing_ok=True)
            _held.discard(handle)
            os.close(handle)


def _locked(folder: Path, what: str) -> int | None:
    """The lock file, opened and locked; None where there are no locks."""
    path = folder / LOCK_FILE
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_open_at(path, handle):
                os.ftruncate(handle, 0)
                with suppress(OSError):  # a full disk: the lock holds all the same
                    os.write(handle, f"process {os.getpid()} {what}\n".encode())
                return handle
        except BlockingIOError as error:
            words = os.pread(handle, 200, 0).decode("utf-8", "replace").strip()
            os.close(handle)
            who = words if re.fullmatch(r"process \d+ [\w. -]+", words) else "another process works"
            raise BioFaceNetError(
                f"{folder}: {who} there; wait for it to end, or choose another folder"
            ) from error
        except OSError as error:
            os.close(handle)
            if error.errno in WITHOUT_LOCKS:
                return None
            raise
        os.close(handle)  # it was removed by the one that held it


def _is_open_at(path: Path, handle: int) -> bool:
    """Whether a path still names an open file."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _leave_to_parent() -> None:
    """A forked child would otherwise keep the lock of a parent that was killed."""
    for handle in _held:
        os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
