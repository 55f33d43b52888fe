"""Which quantities are compared between photos of a face, and how far they repeat."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from ...system.tables import read_table
from .columns import BY_NAME, Column

__all__ = [
    "COMPARED",
    "INTERVALS",
    "RELATIVE",
    "Spread",
    "as_cell",
    "read_repeatability",
    "unit_of",
]

COMPARED = (
    *("melanosomes_percent", "blood_percent"),
    *("melanin_index", "erythema_index", "erythema_index_rgb"),
    *("lab_l", "lab_a", "lab_b", "ita_degrees", "redness_spread"),
    *("melanin_spots_area_percent", "blood_spots_area_percent", "surface_light_percent"),
)
"""Columns of faces.csv."""

RELATIVE = frozenset(("melanosomes_percent", "blood_percent"))
"""Those whose spread grows with them, and is told in shares of them."""

INTERVALS = RELATIVE
"""Those with a 68 % interval in each photo."""

SHIPPED = Path(__file__).with_name("repeatability.csv")
"""Of neutral and smiling photos of the Face Research Lab London Set: see docs/guides/many.md."""

DETECTED = 1.96 * math.sqrt(2.0)
"""Deviations within a person, by which two of their measurements differ in 5 of 100 cases."""


def unit_of(quantity: str) -> str:
    """Its unit in tables."""
    return BY_NAME[quantity].unit


@dataclass(frozen=True)
class Spread:
    """How far repeated measurements of a person spread."""

    within: float
    """Standard deviation about the person's mean, in the quantity's unit; NaN where not known."""
    within_percent: float = math.nan
    """The same in percent of the mean, of `RELATIVE` quantities."""

    def at(self, level: float) -> float:
        """The standard deviation at a level of the quantity."""
        if math.isfinite(self.within_percent):
            return self.within_percent * abs(level) / 100.0
        return self.within


def read_repeatability(path: Path | None = None) -> Mapping[tuple[str, str], Spread]:
    """Spreads by region and quantity.

    Args:
        path: a repeats.csv; the one that comes with the package when not given.

    Raises:
        DataError: it is missing, damaged or no such table.
    """
    path = path or SHIPPED
    found: dict[tuple[str, str], Spread] = {}
    for line, row in read_table(path, ("region", "quantity", "within_sd", "within_percent")):
        where = f"{path}, line {line}"
        if row["quantity"] in COMPARED:
            within, percent = (
                _number(row[name], where, name) for name in ("within_sd", "within_percent")
            )
            relative = percent if row["quantity"] in RELATIVE else math.nan
            found[row["region"], row["quantity"]] = Spread(within, relative)
    return found


def _number(text: str, where: str, name: str) -> float:
    """Of a cell; NaN where it is empty."""
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not 0.0 <= value < math.inf:
        raise DataError(f"{where}: {name} is {text!r}; expected a number of 0 or more, or nothing")
    return value


def as_cell(value: object, column: Column) -> object:
    """A value as a table has it: rounded, and empty where it is None or no number."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.{column.decimals}f}"
    return value
