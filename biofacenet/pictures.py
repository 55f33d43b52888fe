"""Pictures: coloured maps, the sheet of a decomposition, training grids, contact sheets, plots.

Everything is drawn with matplotlib's Agg canvas, without pyplot and its global state, and written
whole or not at all.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from .decomposition import Decomposition
from .files import whole_file
from .physics.colour import linear_to_srgb
from .physics.illuminant import ILLUMINANT_NAMES
from .physics.skin import SkinParameters, blood_fraction, melanosome_fraction
from .physics.spectra import WAVELENGTHS

__all__ = [
    "MAP_NAMES",
    "camera_csv",
    "camera_plot",
    "contact_sheet",
    "decomposition_figure",
    "light_csv",
    "light_plot",
    "map_image",
    "training_grid",
    "write_image",
]

MAP_NAMES = ("melanin", "haemoglobin", "diffuse", "specular")

PIGMENT_COLOURS: dict[str, Colormap] = {
    "melanin": LinearSegmentedColormap.from_list(
        "melanin", ["#fff8ee", "#f0d3a8", "#cf9a62", "#8f5a2e", "#4a2a16", "#1a0e08"]
    ),
    "haemoglobin": LinearSegmentedColormap.from_list(
        "haemoglobin", ["#fff6f2", "#fbcfc0", "#ee8f7d", "#d24a48", "#981d2b", "#4c0713"]
    ),
}
"""Perceptually even from light to dark; the hue names the pigment."""

CHANNEL_COLOURS = {"R": "#c8373a", "G": "#2f8f4e", "B": "#2f63c0"}
TEXT = "#24292f"
FONT = {"family": "DejaVu Sans", "color": TEXT}


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
        Image.fromarray(picture).save(temporary)


def _plane(decomposition: Decomposition, name: str) -> np.ndarray:
    values: Tensor = getattr(decomposition, name)
    return values[0, 0].detach().float().cpu().numpy()


def _scale(name: str, values: np.ndarray) -> tuple[Colormap, Normalize]:
    """Colours and range of a map: fixed for pigments, up to the brightest 0.5 % for shadings."""
    if name in PIGMENT_COLOURS:
        return PIGMENT_COLOURS[name], Normalize(-1.0, 1.0)
    return colormaps["gray"], Normalize(0.0, max(float(np.quantile(values, 0.995)), 1e-6))


def map_image(decomposition: Decomposition, name: str) -> np.ndarray:
    """A map of the first image in its colours: 8-bit (H, W, 3).

    Args:
        decomposition: a batch of one or more.
        name: ``melanin``, ``haemoglobin``, ``diffuse`` or ``specular``.
    """
    values = _plane(decomposition, name)
    colours, norm = _scale(name, values)
    return np.asarray(colours(norm(values), bytes=True))[..., :3].copy()


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=100, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: str | Path) -> None:
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png")


def _show(axes: Axes, title: str) -> None:
    axes.set_title(title, fontdict=FONT, fontsize=11, pad=5)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _percent_ticks(name: str) -> tuple[list[float], list[str]]:
    """Map values and labels in volume per cent: the axis is a cube, so the steps are uneven."""
    most = SkinParameters()
    fraction, wanted, largest = {
        "melanin": (melanosome_fraction, (1, 5, 10, 20, 43), most.max_melanosome_fraction),
        "haemoglobin": (blood_fraction, (0.1, 0.5, 1, 2, 4, 7), most.max_blood_fraction),
    }[name]
    values = torch.linspace(-1.0, 1.0, 2001, dtype=torch.float64)
    fractions = fraction(values).numpy()
    places = [float(np.interp(percent / 100, fractions, values.numpy())) for percent in wanted]
    assert fractions[-1] <= largest + 1e-9
    return places, [f"{percent:g}" for percent in wanted]


def _draw_map(figure: Figure, axes: Axes, decomposition: Decomposition, name: str) -> None:
    values = _plane(decomposition, name)
    colours, norm = _scale(name, values)
    drawn = axes.imshow(values, cmap=colours, norm=norm, interpolation="nearest")
    unit = {"melanin": " (melanosomes, %)", "haemoglobin": " (blood, %)"}.get(name, " shading")
    _show(axes, name.capitalize() + unit)
    bar = figure.colorbar(drawn, ax=axes, fraction=0.046, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2, colors=TEXT)
    if name in PIGMENT_COLOURS:
        places, labels = _percent_ticks(name)
        bar.set_ticks(places, labels=labels)


def decomposition_figure(
    photo: Tensor,  # [1, 3, H, W], linear sRGB
    decomposition: Decomposition,
    path: str | Path,
    *,
    title: str = "",
) -> None:
    """The labelled sheet of one decomposition: photo, rendering, error, maps, light and camera."""
    decomposition = decomposition.detach().to("cpu")[0]
    photo = photo.detach().cpu()
    trace = decomposition.trace()
    error = (trace.linear_srgb - photo).abs().mean(dim=1)[0]
    rmse = float((trace.linear_srgb - photo).square().mean().sqrt())
    figure = _figure(16.0, 10.2)
    grid = figure.subplots(3, 4)
    if title:
        figure.suptitle(title, fontsize=14, color=TEXT)
    for axes, picture, label in (
        (grid[0, 0], display(photo[0]), "Photo"),
        (grid[0, 1], display(trace.linear_srgb[0]), "Reconstruction"),
        (grid[0, 3], display(3.0 * trace.albedo[0]), "Skin colour (albedo)"),
    ):
        axes.imshow(picture, interpolation="nearest")
        _show(axes, label)
    drawn = grid[0, 2].imshow(error, cmap="magma", vmin=0.0, vmax=0.2, interpolation="nearest")
    _show(grid[0, 2], f"Error, linear RGB (RMSE {rmse:.3f})")
    bar = figure.colorbar(drawn, ax=grid[0, 2], fraction=0.046, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2, colors=TEXT)
    for axes, name in zip(grid[1], MAP_NAMES, strict=True):
        _draw_map(figure, axes, decomposition, name)
    for axes in grid[2]:
        axes.remove()
    places = grid[2, 0].get_gridspec()
    _draw_light(figure.add_subplot(places[2, :2]), decomposition)
    _draw_camera(figure.add_subplot(places[2, 2:]), decomposition)
    _save(figure, path)


def _draw_light(axes: Axes, decomposition: Decomposition) -> None:
    spectrum = decomposition.spectrum()[0].numpy()
    axes.fill_between(WAVELENGTHS, spectrum, color="#e9b44c", alpha=0.35, linewidth=0)
    axes.plot(WAVELENGTHS, spectrum, color="#b9770e", linewidth=1.8)
    weights = decomposition.illuminant.weights[0].detach()
    shares = [
        f"{ILLUMINANT_NAMES[i]} {100 * float(weights[i]):.0f} %"
        for i in weights.argsort(descending=True)[:3].tolist()
        if weights[i] > 0.05
    ]
    cct = float(decomposition.illuminant.cct[0])
    axes.set_title(
        f"Light: {', '.join(shares)}; D at {cct:.0f} K", fontdict=FONT, fontsize=11, pad=5
    )
    _spectral_axes(axes, "share of power in a band")


def _draw_camera(axes: Axes, decomposition: Decomposition) -> None:
    for channel, curve in zip("RGB", decomposition.spectral_sensitivity()[0].numpy(), strict=True):
        axes.plot(WAVELENGTHS, curve, color=CHANNEL_COLOURS[channel], linewidth=1.8, label=channel)
    b = decomposition.camera[0].detach()
    axes.set_title(
        f"Camera: b = ({float(b[0]):.2f}, {float(b[1]):.2f})", fontdict=FONT, fontsize=11, pad=5
    )
    axes.legend(frameon=False, fontsize=9, labelcolor=TEXT)
    _spectral_axes(axes, "spectral sensitivity")


def _spectral_axes(axes: Axes, label: str) -> None:
    axes.set_xlim(WAVELENGTHS[0], WAVELENGTHS[-1])
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("wavelength, nm", fontsize=9, color=TEXT)
    axes.set_ylabel(label, fontsize=9, color=TEXT)
    axes.tick_params(labelsize=8, colors=TEXT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(alpha=0.2, linewidth=0.6)


def light_plot(decomposition: Decomposition, path: str | Path) -> None:
    """Spectral power distribution of the first image's light, as a PNG."""
    figure = _figure(7.0, 4.0)
    _draw_light(figure.add_subplot(), decomposition.detach().to("cpu"))
    _save(figure, path)


def camera_plot(decomposition: Decomposition, path: str | Path) -> None:
    """Spectral sensitivities of the first image's camera, as a PNG."""
    figure = _figure(7.0, 4.0)
    _draw_camera(figure.add_subplot(), decomposition.detach().to("cpu"))
    _save(figure, path)


def light_csv(decomposition: Decomposition, path: str | Path) -> None:
    """The light's spectrum as ``wavelength_nm,power``, powers of unit sum."""
    spectrum = decomposition.detach().to("cpu").spectrum()[0]
    _write_csv(path, ["wavelength_nm", "power"], spectrum[:, None])


def camera_csv(decomposition: Decomposition, path: str | Path) -> None:
    """The camera's curves as ``wavelength_nm,R,G,B``."""
    curves = decomposition.detach().to("cpu").spectral_sensitivity()[0]
    _write_csv(path, ["wavelength_nm", "R", "G", "B"], curves.T)


def _write_csv(path: str | Path, header: list[str], columns: Tensor) -> None:
    with (
        whole_file(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(header)
        for nm, row in zip(WAVELENGTHS, columns.tolist(), strict=True):
            writer.writerow([nm, *(f"{value:.8g}" for value in row)])


# Many faces ----------------------------------------------------------------------------------


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

    Shading is shown on the scale of the true one; maps are shown inside the mask.
    """
    headings = (
        "input",
        "true shading",
        "mask",
        "face",
        "shading",
        "specular",
        "melanin",
        "haemoglobin",
    )
    rows = len(image)
    figure = _figure(1.35 * len(headings), 1.35 * rows + 0.55)
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.0, hspace=0.0)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(rows, len(headings), squeeze=False)
    if title:
        figure.suptitle(title, fontsize=12, color=TEXT)
    for row in range(rows):
        inside = mask[row, 0].numpy() > 0.5
        true, found = shading[row, 0].numpy(), _plane(decomposition[row], "diffuse")
        brightest = max(float(np.quantile(true[inside], 0.995)) if inside.any() else 1.0, 1e-6)
        square = float((found * found)[inside].sum())
        factor = float((true * found)[inside].sum()) / square if square > 0 else 1.0
        gray, one = colormaps["gray"], Normalize(0.0, brightest)
        highlight = Normalize(0.0, 0.6)
        pictures = (
            display(image[row]),
            gray(one(true)),
            gray(mask[row, 0].numpy()),
            _on_white(display(rendered[row]) / 255.0, inside),
            _on_white(gray(one(factor * found)), inside),
            _on_white(gray(highlight(_plane(decomposition[row], "specular"))), inside),
            *(
                _on_white(map_image(decomposition[row], name) / 255.0, inside)
                for name in ("melanin", "haemoglobin")
            ),
        )
        for axes, picture, heading in zip(grid[row], pictures, headings, strict=True):
            axes.imshow(picture, interpolation="bilinear")
            _show(axes, heading if row == 0 else "")
    _save(figure, path)


def _on_white(picture: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A picture whose outside is white."""
    return np.where(inside[..., None], picture[..., :3], 1.0)


def contact_sheet(images: Tensor, path: str | Path, *, columns: int) -> None:
    """Faces (N, 3, H, W), sRGB-encoded, side by side, small ones enlarged to 128 pixels or so."""
    count, channels, height, width = images.shape
    rows = -(-count // columns)
    sheet = torch.ones(rows * columns, channels, height, width)
    sheet[:count] = images
    joined = sheet.reshape(rows, columns, channels, height, width)
    joined = joined.permute(2, 0, 3, 1, 4).reshape(channels, rows * height, columns * width)
    factor = max(1, round(128 / width))
    picture = Image.fromarray(eight_bit(joined))
    picture = picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.BICUBIC
    )
    with whole_file(path) as temporary:
        picture.save(temporary)
