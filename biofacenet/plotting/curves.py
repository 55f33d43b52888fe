"""Losses over time."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from .canvas import CHANNEL_COLOURS, FAINT, FAMILY, INK, QUIET, Sheet, draw_heading

__all__ = [
    "CURVE_COLOURS",
    "loss_plots",
]

CURVE_COLOURS = {
    "train": CHANNEL_COLOURS["B"],
    "validation": CHANNEL_COLOURS["R"],
    "steps": "#b4bcc4",
}

RATE = "learning_rate"


def loss_plots(
    history: Sequence[Mapping[str, float]],
    steps: Sequence[Mapping[str, float]],
    units: Mapping[str, str],
) -> dict[str, bytes]:
    """Losses and learning rate along a run, by name, each a small SVG with its unit and step by step.

    What has fewer than two points makes no plot.

    Args:
        history: a record per epoch, with ``step``, ``learning_rate``, ``train_<term>`` and, where
            faces are held out, ``validation_<term>``.
        steps: records of a few steps each, with ``step``, ``learning_rate`` and the terms.
        units: what to plot, and in which unit it is.
    """
    thinned = steps[:: max(1, len(steps) // 1000)]
    begins = [0.0, *(record["step"] for record in history)]
    rates = [{**record, "step": step} for record, step in zip(history, begins, strict=False)]
    plots = {}
    for name, unit in units.items():
        lines = {"steps": _line(thinned, name)}
        if name == RATE:
            lines = {"rate": lines["steps"] if thinned else _line(rates, name)}
        lines |= {part: _line(history, f"{part}_{name}") for part in ("train", "validation")}
        if any(len(across) > 1 for across, _ in lines.values()):
            plots[name] = _plot(name, unit, {part: line for part, line in lines.items() if line[0]})
    return plots


def _plot(name: str, unit: str, lines: Mapping[str, tuple[list[float], list[float]]]) -> bytes:
    """One of them, drawn."""
    sheet = Sheet(400, 240)
    axes = sheet.axes(60, 30, 325, 165)
    draw_heading(sheet, 60, 30, 325, name.replace("_", " "), unit)
    for part, line in lines.items():
        width, marker = (1.0, "") if part in ("steps", "rate") else (1.6, ".")
        marker = marker if len(line[0]) < 40 else ""
        axes.plot(*line, color=CURVE_COLOURS.get(part, INK), lw=width, marker=marker)
    values = np.concatenate([line[1] for line in lines.values()])
    if name != RATE and values.min() > 0:
        _logarithmic(axes, float(values.max() / values.min()))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("steps", size=8, color=QUIET, family=FAMILY)
    axes.tick_params(
        which="both",
        labelsize=8,
        length=3,
        color=QUIET,
        labelcolor=QUIET,
        labelfontfamily=FAMILY,
    )
    buffer = io.BytesIO()
    sheet.figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _logarithmic(axes: Axes, ratio: float) -> None:
    """An axis in plain numbers, as many between powers of ten as have room for a ratio of its ends."""
    digits = "123456789" if ratio < 3 else "1235" if ratio < 30 else "1"

    def told(value: float, _: object) -> str:
        return f"{value:g}" if f"{value:e}"[0] in digits else ""

    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(told))
    axes.yaxis.set_minor_formatter(FuncFormatter(told))


def _line(records: Sequence[Mapping[str, float]], up: str) -> tuple[list[float], list[float]]:
    known = [record for record in records if up in record]
    return [record["step"] for record in known], [record[up] for record in known]
