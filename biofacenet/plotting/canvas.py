"""Sheets laid out in pixels, and what is drawn on them.

Everything is drawn with matplotlib's Agg canvas, without pyplot and its global state, and written
whole or not at all.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import MaxNLocator

from ..system.files import whole_file
from .maps import PIGMENT_TICKS

__all__ = [
    "CHANNEL_COLOURS",
    "FAINT",
    "FAMILY",
    "INK",
    "QUIET",
    "Sheet",
    "draw_colour_bar",
    "draw_heading",
    "draw_picture",
    "draw_plain_ticks",
]

CHANNEL_COLOURS = {"R": "#d1373f", "G": "#2e9e5b", "B": "#2f6bd0"}

INK, QUIET, FAINT = "#1f2328", "#6a737d", "#d8dde3"

FAMILY = "DejaVu Sans"

DPI = 100

# Drawing -------------------------------------------------------------------------------------


class Sheet:
    """A figure laid out in pixels from its top left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        place = (
            left / self.width,
            bottom / self.height,
            width / self.width,
            height / self.height,
        )
        return self.figure.add_axes(place)

    def text(
        self,
        left: float,
        top: float,
        text: str,
        *,
        size: float,
        colour: str = INK,
        bold: bool = False,
        align: str = "left",
    ) -> None:
        """Text whose base line is ``top`` pixels below the upper edge."""
        self.figure.text(
            left / self.width,
            1.0 - top / self.height,
            _drawable(text),
            fontsize=size,
            color=colour,
            family=FAMILY,
            weight="bold" if bold else "normal",
            ha=align,
            va="baseline",
            parse_math=False,
        )

    def save(self, path: str | Path) -> None:
        with whole_file(path) as temporary:
            self.figure.savefig(temporary, format="png", dpi=DPI)


@cache
def _font() -> FT2Font:
    return get_font(findfont(FAMILY))


def _drawable(text: str, most: int = 96) -> str:
    """Text that fits on a sheet, with boxes for characters that the font lacks.

    File names come in all scripts and lengths; matplotlib would warn of each such character.
    """
    known = "".join(c if c.isprintable() and _font().get_char_index(ord(c)) else "□" for c in text)
    return known if len(known) <= most else f"{known[: most - 24]}…{known[-23:]}"


def draw_heading(
    sheet: Sheet, left: float, top: float, width: float, title: str, note: str
) -> None:
    """A panel's title at the left and what it shows at the right, just above ``top``."""
    sheet.text(left, top - 9, title, size=11.5, bold=True)
    sheet.text(left + width, top - 9, note, size=9, colour=QUIET, align="right")


def draw_picture(axes: Axes, picture: np.ndarray) -> None:
    """A picture that fills its place."""
    axes.imshow(picture, interpolation="bilinear")
    axes.set_axis_off()


def draw_colour_bar(sheet: Sheet, place: Axes, scale: ScalarMappable, name: str) -> None:
    """The bar of a scale; in percent for a pigment."""
    bar = sheet.figure.colorbar(scale, cax=place, orientation="horizontal")
    bar.outline.set_edgecolor(FAINT)
    if name in PIGMENT_TICKS:
        fraction, percents = PIGMENT_TICKS[name]
        values = torch.linspace(-1.0, 1.0, 4001, dtype=torch.float64)
        reached = fraction(values).numpy()
        ticks = [float(np.interp(percent / 100, reached, values.numpy())) for percent in percents]
        bar.set_ticks(ticks, labels=[f"{percent:g}" for percent in percents])
    else:
        bar.locator = MaxNLocator(5)
    draw_plain_ticks(bar.ax)
    # Clear of the last number of the bar to the left.
    bar.ax.get_xticklabels()[0].set_horizontalalignment("left")


def draw_plain_ticks(axes: Axes) -> None:
    """Small and quiet numbers along the axes."""
    axes.tick_params(labelsize=9, length=3, color=QUIET, labelcolor=QUIET, labelfontfamily=FAMILY)
