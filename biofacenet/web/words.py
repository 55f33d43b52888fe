"""What the page says: the package's messages without what only a command line has."""

from __future__ import annotations

import re

from ..photos.boxes import Part

__all__ = ["MIDDLE", "NO_FACE", "note", "plain"]

OPTION = re.compile(r"""(?:^|[\s("'`])--[a-z]""")
"""A command's option in a message."""

MIDDLE = "the middle of the photo"

NO_FACE = (
    "no face was found. Choose another photo, or have the middle of this one looked at, where figures mean "
    "something on skin only"
)


def plain(message: str) -> str:
    """A message without the clauses that name a command's options; all of it where every one does.

    Example:
        >>> plain("a.png: too long a strip; expected 16 pixels, give a larger --size or a --crop")
        'a.png: too long a strip; expected 16 pixels'
    """
    clauses = re.split(r"([;,] )", message)
    kept = clauses[0]
    for between, clause in zip(clauses[1::2], clauses[2::2], strict=True):
        if not OPTION.search(clause):
            kept += between + clause
    return re.sub(r" ?\([^()]*--[a-z][^()]*\)", "", kept)


def note(part: Part) -> str:
    """What was looked at of a photo."""
    return plain(part.note) if part.is_face else f"no face, {MIDDLE}"
