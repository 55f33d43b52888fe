"""Repeated photos of people: how far a person's numbers spread, and how well people are told apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from ...fitting.agreement import icc_1, icc_3_1, within_deviation
from .columns import Column
from .compared import COMPARED, DETECTED, RELATIVE, as_cell, unit_of
from .entries import Entry
from .plans import Plan
from .regions import REGIONS

__all__ = ["OF_ALL", "OF_PEOPLE", "Repeated", "people_rows", "repeated", "repeats_rows"]

Repeated = Mapping[tuple[str, str], Mapping[str, Sequence[float]]]
"""By region and quantity, the values of each person, photo by photo; NaN where one has none."""

QUANTITY = (
    Column("region", "", "Part of the face, as in faces.csv, of the largest face of each photo."),
    Column("quantity", "", "Column of faces.csv."),
    Column("unit", "", "Of the numbers that follow."),
)

OF_PEOPLE = (
    Column("person", "", "Name of the folder, or as the table has it."),
    *QUANTITY,
    Column("photos", "", "Photos that have the number.", decimals=0),
    Column("mean", "", "Over these photos.", decimals=4),
    Column("sd", "", "Standard deviation between them. Empty for one.", decimals=4),
)
"""Of people.csv."""

OF_ALL = (
    *QUANTITY,
    Column("people", "", "People with the number in two photos or more.", decimals=0),
    Column("photos", "", "Their photos that have it.", decimals=0),
    Column("mean", "", "Of the means of these people.", decimals=4),
    Column("between_sd", "", "Standard deviation between the means of these people.", decimals=4),
    Column(
        "within_sd",
        "",
        "Standard deviation of a person's measurements about that person's mean.",
        "root of the mean square within people, one-way analysis of variance",
        "Bland and Altman, British Medical Journal 1996",
        4,
    ),
    Column(
        "within_percent",
        "%",
        "The same in percent of the mean, of melanosomes and blood, whose spread grows with them.",
        "100 times that of the natural logarithm",
        decimals=3,
    ),
    Column(
        "smallest_change",
        "",
        "Two measurements of a person differ by less in 95 of 100 cases.",
        "1.96 sqrt(2) within_sd",
        "Bland and Altman, British Medical Journal 1996",
        4,
    ),
    Column(
        "icc_1",
        "",
        "ICC(1): the share of all variance that is between people, photos of a person in any order. "
        "Empty below three people.",
        "(MSB - MSW) / (MSB + (k - 1) MSW)",
        "Shrout and Fleiss, Psychological Bulletin 1979; Donner, International Statistical Review 1986",
        4,
    ),
    Column(
        "icc_3_1",
        "",
        "ICC(3,1): the same, if the first photos of all people go together, the second ones, and so on; a "
        "difference that all people share does not count. Empty where they have not equally many.",
        "(MSR - MSE) / (MSR + (k - 1) MSE)",
        "Shrout and Fleiss, Psychological Bulletin 1979",
        4,
    ),
)
"""Of repeats.csv."""


def repeated(plan: Plan, entry: Callable[[int], Entry]) -> Repeated:
    """The values of a plan's people.

    Args:
        plan: with people.
        entry: the rows of a file, by its place.
    """
    found: dict[tuple[str, str], dict[str, list[float]]] = {
        (region, quantity): {} for region in REGIONS for quantity in COMPARED
    }
    for person in plan.people:
        photos = [entry(place).faces() for place in person.photos]
        for (region, quantity), values in found.items():
            values[person.name] = [
                faces[region].number(quantity) if region in faces else math.nan for faces in photos
            ]
    return found


def people_rows(values: Repeated) -> Iterator[list[object]]:
    """Rows of people.csv, header first."""
    yield [column.name for column in OF_PEOPLE]
    people = list(next(iter(values.values()), {}))
    for person in people:
        for (region, quantity), of_people in values.items():
            known = _known(of_people[person])
            if len(known):
                cells = {
                    **_named(region, quantity),
                    "person": person,
                    "photos": len(known),
                    "mean": float(known.mean()),
                    "sd": float(known.std(ddof=1)) if len(known) > 1 else None,
                }
                yield [as_cell(cells.get(column.name), column) for column in OF_PEOPLE]


def repeats_rows(values: Repeated) -> Iterator[list[object]]:
    """Rows of repeats.csv, header first."""
    yield [column.name for column in OF_ALL]
    for (region, quantity), of_people in values.items():
        several = [known for each in of_people.values() if len(known := _known(each)) > 1]
        if not several:
            continue
        means = np.array([known.mean() for known in several])
        within = within_deviation(several)
        cells = {
            **_named(region, quantity),
            "people": len(several),
            "photos": sum(map(len, several)),
            "mean": float(means.mean()),
            "between_sd": float(means.std(ddof=1)) if len(means) > 1 else None,
            "within_sd": within,
            "within_percent": _relative(quantity, several),
            "smallest_change": DETECTED * within,
            "icc_1": icc_1(several),
            "icc_3_1": _paired(list(of_people.values())),
        }
        yield [as_cell(cells.get(column.name), column) for column in OF_ALL]


def _known(values: Sequence[float]) -> np.ndarray:
    found = np.asarray(values, float)
    return found[np.isfinite(found)]


def _named(region: str, quantity: str) -> dict[str, object]:
    return {"region": region, "quantity": quantity, "unit": unit_of(quantity)}


def _relative(quantity: str, several: Sequence[np.ndarray]) -> float | None:
    if quantity not in RELATIVE or any((known <= 0.0).any() for known in several):
        return None
    return 100.0 * within_deviation([np.log(known) for known in several])


def _paired(people: Sequence[Sequence[float]]) -> float:
    """ICC(3,1), of those who have the number in all photos; NaN where people have not equally many."""
    if len({len(values) for values in people}) != 1:
        return math.nan
    rows = np.array([values for values in people if np.isfinite(values).all()])
    return icc_3_1(rows) if rows.ndim == 2 else math.nan
