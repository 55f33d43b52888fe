"""Where command lines speak, and how they show what is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Bar", "console", "progress"]

console = Console(highlight=False, soft_wrap=True)
"""Where command lines speak."""


class Bar:
    """A line that shows how far some work is."""

    def __init__(self, shown: Progress, what: str, total: int | None, done: int) -> None:
        self._shown = shown
        self._task = shown.add_task(what, total=total, completed=done, note="")

    def advance(self, count: int = 1) -> None:
        """So many more are done."""
        self._shown.advance(self._task, count)

    def update(
        self, *, done: int | None = None, what: str | None = None, note: str | None = None
    ) -> None:
        """So many are done; what is at hand, and a remark behind the bar."""
        given: dict[str, Any] = {} if note is None else {"note": note}
        self._shown.update(self._task, completed=done, description=what, **given)


@contextmanager
def progress(
    what: str, total: int | None, *, done: int = 0, shown: bool = True, count: bool = True
) -> Iterator[Bar]:
    """A bar with the time that is left, on a terminal; gone when the work is done.

    Args:
        what: is done, in a word.
        total: of it; unknown when None.
        done: of it before.
        shown: at all.
        count: show numbers, not the time spent.
    """
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
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not shown or not console.is_terminal,
    ) as bars:
        yield Bar(bars, what, total, done)
