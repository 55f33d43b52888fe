"""How like photographs of people the training faces are: skin colours, gradients, highlights, JPEG blocks,
and where brows, eyes and lips are.

python -m benchmarks.face_statistics --photos FOLDER --faces FOLDER [--before FOLDER]

The photographs are those of the Face Research Lab London Set (DeBruine and Jones, 2017, figshare 5047666,
CC BY 4.0) or a folder like it: people.csv, landmarks.csv, a grey wall behind everybody. The faces are what
`biofacenet synthesize` wrote, with their truth.

Colours are those of cheeks and forehead. A photo is white-balanced and scaled by its wall, left and right
of the head, whose reflectance is taken as `WALL`; a training face's colour is that of its true pigments
under its own light and camera, white-balanced, without shading and highlight. Photographs have been through
the camera's tone curve, which deepens colours and darkens the dark, and cheeks get less light than a
forehead: so ln Y is compared to within some tenths only, and the share within `NEAR` counts ln R/G and
ln G/B.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from benchmarks.feature_shapes import labels_of_points, shapes_of
from biofacenet.cli import parse, run
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs
from biofacenet.data.truth import read_truth
from biofacenet.decomposition import Decomposition
from biofacenet.decomposition.parts import UNLABELLED, part_index
from biofacenet.evaluation.people.regions import regions_of
from biofacenet.photos.boxes import Box, crop
from biofacenet.photos.reading import read_photo
from biofacenet.physics.colour import WHITE_ROW_SUMS, luminance, srgb_to_linear
from biofacenet.preparation.people import PeopleFolder, read_folder
from biofacenet.system.console import console
from biofacenet.system.files import whole_file

__all__ = ["Crop", "Settings", "coverage", "statistics_of"]

NEAR = 0.05
"""Distance in ln R/G and ln G/B."""

WALL = 0.7
"""Reflectance that the grey wall is taken to have: white people's foreheads then are as bright as the light
facial skin of the International Skin Spectra Archive."""

ASIDE = "001 012 021 032 083 097 113 123 138 006 070 024 127 036 042 114"
"""People whom nothing is tuned on."""

PARTS = ("cheeks", "forehead", "lips")

TONES = {"light": (-1.0, 0.045), "medium": (0.045, 0.09), "dark": (0.09, 1.0)}
"""Melanosome fraction of a training face."""

LIKE = {
    "white": "light",
    "east_asian": "light",
    "east_asian/white": "light",
    "west_asian": "medium",
}
"""The tone that a group of people is compared with; dark for all others."""


@dataclass
class Settings:
    """Compare training faces with photographs of people."""

    photos: Path
    """Folder of photographs: people.csv, landmarks.csv, a grey wall behind."""
    faces: Path
    """Folder of training faces with their truth."""
    before: Path | None = None
    """Other faces to put beside them, from another version."""
    without: str = ASIDE.replace(" ", ",")
    """Ids of people told apart: those whom nothing was tuned on."""
    out: Path | None = None
    """JSON file to write."""


@dataclass(frozen=True)
class Crop:
    """A picture of a face and where its parts are."""

    image: Tensor
    """(3, S, S), sRGB, 0..1."""
    mask: Tensor
    """(S, S), bool, skin of the face."""
    parts: dict[str, Tensor]
    """(S, S), bool, by the names of `PARTS`."""
    colours: np.ndarray
    """(2, 3), ln R/G, ln G/B and ln Y of the skin of cheeks and forehead; see the module."""
    group: str
    """Of people, or the tone of a training face."""
    name: str = ""
    labels: np.ndarray | None = None
    """(S, S), uint8, of its brows, eyes and lips at least."""


def logarithms(rgb: Tensor) -> np.ndarray:
    """Ln R/G, ln G/B and ln Y of one linear colour (3,)."""
    red, green, blue = rgb.clamp(min=1e-5).log().tolist()
    bright = float(luminance(rgb.reshape(1, 3, 1, 1)).clamp(min=1e-5).log())
    return np.array([red - green, green - blue, bright])


def median_colour(image: Tensor, where: Tensor) -> Tensor:
    """Median of (3, S, S) over some pixels: (3,)."""
    return image[:, where].median(dim=1).values


# Photographs ---------------------------------------------------------------------------------


def photographs(folder: PeopleFolder, size: int) -> list[Crop]:
    """Everybody's first photo, framed as training faces are: eyes to chin by the landmarks."""
    if folder.landmarks is None:
        raise SystemExit(f"{folder.path}: no landmarks.csv; expected one")
    crops = []
    for person in folder.people:
        shots = [shot for shot in person.shots if shot.path.stem in folder.landmarks]
        if not shots:
            continue
        photo = read_photo(shots[0].path).pixels
        points = folder.landmarks[shots[0].path.stem]
        eyes, chin = points[:2].mean(axis=0), points[list(range(109, 134))].max(axis=0)[1]
        unit = (chin - eyes[1]) / 1.1  # eyes at 0.1, chin at -1 of the canonical frame
        left, top = eyes + np.array([0.0, 0.23 * unit]) - 1.17 * unit
        box = Box(round(left), round(top), round(2.34 * unit))
        image = crop(photo, box, size).clamp(0.0, 1.0)
        linear = srgb_to_linear(image)
        seen = (points - (box.left, box.top)) * size / box.size
        regions = regions_of(seen, linear[None], str(shots[0].path))
        wall = _wall(photo)
        scaled = WALL * linear / wall[:, None, None]
        parts = {name: getattr(regions, name)[0, 0] > 0 for name in PARTS}
        colours = [logarithms(median_colour(scaled, parts[name])) for name in PARTS[:2]]
        mask = regions.mask[0, 0] > 0
        labels = labels_of_points(seen, size)
        crops.append(Crop(image, mask, parts, np.array(colours), person.group, person.id, labels))
    return crops


def _wall(photo: Tensor) -> Tensor:
    """Median linear colour of the wall, beside the head at both edges of an sRGB photo (3, H, W): (3,)."""
    height, width = photo.shape[1:]
    rows, columns = slice(height // 24, height // 4), width // 6
    edges = (photo[:, rows, width // 24 : columns], photo[:, rows, -columns : -(width // 24)])
    linear = [srgb_to_linear(edge.float()).reshape(3, -1) for edge in edges]
    return torch.cat(linear, dim=1).median(dim=1).values


# Training faces ------------------------------------------------------------------------------


def training_faces(folder: Path) -> list[Crop]:
    """All faces of a folder that show enough of cheeks, forehead and lips."""
    crops = []
    for file in find_pairs(folder):
        for start in range(0, file.count, 32):
            rows = range(start, min(start + 32, file.count))
            read = FacePairs([file], geometry=True).read(rows)
            channels, geometry = read.channels, read.geometry
            truth = read_truth(file, rows)
            bare = _albedo(truth)
            fractions = truth.melanosomes()
            for i in range(len(rows)):
                labels = None if geometry is None else geometry.parts[i, 0]
                found = _training_face(channels[i], bare[i], fractions[i, 0], labels)
                if found is not None:
                    crops.append(found)
    return crops


def _albedo(truth: Decomposition) -> Tensor:
    """Linear colour of the true pigments in their own light and camera, 1 for white: (N, 3, S, S)."""
    even = Decomposition(
        truth.melanin,
        truth.haemoglobin,
        torch.ones_like(truth.diffuse),
        torch.full_like(truth.specular, 1e-6),
        truth.illuminant,
        truth.camera,
        truth.skin,
    )
    return even.render() / float(WHITE_ROW_SUMS[1])


def _training_face(
    channels: Tensor, bare: Tensor, melanosomes: Tensor, labels: Tensor | None
) -> Crop | None:
    image, mask = channels[:3], channels[6] > 0.5
    x, y = 2.6 * channels[7] - 1.3, 2.6 * channels[8] - 1.3
    parts = {
        "cheeks": mask & ((x.abs() - 0.4) ** 2 + (y + 0.2) ** 2 < 0.15**2),
        "forehead": mask & (x.abs() < 0.3) & ((y - 0.45).abs() < 0.09),
        "lips": mask & (x.abs() < 0.13) & ((y + 0.605).abs() < 0.03),
    }
    if labels is not None and (labels != UNLABELLED).any():
        parts["lips"] = mask & (labels == part_index("lips"))
    if min(int(where.sum()) for where in parts.values()) < 6:
        return None
    colours = [logarithms(median_colour(bare, parts[name])) for name in PARTS[:2]]
    level = float(melanosomes[parts["cheeks"]].median())
    tone = next(name for name, (low, high) in TONES.items() if low <= level < high)
    shown = None if labels is None else labels.numpy()
    return Crop(image, mask, parts, np.array(colours), tone, labels=shown)


# Statistics ----------------------------------------------------------------------------------


def coverage(people: Sequence[Crop], faces: Sequence[Crop]) -> np.ndarray:
    """Distance of each person's cheeks and forehead to the nearest skin of any training face: (N, 2, 2),
    in colour alone, and in ln Y too.
    """
    skins = np.concatenate([face.colours for face in faces])
    asked = np.stack([person.colours for person in people])
    off = asked[:, :, None] - skins
    return np.stack(
        (
            np.sqrt((off[..., :2] ** 2).sum(axis=-1)).min(axis=-1),
            np.sqrt((off**2).sum(axis=-1)).min(axis=-1),
        ),
        axis=-1,
    )


def statistics_of(crops: Sequence[Crop]) -> dict[str, np.ndarray]:
    """Values whose distributions are compared, by name."""
    found: dict[str, list[np.ndarray]] = {}

    def add(name: str, values: float | Sequence[float] | np.ndarray) -> None:
        found.setdefault(name, []).append(np.atleast_1d(np.asarray(values, dtype=np.float64)))

    for face in crops:
        linear = srgb_to_linear(face.image)
        bright = luminance(linear[None])[0, 0].clamp(min=1e-3)
        level = bright[face.mask].median()
        log = bright.log()
        both = face.mask[:, 1:] & face.mask[:, :-1]
        add("gradients of ln Y, skin", (log[:, 1:] - log[:, :-1])[both].abs().numpy())
        add("gradients of ln Y, picture", (log[:, 1:] - log[:, :-1]).abs().flatten().numpy()[::7])
        add(
            "highlights: share over 1.8 of the median",
            float((bright > 1.8 * level)[face.mask].float().mean()),
        )
        add(
            "shade: share under half of the median",
            float((bright < 0.5 * level)[face.mask].float().mean()),
        )
        logs = linear.clamp(min=1e-3).log()[:, _bare(face)]
        for name, first, second in (("ln R/G", 0, 1), ("ln G/B", 1, 2)):
            quarters = np.quantile((logs[first] - logs[second]).numpy(), (0.25, 0.75))
            add(
                f"{name} within the skin of a face, between its quartiles",
                quarters[1] - quarters[0],
            )
        add("JPEG blocks: edges at multiples of 8 over others", _blocks(face.image))
        tone = LIKE.get(face.group, "dark" if face.group not in TONES else face.group)
        cheeks = logarithms(median_colour(linear, face.parts["cheeks"]))
        for name in PARTS:
            colour = logarithms(median_colour(linear, face.parts[name]))
            relative = colour - cheeks
            values = colour if name == "cheeks" else relative
            add(f"{name}, {tone}: ln R/G{'' if name == 'cheeks' else ' over cheeks'}", values[0])
            add(f"{name}, {tone}: ln G/B{'' if name == 'cheeks' else ' over cheeks'}", values[1])
            if name == "lips":
                add(f"{name}, {tone}: ln Y over cheeks", relative[2])
        shapes = None if face.labels is None else shapes_of(face.labels)
        for name, value in (shapes or {}).items():
            add(f"{name}, in distances of the eyes", value)
    return {name: np.concatenate(values) for name, values in found.items()}


def _bare(face: Crop) -> Tensor:
    """Skin of a face without brows, beard and what else has a label: (S, S), bool."""
    if face.labels is None:
        return face.mask
    other = ~np.isin(face.labels, (UNLABELLED, part_index("skin"), part_index("lips")))
    bare = face.mask & ~torch.from_numpy(other)
    return bare if bare.any() else face.mask


def _blocks(image: Tensor) -> float:
    """Mean step of luma across columns at multiples of 8, over that across all others."""
    luma = image.mean(dim=0)
    step = (luma[:, 1:] - luma[:, :-1]).abs().mean(dim=0)
    at_edge = torch.arange(len(step)) % 8 == 7
    return float(step[at_edge].mean() / step[~at_edge].mean().clamp(min=1e-6))


# Tables --------------------------------------------------------------------------------------


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def coverage_rows(
    people: Sequence[Crop], sets: dict[str, list[Crop]], aside: set[str]
) -> list[list[str]]:
    """Share of people whose colours are near, by group, tuned on and not."""
    far = {name: coverage(people, faces) for name, faces in sets.items()}
    rows = []
    for label, apart in (("others", False), ("aside", True)):
        chosen = [i for i, person in enumerate(people) if (person.name in aside) == apart]
        groups = sorted({people[i].group for i in chosen})
        for group in ("all", *groups):
            members = [i for i in chosen if group in ("all", people[i].group)]
            cells = [f"{group}, {label}", str(len(members))]
            for name in sets:
                distance = far[name][members]
                share = 100.0 * float((distance[..., 0] <= NEAR).mean())
                cells.append(f"{share:.0f} %")
                cells.append(
                    f"{np.median(distance[..., 0]):.3f} / {np.median(distance[..., 1]):.3f}"
                )
            rows.append(cells)
    return rows


def statistics_rows(people: Sequence[Crop], sets: dict[str, list[Crop]]) -> list[list[str]]:
    """Median and spread of each value, and the distance of its distribution from that of photographs."""
    real = statistics_of(people)
    made = {name: statistics_of(faces) for name, faces in sets.items()}

    def shown(values: np.ndarray) -> str:
        low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
        return f"{middle:.3g} ({low:.3g} to {high:.3g})"

    rows = []
    for name in sorted(real):
        cells = [name, shown(real[name])]
        for found in made.values():
            if name not in found:
                cells += ["-", "-"]
                continue
            spread = max(float(np.subtract(*np.quantile(real[name], (0.9, 0.1)))), 1e-6)
            cells.append(shown(found[name]))
            cells.append(f"{wasserstein_distance(real[name], found[name]) / spread:.2f}")
        rows.append(cells)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print two tables, and write them where asked to."""
    settings = parse(Settings, arguments, program="benchmarks.face_statistics")
    sets = {"faces": training_faces(settings.faces)}
    if settings.before is not None:
        sets = {"before": training_faces(settings.before)} | sets
    size = sets["faces"][0].image.shape[-1]
    people = photographs(read_folder(settings.photos), size)
    columns = [
        f"{name}: {what}"
        for name in sets
        for what in (f"within {NEAR}", "median distance, colour / with ln Y")
    ]
    first = coverage_rows(people, sets, set(settings.without.split(",")))
    print(table(("people", "number", *columns), first), end="\n\n")
    columns = [f"{name}{what}" for name in sets for what in ("", ": distance")]
    second = statistics_rows(people, sets)
    print(table(("median (10 % to 90 %)", "photographs", *columns), second))
    if settings.out is not None:
        with whole_file(settings.out) as temporary:
            temporary.write_text(
                json.dumps({"coverage": first, "statistics": second}, indent=1), "utf-8"
            )
        console.print(f"written: {settings.out}", markup=False)


if __name__ == "__main__":
    run(main)
