"""Names of files as people may see them: any name works, and none does anything to a terminal or table."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from pathlib import Path

__all__ = ["as_given", "complain", "folder_name", "same_name", "shown", "wrong_source"]

JOINERS = "\u200c\u200d"
"""Not printable by themselves; Persian words and many emoji are written with them."""

LONGEST = 240
"""Bytes of a name, with room below the 255 of file systems for a number."""


ADDRESS = re.compile(r"(?i)([a-z][a-z0-9+.-]+):/+|(data|mailto):|www\.[^/]+/")
"""How a URL begins, also one that has become a path, which joins its slashes; C:/ is none."""


def wrong_source(name: str | Path) -> str:
    """What to do about a name that stands for no file: a URL, or standard input. Empty for all others.

    Example:
        >>> wrong_source("https://example.org/face.jpg")
        'a URL, and URLs are not read; download it, and name the file'
        >>> wrong_source("face.jpg")
        ''
    """
    text = str(name)
    if os.path.lexists(text):
        return ""
    if text in ("-", "/dev/stdin"):
        return "standard input is not read; save it to a file, and name that"
    address = ADDRESS.match(text)
    if address is None:
        return ""
    if (address[1] or "").lower() == "file":
        return f"a URL; name the file itself, /{text[address.end() :]}"
    return "a URL, and URLs are not read; download it, and name the file"


def as_given(name: str | Path) -> str:
    """A name as it was before a path joined its slashes."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]+):/(?!/)", r"\1://", str(name))


def shown(text: str | Path) -> str:
    r"""Text with what cannot be printed escaped: bytes that are no UTF-8, line ends, orders to terminals.

    Example:
        >>> shown("caf\udce9\n.png")
        'caf\\xe9\\n.png'
    """
    return "".join(c if c.isprintable() or c in JOINERS else _escaped(c) for c in str(text))


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python holds a byte that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def complain(message: object) -> None:
    """Say on standard error, in one line, what is wrong."""
    sys.stderr.write(f"error: {shown(' '.join(str(message).split()))}\n")


def folder_name(path: Path) -> str:
    """A file's name without its ending, as the name of a folder: never that of another place.

    Example:
        >>> folder_name(Path("album/face.jpg")), folder_name(Path("album/...png"))
        ('face', '...png')
    """
    name = path.stem if path.stem.strip(". ") else path.name
    if not name.strip(". "):
        name = "photo"
    while len(os.fsencode(name)) > LONGEST:
        name = name[:-1]
    return name


def same_name(name: str) -> str:
    """The same text for all names that some file system takes for one: cases, and ways to write accents."""
    return unicodedata.normalize("NFC", name).casefold()
