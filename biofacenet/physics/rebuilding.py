"""Rebuild the figure files that ship with the package from their sources."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..system.console import console
from ..system.files import whole_file
from .camera import principal_components
from .illuminant import ILLUMINANT_NAMES
from .spectra import WAVELENGTHS
from .tables import read_mat

FIGURES = Path(__file__).parent / "figures"
"""The package's own figure files."""


@dataclass
class Cie:
    """Illuminants A and F1..F12, the daylight basis and the 1931 observer, from colour-science."""

    out: Path = field(default=FIGURES)
    """Folder to write to; the package's own by default."""

    def __call__(self) -> None:
        try:
            import colour
            from colour import colorimetry
        except ImportError as error:
            raise DataError(
                f"colour-science is not installed ({error}); pip install 'biofacenet[rebuild]'"
            ) from error
        source = f"Source: CIE 15:2018, by way of colour-science {colour.__version__}."
        basis = colorimetry.SDS_BASIS_FUNCTIONS_CIE_ILLUMINANT_D_SERIES
        lights = {
            name: colour.SDS_ILLUMINANTS[name.replace("F", "FL")]
            for name in ILLUMINANT_NAMES
            if name != "D"
        }
        observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
        write(
            self.out / "illuminants.csv",
            ["Relative spectral power of CIE illuminants A and F1..F12 (FL1..FL12).", source],
            {name: sampled(light) for name, light in lights.items()},
        )
        write(
            self.out / "daylight.csv",
            ["Mean and two characteristic vectors of the CIE daylights.", source],
            {name: sampled(basis[name]) for name in ("S0", "S1", "S2")},
        )
        write(
            self.out / "observer.csv",
            ["CIE 1931 2-degree colour matching functions.", source],
            {name: [float(observer[nm][i]) for nm in WAVELENGTHS] for i, name in enumerate("xyz")},
        )


@dataclass
class Camera:
    """Mean and principal components of the 28 camera sensitivities of Jiang et al., WACV 2013."""

    database: Path
    """camspec_database.txt as published (a name, then one line each for R, G and B), or rgbCMF.mat."""
    out: Path = field(default=FIGURES)
    """Folder to write to; the package's own by default."""

    def __call__(self) -> None:
        mean, components, share = principal_components(read_camera_database(self.database))
        columns = {}
        for i, channel in enumerate("RGB"):
            columns[f"{channel}_mean"] = mean[i].tolist()
            for k in range(2):
                columns[f"{channel}_pc{k + 1}"] = components[i, :, k].tolist()
        write(
            self.out / "camera_pca.csv",
            [
                "Mean and first two principal components (scaled by the square root of their eigenvalue) of",
                "28 camera spectral sensitivities, R, G and B scaled to unit sum and stacked.",
                "Source: Jiang, Liu, Gu and Suesstrunk, WACV 2013; signs as published with BioFaceNet.",
            ],
            columns,
        )
        console.print(f"two components explain {100 * float(share.sum()):.1f} % of the variance")


@dataclass
class Chromophores:
    """Extinction spectra of melanins and haemoglobins, from the authors' SkinModel release."""

    folder: Path
    """Folder with eumelanin_ext.mat, pheomelanin_ext.mat, oxy_ and deoxy_hemo_ext_coeff.mat."""
    out: Path = field(default=FIGURES)
    """Folder to write to; the package's own by default."""

    def __call__(self) -> None:
        names = {
            "eumelanin_ext": "eumelanin_ext",
            "pheomelanin_ext": "pheomelanin_ext",
            "oxyhaemoglobin_ext": "oxy_hemo_ext_coeff",
            "deoxyhaemoglobin_ext": "deoxy_hemo_ext_coeff",
        }
        columns = {}
        for column, name in names.items():
            path = self.folder / f"{name}.mat"
            values = read_mat(path).get(name)
            if values is None or values.size != len(WAVELENGTHS):
                raise DataError(f"{path}: expected a variable {name} of 33 numbers")
            columns[column] = values.ravel().tolist()
        write(
            self.out / "chromophores.csv",
            [
                "Extinction of the four skin chromophores as the SkinModel release of the BioFaceNet authors",
                "uses them. Haemoglobin in cm^-1/M (Prahl), melanins in mL/(mg cm). Source: OMLC skin-optics",
                "pages.",
            ],
            columns,
        )


def sampled(distribution: object) -> list[float]:
    """Values of a colour-science distribution at the 33 bands, read without interpolation."""
    return [float(distribution[nm]) for nm in WAVELENGTHS]  # type: ignore[index]


def read_camera_database(path: Path) -> Tensor:  # [cameras, 3, 33]
    """Camera sensitivities from camspec_database.txt or the authors' rgbCMF.mat."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected camspec_database.txt or rgbCMF.mat")
    if path.suffix == ".mat":
        from ..system.matlab import read_matlab

        try:
            cells = [np.asarray(cell, float).T for cell in read_matlab(path)["rgbCMF"]]
            return measured(torch.from_numpy(np.stack(cells, axis=1)))
        except Exception as error:  # the reader raises many kinds on damaged bytes
            raise DataError(
                f"{path}: expected a cell array rgbCMF of three 33 x N matrices ({error})"
            ) from error
    lines = [line for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
    try:
        cameras = [
            [
                [float(word) for word in lines[start + offset].replace(",", " ").split()]
                for offset in (1, 2, 3)
            ]
            for start in range(0, len(lines), 4)
        ]
        return measured(torch.tensor(cameras, dtype=torch.float64))
    except (ValueError, IndexError, RuntimeError) as error:
        raise DataError(
            f"{path}: not in the published form ({error}); expected a camera name, then three lines of "
            "33 numbers each, repeated"
        ) from error


def measured(curves: Tensor) -> Tensor:
    """The same curves, once they are known to be (cameras, 3, 33) finite numbers."""
    if curves.ndim != 3 or len(curves) == 0 or curves.shape[1:] != (3, len(WAVELENGTHS)):
        raise ValueError(f"found {tuple(curves.shape)}, expected (cameras, 3, 33)")
    if not torch.isfinite(curves).all():
        raise ValueError("found NaN or infinite values")
    return curves


def write(path: Path, heading: list[str], columns: dict[str, list[float]]) -> None:
    """Write one figure file: the heading as comments, then a column per spectrum."""
    lines = [f"# {line}" for line in heading]
    lines.append(",".join(["wavelength_nm", *columns]))
    for nm, values in zip(WAVELENGTHS, zip(*columns.values(), strict=True), strict=True):
        lines.append(",".join([str(nm), *(f"{value:.10g}" for value in values)]))
    with whole_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")
    console.print(f"wrote {path}")
