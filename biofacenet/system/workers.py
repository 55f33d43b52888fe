"""Work shared by several processes, each on one thread."""

from __future__ import annotations

import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

import cv2
import torch

from ..errors import BioFaceNetError

__all__ = [
    "in_processes",
    "in_this_process",
    "one_thread",
]

Item = TypeVar("Item")
Done = TypeVar("Done")


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
    # Not forked: the threads of OpenCV and torch do not survive that.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=start_worker)
    try:
        many = len(items) > 4 * chunk * count
        yield from pool.map(task, items, chunksize=chunk if many else 1)
    except BrokenProcessPool as error:
        raise BioFaceNetError(
            "a worker process ended at once, perhaps for want of memory; give the same command again "
            "to go on, with fewer --workers"
        ) from error
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
