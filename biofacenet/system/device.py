"""Which device to compute on, and what it says of itself."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from ..errors import BioFaceNetError

__all__ = [
    "choose_device",
    "peak_memory",
    "plain_defaults",
    "processor",
    "usable_cpus",
]


def choose_device(name: str) -> torch.device:
    """The device that a ``device`` setting means; ``auto`` takes a GPU where there is one.

    Raises:
        BioFaceNetError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise BioFaceNetError(
            f"device {name!r} cannot be used here ({reason}); use auto, cpu or cuda"
        ) from error
    return device


def peak_memory(device: torch.device) -> int:
    """Bytes: of tensors on a GPU, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def processor() -> str:
    """The name of the CPU, as far as the system tells."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@contextlib.contextmanager
def plain_defaults() -> Iterator[None]:
    """float32 and the CPU as torch's defaults within, as a block or a decorator.

    Programs set others (`torch.set_default_dtype`, `torch.set_default_device`), and 16 bits are too few
    for colours and pixel coordinates. New networks, lights and tensors follow those; photos, fits and
    decompositions of photos do not.
    """
    before = torch.get_default_dtype()
    with contextlib.ExitStack() as stack:
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if before != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, before)
        yield


QUOTAS = (
    ("/sys/fs/cgroup/cpu.max",),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)
"""Where Linux says how much CPU time a container gets: of control groups 2, and 1."""


def usable_cpus() -> int:
    """Processors that this process may use, at least 1: containers and clusters give fewer than there are."""
    count = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    for files in QUOTAS:
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = " ".join(Path(file).read_text("ascii") for file in files).split()
            if quota not in ("max", "-1"):
                count = min(count, math.ceil(int(quota) / int(period)))
            break
    return max(count, 1)
