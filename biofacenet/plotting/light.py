"""Spectra of the light and sensitivities of the camera, as plots and tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from torch import Tensor

from ..decomposition import Decomposition
from ..physics.colour import XYZ_TO_SRGB, linear_to_srgb, observer
from ..physics.illuminant import ILLUMINANT_NAMES
from ..physics.spectra import WAVELENGTHS
from ..physics.temperature import correlated_temperature
from ..system.files import write_csv
from .canvas import (
    CHANNEL_COLOURS,
    FAINT,
    FAMILY,
    INK,
    QUIET,
    Sheet,
    draw_heading,
    draw_plain_ticks,
)

__all__ = [
    "camera_csv",
    "camera_note",
    "camera_plot",
    "draw_camera",
    "draw_light",
    "light_csv",
    "light_note",
    "light_plot",
]


def light_note(decomposition: Decomposition, known: str = "") -> str:
    """The strongest standard lights of the mixture, and how far they are known, in words, or that the
    light was measured.
    """
    if decomposition.measured_light is not None:
        kelvin, _ = correlated_temperature(decomposition.measured_light[:1])
        return f"a measured spectrum, {float(kelvin):.0f} K"
    weights = decomposition.illuminant.weights[0].detach()
    cct = float(decomposition.illuminant.cct[0])
    shares = []
    for i in weights.argsort(descending=True)[:3].tolist():
        at = f" at {cct:.0f} K" if ILLUMINANT_NAMES[i] == "D" else ""
        shares.append(f"{100 * float(weights[i]):.0f} % {ILLUMINANT_NAMES[i]}{at}")
    return _joined(", ".join(shares), known)


def camera_note(decomposition: Decomposition, known: str = "") -> str:
    """The coordinates of the camera, and how far they are known, in words, or that it was measured."""
    if decomposition.measured_camera is not None:
        return "measured curves"
    b1, b2 = decomposition.camera[0].tolist()
    return _joined(f"b = ({b1:.2f}, {b2:.2f})", known)


def _joined(note: str, known: str) -> str:
    return f"{note} ({known})" if known else note


@cache
def _rainbow() -> np.ndarray:
    """The colours of the spectrum as far as a screen can show them: (1, 33, 3)."""
    linear = (XYZ_TO_SRGB @ observer()).clamp(min=0.0)
    # Lifted at the ends, where the eye is nearly blind and the screen would be black.
    lifted = linear / linear.amax(dim=0, keepdim=True).clamp(min=0.25)
    return linear_to_srgb(lifted).T.unsqueeze(0).numpy()


def draw_light(axes: Axes, decomposition: Decomposition) -> None:
    """The spectrum of the light, filled with its colours."""
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


def draw_camera(axes: Axes, decomposition: Decomposition) -> None:
    """The sensitivities of R, G and B."""
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
    draw_plain_ticks(axes)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("bottom", "left"))
        spine.set_color(FAINT)
    axes.grid(color=FAINT, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)


def light_plot(decomposition: Decomposition, path: str | Path, *, known: str = "") -> None:
    """Spectral power distribution of the first image's light, as a PNG."""
    decomposition = decomposition[0].detach().to("cpu")
    sheet = Sheet(800, 460)
    draw_heading(sheet, 76, 50, 696, "Light", light_note(decomposition, known))
    draw_light(sheet.axes(76, 50, 696, 345), decomposition)
    sheet.save(path)


def camera_plot(decomposition: Decomposition, path: str | Path, *, known: str = "") -> None:
    """Spectral sensitivities of the first image's camera, as a PNG."""
    decomposition = decomposition[0].detach().to("cpu")
    sheet = Sheet(800, 460)
    draw_heading(sheet, 76, 50, 696, "Camera", camera_note(decomposition, known))
    draw_camera(sheet.axes(76, 50, 696, 345), decomposition)
    sheet.save(path)


def light_csv(
    decomposition: Decomposition,
    path: str | Path,
    *,
    half_width: Sequence[float] | None = None,
    source: str = "",
) -> None:
    """The light's spectrum as ``wavelength_nm,power``, powers of unit sum.

    Args:
        decomposition: whose first image's light.
        path: of the file.
        half_width: of the 68 % interval of each band's power; adds the columns ``half_width_68`` and
            ``from``.
        source: what stands under ``from``: ``photo`` or ``prior``.
    """
    spectrum = decomposition[0].detach().to("cpu").spectrum()[0]
    if half_width is None:
        _write_bands(path, ["wavelength_nm", "power"], spectrum[:, None])
        return
    rows = zip(WAVELENGTHS, spectrum.tolist(), half_width, strict=True)
    lines = [[nm, f"{power:.8g}", f"{width:.4g}", source] for nm, power, width in rows]
    write_csv(path, [["wavelength_nm", "power", "half_width_68", "from"], *lines])


def camera_csv(decomposition: Decomposition, path: str | Path) -> None:
    """The camera's curves as ``wavelength_nm,R,G,B``."""
    curves = decomposition[0].detach().to("cpu").spectral_sensitivity()[0]
    _write_bands(path, ["wavelength_nm", "R", "G", "B"], curves.T)


def _write_bands(path: str | Path, header: list[str], rows: Tensor) -> None:
    bands = zip(WAVELENGTHS, rows.tolist(), strict=True)
    write_csv(path, [header, *([nm, *(f"{value:.8g}" for value in row)] for nm, row in bands)])
