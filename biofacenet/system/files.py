"""Writing files whole or not at all."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "remove_leftovers",
    "sha256",
    "whole_directory",
    "whole_file",
    "write_csv",
    "write_json",
]

LEFTOVER = re.compile(r"\.partial-[a-z0-9_]{8}(\.\w+)?")
"""Names of temporary files and directories, as `tempfile` makes them."""


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A temporary path that becomes ``path`` when the block ends well, and vanishes when it fails.

    The temporary file lies beside the final one and has the same ending, so that libraries that
    choose a format by the name keep working.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".partial-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_directory(path: str | Path) -> Iterator[Path]:
    """A temporary directory that becomes ``path`` when the block ends well; replaces an older one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            if not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "not a directory", str(path))
            retired = temporary.with_name(temporary.name + "-old")
            path.rename(retired)
            try:
                temporary.rename(path)
            except BaseException:
                retired.rename(path)
                raise
            shutil.rmtree(retired, ignore_errors=True)
        else:
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: str | Path, *, below: bool = False) -> None:
    """Remove the temporary files and directories of killed processes from a folder.

    Only one that no other process writes to: see `locks.folder_lock`.

    Args:
        folder: need not be there.
        below: look into the folders in it too.
    """
    folder = Path(folder)
    for path in list((folder.rglob if below else folder.glob)(".partial-*")):
        if LEFTOVER.fullmatch(path.name):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """Digest of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def write_csv(path: str | Path, rows: Iterable[Sequence[object]]) -> None:
    """Write a table, whole or not at all, lines ending as on Unix."""
    with (
        whole_file(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        csv.writer(stream, lineterminator="\n").writerows(rows)


def write_json(path: str | Path, values: object) -> None:
    """Write readable JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", "utf-8")
