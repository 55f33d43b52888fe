"""Where command lines speak, and how they show what is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Bar", "console", "progress"]

console = Console(highlight=False, soft_wrap=True, markup=False)
"""Where command lines speak; brackets, also in tables, are brackets."""


QUIET = 30.0
"""Seconds after which a line is written in a pipe, also where nothing was done meanwhile."""


class Bar:
    """Shows how far some work is; on its own, it shows nothing."""

    def advance(self, count: int = 1) -> None:
        """So many more are done."""

    def update(
        self, *, done: int | None = None, what: str | None = None, note: str | None = None
    ) -> None:
        """So many are done; what is at hand, and a remark behind the bar."""


class _Drawn(Bar):
    """A line of a terminal that is drawn again and again."""

    def __init__(self, shown: Progress, what: str, total: int | None, done: int) -> None:
        self._shown = shown
        self._task = shown.add_task(what, total=total, completed=done, note="")

    def advance(self, count: int = 1) -> None:
        self._shown.advance(self._task, count)

    def update(
        self, *, done: int | None = None, what: str | None = None, note: str | None = None
    ) -> None:
        given: dict[str, Any] = {} if note is None else {"note": note}
        self._shown.update(self._task, completed=done, description=what, **given)


class _Written(Bar):
    """A plain line at every tenth of the work and every half minute, two seconds apart or more.

    Those of every half minute also come while a single step takes long, where it is watched.
    """

    def __init__(
        self, what: str, total: int | None, done: int, unit: str, *, watched: bool
    ) -> None:
        self._what, self._total, self._done, self._unit, self._note = what, total, done, unit, ""
        self._before, self._tenth = done, self._tenths(done)
        self._began = self._spoke = time.monotonic()
        self._lock, self._over = threading.Lock(), threading.Event()
        if watched:
            threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._over.wait(QUIET / 10.0):
            self.update()

    def close(self) -> None:
        """Say no more."""
        self._over.set()

    def advance(self, count: int = 1) -> None:
        self.update(done=self._done + count)

    def update(
        self, *, done: int | None = None, what: str | None = None, note: str | None = None
    ) -> None:
        with self._lock:
            self._what = self._what if what is None else what
            self._note = self._note if note is None else note
            self._done = self._done if done is None else done
            quiet, tenth = time.monotonic() - self._spoke, self._tenths(self._done)
            told = quiet >= QUIET or (quiet >= 2.0 and tenth > self._tenth)
            if told and self._done != self._total and not self._over.is_set():
                self._spoke, self._tenth = time.monotonic(), tenth
                console.print(self._line(), markup=False)

    def _tenths(self, done: int) -> int:
        return 10 * done // self._total if self._total else 0

    def _line(self) -> str:
        spent = time.monotonic() - self._began
        line = f"{self._what}: {self._done}"
        if self._total:
            line += f" of {self._total}"
        line += f" {self._unit}".rstrip()
        if self._total:
            line += f" ({100 * self._done // self._total} %)"
        line += f", {timedelta(seconds=round(spent))} spent"
        if self._total and self._done > self._before:
            left = spent * (self._total - self._done) / (self._done - self._before)
            line += f", {timedelta(seconds=round(left))} left"
        return f"{line}  {self._note}".rstrip()


@contextmanager
def progress(
    what: str,
    total: int | None,
    *,
    done: int = 0,
    shown: bool = True,
    count: bool = True,
    unit: str = "",
    watched: bool = False,
) -> Iterator[Bar]:
    """A bar with the time that is left, gone when the work is done; a line now and then in a pipe.

    Args:
        what: is done, in a word.
        total: of it; unknown when None.
        done: of it before.
        shown: at all.
        count: show numbers, not the time spent, in a bar.
        unit: of the numbers, such as steps, where ``what`` does not say it.
        watched: a line comes every half minute also while a single step takes long; a thread sees to
            it, so not where processes are forked meanwhile.
    """
    if not shown:
        yield Bar()
        return
    if not console.is_terminal or console.is_dumb_terminal:
        bar = _Written(what, total, done, unit, watched=watched)
        try:
            yield bar
        finally:
            bar.close()
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn() if count else TimeElapsedColumn(),
        TextColumn(unit, markup=False),
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bars:
        yield _Drawn(bars, what, total, done)
