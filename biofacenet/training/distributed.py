"""Several processes that train one network, as torchrun or `accelerate launch` start them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch.distributed
from torch import Tensor

from ..errors import BioFaceNetError
from ..system.device import choose_device
from .launched import processes

__all__ = [
    "Team",
    "join",
]

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

Value = TypeVar("Value")

MEETING = timedelta(minutes=5)
"""In which all processes must have come."""

LONGEST = timedelta(minutes=30)
"""Between two things that all do together: the leader may be making synthetic faces."""


@dataclass(frozen=True)
class Team:
    """This process among those that train together; alone unless it was started otherwise."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """Sum of everybody's tensor, in place."""
        if self.size > 1:
            torch.distributed.all_reduce(value)
        return value

    def any(self, value: bool) -> bool:
        """Whether it is true for anybody."""
        if self.size == 1:
            return value
        return bool(self.sum(torch.tensor(float(value), device=self.device)) > 0)

    def share(self, value: Value) -> Value:
        """The leader's value."""
        if self.size == 1:
            return value
        values: list[Any] = [value]
        torch.distributed.broadcast_object_list(values, device=self.device)
        return values[0]

    def wait(self) -> None:
        """Until everybody is here."""
        if self.size > 1:
            torch.distributed.barrier()


@contextmanager
def join(device: str) -> Iterator[Team]:
    """This process's place among those that a launcher started; alone without one.

    When one of them fails, all end: see `biofacenet.training.alarm`.

    Args:
        device: as for `biofacenet.system.device.choose_device`; each process takes a GPU of its own.

    Raises:
        BioFaceNetError: the device cannot be used, or the processes do not find each other.
    """
    if processes() == 1:
        yield Team(choose_device(device))
        return
    # Not every torch can train in several processes.
    from torch.distributed.distributed_c10d import PrefixStore

    from .alarm import alarm

    store, rank, size = _meet()
    try:
        with alarm(store, rank, size):
            chosen = _device(device)
            torch.distributed.init_process_group(
                "nccl" if chosen.type == "cuda" else "gloo",
                store=PrefixStore("group", store),
                rank=rank,
                world_size=size,
                timeout=LONGEST,
            )
            yield Team(chosen, rank, size)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _meet() -> tuple[Store, int, int]:
    """Where the processes find each other: a store for all, this one's rank, and how many they are."""
    from torch.distributed.rendezvous import rendezvous

    try:
        # Each process waits for all others here.
        store, rank, size = next(rendezvous("env://", timeout=MEETING))
        store.set_timeout(LONGEST)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BioFaceNetError(
            f"process {os.environ.get('RANK')} of {processes()} found no others ({reason}); start all "
            "with torchrun or accelerate launch"
        ) from error
    return store, rank, size


def _device(name: str) -> torch.device:
    """The device of this process, a GPU of its own where it is to be one."""
    chosen = choose_device(name)
    if chosen.type == "cuda" and chosen.index is None:
        chosen = choose_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    return chosen
