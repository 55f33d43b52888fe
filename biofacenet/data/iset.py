"""Multispectral faces in the form of ISET scenes, and what the skin model makes of their spectra.

A scene is a MATLAB file (version 5 to 7.3) with

- ``mcCOEF`` (H, W, K), coefficients of each pixel;
- ``basis``, a struct of ``basis`` (N, K) and ``wave`` (N), nanometres;
- ``imgMean`` (N), optional, added to every spectrum;
- ``illuminant``, a struct of ``wave`` and ``photons``, or ``data``, or ``data`` with ``photons``;
- ``comment``, optional.

Photons of a pixel are basis times coefficients, plus the mean; reflectance is photons over the
illuminant's photons. Spectra are brought to 400, 410, .. 720 nm by linear interpolation; a grid that
ends within 20 nm of these ends is continued by its last values.

Source: Wandell, Catrysse et al., ISET; spectra and basis as in its hyperspectral face data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from scipy.io import loadmat
from torch import Tensor

from ..decomposition import Decomposition
from ..errors import DataError
from ..face import Box, find_face
from ..physics.colour import XYZ_TO_SRGB, linear_to_srgb, luminance, raw_to_xyz
from ..physics.illuminant import Illuminant, spectrum
from ..physics.spectra import BANDS, WAVELENGTHS
from ..physics.tables import Tables
from ..skin_mask import face_region, skin_mask
from .evaluation import Faces

__all__ = ["Inversion", "Scene", "find_scenes", "invert", "iset_faces", "read_scene"]

LAYOUT = "an ISET scene with mcCOEF, basis (basis, wave) and illuminant (wave, photons)"
REACH = 20
"""Nanometres that a spectrum may lack at either end."""
LEAST_SIDE = 16
LEAST_SKIN = 0.02
"""Share of the square that must be skin."""
BRIGHT_SKIN = 0.5
"""Luminance that the brightest twentieth of the face is exposed to."""

# Inversion
GRID = 32
"""Steps along each axis of the table that the search tries."""
STEPS = 30
CHUNK = 2048
"""Pixels that are searched for at once."""
LEAST_DIFFUSE, LEAST_SPECULAR = 1e-4, 1e-4


# Reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """Reflectance of every pixel as a linear model: basis times coefficients, plus a mean."""

    path: Path
    coefficients: Tensor
    """(K, H, W), float64."""
    basis: Tensor
    """(K, 33), of reflectance: photons over the illuminant's photons."""
    mean: Tensor
    """(33,), of reflectance; zeros where the file has none."""
    comment: str

    def reflectance(self, coefficients: Tensor | None = None) -> Tensor:
        """Spectra of coefficients (K, H, W), its own when not given: (33, H, W)."""
        chosen = self.coefficients if coefficients is None else coefficients
        return torch.einsum("kl,khw->lhw", self.basis, chosen) + self.mean[:, None, None]


def find_scenes(place: str | Path) -> list[Path]:
    """The .mat files of a folder, sorted by name, or the one file named.

    Raises:
        DataError: there is none.
    """
    place = Path(place)
    found = sorted(place.glob("*.mat")) if place.is_dir() else [place]
    if not found:
        raise DataError(f"{place}: no .mat file in this folder; expected {LAYOUT}")
    return found


def read_scene(path: str | Path) -> Scene:
    """Read an ISET scene.

    Raises:
        DataError: the file is missing, damaged, lacks a variable or holds other shapes.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected {LAYOUT}")
    try:
        stored = _variables(path)
    except Exception as error:  # the readers raise many kinds on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}: cannot be read as a MATLAB file ({reason}); expected {LAYOUT}, copy it again"
        ) from error

    def array(*names: str, optional: bool = False) -> np.ndarray | None:
        """The variable, or the field of a struct, as finite numbers."""
        value: Any = stored
        for depth, name in enumerate(names):
            if not isinstance(value, Mapping) or name not in value:
                if optional:
                    return None
                there = ", ".join(sorted(value)) if isinstance(value, Mapping) else "no struct"
                raise DataError(
                    f"{path}: no {'.'.join(names[: depth + 1])}, only {there}; expected {LAYOUT}"
                )
            value = value[name]
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub" or not value.size:
            if optional:
                return None
            raise DataError(f"{path}: {'.'.join(names)} holds no numbers; expected {LAYOUT}")
        values = value.astype(np.float64)
        if not np.isfinite(values).all():
            raise DataError(
                f"{path}: {'.'.join(names)} holds NaN or infinite values; copy it again"
            )
        return values

    def needed(*names: str) -> np.ndarray:
        value = array(*names)
        assert value is not None
        return value

    coefficients, basis = needed("mcCOEF"), needed("basis", "basis")
    wave = needed("basis", "wave").ravel()
    if basis.ndim == 1:
        basis = basis[:, None]
    if coefficients.ndim == 2 and basis.shape[1] == 1:
        coefficients = coefficients[:, :, None]
    if basis.ndim != 2 or len(basis) != len(wave):
        raise DataError(
            f"{path}: basis.basis has shape {basis.shape} for {len(wave)} wavelengths; expected "
            "(wavelengths, K)"
        )
    if coefficients.ndim != 3 or coefficients.shape[2] != basis.shape[1]:
        raise DataError(
            f"{path}: mcCOEF has shape {coefficients.shape} for a basis of {basis.shape[1]}; expected "
            f"(H, W, {basis.shape[1]})"
        )
    if min(coefficients.shape[:2]) < LEAST_SIDE:
        raise DataError(
            f"{path}: {coefficients.shape[1]} x {coefficients.shape[0]} pixels; expected at least "
            f"{LEAST_SIDE} x {LEAST_SIDE}"
        )
    mean = array("imgMean", optional=True)
    mean = np.zeros(len(wave)) if mean is None else mean.ravel()
    if len(mean) != len(wave):
        raise DataError(f"{path}: imgMean has {len(mean)} values for {len(wave)} wavelengths")

    light_wave = needed("illuminant", "wave").ravel()
    photons = array("illuminant", "photons", optional=True)
    if photons is None:
        photons = array("illuminant", "data", "photons", optional=True)
    if photons is None:
        photons = needed("illuminant", "data")
    photons = photons.ravel()
    if len(photons) != len(light_wave):
        raise DataError(
            f"{path}: the illuminant has {len(photons)} values for {len(light_wave)} wavelengths"
        )
    light = _resampled(photons, light_wave, path, "illuminant.wave")
    if light.min() <= 0.0:
        raise DataError(
            f"{path}: the illuminant has no light at some wavelength of 400..720 nm, so that "
            "reflectance is unknown there"
        )
    comment = stored.get("comment")
    return Scene(
        path=path,
        coefficients=torch.from_numpy(coefficients.transpose(2, 0, 1).copy()),
        basis=torch.from_numpy(_resampled(basis.T, wave, path, "basis.wave") / light),
        mean=torch.from_numpy(_resampled(mean, wave, path, "basis.wave") / light),
        comment=comment if isinstance(comment, str) else "",
    )


def _resampled(values: np.ndarray, wave: np.ndarray, path: Path, name: str) -> np.ndarray:
    """Spectra (.., N) at wavelengths (N) brought to the 33 bands: (.., 33)."""
    rising = np.diff(wave)
    if len(wave) > 1 and (rising < 0).all():
        wave, values, rising = wave[::-1], values[..., ::-1], -rising[::-1]
    if len(wave) < 2 or not (rising > 0).all():
        raise DataError(f"{path}: {name} does not rise; expected wavelengths in nanometres")
    if wave[0] > WAVELENGTHS[0] + REACH or wave[-1] < WAVELENGTHS[-1] - REACH:
        raise DataError(
            f"{path}: {name} reaches from {wave[0]:g} to {wave[-1]:g}; expected nanometres from at "
            f"most {WAVELENGTHS[0] + REACH} to at least {WAVELENGTHS[-1] - REACH}"
        )
    flat = values.reshape(-1, len(wave))
    resampled = np.stack([np.interp(WAVELENGTHS, wave, one) for one in flat])
    return resampled.reshape(*values.shape[:-1], BANDS)


def _variables(path: Path) -> dict[str, Any]:
    """Variables of a MATLAB file, structs as dictionaries, text as str."""
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            return {name: _from_hdf5(item) for name, item in file.items() if name[0] != "#"}
    plain = loadmat(path, simplify_cells=True)
    return {name: _plain(value) for name, value in plain.items() if not name.startswith("__")}


def _from_hdf5(item: h5py.Group | h5py.Dataset) -> Any:
    """MATLAB 7.3 keeps structs as groups, and arrays in its own order: transposed."""
    if isinstance(item, h5py.Group):
        return {name: _from_hdf5(inner) for name, inner in item.items()}
    if item.attrs.get("MATLAB_class", b"") == b"char":
        codes = np.asarray(item[()]).T.ravel()
        return "".join(map(chr, codes)) if codes.dtype.kind == "u" else ""
    if item.attrs.get("MATLAB_empty", 0) or item.dtype.kind not in "fiub":
        return None
    return np.asarray(item[()]).T


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return value if isinstance(value, str) else np.asarray(value)


# Inverting the skin model --------------------------------------------------------------------


@dataclass(frozen=True)
class Inversion:
    """What the skin model makes of reflectances: each (1, 1, H, W)."""

    melanin: Tensor
    haemoglobin: Tensor
    diffuse: Tensor
    """Factor on the model's reflectance, >= 0."""
    specular: Tensor
    """Added to it, the same at all wavelengths, >= 0."""
    error: Tensor
    """Root mean square difference of what the model gives to the reflectance."""


def invert(
    reflectance: Tensor,
    *,
    skin: Tensor | None = None,
    tick: Callable[[int], object] = lambda _: None,
) -> Inversion:
    """The skin, shading and highlight of each pixel's spectrum: r = diffuse * R(m, h) + specular.

    The table is searched on a grid, with the best diffuse and specular in closed form for each of its
    entries, and the best one is refined by damped Gauss-Newton steps.

    Args:
        reflectance: (33, H, W).
        skin: table (256, 256, 33), rows haemoglobin and columns melanin; the published one when not
            given.
        tick: told of how many pixels are done.

    Example:
        >>> found = invert(read_scene("face.mat").reflectance())  # doctest: +SKIP
    """
    if reflectance.ndim != 3 or len(reflectance) != BANDS:
        raise ValueError(
            f"reflectance must have shape ({BANDS}, H, W), got {tuple(reflectance.shape)}"
        )
    height, width = reflectance.shape[1:]
    table = (Tables.computed().skin if skin is None else skin).double()
    spectra = reflectance.double().flatten(1).T
    parts = []
    for part in torch.split(spectra, CHUNK):
        parts.append(_refined(_searched(part, table), part, table))
        tick(len(part))
    unknowns = torch.cat(parts)
    error = (_model(unknowns, table) - spectra).square().mean(dim=1).sqrt()
    planes = torch.cat((unknowns, error[:, None]), dim=1).T.reshape(5, 1, 1, height, width)
    return Inversion(*planes.float().unbind())


def _searched(spectra: Tensor, table: Tensor) -> Tensor:
    """The best entry of a grid for each spectrum (N, 33): melanin, haemoglobin, diffuse, specular."""
    line = torch.linspace(-1.0, 1.0, GRID, dtype=torch.float64)
    pigments = torch.cartesian_prod(line, line)
    known, _ = _read(table, pigments)
    mean, level = known.mean(dim=1), spectra.mean(dim=1, keepdim=True)
    shape = known - mean[:, None]
    # With a free constant, only what deviates from the mean matters; without, all of it.
    square = shape.square().sum(dim=1).clamp(min=1e-12)
    free = (spectra @ shape.T / square).clamp(min=0.0)
    constant = level - free * mean
    whole = known.square().sum(dim=1)
    alone = (spectra @ known.T / whole).clamp(min=0.0)
    total = spectra.square().sum(dim=1, keepdim=True)
    deviation = total - BANDS * level.square()
    error = torch.where(
        constant >= 0.0,
        deviation - 2.0 * free * (spectra @ shape.T) + free.square() * square,
        total - 2.0 * alone * (spectra @ known.T) + alone.square() * whole,
    )
    best = error.argmin(dim=1, keepdim=True)
    positive = constant.gather(1, best) >= 0.0
    diffuse = torch.where(positive, free.gather(1, best), alone.gather(1, best))
    specular = constant.gather(1, best).clamp(min=0.0)
    return torch.cat((pigments[best[:, 0]], diffuse, specular), dim=1)


def _read(table: Tensor, unknowns: Tensor) -> tuple[Tensor, Tensor]:
    """Skin (N, 33) of melanin and haemoglobin (N, 2 or more), and its derivatives (N, 33, 2).

    The bilinear read of `skin.look_up`, where a table's cell has its own slopes.
    """
    last = len(table) - 1
    place = (unknowns[:, :2] + 1.0) / 2.0 * last
    low = place.floor().clamp(0, last - 1).long()
    column, row = low.unbind(dim=1)
    x, y = (place - low).unsqueeze(2).unbind(dim=1)
    corners = [table[row + i, column + j] for i in (0, 1) for j in (0, 1)]
    upper, lower = torch.lerp(corners[0], corners[1], x), torch.lerp(corners[2], corners[3], x)
    along = torch.lerp(corners[1] - corners[0], corners[3] - corners[2], y)
    slopes = torch.stack((along, lower - upper), dim=2) * (last / 2.0)
    return torch.lerp(upper, lower, y), slopes


def _model(unknowns: Tensor, table: Tensor) -> Tensor:
    """Spectra (N, 33) of melanin, haemoglobin, diffuse and specular (N, 4)."""
    return unknowns[:, 2:3] * _read(table, unknowns)[0] + unknowns[:, 3:]


def _refined(unknowns: Tensor, spectra: Tensor, table: Tensor) -> Tensor:
    """Damped Gauss-Newton steps within the ranges, each taken where it is better."""
    low = torch.tensor([-1.0, -1.0, LEAST_DIFFUSE, 0.0], dtype=torch.float64)
    high = torch.tensor([1.0, 1.0, torch.inf, torch.inf], dtype=torch.float64)
    unknowns = torch.minimum(torch.maximum(unknowns, low), high)
    damping = torch.full((len(unknowns), 1), 1e-3, dtype=torch.float64)
    for _ in range(STEPS):
        skin, slopes = _read(table, unknowns)
        residual = spectra - unknowns[:, 2:3] * skin - unknowns[:, 3:]
        columns = (unknowns[:, 2, None, None] * slopes, skin[:, :, None])
        jacobian = torch.cat((*columns, torch.ones_like(columns[1])), dim=2)
        slope = torch.einsum("nlk,nl->nk", jacobian, residual)
        # A direction that would leave the range is no direction.
        stuck = ((unknowns <= low) & (slope < 0.0)) | ((unknowns >= high) & (slope > 0.0))
        jacobian = jacobian.masked_fill(stuck[:, None], 0.0)
        normal = jacobian.mT @ jacobian
        normal = normal + torch.diag_embed(damping * normal.diagonal(dim1=1, dim2=2) + 1e-12)
        move = torch.linalg.solve(normal, slope.masked_fill(stuck, 0.0))
        tried = torch.minimum(torch.maximum(unknowns + move, low), high)
        error = (_model(tried, table) - spectra).square().sum(dim=1)
        better = (error < residual.square().sum(dim=1)).unsqueeze(1)
        unknowns = torch.where(better, tried, unknowns)
        damping = torch.where(better, damping / 4.0, damping * 8.0).clamp(1e-9, 1e6)
    return unknowns


# Faces ---------------------------------------------------------------------------------------


def iset_faces(
    paths: Sequence[str | Path],
    *,
    size: int = 64,
    tick: Callable[[int], object] = lambda _: None,
) -> Faces:
    """Photos of multispectral faces under D65 by the mean camera, and what their spectra say of them.

    The face is found and framed as in photos (the central square, where none is found); spectra are
    averaged to the size asked for, and rendered as a camera would see them, without the skin model:
    only the truth comes from it. Faces are exposed alike: to a luminance of 0.5 at the 95th
    percentile of the skin. The mask is `skin_mask`.

    The truth is a pseudo truth: what this package's skin model makes of the measured spectra by
    `invert`. Shading and highlights are read where the model puts them.

    Args:
        paths: scenes, at least one.
        size: side of the images, a multiple of 16.
        tick: told of how many scenes are done.

    Raises:
        DataError: a scene cannot be used.
    """
    parts = []
    for path in paths:
        parts.append(_one_face(read_scene(path), size))
        tick(1)
    return Faces(
        f"{len(parts)} multispectral faces of {size} x {size} pixels under D65, inverted by the skin model",
        torch.cat([part.image for part in parts]),
        torch.cat([part.mask for part in parts]),
        Decomposition.join([part.truth for part in parts]),
    )


def _one_face(scene: Scene, size: int) -> Faces:
    whole = _photograph(scene, scene.coefficients)
    bright = float(np.quantile(whole.numpy(), 0.95))
    if bright <= 0.0:
        raise DataError(f"{scene.path}: no light in this scene; expected a face, copy it again")
    box = find_face(linear_to_srgb(whole / bright).float())
    region = None if box is None else face_region(size, size)
    square = _cut(scene.coefficients, box or Box.central(*whole.shape[1:]), size)
    image = _photograph(scene, square)[None].float()
    mask = skin_mask(image, region=region)
    if mask.mean() < LEAST_SKIN:
        raise DataError(f"{scene.path}: no skin found in this scene; expected a face")
    exposure = BRIGHT_SKIN / float(torch.quantile(luminance(image)[mask > 0], 0.95))
    found = invert(scene.reflectance(square))
    truth = Decomposition(
        melanin=found.melanin,
        haemoglobin=found.haemoglobin,
        diffuse=(exposure * found.diffuse).clamp(min=LEAST_DIFFUSE),
        specular=(exposure * found.specular).clamp(min=LEAST_SPECULAR),
        illuminant=Illuminant.standard("D65"),
        camera=torch.zeros(1, 2),
    )
    return Faces(str(scene.path), (exposure * image).clamp(0.0, 1.0), mask, truth)


def _photograph(scene: Scene, coefficients: Tensor) -> Tensor:
    """Linear sRGB (3, H, W) of coefficients (K, H, W) under D65 by the mean camera, as rendered skin is."""
    tables = Tables.computed()
    light = _daylight(tables)
    weighted = tables.camera_mean * light
    # One row for each channel: sensitivity times light, balanced for white, then to sRGB.
    balanced = weighted / weighted.sum(dim=1, keepdim=True)
    to_rgb = XYZ_TO_SRGB @ raw_to_xyz(tables.camera_mean) @ balanced
    image = torch.einsum("ck,khw->chw", to_rgb @ scene.basis.T, coefficients)
    return torch.relu(image + (to_rgb @ scene.mean)[:, None, None])


def _daylight(tables: Tables) -> Tensor:
    standard = Illuminant.standard("D65")
    double = Illuminant(standard.weights.double(), standard.cct.double())
    return spectrum(double, tables.fixed_illuminants, tables.daylights)[0]


def _cut(coefficients: Tensor, box: Box, size: int) -> Tensor:
    """A square of coefficients, averaged to (K, size, size); beyond the border the nearest pixel."""
    height, width = coefficients.shape[1:]
    rows = torch.arange(box.top, box.top + box.size).clamp(0, height - 1)
    columns = torch.arange(box.left, box.left + box.size).clamp(0, width - 1)
    square = coefficients[:, rows][:, :, columns]
    return F.adaptive_avg_pool2d(square[None], size)[0]
