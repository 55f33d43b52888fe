"""Normals that a network tells of photographed faces: symmetric, pointing out, and near those of a mesh?

    python -m benchmarks.normals faces/london

Of the people whom the shipped network has not seen. Its normals are compared on the surface of the face, at
96 pixels to a side:

- with themselves, mirrored about the middle of the face: people who look at the camera are nearly symmetric;
- with where they lie: beside the middle of a face, its surface faces away from there;
- with the mesh of 468 landmarks, where `preparation.landmarks` finds it: another network's estimate,
  smooth between its points; and, to tell what an angle means, that mesh with a plane toward the viewer.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from biofacenet import BioFaceNet
from biofacenet.cli import run
from biofacenet.errors import PhotoError
from biofacenet.photos.boxes import crop
from biofacenet.photos.faces import find_faces
from biofacenet.photos.paths import PHOTO_ENDINGS
from biofacenet.photos.reading import read_photo
from biofacenet.preparation.face_shape import FaceShape
from biofacenet.preparation.landmarks import (
    INSTALL,
    available,
    find_landmarks,
    shape_of_landmarks,
)
from biofacenet.preparation.network_shape import network_with_shape, shape_of_network

__all__ = ["Figures", "angles", "figures_of", "mirrored", "outward", "symmetry"]

SIZE = 96

CUT = 256
"""Side of the square that landmarks are found in."""

SHIFTS = 6
"""Columns that the middle of a face may lie beside that of the square."""

MIDST = 0.15
"""Share of a side around the middle of a face where its surface may face anywhere."""

ASIDE = Path(__file__).parent / "results" / "shipped" / "held_aside.txt"


@dataclass(frozen=True)
class Figures:
    """Of one face; angles in degrees, means over its pixels."""

    symmetry: float
    """Between normals and their mirror image."""
    outward: float
    """Share of pixels off the middle whose normal leans away from it."""
    mesh: float
    """Between normals and those of the mesh; NaN without one."""
    mesh_from_plane: float
    """Between those of the mesh and the direction of the viewer."""


def angles(ours: Tensor, theirs: Tensor) -> Tensor:
    """Degrees between unit normals, each (3, H, W): (H, W)."""
    return torch.rad2deg((ours * theirs).sum(dim=0).clamp(-1.0, 1.0).acos())


def mirrored(shape: FaceShape) -> tuple[Tensor, Tensor]:
    """Normals (3, S, S) and where they are known (S, S), of the face in a mirror."""
    sign = torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    return shape.normals.flip(2) * sign, shape.covered[0].flip(1) > 0.5


def symmetry(shape: FaceShape) -> float:
    """Mean angle between normals and their mirror image about the middle column that makes it least."""
    image, there = mirrored(shape)
    known = shape.covered[0] > 0.5
    means = []
    for shift in range(-SHIFTS, SHIFTS + 1):
        both = known & there.roll(shift, 1)
        if both.sum() >= 0.8 * known.sum():
            means.append(float(angles(shape.normals, image.roll(shift, 2))[both].mean()))
    return min(means, default=float("nan"))


def outward(shape: FaceShape) -> float:
    """Share of pixels off the middle of the face whose normal leans away from it, not toward it."""
    known = shape.covered[0] > 0.5
    rows, columns = known.nonzero(as_tuple=True)
    size = known.shape[0]
    x, y = columns - columns.float().mean(), rows.float().mean() - rows
    nx, ny, nz = shape.normals[:, rows, columns]
    off = (x.square() + y.square()).sqrt() > MIDST * size
    return float(((nx * x + ny * y > 0.0) & (nz > 0.0))[off].float().mean())


@torch.no_grad()
def figures_of(image: Tensor, network: BioFaceNet) -> Figures:
    """Measure the normals of the face in a square (3, S, S), sRGB-encoded, as `find_faces` frames it.

    Raises:
        ValueError: the network sees no surface of a face there.
    """
    shape = shape_of_network(image, SIZE, network)
    known = shape.covered[0] > 0.5
    if not known.any():
        raise ValueError("no surface of a face")
    mesh = plane = float("nan")
    if available():
        theirs = shape_of_landmarks(find_landmarks(image), SIZE)
        shared = known & (theirs.covered[0] > 0.5)
        mesh = float(angles(shape.normals, theirs.normals)[shared].mean())
        viewer = torch.tensor([0.0, 0.0, 1.0])[:, None, None].expand_as(theirs.normals)
        plane = float(angles(viewer, theirs.normals)[shared].mean())
    return Figures(
        symmetry=symmetry(shape),
        outward=outward(shape),
        mesh=mesh,
        mesh_from_plane=plane,
    )


def photos_of(folder: Path, people: Iterable[str]) -> list[Path]:
    """The photos ID_WORD.* and ID.* of some people, by name."""
    wanted = set(people)
    files = (path for path in folder.iterdir() if path.suffix.lower() in PHOTO_ENDINGS)
    return sorted(path for path in files if path.stem.partition("_")[0] in wanted)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photos", type=Path, help="folder of photos ID_WORD.jpg")
    parser.add_argument("--people", type=Path, default=ASIDE, help="file of IDs, one a line")
    parser.add_argument("--model", default="small")
    settings = parser.parse_args(arguments)
    network = network_with_shape(settings.model)
    found = []
    for path in photos_of(settings.photos, settings.people.read_text().split()):
        try:
            pixels = read_photo(path).pixels
        except PhotoError as error:
            parser.error(str(error))
        boxes = find_faces(pixels)
        if boxes:
            found.append(figures_of(crop(pixels, boxes[0], CUT), network))
    if not found:
        parser.error(f"{settings.photos}: no face of these people found")
    if not available():
        print(f"no mesh to compare with: {INSTALL}")
    print(f"{'of ' + str(len(found)) + ' faces':18}   mean  median  least   most")
    for name in (field.name for field in fields(Figures)):
        values = np.array([getattr(face, name) for face in found])
        if not np.isnan(values).all():
            four = (values.mean(), np.median(values), values.min(), values.max())
            print(f"{name:18}" + "".join(f"{value:7.2f}" for value in four))


if __name__ == "__main__":
    run(main)
