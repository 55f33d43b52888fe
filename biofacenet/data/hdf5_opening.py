"""Opening HDF5 files, and what is wrong with those that do not open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from ..errors import DataError
from ..system.files import is_file
from ..system.hdf5_heaps import endless_heap
from .layout import DATASET, LAYOUT

__all__ = [
    "damage_told",
    "dataset_of",
    "one_line",
    "open_file",
]

SIGNATURE = b"\x89HDF\r\n\x1a\n"

NEWEST_SUPERBLOCK = 3
"""Versions of the first bytes of a file that HDF5 knows, since its release 1.10."""

OTHER_FORMATS = {
    b"PK\x03\x04": "a ZIP archive: unpack it",
    b"\x1f\x8b": "a gzip archive: unpack it",
    b"BZh": "a bzip2 archive: unpack it",
    b"\xfd7zXZ": "an xz archive: unpack it",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive: unpack it",
    b"7z\xbc\xaf": "a 7-Zip archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"\x93NUMPY": "a NumPy array: write it with h5py",
    b"MATLAB 5.0": "a MATLAB file of an older version: save it with '-v7.3' or write it with h5py",
    b"CDF": "a NetCDF 3 file: convert it with nccopy -k nc4, or write it with h5py",
    b"\x0e\x03\x13\x01": "an HDF4 file: convert it with h4toh5",
}


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """HDF5 meets damaged bytes with errors of many kinds."""
    try:
        yield
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(
            f"{path}: does not fit into memory ({one_line(error)}); give a smaller --batch-size, or, "
            "where the file is damaged, make it again"
        ) from error
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, OverflowError) as error:
        raise DataError(
            f"{path}: cannot be read ({one_line(error)}); the file is damaged: download or make it again"
        ) from error


def open_file(path: Path) -> h5py.File:
    """The opened file.

    Raises:
        DataError: it is not there, locked, or no whole HDF5 file; the message says which.
    """
    if not path.is_file():
        if path.is_symlink():
            raise DataError(
                f"{path}: no such file: a link to {path.readlink()}, which is not there; copy the file "
                "itself"
            )
        raise DataError(f"{path}: no such file; expected an HDF5 file of the layout {LAYOUT}")
    try:
        opened = h5py.File(path, "r")
        if endless_heap(path):
            opened.close()
            raise DataError(
                f"{path}: a text in it has no size; the file is damaged: download or make it again"
            )
        return opened
    except PermissionError as error:
        raise DataError(f"{path}: permission denied; make the file readable") from error
    except OSError as error:
        raise DataError(f"{path}: {_why_closed(path, error)}") from error


def _why_closed(path: Path, error: OSError) -> str:
    """Why a file does not open, and what to do."""
    said = one_line(error)
    if "unable to lock" in said or isinstance(error, BlockingIOError):
        return (
            f"locked, so another program writes to it, or its file system knows no locks ({said}); close "
            "that program, or set HDF5_USE_FILE_LOCKING=FALSE where nothing writes"
        )
    if "already open for write" in said:
        return (
            "marked as open for writing, by a program that is at it or one that was killed; close it, or "
            f"clear the mark with h5clear -s {path.name}"
        )
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(2**12)
            place = _signature(stream, size)
            stream.seek(place + len(SIGNATURE))
            version = stream.read(1)
    except OSError as problem:
        return f"cannot be read ({one_line(problem)}); copy or download it again"
    if place < 0:
        return _other_format(head, size)
    cut = re.search(r"eof = (\d+).*stored_eof = (\d+)", said)
    if cut:
        return f"truncated: holds {cut[1]} of {cut[2]} bytes; download, copy or make it again"
    if version and version[0] > NEWEST_SUPERBLOCK:
        return (
            f"HDF5 of format version {version[0]}, where HDF5 {h5py.version.hdf5_version} knows up to "
            f"{NEWEST_SUPERBLOCK}: damaged, or newer than h5py here; make it again or update h5py"
        )
    return f"cannot be opened as HDF5, so it is truncated or damaged ({said}); download or make it again"


def _signature(stream: object, size: int) -> int:
    """Where HDF5 begins in a file: at 0, or behind a user block; -1 where nowhere."""
    assert hasattr(stream, "seek")
    assert hasattr(stream, "read")
    place = 0
    while place < size:
        stream.seek(place)
        if stream.read(len(SIGNATURE)) == SIGNATURE:
            return place
        place = max(512, 2 * place)
    return -1


def _other_format(head: bytes, size: int) -> str:
    """What a file without HDF5's signature is."""
    if not head:
        return "empty, no HDF5; download or make it again"
    if head.startswith(b"version https://git-lfs"):
        return "no HDF5 but a pointer of Git LFS to it; fetch the file with git lfs pull"
    if b"/annex/objects/" in head[:512]:
        return "no HDF5 but a pointer of git-annex to it; fetch the file with git annex get"
    words = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if words.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return (
            "no HDF5 but a web page saved under its name, such as a form to sign in or to confirm; "
            "download the file itself"
        )
    for start, kind in OTHER_FORMATS.items():
        if head.startswith(start):
            return f"no HDF5 but {kind}"
    if not head.strip(b"\0"):
        return f"no HDF5: begins with zeros, as unfinished downloads of {size} bytes do; download it again"
    return f"no HDF5: begins with {head[:16]!r}; download or make it again"


def dataset_of(file: h5py.File, path: Path, name: str = DATASET) -> h5py.Dataset:
    """A data set of a file.

    Raises:
        DataError: there is none of that name, or the link to it is broken.
    """
    dataset = file.get(name)
    if isinstance(dataset, h5py.Dataset):
        return dataset
    link = file.get(name, getlink=True)
    if dataset is None and isinstance(link, h5py.SoftLink):
        raise DataError(
            f"{path}: {name} is a link to {link.path!r}, which is not in the file; make it again"
        )
    if dataset is None and isinstance(link, h5py.ExternalLink):
        raise DataError(
            f"{path}: {name} is a link to {link.path!r} of {link.filename}, which "
            f"{_why_unlinked(path, link)}"
        )
    there = ", ".join(file) or "nothing"
    raise DataError(
        f"{path}: no data set {name!r} inside, only {there}; take files of this set, or make it again"
    )


def _why_unlinked(path: Path, link: h5py.ExternalLink) -> str:
    """What is wrong with the file that an external link names."""
    target = path.parent / link.filename
    if not is_file(target):
        return "is not there; put that file beside this one, or make it again"
    try:
        with open_file(target) as file:
            there = ", ".join(file) or "nothing"
    except DataError as error:
        return f"does not open: {error}"
    return f"holds only {there}; make it again"
