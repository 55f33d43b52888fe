"""Which device to compute on, and what it says of itself."""

from __future__ import annotations

import contextlib
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
