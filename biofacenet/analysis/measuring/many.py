"""Measure file after file, by several processes, and lose nothing of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import BioFaceNetError
from ...system.device import usable_cpus
from ...system.workers import Lost, as_they_end, in_this_process
from .entries import Entry, entry_of, state_of
from .files import Measurer
from .runs import Run
from .settings import Settings

__all__ = ["Make", "measure_rest"]

WORTH = 4
"""Files for which a process is started: that takes as long as measuring two or three."""

Make = Callable[[Settings], Measurer]
"""What makes a measurer, in the process that uses it; importable by name."""

Item = tuple[Path, "Path | None"]
"""A file, and where its sheets go; None for none."""


@dataclass(frozen=True)
class _Task:
    """Measures a file, in whichever process."""

    settings: Settings
    make: Make
    changes: bool

    def __call__(self, item: Item) -> Entry:
        path, sheet = item
        measurer, state = _measurer(self.settings, self.make), state_of(path)
        rows = tuple(measurer(path, sheet))
        if not self.changes or any(row["problem"] for row in rows):
            return Entry(state, rows)
        try:
            copies = measurer.changed(path)
        except (BioFaceNetError, MemoryError):  # gone since, or too large for a copy beside it
            copies = {}
        return Entry(state, rows, {name: tuple(copy) for name, copy in copies.items()})


_made: list[tuple[Settings, Make, Measurer]] = []
"""What this process measures with."""


def _measurer(settings: Settings, make: Make) -> Measurer:
    if not _made or _made[0][:2] != (settings, make):
        _made[:] = [(settings, make, make(settings))]
    return _made[0][2]


def measure_rest(
    run: Run, places: Sequence[int], sheets: Sequence[Path] | None, settings: Settings, make: Make
) -> Iterator[tuple[int, Entry]]:
    """Measure some files of a run and write down what came of each, at once.

    Args:
        run: whose journal is written to.
        places: of the files in its plan.
        sheets: where the sheets of each file of the plan go; None for none.
        settings: how to measure.
        make: what makes the measurer.

    Yields:
        Places and what came of them, as they are ready.

    Raises:
        BioFaceNetError: processes end at once, one after the other.
        OSError: nothing more can be written.
    """
    files = run.plan.files
    items = [(files[place], None if sheets is None else sheets[place]) for place in places]
    task = _Task(settings, make, run.plan.changes)
    count = processes(settings.workers, len(items))
    alone = count < 2
    made: Iterator[tuple[int, Entry | Lost]] = (
        enumerate(in_this_process(task, items)) if alone else as_they_end(task, items, count)
    )
    try:
        for number, found in made:
            place = places[number]
            entry = entry_of(found, files[place])
            run.journal.add(place, entry.as_json())
            yield place, entry
    except KeyboardInterrupt:
        sys.stderr.write("what was measured is kept; give the same command again to go on\n")
        raise
    finally:
        _made.clear()


def processes(workers: int | None, files: int) -> int:
    """How many processes measure so many files: 0 and 1 are this one.

    Args:
        workers: as asked for; when not, one for each processor, which those that a launcher started on
            this machine share, and for a few files none.
        files: to be measured.

    Raises:
        BioFaceNetError: fewer than 0.
    """
    if workers is not None:
        if workers < 0:
            raise BioFaceNetError(f"workers {workers}: expected 0 or more, such as 4")
        return min(workers, files)
    beside = os.environ.get("LOCAL_WORLD_SIZE", "1")
    shared = int(beside) if beside.isdecimal() and int(beside) else 1
    return min(max(1, usable_cpus() // shared), files // WORTH)
