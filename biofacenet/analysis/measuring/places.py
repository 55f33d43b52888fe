"""Where measurements lie, to be read without importing what makes them."""

from __future__ import annotations

from pathlib import Path

from ...system.numbering import holds, numbered

__all__ = ["JOURNAL", "TABLE", "results_at"]

TABLE = "faces.csv"
"""File of a folder for results: a row for each face and region."""

JOURNAL = "measured.journal"
"""Likewise: what was measured, so that nothing is measured twice."""


def results_at(out: Path) -> tuple[Path, ...]:
    """A folder for results, and those beside it to which results went as it held others."""
    made = holds([TABLE, JOURNAL])
    return (out, *(folder for folder in numbered(out) if made(folder)))
