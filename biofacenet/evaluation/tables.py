"""Figures of several methods as tables: on the terminal, as Markdown, CSV and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table as RichTable

from ..system.console import console
from ..system.files import whole_file, write_csv, write_json
from .metrics import COLUMNS, OTHER_COLUMNS
from .settings import EVALUATION_FILE, TITLES

__all__ = [
    "Table",
    "as_markdown",
    "figure",
    "markdown",
    "show",
    "show_tables",
    "tables",
    "write",
]

UNITS = {
    "angle_degrees": "colour of light, degrees",
    "cct_kelvin": "CCT, K",
    "cct_mired": "CCT, mired",
    "b_rmse": "b, RMSE",
    "curves_relative": "curves, relative",
}


@dataclass(frozen=True)
class Table:
    """Text in rows; the first heading stands above the rows' names."""

    title: str
    headings: list[str]
    rows: list[list[str]]


def tables(results: Mapping[str, Any]) -> list[Table]:
    """All tables of what evaluation.json holds."""
    methods: Mapping[str, Any] = results["methods"]
    rmse = next(iter(methods.values()))["rmse"]
    main = [name for name in rmse if name not in OTHER_COLUMNS]
    found = [_of_methods(methods, "RMSE in the mask", {"rmse": main})]
    if results.get("published"):
        row = [figure(results["published"][name]) for name in main]
        found[0].rows.append(["paper, other data", *row])
    if len(main) < len(rmse):
        title = "RMSE without scales (diffuse, specular) and with one (albedo)"
        found.append(_of_methods(methods, title, {"rmse": list(OTHER_COLUMNS)}))
    for title, sections in (
        ("SSIM in the mask", ("ssim",)),
        ("Rank correlation", ("rank_within", "rank_between")),
        ("Light and camera", ("light", "camera")),
    ):
        columns = {
            name: list(section)
            for name, section in next(iter(methods.values())).items()
            if name in sections
        }
        if columns:
            found.append(_of_methods(methods, title, columns))
    found += [_of_tones(TITLES[name], of) for name, of in methods.items() if "by_skin_tone" in of]
    return found


def _of_methods(
    methods: Mapping[str, Any], title: str, columns: Mapping[str, Sequence[str]]
) -> Table:
    """A row for each method; columns of one section or of several."""
    headings = [""]
    for section, names in columns.items():
        suffix = f" {section.removeprefix('rank_')}" if section.startswith("rank_") else ""
        headings += [UNITS.get(name, name) + suffix for name in names]
    rows = [
        [TITLES[method]]
        + [figure(of[section][name]) for section, names in columns.items() for name in names]
        for method, of in methods.items()
    ]
    return Table(title, headings, rows)


def _of_tones(method: str, of: Mapping[str, Any]) -> Table:
    """A row for each group of skin tone, and the ratios between groups."""
    rows = [
        [f"{tone} ({group['faces']})", *(figure(group["rmse"][name]) for name in COLUMNS)]
        for tone, group in of["by_skin_tone"].items()
    ]
    for label, key in (
        ("dark / light", "dark_to_light"),
        ("brown, dark / light", "brown_and_dark_to_light"),
    ):
        rows.append([label, *(figure(of[key][name], 2) for name in COLUMNS)])
    return Table(f"RMSE by skin tone (faces): {method}", ["", *COLUMNS], rows)


def figure(value: float | None, digits: int = 3) -> str:
    """A number as tables show it."""
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100.0 else f"{value:.{digits}f}"


def markdown(results: Mapping[str, Any]) -> str:
    """All tables as Markdown."""
    return as_markdown(results["faces"]["name"] + ".", tables(results))


def as_markdown(head: str, shown: Sequence[Table]) -> str:
    """Tables as Markdown, below a line of text."""
    parts = [head]
    for table in shown:
        aligned = ["---", *["---:"] * (len(table.headings) - 1)]
        lines = [f"| {' | '.join(line)} |" for line in (table.headings, aligned, *table.rows)]
        parts.append(f"**{table.title}**\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def show(results: Mapping[str, Any]) -> None:
    """All tables on the terminal."""
    show_tables(results["faces"]["name"], tables(results))


def show_tables(head: str, shown: Sequence[Table]) -> None:
    """Tables on the terminal, below a line of text."""
    console.print(head, markup=False)
    for table in shown:
        # Narrow enough for 80 columns, in which a longer word would be cut.
        drawn = RichTable(title=table.title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
        for heading in table.headings:
            drawn.add_column(heading, justify="right" if heading else "left", overflow="fold")
        for row in table.rows:
            drawn.add_row(*row)
        console.print(drawn)


def write(results: Mapping[str, Any], folder: Path) -> None:
    """Write evaluation.json, evaluation.md, evaluation.csv and, where there are, skin_tones.csv."""
    write_json(folder / EVALUATION_FILE, results)
    with whole_file(folder / "evaluation.md") as temporary:
        temporary.write_text(markdown(results), "utf-8")
    flat = {
        name: {
            f"{kind}_{column}": value
            for kind, values in of.items()
            if isinstance(values, dict) and kind != "by_skin_tone"
            for column, value in values.items()
        }
        for name, of in results["methods"].items()
    }
    header = ["method", *next(iter(flat.values()))]
    rows: list[list[Any]] = [[name, *values.values()] for name, values in flat.items()]
    write_csv(folder / "evaluation.csv", [header, *rows])
    tones = [
        [name, tone, group["faces"], *(group["rmse"][column] for column in COLUMNS)]
        for name, of in results["methods"].items()
        for tone, group in of.get("by_skin_tone", {}).items()
    ]
    if tones:
        head = ["method", "skin_tone", "faces", *COLUMNS]
        write_csv(folder / "skin_tones.csv", [head, *tones])
