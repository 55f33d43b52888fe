"""Losses over time."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from .canvas import CHANNEL_COLOURS, FAINT, FAMILY, INK, QUIET, Sheet, draw_heading

__all__ = [
    "loss_plot",
]


def loss_plot(
    history: Sequence[Mapping[str, float]],
    steps: Sequence[Mapping[str, float]],
    terms: Sequence[str],
) -> bytes:
    """Losses and learning rate along a run, small plots side by side, as SVG.

    Args:
        history: a record per epoch, with ``step``, ``train_<term>`` and, where faces are held out,
            ``validation_<term>``.
        steps: records of a few steps each, with ``step``, ``learning_rate`` and the terms.
        terms: what to plot.
    """
    panels = (*terms, "learning_rate")
    across = 3
    down = -(-len(panels) // across)
    sheet = Sheet(1200, 40 + 230 * down)
    thinned = steps[:: max(1, len(steps) // 1000)]
    for number, name in enumerate(panels):
        left, top = 60 + number % across * 390, 30 + number // across * 230
        axes = sheet.axes(left, top, 320, 165)
        draw_heading(sheet, left, top, 320, name.replace("_", " "), "steps" if number == 0 else "")
        axes.plot(*_line(thinned, "step", name), color=FAINT if name in terms else INK, lw=1)
        for part, colour in (("train", CHANNEL_COLOURS["B"]), ("validation", CHANNEL_COLOURS["R"])):
            line = _line(history, "step", f"{part}_{name}")
            if line[0]:
                axes.plot(*line, color=colour, lw=1.6, marker="." if len(line[0]) < 40 else "")
        lines = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
        drawn = np.concatenate([*lines, []])
        if name in terms and len(drawn) and drawn.min() > 0:
            axes.set_yscale("log")
            plain = FuncFormatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_major_formatter(plain)
            few = drawn.max() < 10 * drawn.min()
            axes.yaxis.set_minor_formatter(plain if few else NullFormatter())
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FAINT)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        for axis in ("major", "minor"):
            axes.tick_params(
                which=axis,
                labelsize=8,
                length=3,
                color=QUIET,
                labelcolor=QUIET,
                labelfontfamily=FAMILY,
            )
    legend = "grey: a few steps, blue: training, red: validation, a point an epoch"
    sheet.text(60, sheet.height - 8, legend, size=9, colour=QUIET)
    buffer = io.BytesIO()
    sheet.figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _line(
    records: Sequence[Mapping[str, float]], across: str, up: str
) -> tuple[list[float], list[float]]:
    known = [record for record in records if up in record]
    return [record[across] for record in known], [record[up] for record in known]
