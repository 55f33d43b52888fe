"""None of several processes waits for one that has failed: the others end too, and one of them says why."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from torch.distributed.distributed_c10d import PrefixStore, Store

from ..errors import BioFaceNetError

__all__ = [
    "alarm",
]

LOOK = 0.5
"""Seconds between two looks at the others."""

GRACE = 2.0
"""Seconds in which the first to fail says why; launchers end all when one has ended."""

SILENCE = 300.0
"""Seconds in which a process must be heard of: more than any call takes that holds Python up."""


class Alarm:
    """What one process of several knows of the others, through the store that all of them share.

    A thread looks: the main one may be waiting in a collective operation, where nothing else reaches
    it.
    """

    def __init__(self, store: Store, rank: int, size: int) -> None:
        # A connection of its own: that of the main thread is taken while it waits for a key.
        self._store = PrefixStore("alarm", store.clone())  # type: ignore[attr-defined]
        self.rank, self.size = rank, size
        self._looks = 0
        # The leader hears everybody, and everybody the leader.
        others = range(1, size) if rank == 0 else range(1)
        self._heard = dict.fromkeys(others, (0, 0))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def first(self) -> bool:
        """Whether this process is the first to fail, and is to say why; the others hear of it."""
        try:
            return self._store.add("failed", 1) == 1
        except RuntimeError:  # the store is gone: nobody else is left to say anything
            return True

    def stop(self) -> None:
        """This process is done, well or not; it is not to be heard of any more."""
        self._over.set()
        self._thread.join()
        with suppress(RuntimeError):
            self._store.set(f"done {self.rank}", "")

    def _watch(self) -> None:
        while not self._over.wait(LOOK):
            try:
                self._looks += 1
                self._store.add(f"looks {self.rank}", 1)
                failed = self._store.check(["failed"])
                silent = None if failed else self._silent()
            except RuntimeError:
                self._end("the process that held all together has ended")
                return
            if failed:
                self._end()
            elif silent is not None and self.first():
                self._end(f"process {silent} has not been heard of for {SILENCE:.0f} s")

    def _silent(self) -> int | None:
        """A process that has been silent for too long, by this one's looks and not by the clock.

        A machine that slept, and a job that was suspended, is not to be mistaken for it.
        """
        for other, (looks, since) in self._heard.items():
            now = self._store.add(f"looks {other}", 0)
            if now != looks:
                self._heard[other] = (now, self._looks)
            elif (self._looks - since) * LOOK > SILENCE:
                return None if self._store.check([f"done {other}"]) else other
        return None

    def _end(self, reason: str = "") -> None:
        """End this process, whatever it waits for; files are whole, as they always are."""
        if self._over.wait(GRACE):  # it ends by itself
            return
        if reason:
            sys.stderr.write(f"error: {_lost(self.rank, self.size, reason)}\n")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(2)


@contextmanager
def alarm(store: Store, rank: int, size: int) -> Iterator[None]:
    """While this lasts, a process that fails ends the others, with exit status 2 and within seconds.

    The first one's error is raised as it is. What others meet then, such as a connection that broke,
    says nothing more.

    Raises:
        BioFaceNetError: another process has ended without a word.
        SystemExit: with status 2: another process has failed before.
    """
    watch = Alarm(store, rank, size)
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        watch.stop()
        if isinstance(error, SystemExit) and error.code == 2:  # as the first to fail has told it to
            time.sleep(GRACE)
        raise
    except BaseException as error:
        broken = _is_of_connection(error)
        if broken:  # another has failed, and may be about to say so
            time.sleep(GRACE)
        first = watch.first()
        watch.stop()
        if not first:
            time.sleep(GRACE)
            raise SystemExit(2) from error
        # The store stays until the others have heard of it, while the error is told.
        threading.Thread(target=lambda held: time.sleep(2 * GRACE), args=(store,)).start()
        if broken:
            raise BioFaceNetError(_lost(rank, size, _line(error))) from error
        raise
    else:
        watch.stop()


def _is_of_connection(error: BaseException) -> bool:
    """Whether an error is of talking to other processes: gloo's are plain RuntimeErrors."""
    words = str(error).lower()
    marks = ("gloo", "nccl", "connection closed by peer", "connection reset", "socket")
    return isinstance(error, RuntimeError) and any(mark in words for mark in marks)


def _lost(rank: int, size: int, reason: str) -> str:
    return (
        f"process {rank} of {size} has lost the others ({reason}); see what they said last. One that was "
        "killed for want of memory says nothing. Go on with --resume"
    )


def _line(error: BaseException) -> str:
    """The first sentence of an error."""
    words = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return words.partition(". ")[0]
