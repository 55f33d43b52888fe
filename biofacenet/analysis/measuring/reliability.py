"""How far the same face moves where only the light, the camera or the file is another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ...photos.changes import CHANGES
from .columns import Column
from .compared import COMPARED, RELATIVE, as_cell, unit_of
from .entries import Entry, largest
from .regions import REGIONS, WHOLE

__all__ = ["COLUMNS", "Moves", "moves_of", "reliability_rows", "report"]

Moves = Mapping[tuple[str, str, str], np.ndarray]
"""By change, region and quantity: values without and with the change, (photos, 2); NaN where a photo has
none."""

COLUMNS = (
    Column("change", "", "What was done to each photo: see Changes in reliability.md."),
    Column("region", "", "Part of the face, as in faces.csv, of the largest face."),
    Column("quantity", "", "Column of faces.csv."),
    Column("unit", "", "Of mean_move, rms_move and most_moves."),
    Column("photos", "", "Photos with the number both ways.", decimals=0),
    Column("lost", "", "Photos that have the number without the change alone.", decimals=0),
    Column("mean_move", "", "Mean of changed less unchanged: what all faces share.", decimals=4),
    Column("rms_move", "", "Root of the mean square of it.", decimals=4),
    Column("most_moves", "", "95 of 100 photos move by less.", decimals=4),
    Column(
        "rms_percent",
        "%",
        "The same relative to the unchanged number, of melanosomes and blood.",
        "100 RMS(changed / unchanged - 1)",
        decimals=2,
    ),
    Column(
        "rms_of_sd",
        "",
        "rms_move over the standard deviation between these photos without the change: with different "
        "people, how much of what tells them apart. Empty below three photos.",
        decimals=3,
    ),
)
"""Of reliability.csv."""


def moves_of(entries: Iterable[Entry]) -> Moves:
    """Numbers of the largest faces, without and with each change."""
    found: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for entry in entries:
        if not entry.changed:
            continue
        plain = entry.faces()
        for change, rows in entry.changed.items():
            after = largest(rows)
            for region in plain:
                for quantity in COMPARED:
                    before = plain[region].number(quantity)
                    moved = after[region].number(quantity) if region in after else math.nan
                    found.setdefault((change, region, quantity), []).append((before, moved))
    return {key: np.array(values) for key, values in found.items()}


def _figures(moves: Moves) -> Iterator[dict[str, object]]:
    for change in CHANGES:
        for region in REGIONS:
            for quantity in COMPARED:
                values = moves.get((change, region, quantity))
                if values is None:
                    continue
                here = values[np.isfinite(values[:, 0])]
                both = here[np.isfinite(here[:, 1])]
                if not len(here):
                    continue
                yield {
                    "change": change,
                    "region": region,
                    "quantity": quantity,
                    "unit": unit_of(quantity),
                    "photos": len(both),
                    "lost": len(here) - len(both),
                    **(_moved(both, relative=quantity in RELATIVE) if len(both) else {}),
                }


def _moved(values: np.ndarray, *, relative: bool) -> dict[str, object]:
    before, move = values[:, 0], values[:, 1] - values[:, 0]
    rms = math.sqrt(float((move**2).mean()))
    spread = float(before.std(ddof=1)) if len(before) > 2 else 0.0
    positive = relative and bool((before > 0.0).all())
    return {
        "mean_move": float(move.mean()),
        "rms_move": rms,
        "most_moves": float(np.quantile(np.abs(move), 0.95)),
        "rms_percent": 100.0 * math.sqrt(float(((move / before) ** 2).mean()))
        if positive
        else None,
        "rms_of_sd": rms / spread if spread > 0.0 else None,
    }


def reliability_rows(moves: Moves) -> Iterator[list[object]]:
    """Rows of reliability.csv, header first."""
    yield [column.name for column in COLUMNS]
    for figures in _figures(moves):
        yield [as_cell(figures.get(column.name), column) for column in COLUMNS]


SHOWN = (
    "melanosomes_percent",
    "blood_percent",
    "melanin_index",
    "erythema_index",
    "lab_l",
    "lab_a",
    "lab_b",
    "ita_degrees",
)

OPENING = """\
# How far the same face moves

Each photo was measured again after a change of light, camera or file, under which the skin is the same. A
number is the root of the mean square by which the whole skin's number moves, and behind it the same in
standard deviations between the photos: with different people, a tenth is little, and 1 as much as tells
people apart. Regions, means and the largest moves are in reliability.csv.
"""


def report(moves: Moves) -> str:
    """reliability.md, as Markdown."""
    found = {(f["change"], f["quantity"]): f for f in _figures(moves) if f["region"] == WHOLE}
    head = ["change", *(f"{name}{f', {unit_of(name)}' if unit_of(name) else ''}" for name in SHOWN)]
    lines = [OPENING, f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for change in CHANGES:
        cells = [_shown(found.get((change, name), {})) for name in SHOWN]
        if any(cells):
            lines.append(f"| {' | '.join([change, *cells])} |")
    photos = max((f["photos"] for f in found.values() if isinstance(f["photos"], int)), default=0)
    lines += [f"\nOf {photos} photos.\n", "## Changes\n"]
    lines += [f"- {name}: {what}" for name, what in CHANGES.items()]
    return "\n".join(lines) + "\n"


def _shown(figures: Mapping[str, object]) -> str:
    rms, spread = figures.get("rms_move"), figures.get("rms_of_sd")
    if not isinstance(rms, float):
        return ""
    return f"{rms:.3g}" + (f" ({spread:.2f} SD)" if isinstance(spread, float) else "")
