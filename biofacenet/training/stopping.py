"""Stopping a run in good order, when a signal asks for it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from ..system.console import console
from .run import Run

__all__ = [
    "say_how_to_go_on",
    "stopping",
]


@contextlib.contextmanager
def stopping() -> Iterator[Callable[[], int]]:
    """While this lasts, SIGINT and SIGTERM are remembered; a second one stops at once."""
    caught: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if caught:
            signal.default_int_handler(number, frame)
        caught.append(number)

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # signals reach the main thread only
            before[number] = signal.signal(number, remember)
    try:
        yield lambda: caught[0] if caught else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say_how_to_go_on(run: Run, number: int) -> None:
    """Stop after a signal; everything is saved by now."""
    if run.team.leads:
        console.print(
            f"stopped in epoch {run.epoch + 1} after step {run.step} of {run.steps}; go on with\n"
            f"  python -m biofacenet.train --resume {run.folder}"
        )
    if number == signal.SIGTERM:
        raise SystemExit(128 + signal.SIGTERM)
    raise KeyboardInterrupt
