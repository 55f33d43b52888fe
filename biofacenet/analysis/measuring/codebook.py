"""The codebook: what each column, region and warning of the table means, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..._version import __version__
from .cautions import CAUTIONS
from .columns import COLUMNS, Column
from .regions import REGIONS

__all__ = ["codebook"]

OPENING = """\
# Codebook of faces.csv

Written by biofacenet {version}. A row is one face and one region of it; text is UTF-8, numbers have a
point, and an empty cell was not measured. Names that a spreadsheet would take for formulas begin with ./
or an apostrophe.

Amounts are those of a model of skin that explains the photo. Differences within a photo are surer than
levels; what can be trusted, and how far, is in the guide on measuring (docs/guides/measuring.md).
"""


def codebook(more: Mapping[str, Sequence[Column]] | None = None) -> str:
    """The codebook as Markdown, from `COLUMNS`, `REGIONS` and `CAUTIONS`.

    Args:
        more: columns of other tables beside faces.csv, by their names.
    """
    parts = [
        OPENING.format(version=__version__),
        "## Columns\n",
        *_lines(COLUMNS),
        "\n## Regions\n",
        "Left and right are the person's own, as long as the photo is not mirrored.\n",
        "| region | what it is |",
        "|---|---|",
        *(f"| {name} | {_cell(what)} |" for name, what in REGIONS.items()),
        "\n## Warnings\n",
        "| warning | meaning, and what to do |",
        "|---|---|",
        *(f"| {code} | {_cell(meaning)} |" for code, meaning in CAUTIONS.items()),
    ]
    for name, columns in (more or {}).items():
        parts += [f"\n## Columns of {name}\n", *_lines(columns)]
    return "\n".join(parts) + "\n"


def _lines(columns: Sequence[Column]) -> list[str]:
    """A table of columns."""
    return [
        "| column | unit | definition | equation | source |",
        "|---|---|---|---|---|",
        *map(_line, columns),
    ]


def _line(column: Column) -> str:
    words = (column.name, column.unit, column.definition, column.equation, column.source)
    return f"| {' | '.join(_cell(each) for each in words)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
