"""Where uploads lie: few, for a while, and the only files that a request may name."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import PhotoError

__all__ = ["Inbox"]

MOST_FILES = 16
"""Uploads that are kept; each new one takes the place of the oldest."""

SECONDS = 600.0
"""How long an upload is kept. What was read of it is held in memory."""

LONGEST_NAME = 100
"""Characters of a file's name that are kept, from its end."""

GONE = "this file is no longer held; choose it again"


class Inbox:
    """Uploaded files, each in a folder of its own that nobody can guess.

    Args:
        folder: this user's alone; it is made when missing.
        most_files: how many are kept.
        seconds: how long each is kept.
    """

    def __init__(
        self, folder: Path, most_files: int = MOST_FILES, seconds: float = SECONDS
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder.resolve()
        self._most, self._seconds = most_files, seconds
        self._lock = threading.Lock()
        self._arrived: dict[Path, float] = {}
        """When each folder of a file was made, the oldest first."""

    def keep(self, name: str, stream: BinaryIO) -> Path:
        """Write an upload; where it lies. The oldest go where there are too many.

        Args:
            name: as the sender has it, of which only what names a file is kept.
            stream: its bytes, no more than are wanted.
        """
        with self._lock:
            self._sweep(self._most - 1)
            place = self.folder / secrets.token_hex(16)
            place.mkdir(mode=0o700)
            self._arrived[place] = time.monotonic()
        path = place / plain_name(name)
        try:
            with path.open("xb") as file:
                shutil.copyfileobj(stream, file)
        except BaseException:
            with self._lock:
                self._remove(place)
            raise
        return path

    def holds(self, path: object) -> bool:
        """Whether something is the path of an upload that lies here; of other files nothing is told."""
        if not isinstance(path, str | os.PathLike):
            return False
        # By the text first, so that nothing outside is as much as looked for.
        text = os.fspath(path)
        if not os.path.normpath(text).startswith(f"{self.folder}{os.sep}"):
            return False
        with suppress(OSError, ValueError, RuntimeError):
            found = Path(text).resolve(strict=True)
            return found.is_file() and found.is_relative_to(self.folder)
        return False

    def taken(self, path: object) -> Path:
        """The path of an upload.

        Raises:
            PhotoError: nothing of that name was uploaded, or it was kept for long enough.
        """
        if not self.holds(path):
            raise PhotoError(GONE)
        return Path(str(path))

    def sweep(self) -> None:
        """Remove what was kept for long enough."""
        with self._lock:
            self._sweep(self._most)

    def _sweep(self, most: int) -> None:
        late = time.monotonic() - self._seconds
        for number, (place, arrived) in enumerate(reversed(list(self._arrived.items()))):
            if number >= most or arrived < late:
                self._remove(place)

    def _remove(self, place: Path) -> None:
        self._arrived.pop(place, None)
        shutil.rmtree(place, ignore_errors=True)


def plain_name(name: str) -> str:
    """A name that is one file's anywhere, and says no more than the sender's: no folders, no signs.

    Example:
        >>> plain_name("../../etc/my photo.JPG")
        'my photo.JPG'
        >>> plain_name("..")
        'file'
    """
    last = re.split(r"[\\/]", name)[-1]
    clean = re.sub(r"[^\w .,()+-]", "_", last)[-LONGEST_NAME:].lstrip(" .-").rstrip(" .")
    return clean or "file"
