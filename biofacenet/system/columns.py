"""Columns of numbers from text files that people and instruments write, without trusting them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from .names import wrong_source

__all__ = ["Columns", "read_columns"]

LARGEST = 16 * 2**20
"""Bytes of a file; a spectrum of a sample for each picometre has fewer."""

LONGEST_PREAMBLE = 200
"""Lines before the numbers: what instruments say of themselves."""

SEPARATORS = ("\t", ";", ",", None)
"""In the order in which they are tried; None is any run of blanks."""


@dataclass(frozen=True)
class Columns:
    """Numbers of a file."""

    rows: tuple[tuple[float, ...], ...]
    """All of one length, two or more; finite."""
    names: tuple[str, ...] | None
    """Of the columns, where the line before the numbers has as many words."""


def read_columns(path: str | Path, *, what: str) -> Columns:
    """The table of numbers in a CSV file.

    Columns are separated by tabs, semicolons, commas or blanks; where by no comma, a comma may be the
    decimal mark. Lines that are empty or begin with # are left out, and so is what stands above the
    numbers.

    Args:
        path: of the file.
        what: it should hold, for messages, such as "a spectrum".

    Raises:
        DataError: the file is missing, is no text, or a line of the table is no row of numbers.
    """
    lines = _lines(Path(path), what)
    preamble: list[str] = []
    rows: list[tuple[float, ...]] = []
    separator: str | None = None
    for number, line in lines:
        if not rows:
            found = _first_row(line)
            if found is not None:
                separator, row = found
                rows.append(row)
            elif len(preamble) == LONGEST_PREAMBLE:
                break
            else:
                preamble.append(line)
            continue
        cells = _cells(line, separator)
        values = _numbers(cells, separator)
        if len(cells) != len(rows[0]):
            raise DataError(
                f"{path}: line {number} has {len(cells)} columns; expected {len(rows[0])} as in the first"
            )
        if values is None:
            wrong = next(cell for cell in cells if _number(cell, separator) is None)
            raise DataError(f"{path}: line {number} holds {wrong[:40]!r}; expected a number")
        rows.append(values)
    if not rows:
        raise DataError(
            f"{path}: no columns of numbers; expected {what}, a line for each wavelength, such as 400,0.12"
        )
    names = tuple(_cells(preamble[-1], separator)) if preamble else ()
    return Columns(tuple(rows), names if len(names) == len(rows[0]) else None)


def _lines(path: Path, what: str) -> list[tuple[int, str]]:
    """Lines that say something, with their numbers."""
    if remedy := wrong_source(path):
        raise DataError(f"{path}: {remedy}")
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a CSV file with {what}")
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; expected a CSV file with {what}") from error
    if len(data) > LARGEST:
        raise DataError(
            f"{path}: larger than {LARGEST // 2**20} MB; expected a CSV file with {what}"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not a text file in UTF-8; expected a CSV file with {what}"
        ) from error
    numbered = enumerate((line.strip() for line in text.splitlines()), 1)
    return [(number, line) for number, line in numbered if line and not line.startswith("#")]


def _first_row(line: str) -> tuple[str | None, tuple[float, ...]] | None:
    """The separator of a line that is a row of numbers, and the numbers."""
    for separator in SEPARATORS:
        values = _numbers(_cells(line, separator), separator)
        if values is not None and len(values) > 1:
            return separator, values
    return None


def _cells(line: str, separator: str | None) -> list[str]:
    cells = [cell.strip().strip('"').strip() for cell in line.split(separator)]
    while len(cells) > 1 and not cells[-1]:  # spreadsheets end lines with separators
        cells.pop()
    return cells


def _numbers(cells: list[str], separator: str | None) -> tuple[float, ...] | None:
    values = [_number(cell, separator) for cell in cells]
    found = tuple(value for value in values if value is not None)
    return found if len(found) == len(values) else None


def _number(cell: str, separator: str | None) -> float | None:
    if separator != ",":
        cell = cell.replace(",", ".")
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
