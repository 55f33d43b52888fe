"""Sheets laid out in pixels, and what is drawn on them.

Everything is drawn with matplotlib's Agg canvas, without pyplot and its global state, and written
whole or not at all.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ft2font import FT2Font

from ..physics.skin import SkinName
from ..system.files import whole_file
from .maps import ticks

__all__ = [
    "ALERT",
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

ALERT = "#b3261e"
"""Of warnings."""

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
        most: int = 96,
    ) -> None:
        """Text whose base line is ``top`` pixels below the upper edge, of so many characters at most."""
        self.figure.text(
            left / self.width,
            1.0 - top / self.height,
            _drawable(text, most),
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


def _drawable(text: str, most: int) -> str:
    """Text that fits on a sheet, with boxes for characters that the font lacks.

    File names come in all scripts and lengths; matplotlib would warn of each such character.
    """
    known = "".join(c if c.isprintable() and _font().get_char_index(ord(c)) else "□" for c in text)
    return known if len(known) <= most else f"{known[: most - 24]}…{known[-23:]}"


def draw_heading(
    sheet: Sheet, left: float, top: float, width: float, title: str, note: str, said: str = ""
) -> None:
    """A panel's title at the left and what it shows at the right, above ``top``; what was found below
    both, where something is said.
    """
    line = top - (28 if said else 9)
    sheet.text(left, line, title, size=11.5, bold=True)
    sheet.text(left + width, line, note, size=9, colour=QUIET, align="right")
    if said:
        sheet.text(left, top - 9, said, size=9.5)


def draw_picture(axes: Axes, picture: np.ndarray) -> None:
    """A picture that fills its place."""
    axes.imshow(picture, interpolation="bilinear")
    axes.set_axis_off()


def draw_colour_bar(
    sheet: Sheet, place: Axes, scale: ScalarMappable, name: str, skin: SkinName = "published"
) -> None:
    """The bar of a scale; in percent for a pigment, of which skin is then asked."""
    bar = sheet.figure.colorbar(scale, cax=place, orientation="horizontal")
    bar.outline.set_visible(False)
    low, high = scale.get_clim()
    assert low is not None
    assert high is not None
    places, numbers = ticks(name, low, high, skin=skin)
    bar.set_ticks(places, labels=numbers)
    bar.minorticks_off()
    draw_plain_ticks(bar.ax)
    for at, label in zip(places, bar.ax.get_xticklabels(), strict=True):
        share = (at - low) / (high - low)
        # Clear of the numbers of the bars beside it.
        label.set_horizontalalignment(
            "left" if share < 0.03 else "right" if share > 0.97 else "center"
        )


def draw_plain_ticks(axes: Axes) -> None:
    """Small and quiet numbers along the axes."""
    axes.tick_params(labelsize=9, length=3, color=QUIET, labelcolor=QUIET, labelfontfamily=FAMILY)
