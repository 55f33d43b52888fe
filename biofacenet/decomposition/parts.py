"""The parts that a picture of a face is divided into: names and numbers, without torch."""

from __future__ import annotations

__all__ = ["PART_NAMES", "UNLABELLED", "part_index"]

PART_NAMES = (
    "background",
    "skin",
    "lips",
    "brows",
    "eyes",
    "teeth",
    "hair",
    "glasses",
    "cloth",
)
"""A label is an index into these. Skin is that of face, ears, throat and neck; hair is also a beard
that hides the skin; teeth are all that an open mouth shows; cloth is also what covers the head."""

UNLABELLED = 255
"""Label of a pixel of which no part is known."""


def part_index(name: str) -> int:
    """The label of a part.

    Raises:
        ValueError: there is no part of that name.
    """
    if name not in PART_NAMES:
        raise ValueError(f"there is no part {name!r}; expected one of {', '.join(PART_NAMES)}")
    return PART_NAMES.index(name)
