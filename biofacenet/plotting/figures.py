"""The labelled sheets of one face: a decomposition, a map, an edit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from torch import Tensor

from ..decomposition import Decomposition
from .canvas import QUIET, Sheet, draw_colour_bar, draw_heading, draw_picture
from .encoding import display
from .light import camera_note, draw_camera, draw_light, light_note
from .maps import (
    MAP_NAMES,
    PANEL_TITLES,
    albedo_image,
    brightest,
    colour_scale,
    in_colours,
    plane_of,
)

__all__ = [
    "decomposition_figure",
    "edit_sheet",
    "map_figure",
]


def decomposition_figure(
    photo: Tensor,  # [1, 3, H, W], linear sRGB
    decomposition: Decomposition,
    path: str | Path,
    *,
    title: str = "",
    known: tuple[str, str] = ("", ""),
) -> None:
    """The labelled sheet of one decomposition: photo, rendering, error, maps, light and camera.

    1600 pixels wide; `known` says how far light and camera are known, in words. The error is the mean
    over linear R, G and B.
    """
    decomposition = decomposition[0].detach().to("cpu")
    photo = photo[:1].detach().cpu()

    margin, gap, columns = 48, 40, 4
    side = (1600 - 2 * margin - (columns - 1) * gap) / columns
    tall = side * min(max(photo.shape[2] / photo.shape[3], 0.5), 1.6)
    first = 84 if title else 44
    second = first + tall + 88
    third = second + tall + 100
    sheet = Sheet(1600, third + 250 + 66)
    if title:
        sheet.text(margin, 40, title, size=17, bold=True)
    for index, panel in enumerate(_panels(photo, decomposition)):
        left = margin + index % columns * (side + gap)
        top = first if index < columns else second
        draw_heading(sheet, left, top, side, panel.label, panel.note)
        draw_picture(sheet.axes(left, top, side, tall), panel.picture)
        if panel.scale is not None:
            bar = sheet.axes(left, top + tall + 8, side, 10)
            draw_colour_bar(sheet, bar, panel.scale, panel.name)

    wide = 2 * side + gap
    # Room at the left for the numbers of the axis, so that plots end where pictures do.
    inset = 52
    draw_heading(sheet, margin, third, wide, "Light", light_note(decomposition, known[0]))
    draw_light(sheet.axes(margin + inset, third, wide - inset, 250), decomposition)
    right = margin + wide + gap
    draw_heading(sheet, right, third, wide, "Camera", camera_note(decomposition, known[1]))
    draw_camera(sheet.axes(right + inset, third, wide - inset, 250), decomposition)
    sheet.save(path)


@dataclass(frozen=True)
class _Panel:
    """One labelled picture of the sheet."""

    label: str
    note: str
    picture: np.ndarray
    scale: ScalarMappable | None = None
    """Of its colour bar, where it has one."""
    name: str = ""
    """Of the map, whose unit the bar shows."""


def _panels(photo: Tensor, decomposition: Decomposition) -> list[_Panel]:
    """Photo, rendering, error and albedo, then the maps."""
    rendered = decomposition.render()
    error = (rendered - photo).abs().mean(dim=1)[0].numpy()
    skin = decomposition.skin_share()
    weight, where = (torch.ones(1), "") if skin is None else (skin, " of skin")
    squares = (rendered - photo).square().mean(dim=1, keepdim=True) * weight
    rmse = float((squares.mean() / weight.mean().clamp(min=1e-6)).sqrt())
    scale = _error_scale(error)
    panels = [
        _Panel("Input", "the part of the photo looked at", display(photo[0])),
        _Panel("Reconstruction", "rendered from the maps", display(rendered[0])),
        _Panel(
            "Absolute error", f"linear RGB, RMSE{where} {rmse:.4f}", in_colours(error, scale), scale
        ),
        _Panel("Albedo", "skin without shading", albedo_image(decomposition)),
    ]
    for name in MAP_NAMES:
        values = plane_of(decomposition, name)
        scale = colour_scale(name, values)
        panels.append(_Panel(*PANEL_TITLES[name], in_colours(values, scale), scale, name))
    return panels


def _error_scale(error: np.ndarray) -> ScalarMappable:
    return ScalarMappable(Normalize(0.0, max(brightest(error), 0.01)), colormaps["inferno"])


def map_figure(decomposition: Decomposition, name: str, path: str | Path) -> None:
    """A map of the first image with its colour bar, in physical units where it has some: a PNG."""
    values = plane_of(decomposition, name)
    scale = colour_scale(name, values)
    margin, side = 24, 512.0
    tall = side * min(max(values.shape[0] / values.shape[1], 0.25), 2.5)
    sheet = Sheet(2 * margin + side, tall + 100)
    draw_heading(sheet, margin, 44, side, *PANEL_TITLES[name])
    draw_picture(sheet.axes(margin, 44, side, tall), in_colours(values, scale))
    draw_colour_bar(sheet, sheet.axes(margin, 44 + tall + 10, side, 12), scale, name)
    sheet.save(path)


def edit_sheet(before: Tensor, after: Tensor, path: str | Path, *, title: str, note: str) -> None:
    """A picture before and after an edit, and the difference: linear (1, 3, H, W) each."""
    margin, gap, side = 48, 40, 420.0
    tall = side * min(max(before.shape[2] / before.shape[3], 0.5), 1.6)
    sheet = Sheet(2 * margin + 3 * side + 2 * gap, tall + 192)
    sheet.text(margin, 40, title, size=17, bold=True)
    sheet.text(margin, 62, note, size=10.5, colour=QUIET)
    difference = (after - before).abs().mean(dim=1)[0].detach().cpu().numpy()
    scale = _error_scale(difference)
    panels = (
        ("Before", "", display(before[0])),
        ("After", "", display(after[0])),
        ("Absolute difference", "linear RGB", in_colours(difference, scale)),
    )
    for index, (label, words, picture) in enumerate(panels):
        left = margin + index * (side + gap)
        draw_heading(sheet, left, 106, side, label, words)
        draw_picture(sheet.axes(left, 106, side, tall), picture)
    draw_colour_bar(sheet, sheet.axes(left, 106 + tall + 8, side, 10), scale, "")
    sheet.save(path)
