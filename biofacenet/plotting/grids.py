"""Many faces on a sheet: training grids, samples, cases, contact sheets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from PIL import Image
from torch import Tensor

from ..decomposition import Decomposition
from .canvas import QUIET, Sheet
from .encoding import display, eight_bit, write_image
from .maps import (
    MAP_NAMES,
    OUTSIDE,
    albedo_image,
    brightest,
    colour_scale,
    in_colours,
    map_image,
    plane_of,
)
from .shape import normals_image, parts_image

__all__ = [
    "cases_sheet",
    "changes_sheet",
    "contact_sheet",
    "sample_sheet",
    "training_grid",
]

# Many faces ----------------------------------------------------------------------------------


def training_grid(
    image: Tensor,  # [B, 3, H, W], linear
    mask: Tensor,  # [B, 1, H, W]
    proxy: Tensor,  # [B, 1, H, W], shading
    decomposition: Decomposition,
    rendered: Tensor,  # [B, 3, H, W], linear
    path: str | Path,
    *,
    title: str = "",
) -> None:
    """A row of pictures for each face: what went in, what it is compared with, what came out.

    The predicted shading is scaled to the proxy shading (of rough normals under fitted lighting) by
    least squares within the mask, and both have one scale of grey; outside the mask the maps are blank.
    Normals and parts, of networks that tell them, are not.
    """
    headings = ("input", "proxy shading", "mask", "face", "shading", "specular")
    rows = [
        _training_row(image[i], mask[i], proxy[i], decomposition[i], rendered[i])
        for i in range(len(image))
    ]
    also = ("normals", "parts") if decomposition.normals is not None else ()
    _rows_under_headings(rows, (*headings, "melanin", "haemoglobin", *also), path, title)


def sample_sheet(
    image: Tensor,  # [B, 3, H, W], linear
    mask: Tensor,  # [B, 1, H, W]
    normals: Tensor,  # [B, 3, H, W]
    shading: Tensor,  # [B, 1, H, W]
    path: str | Path,
    *,
    title: str = "",
) -> None:
    """A row of pictures for each face of a set, as training sees it."""
    rows = []
    for i in range(len(image)):
        inside = (mask[i, 0] > 0.5).cpu().numpy()
        grey = _grey(shading[i, 0].float().cpu().numpy(), inside)
        pictures = (display(image[i]), eight_bit((normals[i] + 1.0) / 2.0), grey)
        rows.append(
            [display(image[i])]
            + [np.where(inside[..., None], picture, np.uint8(OUTSIDE)) for picture in pictures]
        )
    _rows_under_headings(rows, ("input", "masked", "normals", "proxy shading"), path, title)


def _grey(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Values from black at 0 to white at the brightest."""
    scale = ScalarMappable(Normalize(0.0, brightest(values[inside])), colormaps["gray"])
    return in_colours(values, scale)


def _rows_under_headings(
    rows: Sequence[Sequence[np.ndarray]],
    headings: Sequence[str],
    path: str | Path,
    title: str,
    labels: Sequence[str] = (),
) -> None:
    """8-bit pictures (H, W, 3) of one size, a heading above each column, labels beside the rows."""
    tile, gap, margin = 140, 6, 20
    height, width = rows[0][0].shape[:2]
    tall = round(tile * height / width)
    mosaic = _mosaic(rows, (tile, tall), gap)
    beside = max(60, 8 * max(map(len, labels)) + 8) if labels else 0
    left, top = margin + beside, margin + (58 if title else 24)
    sheet = Sheet(mosaic.shape[1] + left + margin, mosaic.shape[0] + top + margin)
    if title:
        sheet.text(margin, margin + 16, title, size=14, bold=True)
    for column, heading in enumerate(headings):
        centre = left + column * (tile + gap) + tile / 2
        sheet.text(centre, top - 9, heading, size=10.5, colour=QUIET, align="center")
    for row, label in enumerate(labels):
        sheet.text(margin, top + row * (tall + gap) + tall / 2, label, size=10.5, colour=QUIET)
    axes = sheet.axes(left, top, mosaic.shape[1], mosaic.shape[0])
    axes.imshow(mosaic, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    sheet.save(path)


def _training_row(
    image: Tensor, mask: Tensor, proxy: Tensor, decomposition: Decomposition, rendered: Tensor
) -> list[np.ndarray]:
    """The pictures of one face, 8-bit (H, W, 3)."""
    plane = mask[0].detach().float().cpu().numpy()
    inside = plane > 0.5
    rough = proxy[0].detach().float().cpu().numpy()
    found = plane_of(decomposition, "diffuse")
    square = float((found[inside] ** 2).sum())
    fit = float((rough * found)[inside].sum()) / square if square > 0.0 else 1.0
    grey = colormaps["gray"]
    shared = ScalarMappable(Normalize(0.0, brightest(rough[inside])), grey)
    specular = plane_of(decomposition, "specular")
    # A network that sees no highlights must not have its noise stretched to white.
    highlights = ScalarMappable(Normalize(0.0, max(brightest(specular[inside]), 0.05)), grey)
    pictures = [
        display(image),
        in_colours(rough, shared),
        in_colours(plane, ScalarMappable(Normalize(0.0, 1.0), grey)),
    ]
    results = (
        display(rendered),
        in_colours(fit * found, shared),
        in_colours(specular, highlights),
        map_image(decomposition, "melanin"),
        map_image(decomposition, "haemoglobin"),
    )
    pictures += [np.where(inside[..., None], result, np.uint8(OUTSIDE)) for result in results]
    if decomposition.normals is not None:
        pictures += [normals_image(decomposition), parts_image(decomposition)]
    return pictures


def cases_sheet(
    image: Tensor,  # [B, 3, H, W], linear
    mask: Tensor,  # [B, 1, H, W]
    truth: Decomposition,
    found: Decomposition,
    path: str | Path,
    *,
    labels: Sequence[str],
    title: str,
) -> None:
    """A row of pictures for each face: photo and reconstruction, true maps beside found ones.

    Shadings have one scale of grey for both; the found diffuse shading is scaled to the true one by
    least squares within the mask. Outside the mask, maps are blank.
    """
    headings = ["photo", "rendered", "albedo: true", "found"]
    headings += [word for name in MAP_NAMES for word in (f"{name}: true", "found")]
    rendered = found.render()
    rows = []
    for i in range(len(image)):
        inside = (mask[i, 0] > 0.5).cpu().numpy()
        pictures = [display(image[i]), display(rendered[i])]
        blanked = [albedo_image(truth[i]), albedo_image(found[i])]
        for name in MAP_NAMES:
            pair = [plane_of(truth[i], name), plane_of(found[i], name)]
            if name == "diffuse":
                square = float((pair[1][inside] ** 2).sum())
                pair[1] = pair[1] * float((pair[0] * pair[1])[inside].sum()) / max(square, 1e-12)
            scale = colour_scale(name, pair[0][inside])
            if name == "specular":
                most = max(brightest(pair[0][inside]), 0.05)
                scale = ScalarMappable(Normalize(0.0, most), colormaps["gray"])
            blanked += [in_colours(values, scale) for values in pair]
        rows.append(
            pictures
            + [np.where(inside[..., None], picture, np.uint8(OUTSIDE)) for picture in blanked]
        )
    _rows_under_headings(rows, headings, path, title, labels)


def changes_sheet(
    image: Tensor,  # [B, 3, H, W], linear
    mask: Tensor,  # [1, 1, H, W], of the first
    found: Decomposition,
    path: str | Path,
    *,
    labels: Sequence[str],
    title: str,
) -> None:
    """A row of pictures for a photo and for each changed copy of it: what went in and what came out.

    Shadings have one scale of grey for all rows, that of the first; pigments have their fixed colours.
    """
    headings = ("photo", "rendered", "albedo", *MAP_NAMES)
    inside = (mask[0, 0] > 0.5).cpu().numpy()
    first = {name: plane_of(found[0], name)[inside] for name in MAP_NAMES}
    scales = {name: colour_scale(name, values) for name, values in first.items()}
    most = max(brightest(first["specular"]), 0.05)
    scales["specular"] = ScalarMappable(Normalize(0.0, most), colormaps["gray"])
    rendered = found.render()
    rows = [
        [display(image[i]), display(rendered[i]), albedo_image(found[i])]
        + [in_colours(plane_of(found[i], name), scales[name]) for name in MAP_NAMES]
        for i in range(len(image))
    ]
    _rows_under_headings(rows, headings, path, title, labels)


def contact_sheet(images: Tensor, path: str | Path, *, columns: int) -> None:
    """Faces (N, 3, H, W), sRGB-encoded, side by side, small ones enlarged to 128 pixels or so."""
    height, width = images.shape[2:]
    factor = max(1, round(128 / width))
    pictures = [eight_bit(image) for image in images]
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    write_image(_mosaic(rows, (factor * width, factor * height), 4), path)


def _mosaic(rows: Sequence[Sequence[np.ndarray]], tile: tuple[int, int], gap: int) -> np.ndarray:
    """8-bit pictures in rows, each resized to ``tile`` (width, height), on white."""
    width, height = tile
    across = max(len(row) for row in rows)
    mosaic = np.full(
        (len(rows) * (height + gap) - gap, across * (width + gap) - gap, 3), 255, np.uint8
    )
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            resized = Image.fromarray(picture).resize(tile, Image.Resampling.BILINEAR)
            top, left = i * (height + gap), j * (width + gap)
            mosaic[top : top + height, left : left + width] = np.asarray(resized)
    return mosaic
