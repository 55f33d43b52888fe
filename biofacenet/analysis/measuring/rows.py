"""Rows of the table of measurements: every column once, with unit, definition, equation and source.

The header of the CSV file and the codebook are both written from `COLUMNS`, so that neither can say what
the other does not. Nothing here imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from .columns import BY_NAME, COLUMNS, Column

__all__ = ["Row", "Value", "header", "problem_row", "table"]

Value: TypeAlias = "str | int | float | None"
"""What a cell holds; None where it is empty: not measured, or without a meaning there."""


@dataclass(frozen=True)
class Row:
    """One face and region, or a photo that could not be measured, and why."""

    values: Mapping[str, Value] = field(default_factory=dict)
    """By column; what is not there is empty. Numbers are rounded as their columns say, so that rows are
    equal where their files are. A photo's path is text, as the command line gave it."""

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.values) - set(BY_NAME)):
            raise ValueError(f"no column {unknown[0]!r}; expected those of COLUMNS")
        rounded = {name: _rounded(value, BY_NAME[name]) for name, value in self.values.items()}
        object.__setattr__(self, "values", rounded)

    def __getitem__(self, name: str) -> Value:
        """The value of a column."""
        if name not in BY_NAME:
            raise KeyError(name)
        return self.values.get(name)

    def number(self, name: str) -> float:
        """The value of a column of numbers; NaN where it is empty."""
        value = self[name]
        return float(value) if isinstance(value, int | float) else math.nan

    def cells(self) -> list[object]:
        """What a CSV file holds, in the order of `COLUMNS`; names are paths, so that none is a formula."""
        return [_cell(self.values.get(column.name), column) for column in COLUMNS]


def _rounded(value: Value, column: Column) -> Value:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if column.decimals is None:
        raise ValueError(f"column {column.name} holds text, got {value!r}")
    return round(value) if column.decimals == 0 else round(float(value), column.decimals)


def _cell(value: Value, column: Column) -> object:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{column.decimals}f}"
    return Path(value) if column.is_path and isinstance(value, str) else value


def header() -> list[str]:
    """Names of the columns, in their order."""
    return [column.name for column in COLUMNS]


def table(rows: Iterable[Row]) -> list[list[object]]:
    """Header and rows, for `biofacenet.system.files.write_csv`."""
    return [list(header()), *(row.cells() for row in rows)]


def problem_row(photo: str, problem: str, **known: Value) -> Row:
    """The row of a photo, or of a face of it, that could not be measured.

    Args:
        photo: its path.
        problem: what is wrong, in a line.
        known: what else is known of it, by column, such as the number of the face.
    """
    return Row({"photo": photo, **known, "problem": " ".join(problem.split())})
