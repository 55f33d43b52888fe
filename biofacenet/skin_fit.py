"""How well the skin model explains measured skin: python -m biofacenet.skin_fit FILE.csv.

Each measured spectrum is compared with the nearest one that the two map values can make, once as it is
and once up to a scale and an offset, which stand for whatever light is lost or added by the instrument.

The file has a column of wavelengths in nanometres, and then a column for each sample:

    wavelength, anna cheek, anna brow, ben cheek
    group,      light,      light,     dark
    400,        0.114,      0.121,     0.052
    410,        0.117,      0.125,     0.053
    ...

The row of groups may be left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from rich.table import Table
from torch import Tensor

from .cli import console, parse, run
from .errors import BioFaceNetError, DataError
from .files import whole_file
from .physics.colour import ciede2000, cielab
from .physics.illuminant import daylight
from .physics.skin import (
    Skin,
    SkinName,
    SkinParameters,
    blood_fraction,
    melanosome_fraction,
    reflectance,
    skin_parameters,
)
from .physics.spectra import WAVELENGTHS

__all__ = [
    "BandModel",
    "Settings",
    "Spectra",
    "SpectraFit",
    "Summary",
    "fit_spectra",
    "main",
    "nearest",
    "read_spectra",
    "summarise",
]

MUST_REACH = (430.0, 670.0)
"""Wavelengths that a measurement must cover: between them skin differs from skin."""
WIDEST_GAP = 20.0
"""Most nanometres between two samples of a spectrum; the bands of blood are no wider."""
GRID = 48
"""Values of each map that the search begins with."""
STEPS = 25
"""Steps of refinement; most spectra need five."""
CHUNK = 2048
"""Spectra that are fitted together."""
AT_END = 0.999
"""Map values beyond this lie at an end of their axis."""


@dataclass(frozen=True)
class Spectra:
    """Measured reflectances."""

    wavelengths: Tensor
    """(L,), nm, ascending."""
    reflectances: Tensor
    """(N, L), 0..1."""
    names: tuple[str, ...]
    """Of the N samples."""
    groups: tuple[str, ...] | None = None
    """Of each sample, where the file has them."""


@dataclass(frozen=True)
class SpectraFit:
    """The nearest spectra that two map values can make, and how near they are."""

    wavelengths: Tensor
    """(K,), nm: the bands compared."""
    measured: Tensor
    """(N, K), read at these bands."""
    melanin: Tensor
    """(N,), map values in [-1, 1]."""
    haemoglobin: Tensor
    """(N,)"""
    modelled: Tensor
    """(N, K)"""
    rms: Tensor
    """(N,), root mean square difference over the bands."""
    rms_scaled: Tensor
    """(N,), the same where scale and offset of the model are free too."""
    colour_difference: Tensor
    """(N,), CIEDE2000 of model and measurement under D65, 1931 2-degree observer."""

    @property
    def at_end(self) -> Tensor:
        """(N,), whether a map value lies at an end of its axis."""
        return (self.melanin.abs() > AT_END) | (self.haemoglobin.abs() > AT_END)


# Fitting -------------------------------------------------------------------------------------


def fit_spectra(
    wavelengths: Tensor,
    reflectances: Tensor,
    skin: Skin = "measured",
    *,
    progress: Callable[[int, int], object] | None = None,
) -> SpectraFit:
    """Find the map values whose spectra are nearest to measured ones.

    A search of a grid of both map values and Levenberg-Marquardt steps from its best.

    Args:
        wavelengths: (L,), nm, ascending, from 430 or less to 670 or more, at most 20 nm apart. Spectra
            are read linearly at those of the model's bands that lie in their range.
        reflectances: (N, L), 0..1.
        skin: ``published``, ``measured`` or other constants.
        progress: called with spectra done and all spectra.

    Raises:
        ValueError: shapes, wavelengths or reflectances are not as said.

    Example:
        >>> found = fit_spectra(wavelengths, reflectances, "measured")  # doctest: +SKIP
        >>> found.rms.median()  # doctest: +SKIP
    """
    wavelengths, reflectances = wavelengths.double(), reflectances.double()
    _check(wavelengths, reflectances)
    model = BandModel(skin_parameters(skin), _bands(wavelengths))
    measured = _read(wavelengths, reflectances, model.wavelengths)
    parts = []
    for start in range(0, len(measured), CHUNK):
        part = measured[start : start + CHUNK]
        plain, scaled = nearest(part, model, scaled=False), nearest(part, model, scaled=True)
        # Scale and offset may only help: where their own search ended in a worse place, take the other.
        parts.append((plain, torch.minimum(_rms(part, plain, model, scaled=True), scaled[:, 2])))
        if progress is not None:
            progress(min(start + CHUNK, len(measured)), len(measured))
    empty = measured.new_zeros(0, 3), measured.new_zeros(0)
    values = torch.cat([plain for plain, _ in parts] or [empty[0]])
    modelled = model(values[:, :2])
    light = daylight(torch.tensor(6504.0, dtype=torch.float64))
    colours = (cielab(spectra, light, model.bands) for spectra in (measured, modelled))
    return SpectraFit(
        wavelengths=model.wavelengths,
        measured=measured,
        melanin=values[:, 0],
        haemoglobin=values[:, 1],
        modelled=modelled,
        rms=values[:, 2],
        rms_scaled=torch.cat([scaled for _, scaled in parts] or [empty[1]]),
        colour_difference=ciede2000(*colours),
    )


def _check(wavelengths: Tensor, reflectances: Tensor) -> None:
    if wavelengths.ndim != 1 or reflectances.ndim != 2:
        raise ValueError(
            f"expected wavelengths (L,) and reflectances (N, L), got {tuple(wavelengths.shape)} and "
            f"{tuple(reflectances.shape)}"
        )
    if reflectances.shape[1] != len(wavelengths):
        raise ValueError(f"{len(wavelengths)} wavelengths but {reflectances.shape[1]} reflectances")
    if problem := _problem(wavelengths.tolist()):
        raise ValueError(problem)
    if not ((reflectances >= 0.0) & (reflectances <= 1.5)).all():
        raise ValueError("reflectances must lie in 0..1")


def _problem(wavelengths: Sequence[float]) -> str | None:
    """What is wrong with wavelengths, in words."""
    if not all(np.isfinite(wavelengths)) or sorted(set(wavelengths)) != list(wavelengths):
        return "wavelengths must be numbers that ascend, each once"
    low, high = MUST_REACH
    if not wavelengths or wavelengths[0] > low or wavelengths[-1] < high:
        reach = f"{wavelengths[0]:g} to {wavelengths[-1]:g}" if wavelengths else "none"
        return f"wavelengths are {reach} nm; expected at least {low:g} to {high:g} nm"
    gap = float(np.diff(wavelengths).max())
    if gap > WIDEST_GAP:
        return f"wavelengths are up to {gap:g} nm apart; expected at most {WIDEST_GAP:g} nm"
    return None


def _bands(wavelengths: Tensor) -> slice:
    """Which of the model's bands lie within measured wavelengths."""
    inside = [i for i, nm in enumerate(WAVELENGTHS) if wavelengths[0] <= nm <= wavelengths[-1]]
    return slice(inside[0], inside[-1] + 1)


def _read(wavelengths: Tensor, reflectances: Tensor, at: Tensor) -> Tensor:
    """Linear interpolation along the last axis."""
    upper = torch.searchsorted(wavelengths, at).clamp(1, len(wavelengths) - 1)
    share = (at - wavelengths[upper - 1]) / (wavelengths[upper] - wavelengths[upper - 1])
    return torch.lerp(reflectances[:, upper - 1], reflectances[:, upper], share)


class BandModel:
    """Spectra of map values (N, 2), melanin and haemoglobin, at some of the bands."""

    def __init__(self, parameters: SkinParameters, bands: slice) -> None:
        self.parameters, self.bands = parameters, bands
        self.wavelengths = torch.tensor(WAVELENGTHS[bands], dtype=torch.float64)

    def __call__(self, values: Tensor) -> Tensor:
        p = self.parameters
        melanosomes = melanosome_fraction(values[:, 0], p)
        return reflectance(melanosomes, blood_fraction(values[:, 1], p), p)[:, self.bands]


def _residual(measured: Tensor, modelled: Tensor, *, scaled: bool) -> Tensor:
    """Model minus measurement; if scaled, after the best scale (not below 0) and offset."""
    if not scaled:
        return modelled - measured
    a = measured - measured.mean(dim=1, keepdim=True)
    b = modelled - modelled.mean(dim=1, keepdim=True)
    scale = (a * b).sum(dim=1, keepdim=True) / b.square().sum(dim=1, keepdim=True).clamp(min=1e-12)
    return scale.clamp(min=0.0) * b - a


def _rms(measured: Tensor, values: Tensor, model: BandModel, *, scaled: bool) -> Tensor:
    residual = _residual(measured, model(values[:, :2]), scaled=scaled)
    return residual.square().mean(dim=1).sqrt()


def nearest(
    measured: Tensor,
    model: BandModel,
    *,
    scaled: bool = False,
    start: Tensor | None = None,
    steps: int = STEPS,
) -> Tensor:
    """Map values and the root mean square difference that is left: (N, 3).

    Args:
        measured: (N, K), at the model's bands.
        model: what is to come near.
        scaled: with a free scale and offset.
        start: (N, 2), map values to begin with; the best of a grid when not given.
        steps: of refinement.
    """
    values = _search(measured, model, scaled=scaled) if start is None else start.clone()
    residual = _residual(measured, model(values), scaled=scaled)
    error = residual.square().sum(dim=1)
    damping = torch.full_like(error, 1e-3)
    left = torch.arange(len(measured))  # the spectra that are not there yet
    for _ in range(steps):
        if len(left) == 0:
            break
        trial = _step(measured[left], model, values[left], residual[left], damping[left], scaled)
        its_residual = _residual(measured[left], model(trial), scaled=scaled)
        its_error = its_residual.square().sum(dim=1)
        before = error[left]
        better = its_error < before
        done = (before - its_error).abs() <= 1e-10 * before + 1e-20
        took = left[better]
        values[took], residual[took] = trial[better], its_residual[better]
        error[took] = its_error[better]
        damping[left] = torch.where(better, 0.2 * damping[left], 8.0 * damping[left])
        damping.clamp_(1e-9, 1e9)
        left = left[~done]
    rms = (error / measured.shape[1]).sqrt()
    return torch.cat((values, rms.unsqueeze(1)), dim=1)


def _step(
    measured: Tensor,
    model: BandModel,
    values: Tensor,
    residual: Tensor,
    damping: Tensor,
    scaled: bool,
) -> Tensor:
    """Where one step of Levenberg and Marquardt leads, within [-1, 1]."""
    small = 1e-5
    slopes = []
    for shift in (values.new_tensor([small, 0.0]), values.new_tensor([0.0, small])):
        ahead, behind = (
            _residual(measured, model(values + sign * shift), scaled=scaled) for sign in (1.0, -1.0)
        )
        slopes.append((ahead - behind) / (2.0 * small))
    jacobian = torch.stack(slopes, dim=2)
    gradient = torch.einsum("nki,nk->ni", jacobian, residual)
    # A value at an end of its axis that would leave it stays, and the other moves alone.
    held = ((values <= -1.0) & (gradient > 0.0)) | ((values >= 1.0) & (gradient < 0.0))
    jacobian = jacobian.masked_fill(held.unsqueeze(1), 0.0)
    gradient = gradient.masked_fill(held, 0.0)
    normal = jacobian.mT @ jacobian
    diagonal = torch.diagonal(normal, dim1=1, dim2=2)
    normal = normal + torch.diag_embed(damping.unsqueeze(1) * diagonal + 1e-12)
    return (values - torch.linalg.solve(normal, gradient)).clamp(-1.0, 1.0)


def _search(measured: Tensor, model: BandModel, *, scaled: bool) -> Tensor:
    """The best of a grid of map values: (N, 2)."""
    line = torch.linspace(-1.0, 1.0, GRID, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    known = model(grid)
    if scaled:  # the best scale and offset leave least where the correlation is highest
        measured, known = (x - x.mean(dim=1, keepdim=True) for x in (measured, known))
        known = known / known.norm(dim=1, keepdim=True).clamp(min=1e-12)
        return grid[(measured @ known.T).argmax(dim=1)]
    return grid[torch.cdist(measured, known).argmin(dim=1)]


# Reading -------------------------------------------------------------------------------------


def read_spectra(path: str | Path, *, percent: bool = False) -> Spectra:
    """Read measured reflectances; the head of this module says how the file looks.

    Args:
        path: a CSV file with commas, semicolons or tabs.
        percent: reflectances are in percent.

    Raises:
        DataError: the file is missing or not of this form.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a CSV file of reflectance spectra")
    try:
        text = path.read_text("utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path}: not a text file ({error}); expected a CSV file") from error
    separator = max(",;\t", key=text.partition("\n")[0].count)
    try:
        rows = [
            (number, [cell.strip() for cell in row])
            for number, row in enumerate(csv.reader(io.StringIO(text), delimiter=separator), 1)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file ({error})") from error
    if not rows or len(rows[0][1]) < 2:
        raise DataError(
            f"{path}: no samples; expected a heading with wavelength and a name for each sample"
        )
    if _number(rows[0][1][0]) is not None:
        raise DataError(f"{path}: line 1 holds numbers; expected a heading, wavelength and names")
    names = tuple(rows.pop(0)[1][1:])
    groups = None
    if rows and rows[0][1][0].lower() == "group":
        number, cells = rows.pop(0)
        if len(cells) != len(names) + 1 or not all(cells):
            raise DataError(
                f"{path}: line {number} has groups for {sum(map(bool, cells[1:]))} of {len(names)} samples"
            )
        groups = tuple(cells[1:])
    table = np.array([_row(path, number, cells, len(names) + 1) for number, cells in rows])
    if len(table) == 0:
        raise DataError(f"{path}: no spectra; expected a line for each wavelength")
    table = table[table[:, 0].argsort(kind="stable")]
    if problem := _problem(table[:, 0].tolist()):
        raise DataError(f"{path}: {problem}")
    values = table[:, 1:] / (100.0 if percent else 1.0)
    wrong = np.argwhere((values < 0.0) | (values > 1.5))
    if len(wrong):
        row, column = wrong[0]
        raise DataError(
            f"{path}: sample {names[column]!r} has {table[row, column + 1]:g} at {table[row, 0]:g} nm; "
            f"expected reflectance in {'0..100' if percent else '0..1 (--percent reads percent)'}"
        )
    return Spectra(
        torch.from_numpy(table[:, 0].copy()), torch.from_numpy(values.T.copy()), names, groups
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _row(path: Path, number: int, cells: list[str], width: int) -> list[float]:
    """A line as numbers."""
    if len(cells) != width:
        raise DataError(f"{path}: line {number} has {len(cells)} columns; expected {width}")
    values = [_number(cell) for cell in cells]
    if None in values:
        wrong = cells[values.index(None)]
        raise DataError(f"{path}: line {number} holds {wrong!r}; expected a number")
    return [value for value in values if value is not None]


# Summary -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """How near the model comes to the spectra of a group."""

    group: str
    count: int
    median_rms: float
    mean_rms: float
    rms_95: float
    """95 % of the spectra are nearer."""
    median_rms_scaled: float
    """With free scale and offset."""
    median_difference: float
    """CIEDE2000 under D65."""
    difference_95: float
    at_end: float
    """Share of spectra with a map value at an end of its axis."""

    def cells(self) -> list[str]:
        """The numbers as text, in the order of `HEADINGS`."""
        return [
            self.group,
            str(self.count),
            *(f"{x:.4f}" for x in (self.median_rms, self.mean_rms, self.rms_95)),
            f"{self.median_rms_scaled:.4f}",
            f"{self.median_difference:.2f}",
            f"{self.difference_95:.2f}",
            f"{100.0 * self.at_end:.0f} %",
        ]


HEADINGS = (
    "group",
    "spectra",
    "RMS median",
    "mean",
    "95 %",
    "scaled, median",
    "dE00 median",
    "95 %",
    "at an end",
)


def summarise(found: SpectraFit, groups: Sequence[str] | None = None) -> list[Summary]:
    """A summary of all spectra, and of each group in the order of their names."""
    labels = np.array(groups if groups is not None else [])
    parts = {"all": torch.ones(len(found.rms), dtype=torch.bool)}
    parts |= {str(name): torch.from_numpy(labels == name) for name in np.unique(labels)}
    return [_summary(name, found, chosen) for name, chosen in parts.items() if chosen.any()]


def _summary(name: str, found: SpectraFit, chosen: Tensor) -> Summary:
    rms, difference = found.rms[chosen], found.colour_difference[chosen]
    return Summary(
        group=name,
        count=int(chosen.sum()),
        median_rms=float(rms.quantile(0.5)),
        mean_rms=float(rms.mean()),
        rms_95=float(rms.quantile(0.95)),
        median_rms_scaled=float(found.rms_scaled[chosen].quantile(0.5)),
        median_difference=float(difference.quantile(0.5)),
        difference_95=float(difference.quantile(0.95)),
        at_end=float(found.at_end[chosen].double().mean()),
    )


def markdown(summaries: Iterable[Summary]) -> str:
    """The summaries as a Markdown table."""
    lines = [list(HEADINGS), ["---"] * len(HEADINGS), *(each.cells() for each in summaries)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


# Command line --------------------------------------------------------------------------------


@dataclass
class Settings:
    """How well the skin model explains measured skin reflectance.

    The file is a table with wavelengths in nm down the first column and a column for each sample; a
    line that begins with 'group' beneath the heading puts samples into groups. Leaves summary.csv and
    summary.md, and samples.csv with the map values of each sample.
    """

    file: Annotated[Path, tyro.conf.Positional]
    """CSV file of reflectances in 0..1, at least from 430 to 670 nm, at most 20 nm apart."""
    skin: SkinName = "measured"
    """Constants of the skin model: published, those of the paper's authors, or measured, tuned on
    measured spectra."""
    percent: bool = False
    """Reflectances are in percent."""
    out: Path = Path("skin-fit")
    """Folder for the tables."""


def main() -> None:
    """Compare the spectra that the command line names with the model."""
    settings = parse(Settings, program="biofacenet.skin_fit")
    spectra = read_spectra(settings.file, percent=settings.percent)
    try:
        found = fit_spectra(spectra.wavelengths, spectra.reflectances, settings.skin)
    except ValueError as error:
        raise BioFaceNetError(f"{settings.file}: {error}") from error
    summaries = summarise(found, spectra.groups)
    low, high = (round(float(found.wavelengths[i])) for i in (0, -1))
    title = f"{settings.skin} skin against {settings.file.name}, {low} to {high} nm"
    table = Table(*HEADINGS, title=title)
    for summary in summaries:
        table.add_row(*summary.cells())
    console.print(table)
    _write_csv(settings.out / "summary.csv", [[*HEADINGS], *(each.cells() for each in summaries)])
    with whole_file(settings.out / "summary.md") as temporary:
        temporary.write_text(f"{title}\n\n{markdown(summaries)}", "utf-8")
    _write_csv(settings.out / "samples.csv", _sample_rows(spectra, found))
    console.print(f"tables: {settings.out}", markup=False)


def _sample_rows(spectra: Spectra, found: SpectraFit) -> list[list[str]]:
    heading = ["sample", "group", "melanin", "haemoglobin", "rms", "rms_scaled", "ciede2000"]
    numbers = torch.stack(
        (
            found.melanin,
            found.haemoglobin,
            found.rms,
            found.rms_scaled,
            found.colour_difference,
        ),
        dim=1,
    )
    groups = spectra.groups or ("",) * len(spectra.names)
    return [
        heading,
        *(
            [name, group, *(f"{x:.6f}" for x in row)]
            for name, group, row in zip(spectra.names, groups, numbers.tolist(), strict=True)
        ),
    ]


def _write_csv(path: Path, rows: list[list[str]]) -> None:
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    run(main)
