"""How well `biofacenet measure` repeats: the neutral and the smiling photo of people, region by region.

python -m benchmarks.measuring --faces FOLDER

The photographs are those of the Face Research Lab London Set (DeBruine and Jones, 2017, figshare 5047666,
CC BY 4.0), or a folder like it (`biofacenet/preparation/people.py`). Nothing of a photo is kept but
numbers over people. `ASIDE` are people whom nothing was tuned on: neither the network nor the regions.

A smile moves skin, and reddens some faces. What of a difference is in the photo itself, two quantities of its
own colours tell, without any model: `erythema_index_rgb`, red against green, most of whose spread between
people is melanin's; and `redness_rgb`, from which that is taken out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from biofacenet.analysis.measuring.files import Measurer
from biofacenet.analysis.measuring.photo import MeasuredFace, measured_faces
from biofacenet.analysis.measuring.regions import REGIONS, WHOLE
from biofacenet.analysis.measuring.rows import Row
from biofacenet.analysis.measuring.run import measurer_of
from biofacenet.analysis.measuring.settings import Settings as MeasureSettings
from biofacenet.cli import parse, run
from biofacenet.fitting.agreement import icc_3_1, within_deviation
from biofacenet.photos.reading import read_photo
from biofacenet.preparation.people import read_folder
from biofacenet.system.console import console, progress
from biofacenet.system.files import whole_file, write_json

__all__ = ["ASIDE", "QUANTITIES", "Seen", "Settings", "figures_of", "markdown", "redness"]

ASIDE = "001 012 021 032 083 097 113 123 138 006 070 024 127 036 042 114"
"""People whom nothing is tuned on."""

QUANTITIES = (
    *("melanosomes_percent", "blood_percent", "melanin_index", "erythema_index"),
    *("ita_degrees", "erythema_index_rgb", "redness_rgb"),
)

OF_MELANIN = 0.5
"""By how much log R/G rises with log G/B between people, whose melanin differs more than their blood: 0.3 to
0.6, by region, of the 37 people not set aside."""

FEWEST = 40
"""Pixels of a region whose colour counts."""

PHOTOS = ("neutral", "smiling")


@dataclass(frozen=True)
class Seen:
    """What is measured of a region in a photo."""

    row: Row
    redness: float = math.nan
    """Of the photo's own colours: see `redness`."""

    def number(self, quantity: str) -> float:
        """Any of `QUANTITIES`; NaN where it is not known."""
        return self.redness if quantity == "redness_rgb" else self.row.number(quantity)


Shots = Mapping[str, Mapping[str, Mapping[str, Seen]]]
"""By person, expression and region."""


@dataclass
class Settings:
    """Measure how well two photos of a person agree, region by region."""

    faces: Path = Path("faces/london")
    """Folder of photographs of people, with people.csv."""
    model: str = "small"
    """Network to measure with."""
    resolution: int = 256
    """Longer side of the maps at most, in pixels. Medians hardly depend on it; time does."""
    out: Path = Path("benchmarks/results")
    """Folder for measuring.json and measuring.md."""


def figures_of(shots: Shots) -> dict[str, dict[str, dict[str, float]]]:
    """By quantity and region: ICC(3,1), deviation within a person, the least and the largest, and people.

    Args:
        shots: of people with a photo of each of `PHOTOS`; regions that are not seen in both do not count.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for quantity in QUANTITIES:
        found[quantity] = {}
        for region in REGIONS:
            values = np.array(
                [
                    [one[photo][region].number(quantity) for photo in PHOTOS]
                    for one in shots.values()
                ]
            ).reshape(-1, len(PHOTOS))
            pairs = values[np.isfinite(values).all(axis=1)]
            found[quantity][region] = {
                "people": len(pairs),
                "icc_3_1": icc_3_1(pairs),
                "within": within_deviation(pairs.tolist()),
                "least": float(pairs.min()) if len(pairs) else math.nan,
                "largest": float(pairs.max()) if len(pairs) else math.nan,
            }
    return found


def redness(image: Tensor, mask: Tensor) -> float:
    """Median of 100 (log10 R/G - `OF_MELANIN` log10 G/B) over some pixels of linear (1, 3, H, W).

    NaN where there are fewer than `FEWEST`.
    """
    inside = mask[0, 0] > 0.5
    if int(inside.sum()) < FEWEST:
        return math.nan
    red, green, blue = image[0][:, inside].clamp(min=1e-3).log10().double()
    return 100.0 * float((red - green - OF_MELANIN * (green - blue)).median())


def regions_seen(path: Path, measurer: Measurer) -> dict[str, Seen]:
    """What is measured of a photo's face by region, and `redness` beside it; nothing without a face."""
    seen: dict[str, Seen] = {}
    for found in measured_faces(read_photo(path), measurer.method, measurer.wanted):
        if isinstance(found, MeasuredFace):
            for row in found.rows:
                region = str(row["region"])
                own = redness(found.result.image, found.regions.masks[region])
                seen[region] = Seen(row, own)
    return seen


def markdown(figures: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]) -> str:
    """Tables of the agreement, one for each set of people."""
    lines = ["# How well measurements repeat", ""]
    lines += ["ICC(3,1) of a neutral and a smiling photo: `python -m benchmarks.measuring`.", ""]
    lines += [
        "`redness_rgb` is of the photos' own colours, without any model: log R/G less what of it goes with "
        "melanin. A smile reddens and moves skin, each face's in its own way: what it leaves of agreement "
        "there is about as much as blood can have.",
        "",
    ]
    for people, found in figures.items():
        count = max(int(each["people"]) for each in found[QUANTITIES[0]].values())
        lines += [f"## {count} people, {people}", ""]
        lines += ["| region | " + " | ".join(QUANTITIES) + " | melanosomes, % | blood, % |"]
        lines += ["|---" * (len(QUANTITIES) + 3) + "|"]
        for region in REGIONS:
            cells = [f"{found[quantity][region]['icc_3_1']:.3f}" for quantity in QUANTITIES]
            for quantity in QUANTITIES[:2]:
                each = found[quantity][region]
                cells.append(f"{each['least']:.2f} to {each['largest']:.2f}")
            lines.append(f"| {region} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all photos and write the tables."""
    settings = parse(Settings, arguments, program="benchmarks.measuring")
    measurer = measurer_of(
        MeasureSettings(
            photos=(), model=settings.model, face="largest", resolution=settings.resolution
        )
    )
    people = read_folder(settings.faces).people
    shots: dict[str, dict[str, dict[str, Seen]]] = {}
    warnings: Counter[str] = Counter()
    with progress("people", len(people)) as bar:
        for person in people:
            seen = {
                shot.expression: regions_seen(shot.path, measurer)
                for shot in person.shots
                if shot.expression in PHOTOS
            }
            if len(seen) == len(PHOTOS) and all(WHOLE in rows for rows in seen.values()):
                shots[person.id] = seen
            for rows in seen.values():
                row = rows.get(WHOLE)
                warnings.update(["no face"] if row is None else str(row.row["warnings"]).split(";"))
            bar.advance()
    aside = set(ASIDE.split())
    figures = {
        "set aside": figures_of({name: one for name, one in shots.items() if name in aside}),
        "others": figures_of({name: one for name, one in shots.items() if name not in aside}),
        "all": figures_of(shots),
    }
    stored = {"agreement": figures, "warnings_of_photos": dict(warnings.most_common())}
    write_json(settings.out / "measuring.json", stored)
    with whole_file(settings.out / "measuring.md") as temporary:
        temporary.write_text(markdown(figures), "utf-8")
    console.print(markdown(figures))
    console.print(dict(warnings.most_common()))


if __name__ == "__main__":
    run(main)
