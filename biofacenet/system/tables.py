"""Tables that people write: CSV with names of columns in the first line, not trusted."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError

__all__ = ["read_table"]

LARGEST = 2**26
"""Bytes of a table; one of a hundred thousand photos has fewer."""


def read_table(path: Path, needed: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows by column and the line each ends on, without space around values.

    Args:
        path: of a CSV file in UTF-8, with or without a byte order mark.
        needed: columns that it must have; others are read as well.

    Raises:
        DataError: the table is missing, damaged or too large, lacks a column or has no row.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such table; expected columns {', '.join(needed)}")
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(
                f"{path}: {path.stat().st_size} bytes; expected a table of at most {LARGEST}"
            )
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            head = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = head
            missing = [name for name in needed if name not in head]
            if missing:
                raise DataError(
                    f"{path}: no column {missing[0]}; expected {', '.join(needed)} in its first line"
                )
            rows = []
            for row in reader:
                if None in row or None in row.values():
                    raise DataError(
                        f"{path}, line {reader.line_num}: expected {len(head)} values, as many as columns"
                    )
                longest = max(len(value) for value in row.values())
                if longest > LONGEST:
                    raise DataError(
                        f"{path}, line {reader.line_num}: a value of {longest} characters; expected at "
                        f"most {LONGEST}"
                    )
                rows.append((reader.line_num, {key: value.strip() for key, value in row.items()}))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable table ({error}); expected CSV in UTF-8") from error
    if not rows:
        raise DataError(f"{path}: no row below its first line; expected one or more")
    return rows


LONGEST = 1000
"""Characters of a value."""
