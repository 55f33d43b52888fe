"""Work shared by several processes, each on one thread."""

from __future__ import annotations

import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from enum import Enum
from typing import TypeVar

import cv2
import torch

from ..errors import BioFaceNetError

__all__ = [
    "LOST",
    "Lost",
    "as_they_end",
    "in_processes",
    "in_this_process",
    "one_thread",
]

Item = TypeVar("Item")
Done = TypeVar("Done")

ENDED = (
    "a worker process ended at once, perhaps for want of memory; give the same command again to go on, "
    "with fewer --workers"
)


def in_this_process(task: Callable[[Item], Done], items: Iterable[Item]) -> Iterator[Done]:
    """What a task makes of each item, one after the other, on one thread, as workers have."""
    with one_thread(), _one_thread_of_opencv():
        yield from map(task, items)


def in_processes(
    task: Callable[[Item], Done], items: Sequence[Item], count: int, *, chunk: int = 1
) -> Iterator[Done]:
    """The same in the order of the items, from several processes.

    Args:
        task: must be importable by name.
        items: what it is called with.
        count: processes.
        chunk: items that a process is given at a time, where there are many.

    Raises:
        BioFaceNetError: a process ended at once.
    """
    with _pool(count) as pool:
        try:
            many = len(items) > 4 * chunk * count
            yield from pool.map(task, items, chunksize=chunk if many else 1)
        except BrokenProcessPool as error:
            raise BioFaceNetError(ENDED) from error


class Lost(Enum):
    """In place of what a task makes of an item, where its process ended at once."""

    LOST = "lost"


LOST = Lost.LOST

PATIENCE = 3
"""Items that may be lost one after the other: more, and it is not the items."""


def as_they_end(
    task: Callable[[Item], Done], items: Sequence[Item], count: int
) -> Iterator[tuple[int, Done | Lost]]:
    """What a task makes of each item, from several processes, in the order in which it is ready.

    An item whose process ended at once, as for want of memory, is tried again alone; where that ends
    too, it is lost, and the others go on. No more is begun than is worked on.

    Args:
        task: must be importable by name.
        items: what it is called with.
        count: processes.

    Yields:
        The place of an item in `items`, and what was made of it.

    Raises:
        BioFaceNetError: several items were lost, one after the other.
    """
    waiting, suspects, lost = deque(range(len(items))), deque[int](), 0
    while waiting or suspects:
        alone = bool(suspects)
        queue = suspects if alone else waiting
        with _pool(1 if alone else count) as pool:
            begun: dict[Future[Done], int] = {}
            try:
                while queue or begun:
                    while queue and len(begun) < (1 if alone else count + 1):
                        place = queue.popleft()
                        begun[pool.submit(task, items[place])] = place
                    ended, _ = wait(begun, return_when=FIRST_COMPLETED)
                    for future in sorted(ended, key=begun.__getitem__):
                        made = future.result()
                        yield begun.pop(future), made
                        lost = 0
            except BrokenProcessPool as error:
                if not alone:
                    suspects.extend(sorted(begun.values()))
                    continue
                lost += 1
                if lost > PATIENCE:
                    raise BioFaceNetError(ENDED) from error
                yield from ((place, LOST) for place in begun.values())


@contextmanager
def _pool(count: int) -> Iterator[ProcessPoolExecutor]:
    # Not forked: the threads of OpenCV and torch do not survive that.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def start_worker() -> None:
    """A worker leaves Ctrl-C to its parent, ends with it, and keeps to one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow(sentinel: int) -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=follow, args=(parent.sentinel,), daemon=True).start()


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch: sums of more would round otherwise.

    OpenCV's are left alone: a process that was forked from one that had used them would wait for ever.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _one_thread_of_opencv() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
