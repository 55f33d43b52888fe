"""Differences between two photos of a face, region by region.

Regions are of the face, so that two photos are aligned by it, and the difference is that of the medians.
Two things say how sure it is, for two questions:

- The photos' own 68 % intervals hold what a single photo leaves open: light, camera, overall level. Taken
  as independent, as for photos of different lights and cameras, they give that of the difference
  (Zou and Donner, Statistics in Medicine 27, 2008, equation 9, MOVER):

      low  = d - sqrt((after - after_low)^2 + (before_high - before)^2)
      high = d + sqrt((after_high - after)^2 + (before - before_low)^2)

- Photos of one light and camera share most of that. They differ by what repeated photos of a person do,
  whose standard deviation s about the person's mean was measured: by less than 1.96 sqrt(2) s in 95 of
  100 cases (Bland and Altman, British Medical Journal 1996), the smallest change that can be told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from .columns import Column
from .compared import COMPARED, DETECTED, INTERVALS, Spread, as_cell, unit_of
from .entries import Entry
from .plans import Plan
from .rows import Row

__all__ = ["COLUMNS", "Difference", "difference", "difference_rows"]

CLEAR, SAME_LIGHT, NONE = "clear", "same-light", "none"

FROM_68_TO_95 = 1.96

COLUMNS = (
    Column("pair", "", "Name of the pair, or of its second photo."),
    Column("before", "", "Path of the first photo.", is_path=True),
    Column("after", "", "Path of the second photo.", is_path=True),
    Column("problem", "", "Why a pair has no differences. Empty where it has."),
    Column("region", "", "Part of the face, as in faces.csv, of the largest face of each photo."),
    Column("quantity", "", "Column of faces.csv that is compared."),
    Column("unit", "", "Of the numbers that follow."),
    Column("value_before", "", "In the first photo.", decimals=4),
    Column("value_after", "", "In the second.", decimals=4),
    Column("difference", "", "Second less first.", decimals=4),
    Column(
        "low",
        "",
        "Lower end of the 68 % interval of the difference, if light and camera of the photos have nothing "
        "in common. Empty where the quantity has no interval in a photo.",
        "d - sqrt((after - after_low)^2 + (before_high - before)^2)",
        "Zou and Donner, Statistics in Medicine 27, 2008",
        4,
    ),
    Column("high", "", "Upper end.", "likewise", decimals=4),
    Column(
        "repeat_sd",
        "",
        "Standard deviation of repeated measurements of a person under one light and camera, about that "
        "person's mean; of melanosomes and blood at the level of this pair. Empty where not known.",
        decimals=4,
    ),
    Column(
        "smallest_change",
        "",
        "Photos of one light and camera differ by less in 95 of 100 cases where nothing changed.",
        "1.96 sqrt(2) repeat_sd",
        "Bland and Altman, British Medical Journal 1996",
        4,
    ),
    Column(
        "change",
        "",
        "none: less than the smallest change. same-light: more, if both photos are of one light and "
        "camera. clear: more, and 0 is outside of the interval at 95 % (1.96 times as wide), so whatever "
        "the lights. Empty where the repeatability is not known.",
    ),
    Column("warnings_before", "", "Warnings of the region in the first photo."),
    Column("warnings_after", "", "In the second."),
)
"""Of differences.csv."""


@dataclass(frozen=True)
class Difference:
    """Of a quantity in a region; NaN and empty where it is not known."""

    before: float
    after: float
    low: float
    high: float
    repeat: float
    """Standard deviation of repeated measurements, at the level of the two."""

    @property
    def value(self) -> float:
        """After less before."""
        return self.after - self.before

    @property
    def smallest(self) -> float:
        """The smallest change that can be told under one light."""
        return DETECTED * self.repeat

    @property
    def change(self) -> str:
        """What can be said of it: see `COLUMNS`."""
        if not math.isfinite(self.smallest):
            return ""
        if abs(self.value) <= self.smallest:
            return NONE
        low, high = (
            self.value + FROM_68_TO_95 * (end - self.value) for end in (self.low, self.high)
        )
        return CLEAR if low > 0.0 or high < 0.0 else SAME_LIGHT


def difference(quantity: str, before: Row, after: Row, spread: Spread | None) -> Difference:
    """The difference of a quantity between the rows of a region in two photos."""
    first, second = before.number(quantity), after.number(quantity)
    low = high = math.nan
    if quantity in INTERVALS:
        ends = [
            row.number(f"{quantity}_{end}") for row in (before, after) for end in ("low", "high")
        ]
        low = second - first - math.hypot(second - ends[2], ends[1] - first)
        high = second - first + math.hypot(ends[3] - second, first - ends[0])
    repeat = math.nan if spread is None else spread.at((first + second) / 2.0)
    return Difference(first, second, low, high, repeat)


def difference_rows(
    plan: Plan,
    entry: Callable[[int], Entry],
    repeatability: Mapping[tuple[str, str], Spread],
) -> Iterator[list[object]]:
    """Rows of differences.csv, header first.

    Args:
        plan: whose pairs are compared.
        entry: the rows of a file, by its place.
        repeatability: spreads by region and quantity.
    """
    yield [column.name for column in COLUMNS]
    for pair in plan.pairs:
        known: dict[str, object] = {"pair": pair.name}
        known |= {"before": plan.files[pair.before], "after": plan.files[pair.after]}
        before, after = entry(pair.before), entry(pair.after)
        found = list(_of_faces(before.faces(), after.faces(), repeatability))
        if not found:
            problems = [str(row["problem"]) for row in (*before.problems, *after.problems)]
            found = [{"problem": "; ".join(problems) or "no region with numbers in both photos"}]
        yield from (_cells(known | values) for values in found)


def _of_faces(
    before: Mapping[str, Row],
    after: Mapping[str, Row],
    repeatability: Mapping[tuple[str, str], Spread],
) -> Iterator[dict[str, object]]:
    """What the table says of each region and quantity that two faces have numbers of."""
    for region in before:
        if region not in after:
            continue
        first, second = before[region], after[region]
        for quantity in COMPARED:
            found = difference(quantity, first, second, repeatability.get((region, quantity)))
            if math.isfinite(found.value):
                yield {
                    "region": region,
                    "quantity": quantity,
                    "unit": unit_of(quantity),
                    **_numbers(found),
                    "warnings_before": first["warnings"],
                    "warnings_after": second["warnings"],
                }


def _numbers(found: Difference) -> dict[str, object]:
    return {
        "value_before": found.before,
        "value_after": found.after,
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "repeat_sd": found.repeat,
        "smallest_change": found.smallest,
        "change": found.change,
    }


def _cells(values: Mapping[str, object]) -> list[object]:
    return [as_cell(values.get(column.name), column) for column in COLUMNS]
