"""Compare the renderers: time, bandwidth and memory over image sizes.

python -m benchmarks.renderer
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.inputs import FUSED, Render, eager, fused, inputs, step
from benchmarks.renderer_figures import COMPILED, EAGER, Result, as_table, plot
from benchmarks.turns import FLOOR, copy_call, extra_memory, take_turns
from biofacenet import BioFaceNetError
from biofacenet.cli import parse, run
from biofacenet.kernels import available
from biofacenet.system.console import console
from biofacenet.system.device import choose_device
from biofacenet.system.files import whole_file

__all__ = ["Settings", "commit", "compare", "parse_size"]

COPY = "copy"
FUSED_BACKENDS = {"cpu": "cpp", "cuda": "triton"}
QUICK_PIXELS = 2**20
TABLE_WIDTH = 120


@dataclass
class Settings:
    """Measure the renderers: time, share of the memory bandwidth, and extra memory.

    The renderers take turns, so that other load on the machine meets all alike; times are medians.
    Prints a table; writes all numbers as renderer-DEVICE.json and a plot as renderer-DEVICE.png.
    """

    out: Path = Path("benchmarks/results")
    """Folder to write to."""
    sizes: tuple[str, ...] = ("1x64", "1x256", "64x64", "1x512", "1x1024", "1x2048")
    """Images x side in pixels, each."""
    quick: bool = False
    """Leave out sizes over one megapixel, and measure for a quarter of the time."""
    seconds: float = 20.0
    """Time to measure at each size; slow renderers take at least five turns."""
    compiled: bool = True
    """Also the reference under torch.compile, which needs a C++ compiler."""
    threads: int | None = None
    """Threads on the CPU; PyTorch's choice when not given."""
    device: str = "auto"
    """auto, cpu or cuda."""


def parse_size(text: str) -> tuple[int, int]:
    """Batch and side of a size such as ``64x64``."""
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise BioFaceNetError(f"size {text!r} is not of the form IMAGESxSIDE, such as 64x64")
    return int(match[1]), int(match[2])


def renderers(device: torch.device, compiled: bool) -> tuple[dict[str, Render], dict[str, str]]:
    """The renderers that run on a device, and why the others do not."""
    reference = eager(device)
    found: dict[str, Render] = {EAGER: reference}
    skipped: dict[str, str] = {}
    if compiled:
        found[COMPILED] = torch.compile(reference, dynamic=False)
    else:
        skipped[COMPILED] = "not asked for"
    backend = FUSED_BACKENDS[device.type]
    reason = available()[backend]
    for name, accuracy in FUSED.items():
        if reason is None:
            found[name] = fused(accuracy, backend)
        else:
            skipped[name] = reason
    return found, skipped


def measure(
    batch: int, side: int, found: Mapping[str, Render], seconds: float, device: torch.device
) -> list[Result]:
    """All renderers at one size."""
    torch.compiler.reset()
    decomposition = inputs(batch, side, device=device)
    pixels = batch * side**2
    steps = {
        (name, backward): step(render, decomposition, backward)
        for name, render in found.items()
        for backward in (False, True)
    }
    calls: dict[tuple[str, bool], Callable[[], Any]] = {
        **steps,
        (COPY, True): copy_call(pixels, device),
    }
    times = take_turns(calls, seconds, device)
    median = {key: statistics.median(values) for key, values in times.items()}
    extra = {key: extra_memory(call, device) / pixels for key, call in steps.items()}
    copied = median[COPY, True]
    results = []
    for name in found:
        both = median[name, True]
        results.append(
            Result(
                batch=batch,
                side=side,
                renderer=name,
                rounds=len(times[name, True]),
                forward_ms=1e3 * median[name, False],
                forward_backward_ms=1e3 * both,
                megapixels_per_second=pixels / both / 1e6,
                times_faster_than_eager=median[EAGER, True] / both,
                times_faster_than_compiled=(
                    median[COMPILED, True] / both if COMPILED in found else None
                ),
                floor_gigabytes_per_second=FLOOR * pixels / both / 1e9,
                copy_gigabytes_per_second=FLOOR * pixels / copied / 1e9,
                share_of_copy_bandwidth=copied / both,
                forward_extra_bytes_per_pixel=extra[name, False],
                forward_backward_extra_bytes_per_pixel=extra[name, True],
            )
        )
    return results


def processor() -> str:
    """Name of the CPU."""
    try:
        match = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text("utf-8"))
    except OSError:
        match = None
    return match[1] if match else platform.processor() or platform.machine()


def commit() -> str | None:
    """The git commit of this checkout, with ``-dirty`` where files were changed since."""
    describe = ("describe", "--always", "--dirty", "--exclude=*", "--abbrev=40")
    try:
        answer = subprocess.run(
            ("git", "--no-optional-locks", *describe),
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def machine(device: torch.device) -> dict[str, str | int | None]:
    """What the numbers depend on besides the code."""
    native = torch.ops.biofacenet_cpu
    loaded = hasattr(native, "instruction_set")
    return {
        "processor": processor(),
        "instruction_set": str(native.instruction_set()) if loaded else None,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "torch": torch.__version__,
        "commit": commit(),
    }


def compare(settings: Settings) -> None:
    """Measure, print and write what the settings ask for.

    Raises:
        BioFaceNetError: a setting is out of range, or the device cannot be used.
    """
    sizes = [parse_size(size) for size in settings.sizes]
    if settings.quick:
        sizes = [(batch, side) for batch, side in sizes if batch * side**2 <= QUICK_PIXELS]
    if not sizes:
        raise BioFaceNetError("no size is left to measure; name some with --sizes")
    if settings.threads is not None:
        if settings.threads < 1:
            raise BioFaceNetError(f"threads must be at least 1, got {settings.threads}")
        torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    if device.type not in FUSED_BACKENDS:
        raise BioFaceNetError(f"device must be auto, cpu or cuda, got {settings.device!r}")
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler speaks of its every start

    found, skipped = renderers(device, settings.compiled)
    for name, reason in skipped.items():
        console.print(f"{name}: skipped ({reason})", markup=False)
    results: list[Result] = []
    for batch, side in sizes:
        with console.status(f"{batch} x {side} x {side}"):
            seconds = settings.seconds / 4 if settings.quick else settings.seconds
            results += measure(batch, side, found, seconds, device)
    facts = machine(device)
    shown = {"processor": facts["gpu"] or facts["processor"], "threads": facts["threads"]}
    note = (
        f"{shown['processor']}, {shown['threads']} CPU threads, PyTorch {facts['torch']}, float32"
    )
    Console(width=max(console.width, TABLE_WIDTH)).print(as_table(results))
    console.print(note, markup=False)

    report = {"machine": facts, "skipped": skipped, "results": [asdict(r) for r in results]}
    path = settings.out / f"renderer-{device.type}.json"
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    plot(results, note, path.with_suffix(".png"))
    console.print(f"wrote {path} and {path.with_suffix('.png').name}", markup=False)


def main() -> None:
    compare(parse(Settings, program="benchmarks.renderer"))


if __name__ == "__main__":
    run(main)
