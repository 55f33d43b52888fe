"""Which part of a list this process does, where several machines work on one list."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..errors import BioFaceNetError
from .names import shown

__all__ = ["Share", "share_of"]

Item = TypeVar("Item")

MOST = 100_000
"""Shares of a list: more than any cluster runs tasks."""

AUTO = "auto"

REMEDY = "name the share, such as --share 3/8"


@dataclass(frozen=True)
class Share:
    """One of `count` shares of a list: every so manyth item, so that all have about as much to do."""

    number: int = 1
    """From 1."""
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= MOST:
            raise BioFaceNetError(
                f"share {self.number}/{self.count}: expected NUMBER/COUNT with a number from 1 to the "
                "count, such as 3/8"
            )

    @property
    def is_all(self) -> bool:
        """Whether it is the whole list."""
        return self.count == 1

    @property
    def name(self) -> str:
        """For a folder: ``share-3-of-8``."""
        return f"share-{self.number}-of-{self.count}"

    def places(self, items: Sequence[Item]) -> range:
        """Where the share's items stand in the whole list, from 0."""
        return range(self.number - 1, len(items), self.count)


def share_of(text: str, environment: Mapping[str, str] | None = None) -> Share:
    """The share that a command line means.

    Args:
        text: ``3/8``; ``auto``, the one that torchrun or a Slurm array gave this process; empty for all,
            but of several processes of torchrun each takes its share in any case.
        environment: of this process when not given.

    Raises:
        BioFaceNetError: it is none of these, or nothing gave this process a share.

    Example:
        >>> share_of("3/8").name
        'share-3-of-8'
        >>> share_of("auto", {"RANK": "0", "WORLD_SIZE": "4"})
        Share(number=1, count=4)
    """
    environment = os.environ if environment is None else environment
    if found := re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip(), re.ASCII):
        return Share(int(found[1]), int(found[2]))
    if text not in ("", AUTO):
        raise BioFaceNetError(
            f"share {text!r}: expected NUMBER/COUNT, such as 3/8, or auto under torchrun or in a Slurm "
            "array"
        )
    if environment.get("WORLD_SIZE", "1") != "1":
        count, rank = (_number(environment, name) for name in ("WORLD_SIZE", "RANK"))
        return Share(rank + 1, count)
    if text == AUTO:
        return _of_array(environment)
    return Share()


def _of_array(environment: Mapping[str, str]) -> Share:
    """The share of a task of a Slurm array."""
    if "SLURM_ARRAY_TASK_ID" not in environment:
        raise BioFaceNetError(
            f"share auto: this process was started neither by torchrun nor by a Slurm array; {REMEDY}"
        )
    task, count, first, last, step = (
        _number(environment, f"SLURM_ARRAY_TASK_{name}")
        for name in ("ID", "COUNT", "MIN", "MAX", "STEP")
    )
    if count == 1:  # as when one task that failed is given again
        raise BioFaceNetError(
            f"share auto: the Slurm array has task {task} alone, which tells no share; {REMEDY}"
        )
    if step < 1 or (task - first) % step or (last - first) // step + 1 != count:
        raise BioFaceNetError(
            f"share auto: the {count} tasks of the Slurm array, {first} to {last}, have gaps; number "
            f"them 1-{count}, or {REMEDY}"
        )
    return Share((task - first) // step + 1, count)


def _number(environment: Mapping[str, str], name: str) -> int:
    words = environment.get(name, "1" if name.endswith("_STEP") else "")
    if not re.fullmatch(r"\d{1,9}", words, re.ASCII):
        raise BioFaceNetError(
            f"{name}={shown(words)}: expected a whole number, as launchers set it; {REMEDY}"
        )
    return int(words)
