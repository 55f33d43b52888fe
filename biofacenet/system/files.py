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
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import BioFaceNetError
from .names import shown

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "check_file",
    "check_folder",
    "is_file",
    "remove_abandoned",
    "remove_leftovers",
    "sha256",
    "whole_directory",
    "whole_file",
    "write_csv",
    "write_json",
]

LEFTOVER = re.compile(r"\.partial-[a-z0-9_]{8}(\.\w+)?")
"""Names of temporary files and directories, as `tempfile` makes them."""


JUST_MADE = 60.0
"""Seconds for which a temporary folder may be without its lock."""

FULL = {number: os.strerror(number).lower() for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)}
"""What libraries say in errors of their own where nothing more can be written."""

UNWRITTEN = ("unexpected pos", "failed writing", "iostream error")
"""What torch says then, which does not know why."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How text begins that spreadsheets compute: also after blanks, and in full-width characters."""


def is_file(path: Path) -> bool:
    """Whether a file is there, also of a name that was read from a file and that none can have."""
    try:
        return path.is_file()
    except OSError:  # the name is too long, for example
        return False


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
        with _told_of(path, temporary):
            yield temporary
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_directory(path: str | Path) -> Iterator[Path]:
    """A temporary directory whose files are in the folder ``path`` when the block ends well.

    A new folder appears in one step. In one that is there, files of the same names are replaced, all of
    them or, where that fails, none; whatever else it holds stays as it is. It may be a link to a folder,
    the working directory or a mount point.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "not a directory", str(path))
    there = path.exists()
    if not there:
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=path if there else path.parent))
    try:
        with _in_use(temporary), _told_of(path, temporary):
            yield temporary
        if path.is_dir():
            _put_into(path, temporary)
        else:
            temporary.chmod(0o777 & ~_umask())
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _in_use(folder: Path) -> Iterator[bool]:
    """Hold a lock on a folder, which ends with the process; whether it was to be had."""
    if fcntl is None:
        yield False
        return
    held, handle = False, os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # another process holds it, or the file system knows none
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = True
        yield held
    finally:
        os.close(handle)


def remove_abandoned(folder: str | Path) -> None:
    """Remove what killed processes left of folders that they were writing; what lives is left alone.

    Args:
        folder: that may hold `whole_directory`'s temporary ones; need not be there.
    """
    for path in Path(folder).glob(".partial-*"):
        if not LEFTOVER.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
            continue
        with suppress(OSError):  # gone meanwhile
            if time.time() - path.stat().st_mtime > JUST_MADE:
                with _in_use(path) as abandoned:
                    if abandoned:
                        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _told_of(path: Path, temporary: Path) -> Iterator[None]:
    """Errors of writing name the path that people know, whichever library they come from."""
    try:
        yield
    except Exception as error:
        name = str(getattr(error, "filename", None) or "")
        if isinstance(error, OSError) and error.errno is not None:
            if not name or name.startswith(str(temporary)):
                error.filename = f"{path}{name.removeprefix(str(temporary))}"
            raise
        words = " ".join(str(error).lower().split())
        for number, said in FULL.items():
            if said in words:
                raise OSError(number, os.strerror(number), str(path)) from error
        if isinstance(error, OSError) or any(said in words for said in UNWRITTEN):
            raise OSError(errno.EIO, f"cannot be written ({words})", str(path)) from error
        raise


def _put_into(folder: Path, temporary: Path) -> None:
    """Move files to their names in a folder that is there; on failure it is as it was."""
    files = [path for path in sorted(temporary.rglob("*")) if not path.is_dir()]
    targets = {path: folder / path.relative_to(temporary) for path in files}
    for target in targets.values():
        if target.is_dir() and not target.is_symlink():
            raise IsADirectoryError(errno.EISDIR, "a folder has the name of a file", str(target))
        target.parent.mkdir(parents=True, exist_ok=True)
    earlier = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    done: list[tuple[Path, Path | None]] = []
    try:
        for number, (path, target) in enumerate(targets.items()):
            before = None
            if os.path.lexists(target):
                before = earlier / str(number)
                _keep(target, before)
            done.append((target, before))
            path.replace(target)
    except BaseException:
        for target, before in reversed(done):
            if before is None:
                target.unlink(missing_ok=True)
            else:
                before.replace(target)
        raise
    finally:
        shutil.rmtree(earlier, ignore_errors=True)


def _keep(path: Path, copy: Path) -> None:
    """A second name for a file; its only one where the file system knows no links."""
    try:
        os.link(path, copy, follow_symlinks=False)
    except (OSError, NotImplementedError):
        path.rename(copy)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def check_folder(path: str | Path) -> None:
    """Raise BioFaceNetError where no files can be written to a folder, which need not be there yet."""
    path = Path(os.path.realpath(path))
    place = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if not place.is_dir():
        raise BioFaceNetError(
            f"{place}: a file, where results need a folder; move it away, or name another --out"
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise BioFaceNetError(
            f"{place}: this folder cannot be written to; change its permissions, or name another --out"
        )


def check_file(path: str | Path) -> None:
    """Raise BioFaceNetError where no file can be written to a path; its folder need not be there."""
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise BioFaceNetError(f"{path}: a folder; name a file in it with --out")
    check_folder(path.parent)


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


def cell(value: object) -> object:
    """A value for a table: a name or a text that a spreadsheet would take for a formula is none there.

    Names stay names of the same file: ``./=1+1.png``. Text gets an apostrophe, which spreadsheets hide.
    """
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    if text.lstrip(" ").startswith(FORMULA):
        try:
            float(text)  # -0.5 is a number
        except ValueError:
            text = f"./{text}" if isinstance(value, Path) else f"'{text}"
    return shown(text)


def write_csv(path: str | Path, rows: Iterable[Sequence[object]]) -> None:
    """Write a table of `cell`s, whole or not at all, lines ending as on Unix."""
    with (
        whole_file(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        csv.writer(stream, lineterminator="\n").writerows(map(cell, row) for row in rows)


def write_json(path: str | Path, values: object) -> None:
    """Write readable JSON, whole or not at all."""
    with whole_file(path) as temporary:
        text = json.dumps(values, indent=2, ensure_ascii=False)
        # Bytes of names that are no UTF-8 go through JSON as escapes, and come back the same.
        text = re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)
        temporary.write_text(text + "\n", "utf-8")
