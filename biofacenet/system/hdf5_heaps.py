"""Texts of variable length in HDF5 files, before HDF5 looks at them.

HDF5 keeps them in collections, and goes from object to object of one by their sizes: where damage made a
size 0, it goes on for ever, and nothing can end it but the end of the process.

Source: HDF5 File Format Specification 3.0, III.E (Global Heap).
"""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["endless_heap"]

SEARCHED = 2**20
"""Bytes at the beginning of a file that are searched: what attributes say is written first."""

HEADER, OBJECT = struct.Struct("<4sB3sQ"), struct.Struct("<HHIQ")
"""Of a collection: signature, version, zeros, size; of an object: number, references, zeros, size."""

SIGNATURE, VERSION, ALIGNED = b"GCOL", 1, 8


def endless_heap(path: Path) -> bool:
    """Whether HDF5 would go round for ever in a collection of texts at the beginning of a file.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(SEARCHED)
    place = head.find(SIGNATURE)
    while place >= 0:
        if place % ALIGNED == 0 and place + HEADER.size <= len(head) and _endless(head, place):
            return True
        place = head.find(SIGNATURE, place + 1)
    return False


def _endless(head: bytes, place: int) -> bool:
    """Whether objects of the collection at a place do not lead to its end."""
    _, version, zeros, size = HEADER.unpack_from(head, place)
    if version != VERSION or any(zeros):
        return False
    end, place = min(place + size, len(head)), place + HEADER.size
    while place + OBJECT.size <= end:
        number, _, _, length = OBJECT.unpack_from(head, place)
        # What is free is number 0, and counts its own header.
        step = length if number == 0 else OBJECT.size + -(-length // ALIGNED) * ALIGNED
        if step == 0:
            return True
        place += step
    return False
