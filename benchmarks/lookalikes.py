"""Twelve people before and after, as numbers and as synthetic look-alikes.

    python -m benchmarks.lookalikes --photos faces/london --heads FaceXModel
    python -m benchmarks.lookalikes --photos faces/london --heads FaceXModel --before FOLDER

Photographs of the people are not ours to show. A look-alike is a training face with a head of a statistical
model, of the same sex, with the melanin and the blood that were found in the person's photo, in a light of
its own; and its true maps are known. The first line writes the look-alikes to WORK. An earlier version of
the program then decomposes them (`biofacenet predict WORK/*.png --whole-image --out FOLDER`) and the photos
(`biofacenet predict PHOTOS --out FOLDER`), and the second line puts it all on a sheet. None of
the people was trained or tuned on.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from biofacenet import BioFaceNet, Decomposition
from biofacenet.analysis import ByNetwork
from biofacenet.analysis.results import Result
from biofacenet.cli import parse, run
from biofacenet.data.records import Faces
from biofacenet.data.synthetic import faces as generator
from biofacenet.data.synthetic.draws import Draws
from biofacenet.data.synthetic.heads.reading import read_heads
from biofacenet.data.synthetic.identity import draw_identity
from biofacenet.photos.framing import choose_parts
from biofacenet.photos.reading import read_photo
from biofacenet.physics.skin import SKINS, blood_fraction, melanosome_fraction
from biofacenet.plotting.encoding import eight_bit, write_image
from biofacenet.preparation.people import read_folder
from biofacenet.system.console import console
from biofacenet.system.files import whole_file, write_json

__all__ = ["Settings", "main"]

TWELVE = "042 114 024 127 036 006 070 001 012 021 097 138"
"""Of those that `benchmarks/results/shipped/held_aside.txt` names: every group, the darkest skin first."""

SEED = 1127
"""Of the look-alikes: neither of training nor of the tables."""

SIDE = 192
"""Of a look-alike, in pixels."""

SHOWN = ("melanin", "haemoglobin", "specular")
"""Maps on the sheet; pigments in percent."""

MOST = {"melanin": 20.0, "haemoglobin": 7.0, "specular": 0.3}
"""Ends of the colour scales."""


@dataclass
class Settings:
    """Make look-alikes of twelve people, and compare what networks find."""

    photos: Path
    """Folder with the people's photos and people.csv."""
    heads: Path
    """Head model, as for `synthesize`."""
    before: Path | None = None
    """Folder of predictions of an earlier version, for the look-alikes and the photos."""
    work: Path = Path("lookalikes")
    """Folder for the look-alikes."""
    out: Path = Path("benchmarks/results")
    """Folder for the sheet and the table."""
    model: str = "small"
    """Network."""


def look_alike(index: int, found: Result, heads: Path, *, masculine: bool) -> Faces:
    """A synthetic face with a person's sex and pigments."""
    maps = found.decomposition
    draws = Draws(SEED, index)
    melanin, blood = (
        median(getattr(maps, name), found.counted) for name in ("melanin", "haemoglobin")
    )
    who = draw_identity(draws, "measured", melanin, read_heads(heads))
    who = dataclasses.replace(
        who,
        haemoglobin=blood,
        masculine=0.85 if masculine else 0.15,
    )
    with torch.inference_mode():
        return generator._picture(draws, who, SIDE, noise=True, yaw=None)


def median(values: Tensor, skin: Tensor) -> float:
    """Of (1, 1, H, W) where there is skin."""
    return float(values[skin > 0.5].median())


def percent(maps: Decomposition, name: str) -> Tensor:
    """A map as it is shown: pigments in percent, by the constants of its own skin model."""
    values: Tensor = getattr(maps, name)
    fraction = {"melanin": melanosome_fraction, "haemoglobin": blood_fraction}.get(name)
    return values if fraction is None else 100 * fraction(values, SKINS[maps.skin])


def predicted(folder: Path, name: str) -> Decomposition:
    """The maps that a version of the program wrote for a picture."""
    return Decomposition.load(folder / name / "maps.npz")[0]


def sheet(rows: Sequence[tuple[str, Faces, Decomposition, Decomposition]], path: Path) -> None:
    """Look-alike, and each map: the true one, that of before, that of now."""
    columns = 1 + 3 * len(SHOWN)
    figure, panels = plt.subplots(
        len(rows), columns, figsize=(1.25 * columns, 1.27 * len(rows)), layout="constrained"
    )
    for number, (title, face, before, now) in enumerate(rows):
        line = panels[number]
        line[0].imshow(eight_bit(face.image[0]))
        line[0].set_ylabel(title, fontsize=7)
        for map_number, name in enumerate(SHOWN):
            assert face.truth is not None
            for place, maps in enumerate((face.truth, before, now)):
                found = percent(maps, name)
                values, inside = found[0, 0].numpy(), resized(face.mask, found)[0, 0].numpy() > 0.5
                axes = line[1 + 3 * map_number + place]
                shown = axes.imshow(
                    np.where(inside, values, np.nan), cmap="viridis", vmin=0, vmax=MOST[name]
                )
                if number == 0:
                    axes.set_title(f"{name}\n{('true', 'before', 'now')[place]}", fontsize=8)
                if number == len(rows) - 1 and place == 1:
                    bar = figure.colorbar(
                        shown,
                        ax=panels[:, 1 + 3 * map_number : 4 + 3 * map_number],
                        location="bottom",
                        shrink=0.9,
                        aspect=40,
                    )
                    bar.ax.tick_params(labelsize=7)
    for axes in panels.flat:
        axes.set_xticks([])
        axes.set_yticks([])
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=80, format="png")
    plt.close(figure)


def numbers_of(what: str, all_maps: Mapping[str, tuple[Decomposition, Tensor]]) -> dict[str, float]:
    """Medians of both pigments where there is skin, in percent.

    Args:
        what: the maps are of.
        all_maps: by when they were found, with where skin is.
    """
    found = {}
    for title, name in (("melanosomes", "melanin"), ("blood", "haemoglobin")):
        for when, (maps, skin) in all_maps.items():
            values = percent(maps, name)
            found[f"{title} of the {what}, {when}"] = median(values, resized(skin, values))
    return found


def skin_before(folder: Path, name: str, found: Result) -> Tensor:
    """Where skin is that is found in a photo now, in the maps of an earlier version: (1, 1, H, W)."""
    told = json.loads((folder / name / "summary.json").read_text("utf-8"))
    theirs = np.array(told["maps_to_photo"])
    skin = found.counted[0, 0].float().numpy()
    back = cv2.invertAffineTransform(found.part.box.to_photo(*skin.shape))
    way = np.c_[back[:, :2] @ theirs[:, :2], back[:, :2] @ theirs[:, 2] + back[:, 2]]
    height, width = told["map_size"]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return torch.from_numpy(cv2.warpAffine(skin, way, (width, height), flags=flags))[None, None]


def resized(mask: Tensor, like: Tensor) -> Tensor:
    """A mask (1, 1, H, W) of the size of a map."""
    return F.interpolate(mask.float(), size=like.shape[2:], mode="area")


def table(rows: Sequence[Mapping[str, str | float]]) -> str:
    """Markdown."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    for row in rows:
        cells = [value if isinstance(value, str) else f"{value:.1f}" for value in row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def sexes(folder: Path) -> dict[str, str]:
    """What people.csv says beside each id, where it does."""
    with (folder / "people.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row.get("gender") or "" for row in csv.DictReader(file)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write look-alikes, or the sheet and the table."""
    settings = parse(Settings, arguments, program="benchmarks.lookalikes")
    people = {person.id: person for person in read_folder(settings.photos).people}
    gender = sexes(settings.photos)
    method = ByNetwork(BioFaceNet.from_pretrained(settings.model))
    settings.work.mkdir(parents=True, exist_ok=True)
    rows, numbers = [], []
    for index, name in enumerate(TWELVE.split()):
        person = people[name]
        shot = next(shot for shot in person.shots if shot.expression == "neutral")
        photo = read_photo(shot.path)
        found = method(photo, choose_parts(photo, face="largest")[0])
        face = look_alike(index, found, settings.heads, masculine=gender[name] == "male")
        place = settings.work / f"{name}.png"
        write_image(eight_bit(face.image[0]), place)
        if settings.before is None:
            continue
        seen = read_photo(place)
        now = method(seen, choose_parts(seen, "image")[0]).decomposition
        before = predicted(settings.before, name)
        rows.append((f"{name}, {person.group}", face, before, now))
        of_photo = predicted(settings.before, shot.path.stem)
        row: dict[str, str | float] = {"person": name, "group": person.group}
        skin = skin_before(settings.before, shot.path.stem, found)
        of_photos = {"before": (of_photo, skin), "now": (found.decomposition, found.counted)}
        row.update(numbers_of("photo", of_photos))
        assert face.truth is not None
        all_maps = {"true": face.truth, "before": before, "now": now}
        row.update(numbers_of("look-alike", {key: (x, face.mask) for key, x in all_maps.items()}))
        numbers.append(row)
    if settings.before is None:
        console.print(f"look-alikes: {settings.work}")
        return
    sheet(rows, settings.out / "lookalikes.png")
    write_json(settings.out / "lookalikes.json", {"rows": numbers})
    with whole_file(settings.out / "lookalikes.md") as temporary:
        temporary.write_text(table(numbers), "utf-8")
    console.print(table(numbers))


if __name__ == "__main__":
    run(main)
