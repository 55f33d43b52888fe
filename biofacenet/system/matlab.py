"""MATLAB files of versions 4 to 7.3, read without trust: structs as dictionaries, text as str.

That of version 5 to 7 is read here, for SciPy's reader ends the process on some damaged files. Source:
MathWorks, MAT-File Format, Level 5.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import loadmat

from .hdf5_heaps import endless_heap
from .limits import check_size, most_bytes

__all__ = ["read_matlab"]

HEAD = 128

ORDERS = {b"IM": "<", b"MI": ">"}

MATRIX, PACKED = 14, 15

KINDS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
    16: "u1",
    17: "u2",
    18: "u4",
}
"""NumPy's names of the kinds that numbers are stored in; the last three are those of Unicode."""

CELL, STRUCT, OBJECT, CHARACTERS, SPARSE = 1, 2, 3, 4, 5

NUMBERS = {
    6: "f8",
    7: "f4",
    8: "i1",
    9: "u1",
    10: "i2",
    11: "u2",
    12: "i4",
    13: "u4",
    14: "i8",
    15: "u8",
}
"""Classes of arrays, and what their numbers are."""

COMPLEX = 0x800

DEEPEST, MOST_PARTS, MOST_DIMENSIONS = 32, 10**6, 8


def read_matlab(path: Path) -> dict[str, Any]:
    """Variables by name: arrays as MATLAB shapes them, structs as dictionaries, cells as lists.

    Arrays of structs are lists of dictionaries; what is of another kind (objects, functions, sparse
    matrices) is None.

    Raises:
        TooLargeError: more would be made of it than the limit allows.
        Exception: it is damaged, or of another kind; readers raise many kinds.
    """
    if h5py.is_hdf5(path):
        if endless_heap(path):
            raise ValueError("a text in it has no size")
        with h5py.File(path, "r") as file:
            return {name: _of_hdf5(item) for name, item in file.items() if name[0] != "#"}
    with path.open("rb") as stream:
        head = stream.read(HEAD)
        order = ORDERS.get(head[126:128])
        if order is None:
            if len(head) < 20 or 0 not in head[:4]:
                raise ValueError(f"begins with {head[:8]!r}")
            check_size(8 * path.stat().st_size, "unpacked, it")
            plain = loadmat(path)  # of version 4, which is read in Python
            return {name: value for name, value in plain.items() if isinstance(value, np.ndarray)}
        check_size(path.stat().st_size, "it")
        return _Reader(order).variables(memoryview(stream.read()))


# Version 7.3 ---------------------------------------------------------------------------------


def _of_hdf5(item: h5py.Group | h5py.Dataset, depth: int = 0) -> Any:
    """MATLAB 7.3 keeps structs as groups, and arrays in its own order: transposed."""
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(item, h5py.Group):
        return {name: _of_hdf5(inner, depth + 1) for name, inner in item.items()}
    check_size(item.nbytes, "unpacked, it")
    if item.attrs.get("MATLAB_class", b"") == b"char":
        codes = np.asarray(item[()]).T.ravel()
        return "".join(map(chr, codes)) if codes.dtype.kind == "u" else ""
    if item.attrs.get("MATLAB_empty", 0) or item.dtype.kind not in "fiub":
        return None
    return np.asarray(item[()]).T


# Versions 5 to 7 -----------------------------------------------------------------------------


class _Reader:
    """Reads elements: a kind, a number of bytes, and the bytes."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.parts = 0
        self.unpacked = 0

    def variables(self, content: memoryview) -> dict[str, Any]:
        found = {}
        at = 0
        while at + 8 <= len(content):
            kind, data, at = self._element(content, at, padded=False)
            if kind == PACKED:
                kind, data, _ = self._element(self._unpacked(data), 0, padded=False)
            if kind == MATRIX:
                name, value = self._array(data, 0)
                found[name] = value
        return found

    def _unpacked(self, data: memoryview) -> memoryview:
        unpacker = zlib.decompressobj()
        left = most_bytes() - self.unpacked
        content = unpacker.decompress(data, left + 1)
        self.unpacked += len(content)
        check_size(self.unpacked, "unpacked, it")
        return memoryview(content)

    def _element(
        self, content: memoryview, at: int, *, padded: bool = True
    ) -> tuple[int, memoryview, int]:
        """Kind and bytes of an element, and where the next one begins."""
        self.parts += 1
        if self.parts > MOST_PARTS:
            raise ValueError(f"more than {MOST_PARTS} parts")
        kind, size = struct.unpack_from(f"{self.order}II", content, at)
        if kind >> 16:  # a short one: size, kind and up to four bytes
            kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise ValueError(f"a short element of {size} bytes")
        else:
            start, end = at + 8, at + 8 + (-(-size // 8) * 8 if padded else size)
        if start + size > len(content):
            raise ValueError(f"an element of {size} bytes where {len(content) - start} are left")
        return kind, content[start : start + size], end

    def _numbers(self, content: memoryview, at: int) -> tuple[np.ndarray, int]:
        kind, data, at = self._element(content, at)
        if kind not in KINDS:
            raise ValueError(f"numbers of the kind {kind}")
        stored = np.dtype(self.order + KINDS[kind])
        if len(data) % stored.itemsize:
            raise ValueError(f"{len(data)} bytes of numbers of {stored.itemsize}")
        return np.frombuffer(data, stored), at

    def _array(self, content: memoryview, depth: int) -> tuple[str, Any]:
        """Name and value of an array of any class."""
        if depth > DEEPEST:
            raise ValueError("nested too deeply")
        if not len(content):
            return "", np.zeros((0, 0))
        flags, at = self._numbers(content, 0)
        if len(flags) < 1:
            raise ValueError("an array without a class")
        kind = int(flags[0]) & 0xFF
        if kind not in (CELL, STRUCT, OBJECT, CHARACTERS, SPARSE, *NUMBERS):
            return "", None
        sizes, at = self._numbers(content, at)
        shape = tuple(int(size) for size in sizes)
        if not 2 <= len(shape) <= MOST_DIMENSIONS or min(shape) < 0:
            raise ValueError(f"an array of shape {shape}")
        letters, at = self._numbers(content, at)
        name = letters.tobytes().decode("utf-8", "replace")
        if kind in (OBJECT, SPARSE):
            return name, None
        if kind == CELL:
            return name, self._inner(content, at, math.prod(shape), depth)[0]
        if kind == STRUCT:
            return name, self._structs(content, at, math.prod(shape), depth)
        values, _ = self._numbers(content, at)
        if kind == CHARACTERS:
            return name, self._text(values)
        if int(flags[0]) & COMPLEX:
            return name, None
        if len(values) != math.prod(shape):
            raise ValueError(f"{len(values)} numbers for an array of shape {shape}")
        return name, values.astype(NUMBERS[kind]).reshape(shape, order="F")

    def _inner(self, content: memoryview, at: int, count: int, depth: int) -> tuple[list[Any], int]:
        """Arrays one behind the other."""
        found = []
        for _ in range(count):
            kind, data, at = self._element(content, at)
            if kind != MATRIX:
                raise ValueError(f"an element of the kind {kind} where an array should be")
            found.append(self._array(data, depth + 1)[1])
        return found, at

    def _structs(self, content: memoryview, at: int, count: int, depth: int) -> Any:
        length, at = self._numbers(content, at)
        letters, at = self._numbers(content, at)
        if len(length) != 1 or not 0 < int(length[0]) <= 64:
            raise ValueError("a struct whose fields have no names")
        raw, step = letters.tobytes(), int(length[0])
        names = [
            raw[start : start + step].split(b"\0")[0].decode("utf-8", "replace")
            for start in range(0, len(raw), step)
        ]
        found = []
        for _ in range(count if names else 0):
            values, at = self._inner(content, at, len(names), depth)
            found.append(dict(zip(names, values, strict=True)))
        return found[0] if count == 1 and found else found

    def _text(self, values: np.ndarray) -> str:
        """Characters one by one, or bytes of UTF-8."""
        if values.dtype.itemsize == 1:
            return values.tobytes().decode("utf-8", "replace")
        return "".join(chr(code) if code < 0x110000 else "\ufffd" for code in values.tolist())
