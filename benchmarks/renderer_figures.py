"""What `benchmarks.renderer` shows of its results: a table and a plot."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator
from rich.table import Table

from biofacenet.system.files import whole_file

__all__ = ["COMPILED", "EAGER", "Result", "as_table", "plot"]

EAGER, COMPILED = "reference", "reference, compiled"

STYLES = {
    EAGER: ("#1f2328", "o"),
    COMPILED: ("#c2571a", "s"),
    "fused, exact": ("#123f8c", "^"),
    "fused, default": ("#2f7fd8", "D"),
    "fused, fast": ("#1f9e89", "v"),
}


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
    memory_axes.set_yscale("linear")  # what is fused needs none
    memory_axes.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,g}"))
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
