"""Making what a process keeps, whatever is switched on where it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import TypeVar

__all__ = ["undisturbed"]

Made = TypeVar("Made")


def undisturbed(make: Callable[[], Made]) -> Made:
    """What `make` returns when called in a thread of its own.

    PyTorch's modes belong to threads: inference mode, a default device such as meta, autocast, the
    transforms of torch.func, fake tensors. Tensors made under one of them and kept would spoil every
    later use, and in a thread of its own none is on. The default dtype belongs to the process: name
    dtypes.

    Raises:
        BaseException: what `make` raised.
    """
    made: list[Made] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            made.append(make())
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=work, name="biofacenet: tables")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]
