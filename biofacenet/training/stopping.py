"""Stopping a run in good order, when a signal asks for it."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

from ..system.console import console
from .launched import processes
from .run import Run
from .starts import to_paste

__all__ = [
    "say_how_to_go_on",
    "stopping",
]

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
]
"""USR1 is what clusters warn with; not on Windows."""

ECHO = 3.0
"""Seconds in which one request may come twice: from a cluster, and from the launcher that hands it on."""


@contextlib.contextmanager
def stopping() -> Iterator[Callable[[], int]]:
    """While this lasts, SIGINT, SIGTERM and SIGUSR1 are remembered; another one later stops at once."""
    caught: list[tuple[int, float]] = []
    echo = ECHO if processes() > 1 else 0.0

    def remember(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if caught and now - caught[0][1] >= echo:
            signal.default_int_handler(number, frame)
        caught.append((number, now))

    before = {}
    for number in SIGNALS:
        with contextlib.suppress(ValueError):  # signals reach the main thread only
            before[number] = signal.signal(number, remember)
    try:
        yield lambda: caught[0][0] if caught else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say_how_to_go_on(run: Run, number: int) -> None:
    """Stop after a signal, 0 where another process had it; everything is saved by now."""
    if run.team.leads:
        console.print(
            f"stopped in epoch {run.epoch + 1} after step {run.step} of {run.steps}; go on with\n"
            f"  {to_paste('--resume', run.folder, processes=run.team.size)}",
            markup=False,
        )
    if run.team.leads and number in (0, signal.SIGINT):
        raise KeyboardInterrupt
    raise SystemExit(128 + (number or signal.SIGINT))
