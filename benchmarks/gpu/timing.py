"""Time by the device's clock, as called and as a CUDA graph, and the bandwidth of a copy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

__all__ = ["copy_bandwidth", "milliseconds", "recorded"]

COPIED = 2**30
"""Bytes that a copy moves on a GPU."""


def milliseconds(call: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Median time of a call, by the device's clock."""
    for _ in range(3):
        call()
    times = []
    for _ in range(rounds):
        if device.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            torch.cuda.synchronize(device)
            begin.record()
            call()
            end.record()
            torch.cuda.synchronize(device)
            times.append(begin.elapsed_time(end))
        else:
            started = time.perf_counter()
            call()
            times.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times)


def recorded(call: Callable[[], object], device: torch.device) -> Callable[[], object] | str:
    """The call as a CUDA graph, or why it cannot be one."""
    if device.type != "cuda":
        return "no GPU"
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    try:
        with torch.cuda.stream(stream):
            for _ in range(3):
                call()
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
    except RuntimeError as error:
        torch.cuda.synchronize(device)
        return str(error).strip().splitlines()[0]
    return graph.replay


def copy_bandwidth(device: torch.device, rounds: int) -> float:
    """Bytes a second that a plain copy reads and writes."""
    moved = COPIED if device.type == "cuda" else COPIED // 16
    source = torch.rand(moved // 8, device=device)
    target = torch.empty_like(source)
    return moved / (1e-3 * milliseconds(lambda: target.copy_(source), device, rounds))
