"""What is done of long work, line by line, so that a run that was killed anywhere goes on.

A file of lines, each with its checksum: the first is the heading, what the run is; each other one a
piece of work that is done, by its key. Lines are appended whole; what a killed process left of one, and
whatever was damaged since, counts as not done.
"""

from __future__ import annotations

import errno
import json
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import DataError
from .files import whole_file

__all__ = ["Journal"]

LONGEST = 2**27
"""Bytes of a line; a heading names each photo of a list."""

SAFE = 5.0
"""Seconds of work that a machine without power may lose."""


BINARY = getattr(os, "O_BINARY", 0)
"""Of Windows, which else changes line ends."""


class Journal:
    """The pieces of a run that are done, on disk; in memory only where each stands.

    Not for several processes at a time: see `locks.folder_lock`.
    """

    def __init__(self, path: str | Path, heading: Any) -> None:
        """Begin a journal, in place of what is there under its name.

        Args:
            path: of the file; its folder is made when missing.
            heading: what the run is, as JSON has it.
        """
        self.path = Path(path)
        self.heading = heading
        self.damaged = 0
        """Lines that were not whole."""
        self._places: dict[int, int] = {}
        self._safe = time.monotonic()
        with whole_file(self.path) as temporary:
            temporary.write_bytes(_line(heading))
        self._open(writing=True)

    @classmethod
    def opened(cls, path: str | Path, *, writing: bool = True) -> Journal:
        """A journal that is there.

        Args:
            path: of the file.
            writing: whether it goes on; else it is left as it is.

        Raises:
            DataError: the file is no journal, or has lost its heading.
            OSError: it cannot be read, or written to.
        """
        self = cls.__new__(cls)
        self.path, self.damaged, self._places = Path(path), 0, {}
        self._safe = time.monotonic()
        self._open(writing=writing)
        try:
            heading = _parsed(self._stream.readline(LONGEST))
            if heading is None:
                raise DataError(
                    f"{self.path}: damaged, its first line does not say which run it is of; remove it to "
                    "begin again, or name another --out"
                )
            (self.heading,) = heading
            for place, line in self._lines():
                entry = _parsed(line)
                if entry is not None and _is_entry(entry[0]):
                    self._places[entry[0][0]] = place
                else:
                    self.damaged += 1
            self._end_whole()
        except BaseException:
            self.close()
            raise
        return self

    def _open(self, *, writing: bool) -> None:
        self._stream: BinaryIO = self.path.open("rb")
        self._end = os.open(self.path, os.O_WRONLY | os.O_APPEND | BINARY) if writing else None

    def __contains__(self, key: int) -> bool:
        return key in self._places

    def __len__(self) -> int:
        """How many pieces are done."""
        return len(self._places)

    def __getitem__(self, key: int) -> Any:
        """What came of a piece, read again from the file.

        Raises:
            KeyError: it is not done.
            DataError: the file was changed meanwhile.
        """
        self._stream.seek(self._places[key])
        entry = _parsed(self._stream.readline(LONGEST))
        if entry is None or not _is_entry(entry[0]) or entry[0][0] != key:
            raise DataError(f"{self.path}: changed while it was read; give the same command again")
        return entry[0][1]

    def add(self, key: int, value: Any) -> None:
        """Write down what came of a piece.

        Raises:
            OSError: it cannot be written; the journal ends with the pieces before it then.
        """
        place = self._append([key, value])
        self._places[key] = place

    def close(self) -> None:
        """Leave the file, with all of it on disk."""
        self._stream.close()
        if self._end is not None:
            os.fsync(self._end)
            os.close(self._end)
            self._end = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, value: Any) -> int:
        """Add a line, all of it or nothing; where it begins."""
        assert self._end is not None
        line, place = _line(value), os.fstat(self._end).st_size
        try:
            written = os.write(self._end, line)
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if time.monotonic() - self._safe > SAFE:
                os.fsync(self._end)
                self._safe = time.monotonic()
        except OSError as error:
            os.ftruncate(self._end, place)
            error.filename = str(self.path)
            raise
        return place

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Where the lines after the heading begin, and the lines."""
        place = self._stream.tell()
        while line := self._stream.readline(LONGEST):
            yield place, line
            place += len(line)

    def _end_whole(self) -> None:
        """Close a last line that a killed process left open: what comes next is a line of its own."""
        if self._end is not None:
            self._stream.seek(-1, os.SEEK_END)
            if self._stream.read(1) != b"\n":
                os.write(self._end, b"\n")


def _line(value: Any) -> bytes:
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _parsed(line: bytes) -> tuple[Any] | None:
    """What a line holds; None where it is not whole."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        return (json.loads(text),)
    except (ValueError, RecursionError):
        return None


def _is_entry(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and type(value[0]) is int
