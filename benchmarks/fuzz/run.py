"""Cases one after the other in a process of their own, which may crash, hang or eat memory."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from biofacenet import BioFaceNetError
from biofacenet.system.limits import MEGAPIXELS

from .kinds import KINDS, Kind
from .mutate import damaged

__all__ = ["LONGEST", "MEMORY", "Report", "fuzz", "remake", "wholes_of"]

LONGEST = 20.0
"""Seconds that a file may take."""

PATIENCE = 10.0
"""Seconds more, in which the process begins, and measures the time itself."""

MEMORY = 1e9
"""Bytes that a file may take, besides those of its picture."""

LARGEST_PICTURE = 20
"""Megapixels of the largest photo that is read here."""

PICTURE = LARGEST_PICTURE * 1e6 * 4 * 4
"""Bytes of such a picture and its opacity."""


@dataclass
class Report:
    """What came of the cases of one kind."""

    kind: str
    outcomes: Counter[str] = field(default_factory=Counter)
    """How many were read, refused, or faults."""
    faults: list[str] = field(default_factory=list)
    """A line for each: its number and what happened."""
    slowest: float = 0.0
    """Seconds."""
    memory: float = 0.0
    """Bytes, the most that a case took."""

    @property
    def count(self) -> int:
        return sum(self.outcomes.values())


@cache
def wholes_of(kind: str) -> dict[str, bytes]:
    """Whole files of a kind, by name."""
    return KINDS[kind].wholes()


def remake(kind: str, number: int) -> tuple[str, bytes]:
    """The damaged file of a case: its name, and what is in it."""
    wholes = wholes_of(kind)
    random = np.random.default_rng([list(KINDS).index(kind), number])
    names = list(wholes)
    name = names[int(random.integers(len(names)))]
    return name, damaged(wholes[name], random, list(wholes.values()))


def fuzz(kind: str, *, start: int = 0, count: int = 1000, seconds: float = float("inf")) -> Report:
    """Read damaged files of a kind, by their numbers.

    Args:
        kind: of `KINDS`.
        start: number of the first.
        count: how many.
        seconds: stop after this long.
    """
    report, number, end = Report(kind), start, time.monotonic() + seconds
    wholes_of(kind)  # once, and not in each process
    while number < start + count and time.monotonic() < end:
        # Of this process, so that it goes however the other one ends.
        with tempfile.TemporaryDirectory() as folder:
            number = _some(report, folder, number, start + count, end)
    return report


def _some(report: Report, folder: str, number: int, stop: int, end: float) -> int:
    """Cases until one ends the process; the number of the next."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    process = context.Process(  # type: ignore[attr-defined]
        target=_work, args=(there, folder, report.kind, number, stop), daemon=True
    )
    process.start()
    there.close()
    try:
        while number < stop and time.monotonic() < end:
            if not here.poll(LONGEST + PATIENCE):
                _note(report, number, "fault", f"took over {LONGEST:g} s")
                return number + 1
            try:
                outcome, words, took, memory = here.recv()
            except EOFError:
                process.join()
                _note(report, number, "fault", f"ended the process ({process.exitcode})")
                return number + 1
            report.slowest, report.memory = max(report.slowest, took), max(report.memory, memory)
            _note(report, number, outcome, words)
            number += 1
    finally:
        process.kill()
        process.join()
        here.close()
    return number


def _note(report: Report, number: int, outcome: str, words: str) -> None:
    report.outcomes[outcome] += 1
    if outcome == "fault":
        report.faults.append(f"{report.kind} {number}: {words}")


# In the other process ------------------------------------------------------------------------


def _work(pipe: Connection, folder: str, kind: str, start: int, stop: int) -> None:
    os.environ[MEGAPIXELS] = str(LARGEST_PICTURE)
    warnings.simplefilter("ignore")
    beside = KINDS[kind].beside()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for number in range(start, stop):
            pipe.send(_case(Path(folder), kind, beside, number))


def _case(folder: Path, kind: str, beside: dict[str, bytes], number: int) -> tuple[Any, ...]:
    name, content = remake(kind, number)
    path = folder / Path(name).name
    for other, whole in beside.items():
        (folder / other).write_bytes(whole)
    path.write_bytes(content)
    with _memory() as taken:
        began = time.monotonic()
        outcome, words = _outcome(KINDS[kind], path)
        took = time.monotonic() - began
    allowed = MEMORY + (PICTURE if kind == "photos" else 0.0)
    if outcome != "fault" and taken[0] > allowed:
        outcome, words = "fault", f"took {taken[0] / 1e9:.2f} GB"
    if outcome != "fault" and took > LONGEST:
        outcome, words = "fault", f"took {took:.0f} s"
    path.unlink()
    return outcome, words, took, taken[0]


def _outcome(kind: Kind, path: Path) -> tuple[str, str]:
    try:
        kind.read(path)
    except BioFaceNetError as error:
        message = str(error)
        if "\n" in message or len(message) > 2000:
            return (
                "fault",
                f"a message of several lines or {len(message)} characters: {message[:80]!r}",
            )
        if str(path.parent) not in message:
            return "fault", f"a message without the path: {message[:200]!r}"
        return "refused", ""
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return (
            "fault",
            f"{type(error).__name__}: {str(error)[:200]!r} ({where.filename}:{where.lineno})",
        )
    return "read", ""


@contextlib.contextmanager
def _memory() -> Iterator[list[float]]:
    """Bytes that are taken meanwhile at most, where the system tells it."""
    taken, status = [0.0], Path("/proc/self/status")
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # forget the peak
        before = _field(status, "VmRSS")
    except OSError:
        yield taken
        return
    yield taken
    taken[0] = max(0.0, _field(status, "VmHWM") - before)


def _field(status: Path, name: str) -> float:
    for line in status.read_text("ascii", "replace").splitlines():
        if line.startswith(f"{name}:"):
            return 1024.0 * float(line.split()[1])
    return 0.0
