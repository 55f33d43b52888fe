"""What the page says: the package's messages without what only a command line has."""

from __future__ import annotations

import re

from ..photos.boxes import Part

__all__ = ["MIDDLE", "NO_FACE", "note", "plain", "unquoted"]

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


OF_A_FILE = (
    (re.compile(r" \([A-Z_]+ raises it\)"), ""),
    (re.compile(r"(damaged or cut short) \(.*\)"), r"\1"),
    (re.compile(r""" \(.*['"].*\)"""), ""),
    (re.compile(r"(holds|named) .*(?=; expected)"), r"\1 something else"),
    (re.compile(r"""(?<!install )(['"]).*\1"""), ".."),
)
"""What messages quote of a file or of its decoder, and what takes its place on the page."""


def unquoted(message: str, name: str) -> str:
    """A message about a file without anything that stands in it.

    Example:
        >>> unquoted("lamp.csv: line 3 holds 'secret'; expected a number", "lamp.csv")
        'lamp.csv: line 3 holds something else; expected a number'
    """
    head = f"{name}: "
    said = message.removeprefix(head)
    for quoted, instead in OF_A_FILE:
        said = quoted.sub(instead, said)
    return head + said


def note(part: Part) -> str:
    """What was looked at of a photo."""
    return plain(part.note) if part.is_face else f"no face, {MIDDLE}"
