"""Pictures: coloured maps, the sheet of a decomposition, training grids, contact sheets, plots.

Everything is drawn with matplotlib's Agg canvas, without pyplot and its global state, and written
whole or not at all.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ft2font import FT2Font
from matplotlib.patches import Polygon
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from PIL import Image
from torch import Tensor

from .decomposition import Decomposition
from .files import whole_file
from .physics.colour import WHITE_ROW_SUMS, XYZ_TO_SRGB, linear_to_srgb, observer
from .physics.illuminant import ILLUMINANT_NAMES
from .physics.skin import blood_fraction, melanosome_fraction
from .physics.spectra import WAVELENGTHS

__all__ = [
    "MAP_NAMES",
    "albedo_image",
    "camera_csv",
    "camera_plot",
    "cases_sheet",
    "contact_sheet",
    "decomposition_figure",
    "display",
    "edit_sheet",
    "light_csv",
    "light_plot",
    "loss_plot",
    "map_figure",
    "map_image",
    "pigment_colours",
    "sample_sheet",
    "training_grid",
    "write_image",
]

MAP_NAMES = ("melanin", "haemoglobin", "diffuse", "specular")

# CIELAB stations from no pigment to all of it; lightness falls evenly along the way.
PIGMENT_LAB = {
    "melanin": ((97, 1, 5), (80, 9, 24), (60, 16, 35), (38, 17, 29), (14, 8, 10)),
    "haemoglobin": ((97, 2, 2), (80, 20, 11), (60, 42, 25), (38, 48, 28), (14, 30, 16)),
}

# Percentages that the colour bars name; the axis is a cube, so they do not stand evenly.
PIGMENT_TICKS = {
    "melanin": (melanosome_fraction, (0, 1, 5, 10, 20, 43)),
    "haemoglobin": (blood_fraction, (0, 0.1, 0.5, 1, 2, 4, 7)),
}

PANEL_TITLES = {
    "melanin": ("Melanin", "melanosomes, % of epidermis"),
    "haemoglobin": ("Haemoglobin", "blood, % of dermis"),
    "diffuse": ("Diffuse shading", "body reflection"),
    "specular": ("Specular shading", "surface reflection"),
}

CHANNEL_COLOURS = {"R": "#d1373f", "G": "#2e9e5b", "B": "#2f6bd0"}
INK, QUIET, FAINT = "#1f2328", "#6a737d", "#d8dde3"
FAMILY = "DejaVu Sans"
DPI = 100


def display(linear: Tensor) -> np.ndarray:
    """Linear sRGB (3, H, W) as an 8-bit sRGB picture (H, W, 3)."""
    return eight_bit(linear_to_srgb(linear.detach().float().cpu()))


def eight_bit(encoded: Tensor) -> np.ndarray:
    """sRGB-encoded (3, H, W) in 0..1 as an 8-bit picture (H, W, 3)."""
    scaled = (255.0 * encoded.detach().cpu().clamp(0.0, 1.0)).round()
    return scaled.permute(1, 2, 0).to(torch.uint8).numpy()


def write_image(picture: np.ndarray, path: str | Path) -> None:
    """Write an 8-bit picture as PNG."""
    with whole_file(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


# Maps ----------------------------------------------------------------------------------------


@cache
def pigment_colours(name: str) -> Colormap:
    """Of ``melanin`` or ``haemoglobin``: 256 colours at even steps of CIELAB lightness.

    So that equal steps look equal.
    """
    stations = np.array(PIGMENT_LAB[name], dtype=float)
    lightness = np.linspace(stations[0, 0], stations[-1, 0], 256)
    a, b = (np.interp(-lightness, -stations[:, 0], stations[:, i]) for i in (1, 2))
    f = (lightness + 16.0) / 116.0
    cubes = np.stack([f + a / 500.0, f, f - b / 200.0])
    relative = np.where(cubes > 6 / 29, cubes**3, 3 * (6 / 29) ** 2 * (cubes - 4 / 29))
    white = torch.linalg.inv(XYZ_TO_SRGB).sum(dim=1, keepdim=True)
    linear = XYZ_TO_SRGB @ (white * torch.from_numpy(relative))
    return ListedColormap(linear_to_srgb(linear).T.numpy(), name=name)


def _plane(decomposition: Decomposition, name: str) -> np.ndarray:
    values: Tensor = getattr(decomposition, name)
    return values[0, 0].detach().float().cpu().numpy()


def _brightest(values: np.ndarray) -> float:
    """All but the brightest 0.5 %, which would leave the rest in the dark."""
    return max(float(np.quantile(values, 0.995)), 1e-6) if values.size else 1.0


def _scale(name: str, values: np.ndarray) -> ScalarMappable:
    """Colours and range of a map: fixed for pigments, from 0 to the brightest for shadings."""
    if name in PIGMENT_LAB:
        return ScalarMappable(Normalize(-1.0, 1.0), pigment_colours(name))
    return ScalarMappable(Normalize(0.0, _brightest(values)), colormaps["gray"])


def _coloured(values: np.ndarray, scale: ScalarMappable) -> np.ndarray:
    return np.asarray(scale.to_rgba(values, bytes=True))[..., :3].copy()


def map_image(decomposition: Decomposition, name: str) -> np.ndarray:
    """A map of the first image in its colours: 8-bit (H, W, 3).

    Pigments run from white at -1 to dark brown or dark red at 1, shadings from black at 0 to white
    at their 99.5th percentile.

    Args:
        decomposition: a batch of one or more.
        name: ``melanin``, ``haemoglobin``, ``diffuse`` or ``specular``.
    """
    if name not in MAP_NAMES:
        raise ValueError(f"unknown map {name!r}: choose one of {', '.join(MAP_NAMES)}")
    values = _plane(decomposition, name)
    return _coloured(values, _scale(name, values))


def albedo_image(decomposition: Decomposition) -> np.ndarray:
    """The first image's skin without shading or highlights, beside a white that is white.

    The renderer's scale puts a white of unit diffuse shading at 0.34; here it is at 1. 8-bit
    (H, W, 3).
    """
    albedo = decomposition[0].detach().to("cpu").trace().albedo[0]
    return display(albedo / float(WHITE_ROW_SUMS[1]))


# Drawing -------------------------------------------------------------------------------------


class _Sheet:
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


def _heading(sheet: _Sheet, left: float, top: float, width: float, title: str, note: str) -> None:
    """A panel's title at the left and what it shows at the right, just above ``top``."""
    sheet.text(left, top - 9, title, size=11.5, bold=True)
    sheet.text(left + width, top - 9, note, size=9, colour=QUIET, align="right")


def _picture(axes: Axes, picture: np.ndarray) -> None:
    axes.imshow(picture, interpolation="bilinear")
    axes.set_axis_off()


def _colour_bar(sheet: _Sheet, place: Axes, scale: ScalarMappable, name: str) -> None:
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
    _plain_ticks(bar.ax)
    # Clear of the last number of the bar to the left.
    bar.ax.get_xticklabels()[0].set_horizontalalignment("left")


def _plain_ticks(axes: Axes) -> None:
    axes.tick_params(labelsize=9, length=3, color=QUIET, labelcolor=QUIET, labelfontfamily=FAMILY)


def decomposition_figure(
    photo: Tensor,  # [1, 3, H, W], linear sRGB
    decomposition: Decomposition,
    path: str | Path,
    *,
    title: str = "",
) -> None:
    """The labelled sheet of one decomposition: photo, rendering, error, maps, light and camera.

    1600 pixels wide. The error is the mean over linear R, G and B.
    """
    decomposition = decomposition[0].detach().to("cpu")
    photo = photo[:1].detach().cpu()
    rendered = decomposition.render()
    error = (rendered - photo).abs().mean(dim=1)[0].numpy()
    rmse = float((rendered - photo).square().mean().sqrt())

    margin, gap, columns = 48, 40, 4
    side = (1600 - 2 * margin - (columns - 1) * gap) / columns
    tall = side * min(max(photo.shape[2] / photo.shape[3], 0.5), 1.6)
    first = 84 if title else 44
    second = first + tall + 88
    third = second + tall + 100
    sheet = _Sheet(1600, third + 250 + 66)
    if title:
        sheet.text(margin, 40, title, size=17, bold=True)

    error_scale = ScalarMappable(Normalize(0.0, max(_brightest(error), 0.01)), colormaps["inferno"])
    panels: list[tuple[str, str, np.ndarray, ScalarMappable | None, str]] = [
        ("Input", "the part of the photo looked at", display(photo[0]), None, ""),
        ("Reconstruction", "rendered from the maps", display(rendered[0]), None, ""),
        (
            "Absolute error",
            f"linear RGB, RMSE {rmse:.4f}",
            _coloured(error, error_scale),
            error_scale,
            "",
        ),
        ("Albedo", "skin without shading", albedo_image(decomposition), None, ""),
    ]
    for name in MAP_NAMES:
        values = _plane(decomposition, name)
        scale = _scale(name, values)
        panels.append((*PANEL_TITLES[name], _coloured(values, scale), scale, name))
    for index, (label, note, picture, bar_scale, name) in enumerate(panels):
        left = margin + index % columns * (side + gap)
        top = first if index < columns else second
        _heading(sheet, left, top, side, label, note)
        _picture(sheet.axes(left, top, side, tall), picture)
        if bar_scale is not None:
            _colour_bar(sheet, sheet.axes(left, top + tall + 8, side, 10), bar_scale, name)

    wide = 2 * side + gap
    # Room at the left for the numbers of the axis, so that plots end where pictures do.
    inset = 52
    _heading(sheet, margin, third, wide, "Light", _light_note(decomposition))
    _draw_light(sheet.axes(margin + inset, third, wide - inset, 250), decomposition)
    right = margin + wide + gap
    _heading(sheet, right, third, wide, "Camera", _camera_note(decomposition))
    _draw_camera(sheet.axes(right + inset, third, wide - inset, 250), decomposition)
    sheet.save(path)


def map_figure(decomposition: Decomposition, name: str, path: str | Path) -> None:
    """A map of the first image with its colour bar, in physical units where it has some: a PNG."""
    values = _plane(decomposition, name)
    scale = _scale(name, values)
    margin, side = 24, 512.0
    tall = side * min(max(values.shape[0] / values.shape[1], 0.25), 2.5)
    sheet = _Sheet(2 * margin + side, tall + 100)
    _heading(sheet, margin, 44, side, *PANEL_TITLES[name])
    _picture(sheet.axes(margin, 44, side, tall), _coloured(values, scale))
    _colour_bar(sheet, sheet.axes(margin, 44 + tall + 10, side, 12), scale, name)
    sheet.save(path)


def edit_sheet(before: Tensor, after: Tensor, path: str | Path, *, title: str, note: str) -> None:
    """A picture before and after an edit, and the difference: linear (1, 3, H, W) each."""
    margin, gap, side = 48, 40, 420.0
    tall = side * min(max(before.shape[2] / before.shape[3], 0.5), 1.6)
    sheet = _Sheet(2 * margin + 3 * side + 2 * gap, tall + 192)
    sheet.text(margin, 40, title, size=17, bold=True)
    sheet.text(margin, 62, note, size=10.5, colour=QUIET)
    difference = (after - before).abs().mean(dim=1)[0].detach().cpu().numpy()
    scale = ScalarMappable(Normalize(0.0, max(_brightest(difference), 0.01)), colormaps["inferno"])
    panels = (
        ("Before", "", display(before[0])),
        ("After", "", display(after[0])),
        ("Absolute difference", "linear RGB", _coloured(difference, scale)),
    )
    for index, (label, words, picture) in enumerate(panels):
        left = margin + index * (side + gap)
        _heading(sheet, left, 106, side, label, words)
        _picture(sheet.axes(left, 106, side, tall), picture)
    _colour_bar(sheet, sheet.axes(left, 106 + tall + 8, side, 10), scale, "")
    sheet.save(path)


def _light_note(decomposition: Decomposition) -> str:
    """The strongest standard lights of the mixture, in words."""
    weights = decomposition.illuminant.weights[0].detach()
    cct = float(decomposition.illuminant.cct[0])
    shares = []
    for i in weights.argsort(descending=True)[:3].tolist():
        at = f" at {cct:.0f} K" if ILLUMINANT_NAMES[i] == "D" else ""
        shares.append(f"{100 * float(weights[i]):.0f} % {ILLUMINANT_NAMES[i]}{at}")
    return ", ".join(shares)


def _camera_note(decomposition: Decomposition) -> str:
    b1, b2 = decomposition.camera[0].tolist()
    return f"b = ({b1:.2f}, {b2:.2f})"


@cache
def _rainbow() -> np.ndarray:
    """The colours of the spectrum as far as a screen can show them: (1, 33, 3)."""
    linear = (XYZ_TO_SRGB @ observer()).clamp(min=0.0)
    # Lifted at the ends, where the eye is nearly blind and the screen would be black.
    lifted = linear / linear.amax(dim=0, keepdim=True).clamp(min=0.25)
    return linear_to_srgb(lifted).T.unsqueeze(0).numpy()


def _draw_light(axes: Axes, decomposition: Decomposition) -> None:
    power = 100 * decomposition.spectrum()[0].numpy()
    top = 1.08 * float(power.max())
    area = axes.imshow(
        _rainbow(),
        extent=(WAVELENGTHS[0] - 5, WAVELENGTHS[-1] + 5, 0, top),
        aspect="auto",
        interpolation="bilinear",
        alpha=0.55,
    )
    outline = [(WAVELENGTHS[0], 0), *zip(WAVELENGTHS, power, strict=True), (WAVELENGTHS[-1], 0)]
    shape = Polygon(outline, closed=True, transform=axes.transData)
    area.set_clip_path(shape)
    axes.plot(WAVELENGTHS, power, color=INK, linewidth=1.6)
    _spectral_axes(axes, "power in 10 nm, %", top)


def _draw_camera(axes: Axes, decomposition: Decomposition) -> None:
    curves = 100 * decomposition.spectral_sensitivity()[0].numpy()
    for channel, curve in zip("RGB", curves, strict=True):
        colour = CHANNEL_COLOURS[channel]
        axes.fill_between(WAVELENGTHS, curve, color=colour, alpha=0.10, linewidth=0)
        axes.plot(WAVELENGTHS, curve, color=colour, linewidth=1.8, label=channel)
    axes.legend(
        frameon=False, labelcolor=INK, prop={"family": FAMILY, "size": 10}, handlelength=1.4
    )
    _spectral_axes(axes, "sensitivity in 10 nm, %", 1.08 * float(curves.max()))


def _spectral_axes(axes: Axes, label: str, top: float) -> None:
    axes.set_xlim(WAVELENGTHS[0], WAVELENGTHS[-1])
    axes.set_ylim(0.0, top)
    axes.set_xlabel("wavelength, nm", fontsize=9.5, color=QUIET, family=FAMILY)
    axes.set_ylabel(label, fontsize=9.5, color=QUIET, family=FAMILY)
    _plain_ticks(axes)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("bottom", "left"))
        spine.set_color(FAINT)
    axes.grid(color=FAINT, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)


def light_plot(decomposition: Decomposition, path: str | Path) -> None:
    """Spectral power distribution of the first image's light, as a PNG."""
    decomposition = decomposition[0].detach().to("cpu")
    sheet = _Sheet(800, 460)
    _heading(sheet, 76, 50, 696, "Light", _light_note(decomposition))
    _draw_light(sheet.axes(76, 50, 696, 345), decomposition)
    sheet.save(path)


def camera_plot(decomposition: Decomposition, path: str | Path) -> None:
    """Spectral sensitivities of the first image's camera, as a PNG."""
    decomposition = decomposition[0].detach().to("cpu")
    sheet = _Sheet(800, 460)
    _heading(sheet, 76, 50, 696, "Camera", _camera_note(decomposition))
    _draw_camera(sheet.axes(76, 50, 696, 345), decomposition)
    sheet.save(path)


def light_csv(decomposition: Decomposition, path: str | Path) -> None:
    """The light's spectrum as ``wavelength_nm,power``, powers of unit sum."""
    spectrum = decomposition[0].detach().to("cpu").spectrum()[0]
    _write_csv(path, ["wavelength_nm", "power"], spectrum[:, None])


def camera_csv(decomposition: Decomposition, path: str | Path) -> None:
    """The camera's curves as ``wavelength_nm,R,G,B``."""
    curves = decomposition[0].detach().to("cpu").spectral_sensitivity()[0]
    _write_csv(path, ["wavelength_nm", "R", "G", "B"], curves.T)


def _write_csv(path: str | Path, header: list[str], rows: Tensor) -> None:
    with (
        whole_file(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(header)
        for nm, row in zip(WAVELENGTHS, rows.tolist(), strict=True):
            writer.writerow([nm, *(f"{value:.8g}" for value in row)])


# Many faces ----------------------------------------------------------------------------------

OUTSIDE = 240
"""Grey of what a mask leaves out: neither the white of no pigment nor the black of no light."""


def training_grid(
    image: Tensor,  # [B, 3, H, W], linear
    mask: Tensor,  # [B, 1, H, W]
    shading: Tensor,  # [B, 1, H, W]
    decomposition: Decomposition,
    rendered: Tensor,  # [B, 3, H, W], linear
    path: str | Path,
    *,
    title: str = "",
) -> None:
    """A row of pictures for each face: what went in, what should and what did come out.

    The predicted shading is scaled to the true one by least squares within the mask, and both have
    one scale of grey; outside the mask the maps are blank.
    """
    headings = ("input", "true shading", "mask", "face", "shading", "specular")
    rows = [
        _training_row(image[i], mask[i], shading[i], decomposition[i], rendered[i])
        for i in range(len(image))
    ]
    _rows_under_headings(rows, (*headings, "melanin", "haemoglobin"), path, title)


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
    _rows_under_headings(rows, ("input", "masked", "normals", "shading"), path, title)


def _grey(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Values from black at 0 to white at the brightest."""
    scale = ScalarMappable(Normalize(0.0, _brightest(values[inside])), colormaps["gray"])
    return _coloured(values, scale)


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
    left, top = margin + (60 if labels else 0), margin + (58 if title else 24)
    sheet = _Sheet(mosaic.shape[1] + left + margin, mosaic.shape[0] + top + margin)
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
    image: Tensor, mask: Tensor, shading: Tensor, decomposition: Decomposition, rendered: Tensor
) -> list[np.ndarray]:
    """The pictures of one face, 8-bit (H, W, 3)."""
    plane = mask[0].detach().float().cpu().numpy()
    inside = plane > 0.5
    true = shading[0].detach().float().cpu().numpy()
    found = _plane(decomposition, "diffuse")
    square = float((found[inside] ** 2).sum())
    fit = float((true * found)[inside].sum()) / square if square > 0.0 else 1.0
    grey = colormaps["gray"]
    shared = ScalarMappable(Normalize(0.0, _brightest(true[inside])), grey)
    specular = _plane(decomposition, "specular")
    # A network that sees no highlights must not have its noise stretched to white.
    highlights = ScalarMappable(Normalize(0.0, max(_brightest(specular[inside]), 0.05)), grey)
    pictures = [
        display(image),
        _coloured(true, shared),
        _coloured(plane, ScalarMappable(Normalize(0.0, 1.0), grey)),
    ]
    results = (
        display(rendered),
        _coloured(fit * found, shared),
        _coloured(specular, highlights),
        map_image(decomposition, "melanin"),
        map_image(decomposition, "haemoglobin"),
    )
    return pictures + [np.where(inside[..., None], result, np.uint8(OUTSIDE)) for result in results]


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
            pair = [_plane(truth[i], name), _plane(found[i], name)]
            if name == "diffuse":
                square = float((pair[1][inside] ** 2).sum())
                pair[1] = pair[1] * float((pair[0] * pair[1])[inside].sum()) / max(square, 1e-12)
            scale = _scale(name, pair[0][inside])
            if name == "specular":
                brightest = max(_brightest(pair[0][inside]), 0.05)
                scale = ScalarMappable(Normalize(0.0, brightest), colormaps["gray"])
            blanked += [_coloured(values, scale) for values in pair]
        rows.append(
            pictures
            + [np.where(inside[..., None], picture, np.uint8(OUTSIDE)) for picture in blanked]
        )
    _rows_under_headings(rows, headings, path, title, labels)


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
    sheet = _Sheet(1200, 40 + 230 * down)
    thinned = steps[:: max(1, len(steps) // 1000)]
    for number, name in enumerate(panels):
        left, top = 60 + number % across * 390, 30 + number // across * 230
        axes = sheet.axes(left, top, 320, 165)
        _heading(sheet, left, top, 320, name.replace("_", " "), "steps" if number == 0 else "")
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
