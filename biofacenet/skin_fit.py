"""How well the skin model explains measured skin: python -m biofacenet.skin_fit FILE.csv."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .cli import parse, run
from .errors import BioFaceNetError, DataError
from .physics.names import SkinName
from .system.files import check_folder, whole_file, write_csv
from .system.names import shown
from .system.settings import option

__all__ = ["Settings", "main"]

EXAMPLES = ("spectra.csv", "spectra.csv --skin published --percent")


@dataclass
class Settings:
    """How well the skin model explains measured skin reflectance.

    The file is a table with wavelengths in nm down the first column and a column for each sample; a
    line that begins with 'group' beneath the heading puts samples into groups. Leaves summary.csv and
    summary.md, and samples.csv with the map values of each sample.
    """

    file: Path = option(positional=True)
    """CSV file of reflectances in 0..1, at least from 430 to 670 nm, at most 20 nm apart."""
    skin: SkinName = "measured"
    """Constants of the skin model: published, those of the paper's authors, or measured, tuned on
    measured spectra."""
    percent: bool = False
    """Reflectances are in percent."""
    out: Path = Path("skin-fit")
    """Folder for the tables."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare the spectra that the command line names with the model."""
    settings = parse(Settings, arguments, program="skin_fit", examples=EXAMPLES)
    if not settings.file.is_file():
        raise DataError(
            f"{settings.file}: no such file; expected a CSV file of reflectance spectra"
        )
    check_folder(settings.out)

    from rich.table import Table

    from .data.spectra import read_spectra
    from .evaluation.spectra import HEADINGS, markdown, sample_rows, summarise
    from .fitting.spectra import fit_spectra
    from .system.console import console

    spectra = read_spectra(settings.file, percent=settings.percent)
    try:
        found = fit_spectra(spectra.wavelengths, spectra.reflectances, settings.skin)
    except ValueError as error:
        raise BioFaceNetError(f"{settings.file}: {error}") from error
    summaries = summarise(found, spectra.groups)
    low, high = (round(float(found.wavelengths[i])) for i in (0, -1))
    name = shown(settings.file.name)
    title = f"{settings.skin} skin against {name}, {low} to {high} nm"
    table = Table(*HEADINGS, title=title)
    for summary in summaries:
        table.add_row(*summary.cells())
    console.print(table)
    write_csv(settings.out / "summary.csv", [[*HEADINGS], *(each.cells() for each in summaries)])
    with whole_file(settings.out / "summary.md") as temporary:
        temporary.write_text(f"{title}\n\n{markdown(summaries)}", "utf-8")
    write_csv(settings.out / "samples.csv", sample_rows(spectra, found))
    console.print(f"tables: {settings.out}", markup=False)


if __name__ == "__main__":
    run(main)
