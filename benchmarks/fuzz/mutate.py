"""Damage: bytes, numbers and pieces of a file changed at random, by a generator that can be begun again."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["damaged"]

Random = np.random.Generator

NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
"""At the edges of what fields of a file hold."""

WORDS = (
    *(
        b"",
        b"nan",
        b"-1",
        b"1e999",
        b"inf",
        b"0",
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'""',
        b"[" * 50_000,
    ),
    *(
        b"9" * 5000,
        b"\xff\xfe",
        b"\0",
        b"\r\n",
        b'"',
        b",,,,",
        b"-",
        b"1e-400",
        b"\xed\xa0\x80",
        b"=1+1",
    ),
)


def damaged(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """A file with some damage; mostly a little of it.

    Args:
        content: of a whole file.
        random: where the damage comes from.
        others: whole files of the same kind, pieces of which may be put in.
    """
    if random.random() < 0.15:
        return _packed(content, random, others) or _plain(content, random, others)
    if content[:8] == b"\x89PNG\r\n\x1a\n" and random.random() < 0.7:
        return _png(content, random, others)
    if content[:4] == b"PK\x03\x04" and random.random() < 0.8:
        return _archive(content, random, others) or _plain(content, random, others)
    return _plain(content, random, others)


def _plain(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    for _ in range(int(random.choice((1, 1, 1, 2, 3, 8, 30)))):
        text = _is_text(content)
        steps = (*BYTES, *(TEXT * 2 if text else ()))
        content = steps[int(random.integers(len(steps)))](content, random, others)
        if len(content) > 2**24:
            content = content[: 2**24]
    return content


def _is_text(content: bytes) -> bool:
    return b"\0" not in content[:200]


def _place(content: bytes, random: Random) -> int:
    """Mostly in the head of a file, where its fields are."""
    end = len(content) if random.random() < 0.4 else min(len(content), 512)
    return int(random.integers(max(1, end)))


# Of bytes ------------------------------------------------------------------------------------


def _bit(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    at = _place(content, random)
    return (
        content[:at]
        + bytes([byte ^ (1 << int(random.integers(8))) for byte in content[at : at + 1]])
        + content[at + 1 :]
    )


def _byte(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    at = _place(content, random)
    return content[:at] + random.bytes(1) + content[at + 1 :]


def _number(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    at, value = _place(content, random), NUMBERS[int(random.integers(len(NUMBERS)))]
    form = ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")[int(random.integers(7))]
    new = struct.pack(form, value % 256 ** struct.calcsize(form))
    return content[:at] + new + content[at + len(new) :]


def _float(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    at = _place(content, random)
    value = (np.nan, np.inf, -np.inf, 1e30, -1.0, 0.0)[int(random.integers(6))]
    new = struct.pack("<d" if random.random() < 0.5 else "<f", value)
    return content[:at] + new + content[at + len(new) :]


def _cut(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    return content[: int(random.integers(len(content) + 1))]


def _removed(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    at = _place(content, random)
    return content[:at] + content[at + int(2 ** random.uniform(0, 10)) :]


def _repeated(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    at, length = _place(content, random), int(2 ** random.uniform(0, 10))
    return content[:at] + content[at : at + length] * int(random.integers(2, 5)) + content[at:]


def _zeros(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    at, length = _place(content, random), int(2 ** random.uniform(0, 10))
    return content[:at] + bytes(len(content[at : at + length])) + content[at + length :]


def _joined(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """The head of one file and the tail of another."""
    other = others[int(random.integers(len(others)))]
    at = _place(content, random)
    return content[:at] + other[min(at, len(other)) :]


BYTES: tuple[Callable[[bytes, Random, Sequence[bytes]], bytes], ...] = (
    *(_bit, _bit, _byte, _byte, _number, _number, _number, _float),
    *(_cut, _removed, _repeated, _zeros, _joined),
)


# Of text -------------------------------------------------------------------------------------


def _word(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """A number or a word is another one."""
    found = list(re.finditer(rb"-?[0-9.]+|\"[^\"]*\"|[A-Za-z_]+", content[: 2**16]))
    if not found:
        return content
    match = found[int(random.integers(len(found)))]
    return (
        content[: match.start()] + WORDS[int(random.integers(len(WORDS)))] + content[match.end() :]
    )


def _line(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """A line is gone, twice there, or elsewhere."""
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    line = lines.pop(int(random.integers(len(lines))))
    for _ in range(int(random.integers(3))):
        lines.insert(int(random.integers(len(lines) + 1)), line)
    return b"".join(lines)


TEXT: tuple[Callable[[bytes, Random, Sequence[bytes]], bytes], ...] = (_word, _word, _line)


# Below checksums and compression -------------------------------------------------------------


def _png(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """A chunk is damaged and its checksum right, so that the decoder meets the damage."""
    chunks, at = [], 8
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    number = int(random.integers(len(chunks)))
    kind, data = chunks[number]
    if random.random() < 0.2:
        chunks.insert(int(random.integers(len(chunks))), chunks[number])
    elif kind == b"IDAT" and random.random() < 0.5:
        try:
            data = zlib.compress(_plain(zlib.decompress(data), random, others))
        except zlib.error:
            data = _plain(data, random, others)
        chunks[number] = (kind, data)
    else:
        chunks[number] = (kind, _plain(data, random, [one[:4096] for one in others]))
    return content[:8] + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _archive(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """A part of a ZIP archive is damaged, and its checksum right."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = list(parts)[int(random.integers(len(parts)))]
    parts[name] = _plain(parts[name], random, list(parts.values()))
    if random.random() < 0.1:
        del parts[name]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in parts.items():
            archive.writestr(key, value)
    return made.getvalue()


def _packed(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """A piece packed by zlib is damaged where it is unpacked; empty where there is none."""
    starts = [match.start() for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", content)]
    random.shuffle(starts)
    for at in starts[:8]:
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(content[at:], 2**20)
        except zlib.error:
            continue
        if len(data) > 8 and unpacker.eof:
            tail = unpacker.unused_data
            new = zlib.compress(_plain(data, random, others))
            if content[at - 4 : at] == struct.pack("<I", len(content) - at - len(tail)):
                return content[: at - 4] + struct.pack("<I", len(new)) + new + tail
            return content[:at] + new + tail
    return b""
