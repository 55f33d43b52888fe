"""The sheet of a measured face: its regions on the photo and the pigments, and their numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.cm import ScalarMappable
from torch import Tensor

from ..decomposition import Decomposition
from .canvas import QUIET, Sheet, draw_colour_bar, draw_heading, draw_picture
from .encoding import display
from .maps import PANEL_TITLES, colour_scale, in_colours, plane_of

__all__ = ["REGION_COLOURS", "RegionNumbers", "regions_sheet"]

REGION_COLOURS = (
    *((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66)),
    *((0, 114, 178), (213, 94, 0), (204, 121, 167), (160, 160, 160)),
)
"""8-bit R, G, B of regions in their order: those of Okabe and Ito (Color Universal Design, 2008), which
colour-blind people can tell apart, and a grey."""

ROW = 24


@dataclass(frozen=True)
class RegionNumbers:
    """What the sheet says of a region; NaN where nothing is known."""

    name: str
    pixels: int
    melanosomes: tuple[float, float, float]
    """Percent: median, and the ends of its 68 % interval."""
    blood: tuple[float, float, float]
    ita: float
    """Degrees."""
    ita_class: str


def regions_sheet(
    photo: Tensor,  # [1, 3, H, W], linear sRGB
    decomposition: Decomposition,
    masks: Mapping[str, Tensor],
    numbers: Sequence[RegionNumbers],
    path: str | Path,
    *,
    title: str,
    note: str,
) -> None:
    """Write the sheet, 1600 pixels wide.

    Args:
        photo: the part that was looked at.
        decomposition: of it.
        masks: outlined regions by name, (1, 1, H, W), in the order of `REGION_COLOURS`.
        numbers: a line each, of regions that are outlined or not.
        path: of the PNG.
        title: of the sheet.
        note: warnings, in words.
    """
    decomposition = decomposition[0].detach().to("cpu")
    margin, gap, top = 48, 32, 128
    side = (1600 - 2 * margin - 2 * gap) / 3
    tall = side * min(max(photo.shape[2] / photo.shape[3], 0.5), 1.6)
    below = top + tall + 92
    sheet = Sheet(1600, below + ROW * (len(numbers) + 1) + 40)
    sheet.text(margin, 40, title, size=17, bold=True)
    sheet.text(margin, 66, f"warnings: {note}" if note else "no warnings", size=10.5, colour=QUIET)
    colours = dict(zip(masks, REGION_COLOURS, strict=False))
    panels: list[tuple[str, str, np.ndarray, tuple[ScalarMappable, str] | None]] = [
        ("Photo", "regions that were measured", display(photo[0]), None)
    ]
    for name in ("melanin", "haemoglobin"):
        values = plane_of(decomposition, name)
        scale = colour_scale(name, values)
        label, words = PANEL_TITLES[name]
        panels.append((label, words, in_colours(values, scale), (scale, name)))
    for index, (label, words, picture, bar) in enumerate(panels):
        left = margin + index * (side + gap)
        draw_heading(sheet, left, top, side, label, words)
        draw_picture(sheet.axes(left, top, side, tall), _outlined(picture, masks, colours))
        if bar is not None:
            draw_colour_bar(sheet, sheet.axes(left, top + tall + 8, side, 10), *bar)
    _numbers(sheet, margin, below, numbers, colours)
    sheet.save(path)


def _outlined(
    picture: np.ndarray, masks: Mapping[str, Tensor], colours: Mapping[str, tuple[int, int, int]]
) -> np.ndarray:
    """A picture (H, W, 3) with the outlines of regions, large enough for them to be thin."""
    factor = max(1, round(640 / max(picture.shape[:2])))
    wide, tall = picture.shape[1] * factor, picture.shape[0] * factor
    drawn = np.ascontiguousarray(cv2.resize(picture, (wide, tall), interpolation=cv2.INTER_CUBIC))
    for name, mask in masks.items():
        large = cv2.resize(mask[0, 0].numpy(), (wide, tall), interpolation=cv2.INTER_LINEAR)
        outlines, _ = cv2.findContours(
            (large > 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(drawn, outlines, -1, (255, 255, 255), 3, cv2.LINE_AA)
        cv2.drawContours(drawn, outlines, -1, colours[name], 2, cv2.LINE_AA)
    return drawn


COLUMNS = (
    ("region", 24),
    ("pixels", 330),
    ("melanosomes, % (68 % interval)", 640),
    ("blood, % (68 % interval)", 950),
    ("ITA, degrees", 1160),
    ("class", 1200),
)
"""Heads of the table, and where they stand."""


def _numbers(
    sheet: Sheet,
    left: float,
    top: float,
    numbers: Sequence[RegionNumbers],
    colours: Mapping[str, tuple[int, int, int]],
) -> None:
    for head, place in COLUMNS:
        align = "left" if head in ("region", "class") else "right"
        sheet.text(left + place, top, head, size=10, colour=QUIET, align=align)
    for index, row in enumerate(numbers):
        base = top + (index + 1) * ROW
        if row.name in colours:
            red, green, blue = colours[row.name]
            sheet.text(left, base, "■", size=13, colour=f"#{red:02x}{green:02x}{blue:02x}")
        cells = (
            row.name.replace("_", " "),
            str(row.pixels),
            _with_ends(row.melanosomes, 1),
            _with_ends(row.blood, 2),
            "" if math.isnan(row.ita) else f"{row.ita:.0f}",
            row.ita_class,
        )
        for cell, (head, place) in zip(cells, COLUMNS, strict=True):
            align = "left" if head in ("region", "class") else "right"
            sheet.text(left + place, base, cell, size=11, align=align)


def _with_ends(values: tuple[float, float, float], digits: int) -> str:
    if math.isnan(values[0]):
        return ""
    middle, low, high = (f"{value:.{digits}f}" for value in values)
    return f"{middle}  ({low} to {high})"
