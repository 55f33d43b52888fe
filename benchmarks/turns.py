"""Time and memory of calls that take turns, so that other load on the machine meets all alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

__all__ = ["FLOOR", "copy_call", "extra_memory", "take_turns"]

FLOOR = 72
"""Least bytes a pixel: 28 forward (reads 4 floats, writes 3), 44 backward (reads 7, writes 4)."""
LEAST_ROUNDS, LEAST_TURN = 5, 0.005

Key = TypeVar("Key", bound=Hashable)


def synchronize(device: torch.device) -> None:
    """Wait until a GPU is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def turn(call: Callable[[], Any], repeats: int, device: torch.device) -> float:
    """Seconds of one call, on average over a few in a row."""
    synchronize(device)
    begin = time.perf_counter()
    for _ in range(repeats):
        call()
    synchronize(device)
    return (time.perf_counter() - begin) / repeats


def take_turns(
    calls: Mapping[Key, Callable[[], Any]], seconds: float, device: torch.device
) -> dict[Key, list[float]]:
    """Seconds of each call in each round; short calls are repeated within a turn."""
    repeats = {}
    for key, call in calls.items():
        turn(call, 2, device)  # compiles, and brings memory and threads up
        repeats[key] = math.ceil(LEAST_TURN / turn(call, 1, device))
    times: dict[Key, list[float]] = {key: [] for key in calls}
    begin, rounds = time.perf_counter(), 0
    while rounds < LEAST_ROUNDS or time.perf_counter() - begin < seconds:
        for key, call in calls.items():
            times[key].append(turn(call, repeats[key], device))
        rounds += 1
    return times


def extra_memory(call: Callable[[], Sequence[Tensor]], device: torch.device) -> int:
    """Bytes at the peak of a call beyond what was there before and what the call returns.

    On the CPU only PyTorch's allocator is seen, not what native code takes from the heap for itself.
    """
    if device.type == "cuda":
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        results = call()
        synchronize(device)
        peak = torch.cuda.max_memory_allocated(device) - before
    else:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
            results = call()
        events = recorded.profiler.kineto_results.events()
        memory = [event for event in events if event.name() == "[memory]"]
        total = peak = 0
        for event in sorted(memory, key=lambda event: event.start_ns()):
            total += event.nbytes()
            peak = max(peak, total)
    return peak - sum(result.untyped_storage().nbytes() for result in results)


def copy_call(pixels: int, device: torch.device) -> Callable[[], Tensor]:
    """A plain copy that reads and writes as many bytes as the least of forward and backward."""
    source = torch.ones(pixels * FLOOR // 8, device=device)
    target = torch.zeros_like(source)
    return lambda: target.copy_(source)
