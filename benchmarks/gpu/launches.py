"""What one rendering with gradients, and one training step, launch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from benchmarks.inputs import eager, fused, inputs, step
from biofacenet.system.console import console

from .renderer import backends
from .settings import Settings
from .training import training_step, variants

__all__ = ["measure_launches"]


def launches(call: Callable[[], object], device: torch.device) -> list[dict[str, Any]]:
    """Kernels of one call (operators on the CPU), the longest first."""
    for _ in range(3):
        call()
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as seen:
        call()
        if cuda:
            torch.cuda.synchronize(device)
    wanted = "CUDA" if cuda else "CPU"
    events = [event for event in seen.key_averages() if event.device_type.name == wanted]
    spent = [
        event.self_device_time_total if cuda else event.self_cpu_time_total for event in events
    ]
    rows = [
        {"name": event.key, "count": event.count, "microseconds": duration}
        for event, duration in zip(events, spent, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["microseconds"])


def measure_launches(settings: Settings, device: torch.device) -> Iterator[dict[str, Any]]:
    """What one rendering with gradients, and one training step, launch."""
    result: dict[str, Any] = {}
    decomposition = inputs(2 if settings.quick else 64, 32 if settings.quick else 64, device=device)
    for name, reason in backends(device).items():
        if reason is None:
            result[f"render, {name}"] = launches(
                step(fused("default", name), decomposition, True), device
            )
    result["render, reference"] = launches(step(eager(device), decomposition, True), device)
    for variant in variants(device):
        if variant.bfloat16 and not variant.compiled and not variant.graph:
            take, _ = training_step(variant, settings, device, 32 if settings.quick else 64)
            result[f"training step, {variant.name}"] = launches(take, device)
    for name, rows in result.items():
        table = Table(title=f"{name}: {sum(row['count'] for row in rows)} launches", min_width=80)
        for heading in ("kernel", "count", "us"):
            table.add_column(heading, overflow="ellipsis", no_wrap=True)
        for row in rows[:12]:
            table.add_row(row["name"][:70], str(row["count"]), f"{row['microseconds']:.1f}")
        console.print(table)
    yield result
