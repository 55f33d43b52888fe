"""Several processes that train one network, as torchrun or `accelerate launch` start them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch.distributed
from torch import Tensor

from ..errors import BioFaceNetError
from ..system.device import choose_device

__all__ = [
    "Team",
    "join",
]

Value = TypeVar("Value")


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

    Args:
        device: as for `biofacenet.cli.choose_device`; each process takes a GPU of its own.

    Raises:
        BioFaceNetError: the device cannot be used, or the processes do not find each other.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(choose_device(device))
        return
    chosen = choose_device(device)
    if chosen.type == "cuda" and chosen.index is None:
        chosen = choose_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    try:
        torch.distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BioFaceNetError(
            f"process {os.environ.get('RANK')} of {size} found no others ({reason}); start all with "
            "torchrun or accelerate launch"
        ) from error
    try:
        yield Team(chosen, torch.distributed.get_rank(), size)
    finally:
        torch.distributed.destroy_process_group()
