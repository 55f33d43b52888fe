"""This process among those that a launcher started, by what that has put into the environment."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from ..errors import BioFaceNetError

__all__ = [
    "end_of_work",
    "one_speaks",
    "processes",
]

PATIENCE = 5.0
"""Seconds until a process says what the first one seems not to have said."""


def processes() -> int:
    """How many processes train together.

    Raises:
        BioFaceNetError: the environment is not that of a launcher.
    """
    words = os.environ.get("WORLD_SIZE", "1")
    if not words.isdecimal() or int(words) < 1:
        raise BioFaceNetError(
            f"WORLD_SIZE={words}: expected a number of processes; start them with torchrun or accelerate "
            "launch, or unset it to train with one"
        )
    return int(words)


@contextmanager
def one_speaks() -> Iterator[None]:
    """Of several processes that meet the same mistake on their command line, the first alone says so.

    The others say it some seconds later, unless their launcher has ended them by then: a mistake may
    be that of one machine alone.
    """
    if processes() == 1 or os.environ.get("RANK", "0") == "0":
        yield
        return
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            yield
    except (BioFaceNetError, SystemExit) as error:
        if not isinstance(error, SystemExit) or error.code:
            time.sleep(PATIENCE)
            sys.stderr.write(said.getvalue())
        raise


def end_of_work() -> None:
    """End this process at once, if a launcher started it with others; all that it had to do is done.

    While an interpreter shuts down, threads of torch and gloo now and then abort it ("terminate called
    without an active exception"), and the launcher takes a run that is finished for one that failed.
    """
    if processes() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
