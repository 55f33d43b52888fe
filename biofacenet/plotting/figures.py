"""The labelled sheets of one face: a decomposition, a map, an edit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from torch import Tensor

from ..decomposition import Decomposition
from .canvas import ALERT, QUIET, Sheet, draw_colour_bar, draw_heading, draw_picture
from .encoding import display
from .light import camera_note, draw_camera, draw_light, light_note
from .maps import (
    MAP_NAMES,
    PANEL_TITLES,
    albedo_image,
    brightest,
    greyed,
    in_colours,
    plane_of,
    scale_of_skin,
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
    mask: Tensor | None = None,  # [1, 1, H, W]
    show_all: bool = False,
    title: str = "",
    said: Mapping[str, str] | None = None,
) -> None:
    """The labelled sheet of one decomposition: photo, rendering, error, maps, light and camera.

    1600 pixels wide. Maps and error (the mean over linear R, G and B) are shown where skin is, in
    colours that span what the skin has; elsewhere the photo shows faintly in grey.

    Args:
        photo: what was looked at.
        decomposition: of it; the first image's is shown.
        path: of the PNG.
        mask: more than 0.5 where skin is; everywhere when not given.
        show_all: show the rest too, in the colours of the skin.
        title: above everything.
        said: what stands beside the title of a map, by its name; how far ``light`` and ``camera`` are
            known; and below the title their ``level``, and a ``warning``.
    """
    decomposition = decomposition[0].detach().to("cpu")
    photo, said = photo[:1].detach().cpu(), said or {}
    view = _View(_inside(mask, photo), show_all, display(photo[0]))

    margin, gap, columns = 48, 40, 4
    side = (1600 - 2 * margin - (columns - 1) * gap) / columns
    tall = side * min(max(photo.shape[2] / photo.shape[3], 0.5), 1.6)
    lines = [one for one in (("level", QUIET), ("warning", ALERT)) if said.get(one[0])]
    first = (84 if title else 44) + 26 * len(lines)
    second = first + tall + 106
    third = second + tall + 100
    sheet = Sheet(1600, third + 250 + 66)
    if title:
        sheet.text(margin, 40, title, size=17, bold=True)
    for number, (name, colour) in enumerate(reversed(lines)):
        sheet.text(margin, first - 40 - 26 * number, said[name], size=10.5, colour=colour, most=180)
    for index, panel in enumerate(_panels(photo, decomposition, view)):
        left = margin + index % columns * (side + gap)
        top = first if index < columns else second
        draw_heading(sheet, left, top, side, panel.label, panel.note, said.get(panel.name, ""))
        draw_picture(sheet.axes(left, top, side, tall), panel.picture)
        if panel.scale is not None:
            bar = sheet.axes(left, top + tall + 8, side, 10)
            draw_colour_bar(sheet, bar, panel.scale, panel.name, decomposition.skin)

    wide = 2 * side + gap
    # Room at the left for the numbers of the axis, so that plots end where pictures do.
    inset = 52
    light, camera = (said.get(name, "") for name in ("light", "camera"))
    draw_heading(sheet, margin, third, wide, "Light", light_note(decomposition, light))
    draw_light(sheet.axes(margin + inset, third, wide - inset, 250), decomposition)
    right = margin + wide + gap
    draw_heading(sheet, right, third, wide, "Camera", camera_note(decomposition, camera))
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


@dataclass(frozen=True)
class _View:
    """Which pixels are shown."""

    inside: np.ndarray
    """(H, W), where skin is."""
    show_all: bool
    photo: np.ndarray | None
    """8-bit (H, W, 3), which shows faintly where there is no skin."""

    def shown(self, picture: np.ndarray) -> np.ndarray:
        """A picture (H, W, 3) without what is not shown."""
        return picture if self.show_all else greyed(picture, self.inside, self.photo)

    def map(self, values: np.ndarray, name: str) -> tuple[np.ndarray, ScalarMappable]:
        """A map in its colours, and their scale."""
        scale = scale_of_skin(name, values[self.inside])
        return self.shown(in_colours(values, scale)), scale


def _inside(mask: Tensor | None, like: Tensor) -> np.ndarray:
    """A mask as an array (H, W) of true and false; everywhere where it is empty or there is none."""
    inside = None if mask is None else (mask[0, 0] > 0.5).cpu().numpy()
    return inside if inside is not None and inside.any() else np.ones(like.shape[2:], bool)


def _panels(photo: Tensor, decomposition: Decomposition, view: _View) -> list[_Panel]:
    """Photo, rendering, error and albedo, then the maps."""
    rendered = decomposition.render()
    error = (rendered - photo).abs().mean(dim=1)[0].numpy()
    squares = (rendered - photo).square().mean(dim=1)[0].numpy()[view.inside]
    where = "" if view.inside.all() else " of skin"
    scale = _error_scale(error[view.inside])
    albedo = view.shown(albedo_image(decomposition))
    panels = [
        _Panel("Input", "the part of the photo looked at", display(photo[0])),
        _Panel("Reconstruction", "rendered from the maps", display(rendered[0])),
        _Panel(
            "Absolute error",
            f"linear RGB, RMSE{where} {float(squares.mean()) ** 0.5:.4f}",
            view.shown(in_colours(error, scale)),
            scale,
        ),
        _Panel("Albedo", "skin without shading", albedo),
    ]
    for name in MAP_NAMES:
        picture, scale = view.map(plane_of(decomposition, name), name)
        panels.append(_Panel(*PANEL_TITLES[name], picture, scale, name))
    return panels


def _error_scale(error: np.ndarray) -> ScalarMappable:
    return ScalarMappable(Normalize(0.0, max(brightest(error), 0.01)), colormaps["inferno"])


def map_figure(
    decomposition: Decomposition,
    name: str,
    path: str | Path,
    *,
    photo: Tensor | None = None,  # [1, 3, H, W], linear sRGB
    mask: Tensor | None = None,  # [1, 1, H, W]
    show_all: bool = False,
    said: str = "",
) -> None:
    """A map of the first image with its colour bar, in physical units where it has some: a PNG.

    Args:
        decomposition: whose map.
        name: of the map.
        path: of the PNG.
        photo: which shows faintly where there is no skin; plain grey when not given.
        mask: as of `decomposition_figure`.
        show_all: likewise.
        said: what stands below the title.
    """
    values = plane_of(decomposition, name)
    behind = None if photo is None else display(photo[0])
    view = _View(_inside(mask, decomposition.melanin), show_all, behind)
    picture, scale = view.map(values, name)
    margin, side = 24, 512.0
    tall = side * min(max(values.shape[0] / values.shape[1], 0.25), 2.5)
    top = 62 if said else 44
    sheet = Sheet(2 * margin + side, tall + top + 56)
    draw_heading(sheet, margin, top, side, *PANEL_TITLES[name], said)
    draw_picture(sheet.axes(margin, top, side, tall), picture)
    place = sheet.axes(margin, top + tall + 10, side, 12)
    draw_colour_bar(sheet, place, scale, name, decomposition.skin)
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
