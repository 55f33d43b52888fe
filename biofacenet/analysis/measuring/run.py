"""Measure files, and write the tables."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ...errors import BioFaceNetError
from ...network.unet import BioFaceNet
from ...photos.framing import Wanted
from ...photos.white_choice import WhiteChoice
from ...system.console import console, progress
from ...system.device import choose_device
from ...system.files import check_folder, remove_leftovers, whole_file, write_csv
from ...system.locks import folder_lock
from ...system.names import complain, shown
from ...system.numbering import beside_earlier, holds
from ...system.shares import Share, share_of
from ..batch import result_folders
from ..methods import ByNetwork
from ..whitening import beside_white
from . import differences, reliability, repeats
from .codebook import codebook
from .columns import Column
from .compared import read_repeatability
from .entries import Entry
from .files import Measurer
from .many import measure_rest
from .places import JOURNAL, TABLE
from .plans import Plan
from .rows import header
from .runs import Run, go_on, heading_of, is_of_others, runs_in
from .settings import Settings

__all__ = ["CODEBOOK", "SHEETS", "TABLE", "join", "measure", "measurer_of"]

CODEBOOK, SHEETS = "codebook.md", "sheets"
"""What lies in the folder for results."""

DIFFERENCES, PEOPLE, REPEATS = "differences.csv", "people.csv", "repeats.csv"
RELIABILITY, REPORT = "reliability.csv", "reliability.md"
"""The same, of pairs, of people's repeated photos, and of changed copies."""


def measurer_of(settings: Settings) -> Measurer:
    """What measures a file under these settings."""
    device = choose_device(settings.device)
    model = BioFaceNet.from_pretrained(settings.model).to(device)
    method = ByNetwork(model, settings.size, resolution=settings.resolution)
    # Not the device: rows are the same wherever they are computed.
    said = f"network {settings.model}, size {settings.size}"
    choice = WhiteChoice(settings.white, settings.reference, settings.white_reflectance)
    wanted = Wanted(settings.crop, settings.face)
    return Measurer(beside_white(method, choice), said, wanted, settings.every)


def measure(plan: Plan, settings: Settings) -> None:
    """Measure files and write the table, its codebook and sheets, and what is made of pairs and people.

    A run that was stopped at any point goes on there. A finished table of other files or settings stays, and
    this one goes to a folder with a number, unless it may be overwritten.

    Args:
        plan: files, of which one that cannot be used becomes a row that says why; and pairs and people.
        settings: how, and where to.

    Raises:
        BioFaceNetError: no file is named, another process measures into the folder, or it holds an
            unfinished run of other files or settings, or a finished one of this share.
        OSError: results cannot be written.
        SystemExit: with status 2, after everything else, where a file could not be measured, unless this
            is a share: a launcher would end the others.
    """
    if not plan.files:
        raise BioFaceNetError(
            "no photo named; name one or more, such as portrait.jpg (--help shows all settings)"
        )
    share = share_of(settings.share)
    out = _folder(plan, settings, share)
    check_folder(out / SHEETS)
    tables = Tables(out, plan, settings.repeatability)
    with folder_lock(out, "measures photos") as held:
        if held:
            remove_leftovers(out)
            remove_leftovers(out / SHEETS)
        run = go_on(out, plan, settings, share, overwrite=settings.overwrite)
        with run.journal:
            _measure_left(run, settings, out)
            failed = tables.write([run])
    if failed and share.is_all:
        raise SystemExit(2)


def _folder(plan: Plan, settings: Settings, share: Share) -> Path:
    """Where tables go: a share to a folder of its name alone, by which it is joined."""
    if not share.is_all:
        return settings.out / share.name
    heading = heading_of(plan, settings, share)
    return beside_earlier(
        settings.out,
        lambda folder: is_of_others(folder, heading),
        overwrite=settings.overwrite,
    )


def _measure_left(run: Run, settings: Settings, out: Path) -> None:
    """Measure what is not done, and tell of problems as they come."""
    left = run.left()
    total, done = len(run.places), len(run.places) - len(left)
    if done:
        console.print(f"{done} of {total} photos were measured before")
    sheets = result_folders(out / SHEETS, run.plan.files) if settings.sheets else None
    with progress("photos", total, done=done, unit="photos", watched=True) as bar:
        for _, entry in measure_rest(run, left, sheets, settings, measurer_of):
            for row in entry.problems:
                path, said = str(row["photo"]), str(row["problem"])
                complain(said if shown(path) in said else f"{path}: {said}")
            bar.advance()


def join(
    folders: Sequence[Path],
    out: Path,
    repeatability: Path | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Join the shares of a list to one table, the same as if one machine had measured all.

    Args:
        folders: of shares, or folders that hold such folders.
        out: folder for the table; with a number where it holds one.
        repeatability: as of `Settings`.
        overwrite: whether that is replaced instead.

    Raises:
        BioFaceNetError: shares are missing or unfinished, or not of one list.
        SystemExit: with status 2, after everything else, where a file could not be measured.
    """
    check_folder(out)
    runs = runs_in(folders)
    try:
        out = beside_earlier(out, holds([TABLE, JOURNAL]), overwrite=overwrite)
        tables = Tables(out, runs[0].plan, repeatability)
        with folder_lock(out, "joins tables"):
            failed = tables.write(runs)
    finally:
        for run in runs:
            run.journal.close()
    if failed:
        raise SystemExit(2)


class Tables:
    """The tables of a folder, and what they are made of."""

    def __init__(self, out: Path, plan: Plan, repeatability: Path | None = None) -> None:
        """Read how far measurements repeat, where pairs need it, before anything else.

        Raises:
            DataError: that table is damaged or no such table.
        """
        self.out, self.plan = out, plan
        self.repeatability = read_repeatability(repeatability) if plan.pairs else {}

    def write(self, runs: Sequence[Run]) -> int:
        """Write all tables, each whole or not at all.

        Args:
            runs: all shares of a list in their order; or one share alone, whose rows are written and
                nothing is made of them, as what they are compared with may be in another.

        Returns:
            How many files could not be measured.
        """
        self._faces = self._failed = 0
        write_csv(self.out / TABLE, itertools.chain([header()], self._rows(_entries(runs))))
        more: dict[str, Sequence[Column]] = {}
        if len(runs) == runs[0].share.count:
            more = self._write_more(lambda place: runs[place % len(runs)].entry(place))
        with whole_file(self.out / CODEBOOK) as temporary:
            temporary.write_text(codebook(more), "utf-8")
        count = sum(len(run.places) for run in runs)
        console.print(
            f"{shown(self.out / TABLE)}: {self._faces} faces of {count} photos"
            + "".join(f", {name}" for name in more)
        )
        if self._failed:
            console.print(
                f"{self._failed} of {count} photos could not be measured: see the column problem"
            )
        return self._failed

    def _rows(self, entries: Iterable[Entry]) -> Iterator[list[object]]:
        """Cells of all rows; faces and failures are counted on the way."""
        for entry in entries:
            self._failed += bool(entry.problems)
            for row in entry.rows:
                self._faces += row["region"] == "skin"
                yield row.cells()

    def _write_more(self, entry: Callable[[int], Entry]) -> dict[str, Sequence[Column]]:
        """What is made of pairs, people and changed copies; names of tables, and their columns."""
        plan = self.plan
        found: dict[str, Sequence[Column]] = {}
        if plan.pairs:
            rows = differences.difference_rows(plan, entry, self.repeatability)
            write_csv(self.out / DIFFERENCES, rows)
            found[DIFFERENCES] = differences.COLUMNS
        if plan.people:
            values = repeats.repeated(plan, entry)
            write_csv(self.out / PEOPLE, repeats.people_rows(values))
            write_csv(self.out / REPEATS, repeats.repeats_rows(values))
            found |= {PEOPLE: repeats.OF_PEOPLE, REPEATS: repeats.OF_ALL}
        if plan.changes:
            moves = reliability.moves_of(map(entry, range(len(plan.files))))
            write_csv(self.out / RELIABILITY, reliability.reliability_rows(moves))
            with whole_file(self.out / REPORT) as temporary:
                temporary.write_text(reliability.report(moves), "utf-8")
            found[RELIABILITY] = reliability.COLUMNS
        return found


def _entries(runs: Sequence[Run]) -> Iterator[Entry]:
    """What came of files, in the order of the list."""
    for place in sorted(place for run in runs for place in run.places):
        yield runs[place % len(runs)].entry(place) if len(runs) > 1 else runs[0].entry(place)
