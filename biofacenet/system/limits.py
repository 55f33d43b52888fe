"""How large what is read may be, so that no file takes all memory; each limit has a name to raise it by."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

from ..errors import BioFaceNetError

__all__ = [
    "GIGABYTES",
    "MEGAPIXELS",
    "TooLargeError",
    "check_size",
    "check_zip",
    "most_bytes",
    "most_pixels",
    "read_json",
]

GIGABYTES = "BIOFACENET_MAX_GIGABYTES"
"""Variable of the environment: most that is made of a data file, or of a sample of one."""

MEGAPIXELS = "BIOFACENET_MAX_MEGAPIXELS"
"""The same of a photo."""

USUAL = {GIGABYTES: 2.0, MEGAPIXELS: 100.0}

LARGEST_JSON = 2**24
"""Bytes of a file of settings or of a network's description, which have some thousands."""


class TooLargeError(BioFaceNetError):
    """More would be made of a file than the limit allows."""


def _limit(name: str) -> float:
    text = os.environ.get(name, "").strip()
    try:
        limit = float(text or USUAL[name])
    except ValueError:
        limit = 0.0
    if not 0.0 < limit < 1e6:
        raise BioFaceNetError(f"{name}={text}: expected a number above 0, such as {USUAL[name]:g}")
    return limit


def most_pixels() -> int:
    """The largest photo that is read."""
    return round(1e6 * _limit(MEGAPIXELS))


def most_bytes() -> int:
    """The most that is made of a file."""
    return round(1e9 * _limit(GIGABYTES))


def check_size(size: int, what: str) -> None:
    """Raise TooLargeError where a thing, named in words, takes more bytes than the limit."""
    if size > most_bytes():
        raise TooLargeError(
            f"{what} would take {size / 1e9:.3g} GB; expected at most {most_bytes() / 1e9:g} GB "
            f"({GIGABYTES} raises it)"
        )


# Files ---------------------------------------------------------------------------------------


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, too long or too deeply nested.
    """
    if path.stat().st_size > LARGEST_JSON:
        raise ValueError(f"{path.stat().st_size} bytes; expected at most {LARGEST_JSON}")
    try:
        return json.loads(path.read_text("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def check_zip(path: Path) -> None:
    """Raise TooLargeError where a ZIP archive, such as an NPZ file, unpacks to more than the limit.

    Raises:
        OSError, zipfile.BadZipFile: it is no readable archive.
    """
    with zipfile.ZipFile(path) as archive:
        check_size(sum(part.file_size for part in archive.infolist()), "unpacked, it")
