"""Colour by number in AVIF, which Pillow decodes but does not tell: `nclx` of ISO/IEC 23008-12."""

from __future__ import annotations

import struct
from collections.abc import Iterator

__all__ = ["numbers_of"]

Box = tuple[bytes, memoryview]
"""Kind and content."""

HEADERS = {b"meta": 4, b"stsd": 8, b"av01": 78}
"""Bytes of a box before the boxes in it; none in others that hold boxes."""

TO_TRACKS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"av01")


def numbers_of(content: bytes) -> tuple[int, int] | None:
    """Primaries and transfer of the first picture of an AVIF file; None where it does not say.

    Raises:
        ValueError: the boxes are damaged.
    """
    try:
        top = list(_boxes(memoryview(content)))
        found = _of_primary_item(top)
        return found if found is not None else _of_track(top)
    except (struct.error, IndexError) as error:
        raise ValueError("damaged boxes") from error


def _boxes(content: memoryview) -> Iterator[Box]:
    at = 0
    while at + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, at + 8)
            head = 16
        end = len(content) if size == 0 else at + size
        if end < at + head or end > len(content):
            return  # the decoder says what is missing
        yield kind, content[at + head : end]
        at = end


def _inside(boxes: list[Box], *path: bytes) -> list[Box]:
    """The boxes in boxes in boxes, down a path; none where there is no such path."""
    for name in path:
        inner = [content[HEADERS.get(name, 0) :] for kind, content in boxes if kind == name]
        boxes = [box for content in inner for box in _boxes(content)]
    return boxes


def _nclx(boxes: list[Box]) -> tuple[int, int] | None:
    for kind, content in boxes:
        if kind == b"colr" and bytes(content[:4]) == b"nclx":
            primaries, transfer = struct.unpack_from(">HH", content, 4)
            return primaries, transfer
    return None


def _of_primary_item(top: list[Box]) -> tuple[int, int] | None:
    meta = _inside(top, b"meta")
    properties = _inside(meta, b"iprp", b"ipco")
    primary = None
    for kind, content in meta:
        if kind == b"pitm":
            (primary,) = struct.unpack_from(">I" if content[0] else ">H", content, 4)
    for kind, content in _inside(meta, b"iprp"):
        if kind == b"ipma" and primary is not None:
            places = _associations(content).get(primary, [])
            return _nclx([properties[i - 1] for i in places if 0 < i <= len(properties)])
    return None


def _associations(content: memoryview) -> dict[int, list[int]]:
    """Numbers of properties, from 1, by the item that has them (8.11.14 of ISO/IEC 14496-12)."""
    version, wide = content[0], content[3] & 1
    (count,) = struct.unpack_from(">I", content, 4)
    at, found = 8, {}
    for _ in range(count):
        (item,) = struct.unpack_from(">I" if version else ">H", content, at)
        at += 4 if version else 2
        of_item, at = content[at], at + 1
        form, step, mask = (">H", 2, 0x7FFF) if wide else (">B", 1, 0x7F)
        found[item] = [
            struct.unpack_from(form, content, at + step * n)[0] & mask for n in range(of_item)
        ]
        at += step * of_item
    return found


def _of_track(top: list[Box]) -> tuple[int, int] | None:
    return _nclx(_inside(top, *TO_TRACKS))
