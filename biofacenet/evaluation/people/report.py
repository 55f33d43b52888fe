"""Figures of people as tables: on the terminal, as Markdown, CSV and JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...system.files import whole_file, write_csv, write_json
from ..settings import PEOPLE_FILE
from ..tables import Table, as_markdown, figure, show_tables
from .figures import LEAST_PEOPLE, MEASUREMENTS, Measurement, group_order, worse
from .methods import INDICES
from .numbers import Numbers
from .targets import Target, asked

__all__ = ["show", "tables", "write"]

BY_NAME = {one.key: one for one in MEASUREMENTS}


def tables(results: Mapping[str, Any], *, narrow: bool = False) -> list[Table]:
    """What is shown: methods beside each other, then each method by group, the worst group first.

    Args:
        results: what people.json holds.
        narrow: of groups, only the worst, and of indices, only the best: for a terminal.
    """
    methods: Mapping[str, Any] = results["methods"]
    found = [_beside(methods)] if len(methods) > 1 else []
    for name, method in methods.items():
        if name not in INDICES:
            groups = {} if narrow else results["groups"]
            found.append(_by_group(name, method["figures"], groups))
    plain = {name: method for name, method in methods.items() if name in INDICES}
    if plain and (not narrow or len(plain) == len(methods)):
        found.append(_beside(plain, "Plain indices"))
    return found


def _title(one: Measurement) -> str:
    return f"{one.title}, {one.unit}" if one.unit else one.title


def _rows(methods: Mapping[str, Any]) -> list[Measurement]:
    return [one for one in MEASUREMENTS if any(one.key in m["figures"] for m in methods.values())]


def _right(one: Measurement) -> str:
    return "–" if one.right is None else f"{one.right:g}"


def _asked(one: Measurement) -> str:
    return asked(one.key).told() or "–"


def _all(method: Mapping[str, Any], key: str) -> float | None:
    value: float | None = method["figures"].get(key, {}).get("all")
    return value


def _beside(methods: Mapping[str, Any], title: str = "") -> Table:
    """A column for each method; with no title, the best index stands for all indices."""
    names = list(methods) if title else [name for name in methods if name not in INDICES]
    best = not title and len(names) < len(methods)
    rows = []
    for one in _rows(methods):
        row = [_title(one), _right(one), _asked(one)]
        row += [*(figure(_all(methods[name], one.key)) for name in names)]
        rows.append([*row, _best(one, methods)] if best else row)
    headings = ["", "right", "asked", *(INDICES.get(name, name) for name in names)]
    return Table(title or "All people", [*headings, "best index"] if best else headings, rows)


def _best(one: Measurement, methods: Mapping[str, Any]) -> str:
    """The index that is nearest to the right answer, and its figure."""
    values = {name: _all(methods[name], one.key) for name in methods if name in INDICES}
    off = {name: far for name, value in values.items() if (far := worse(one, value)) is not None}
    if not off:
        return "–"
    name = min(off, key=off.__getitem__)
    return f"{figure(values[name])} ({INDICES[name]})"


def _by_group(name: str, figures: Mapping[str, Any], groups: Mapping[str, int]) -> Table:
    """The worst group of each row, all people, then every group."""
    order = group_order(dict(figures), list(groups))
    rows = []
    for one in (BY_NAME[key] for key in figures):
        row = figures[one.key]
        worst = row["worst"]
        shown = "–" if worst is None else f"{figure(row['groups'][worst])} ({worst})"
        values = [figure(row["groups"].get(group)) for group in order]
        rows.append([_title(one), _right(one), _asked(one), shown, figure(row["all"]), *values])
    headings = ["", "right", "asked", "worst group", "all", *(f"{g} ({groups[g]})" for g in order)]
    return Table(f"By group (people): {name}" if order else name, headings, rows)


def _head(results: Mapping[str, Any]) -> str:
    small = [name for name, count in results["groups"].items() if count < LEAST_PEOPLE]
    remarks = [results["name"] + "."]
    if small:
        remarks.append(
            f"Fewer than {LEAST_PEOPLE} people, never called the worst: {', '.join(small)}."
        )
    return " ".join([*remarks, *results["remarks"]])


def _ends(target: Target, value: float | None) -> list[Any]:
    """What is asked of a figure, from and to, and whether it has it; empty where nothing is."""
    ends = ["" if math.isinf(end) else end for end in (target.least, target.most)]
    met = target.met(value)
    return [*ends, "" if met is None else "yes" if met else "no"]


def markdown(results: Mapping[str, Any]) -> str:
    """All tables as Markdown."""
    return as_markdown(_head(results), tables(results))


def show(results: Mapping[str, Any]) -> None:
    """What matters most on the terminal."""
    show_tables(_head(results), tables(results, narrow=True))


def write(
    results: Mapping[str, Any], people: Mapping[str, Sequence[Numbers]], folder: Path
) -> None:
    """Write people.json, people.md, people.csv and each_person.csv."""
    write_json(folder / PEOPLE_FILE, results)
    with whole_file(folder / "people.md") as temporary:
        temporary.write_text(markdown(results), "utf-8")
    rows: list[list[Any]] = [
        [
            *("method", "measurement", "unit", "right", "group", "people", "value", "worst"),
            *("target_least", "target_most", "met"),
        ]
    ]
    for name, method in results["methods"].items():
        for key, row in method["figures"].items():
            one = BY_NAME[key]
            start = [name, key, one.unit, one.right]
            target = asked(key)
            rows.append(
                [*start, "all", results["people"], row["all"], "", *_ends(target, row["all"])]
            )
            for group, value in row["groups"].items():
                worst = "yes" if group == row["worst"] else ""
                ends = _ends(target.of(group), value)
                rows.append([*start, group, results["groups"][group], value, worst, *ends])
    write_csv(folder / "people.csv", rows)
    keys = list(dict.fromkeys(k for each in people.values() for one in each for k in one.values))
    lines: list[list[Any]] = [["method", "id", "group", *keys]]
    for name, each in people.items():
        lines += [[name, one.id, one.group, *(one.values.get(k, "") for k in keys)] for one in each]
    write_csv(folder / "each_person.csv", lines)
