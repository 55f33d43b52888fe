"""Compare the renderers: time, bandwidth and memory over image sizes.

python -m benchmarks.renderer
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.inputs import FUSED, Render, eager, fused, inputs, step
from biofacenet import BioFaceNetError
from biofacenet.cli import parse, run
from biofacenet.kernels import available
from biofacenet.system.console import console
from biofacenet.system.device import choose_device
from biofacenet.system.files import whole_file

__all__ = ["Result", "Settings", "compare", "extra_memory"]

EAGER, COMPILED, COPY = "reference", "reference, compiled", "copy"
FUSED_BACKENDS = {"cpu": "cpp", "cuda": "triton"}
FLOOR = 72
"""Least bytes a pixel: 28 forward (reads 4 floats, writes 3), 44 backward (reads 7, writes 4)."""
QUICK_PIXELS = 2**20
TABLE_WIDTH = 120
LEAST_ROUNDS, LEAST_TURN = 5, 0.005

STYLES = {
    EAGER: ("#1f2328", "o"),
    COMPILED: ("#c2571a", "s"),
    "fused, exact": ("#123f8c", "^"),
    "fused, default": ("#2f7fd8", "D"),
    "fused, fast": ("#1f9e89", "v"),
}

Key = TypeVar("Key", bound=Hashable)


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


@dataclass
class Result:
    """One renderer at one size; ratios, bandwidth and throughput are of forward and backward."""

    batch: int
    side: int
    renderer: str
    rounds: int
    forward_ms: float
    forward_backward_ms: float
    megapixels_per_second: float
    times_faster_than_eager: float
    times_faster_than_compiled: float | None
    floor_gigabytes_per_second: float
    copy_gigabytes_per_second: float
    share_of_copy_bandwidth: float
    forward_extra_bytes_per_pixel: float
    forward_backward_extra_bytes_per_pixel: float

    @property
    def pixels(self) -> int:
        return self.batch * self.side**2

    @property
    def size(self) -> str:
        return f"{self.batch} x {self.side} x {self.side}"


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


def as_table(results: Sequence[Result]) -> Table:
    """The results as a table of the terminal."""
    table = Table(title="Renderers, float32; from Mpixel/s on, of forward and backward")
    for heading in ("size", "renderer"):
        table.add_column(heading, no_wrap=True)
    for heading in (
        "forward\nms",
        "fwd+bwd\nms",
        "Mpixel/s",
        "times\neager",
        "times\ncompiled",
        "% of copy\nbandwidth",
        "extra\nB/pixel",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for i, result in enumerate(results):
        first = i == 0 or results[i - 1].size != result.size
        if first and i:
            table.add_section()
        compiled = result.times_faster_than_compiled
        table.add_row(
            result.size if first else "",
            result.renderer,
            f"{result.forward_ms:.2f}",
            f"{result.forward_backward_ms:.2f}",
            f"{result.megapixels_per_second:.1f}",
            f"{result.times_faster_than_eager:.2f}",
            "-" if compiled is None else f"{compiled:.2f}",
            f"{100 * result.share_of_copy_bandwidth:.1f}",
            f"{result.forward_backward_extra_bytes_per_pixel:.1f}",
        )
    return table


def draw_lines(
    axes: Axes, results: Sequence[Result], title: str, label: str, value: Callable[[Result], float]
) -> None:
    """One line a renderer through the single images; hollow marks for batches."""
    for name, (colour, marker) in STYLES.items():
        own = sorted((r for r in results if r.renderer == name), key=lambda r: r.pixels)
        for batched, style in ((False, "-"), (True, "none")):
            part = [r for r in own if (r.batch > 1) == batched]
            axes.plot(
                [r.pixels for r in part],
                [value(r) for r in part],
                color=colour,
                marker=marker,
                markersize=11 if batched else 7,
                markerfacecolor="none" if batched else colour,
                linestyle=style,
                linewidth=2,
            )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    pixels = sorted({r.pixels for r in results})
    axes.set_xticks(pixels, [pixel_label(count) for count in pixels])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=12)
    axes.set_xlabel("pixels", fontsize=11)
    axes.set_ylabel(label, fontsize=11)
    axes.grid(color="#e3e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def pixel_label(count: int) -> str:
    """A number of pixels, as the square that holds them where there is one."""
    side = math.isqrt(count)
    return f"{side}²" if side**2 == count else f"{count:,}"


def plot(results: Sequence[Result], note: str, path: Path) -> None:
    """Time and extra memory against pixels, as a PNG 1400 pixels wide."""
    figure = Figure(figsize=(14, 6.4), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.065, right=0.985, top=0.9, bottom=0.235, wspace=0.2)
    time_axes, memory_axes = figure.subplots(1, 2)
    draw_lines(
        time_axes,
        results,
        "Time of forward and backward",
        "milliseconds",
        lambda result: result.forward_backward_ms,
    )
    draw_lines(
        memory_axes,
        results,
        "Extra memory of forward and backward",
        "bytes a pixel",
        lambda result: result.forward_backward_extra_bytes_per_pixel,
    )
    shown = {result.renderer for result in results}
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=7, linewidth=2, label=name)
        for name, (colour, marker) in STYLES.items()
        if name in shown
    ]
    if batches := sorted({result.size for result in results if result.batch > 1}):
        handles.append(
            Line2D(
                [],
                [],
                color="#6a737d",
                marker="o",
                markersize=11,
                markerfacecolor="none",
                linestyle="none",
                label=f"hollow: {', '.join(batches)}",
            )
        )
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.055),
        ncols=len(handles),
        frameon=False,
        fontsize=11,
    )
    figure.text(0.5, 0.025, note, ha="center", fontsize=9.5, color="#6a737d", parse_math=False)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png")


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
