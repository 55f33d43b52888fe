"""A head model as the folder of Wavefront OBJ files in which it is published."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ....errors import DataError
from ...hdf5_opening import one_line
from .model import MATERIALS, MODEL_LAYOUT, MOST_SHAPES, MOST_VERTICES, HeadModel
from .polygons import kept_triangles, places_of_vertices

__all__ = ["NEUTRAL", "read_objects"]

NEUTRAL, INDICES = "generic_neutral_mesh.obj", "vertex_indices.json"

IDENTITY = re.compile(r"identity\d{3}\.obj")

LANDMARKS_KEY = "idx_to_landmark_verts"

MOST_BYTES = 32 * 1024**2
"""Of one file; the published ones have 3.4 MB."""


@dataclass
class _Mesh:
    """What an OBJ file of the model holds."""

    vertices: list[str] = field(default_factory=list)
    textures: list[str] = field(default_factory=list)
    polygons: list[list[int]] = field(default_factory=list)
    polygon_textures: list[list[int]] = field(default_factory=list)
    material: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=lambda: [""])

    def add(self, words: list[str]) -> None:
        """Take in one line, in words."""
        if words[0] == "v":
            self.vertices += words[1:4]
        elif words[0] == "vt":
            self.textures += words[1:3]
        elif words[0] == "usemtl":
            self.names.append(words[1])
        elif words[0] == "f":
            self._add_polygon([word.split("/") for word in words[1:]])

    def _add_polygon(self, corners: list[list[str]]) -> None:
        if len(corners) not in (3, 4):
            raise ValueError(f"a polygon of {len(corners)} corners; expected 3 or 4")
        pad = [-1] * (4 - len(corners))
        self.polygons.append([int(corner[0]) - 1 for corner in corners] + pad)
        textures = [
            int(corner[1]) - 1 if len(corner) > 1 and corner[1] else -1 for corner in corners
        ]
        self.polygon_textures.append(textures + pad)
        self.material.append(len(self.names) - 1)


def read_objects(folder: Path) -> HeadModel:
    """The model in a folder of OBJ files.

    Raises:
        DataError: a file is missing, damaged or of another model.
    """
    names = sorted(path.name for path in folder.iterdir() if path.suffix == ".obj")
    identities = [name for name in names if IDENTITY.fullmatch(name)]
    movements = [name for name in names if name not in (*identities, NEUTRAL)]
    if not identities or len(names) > MOST_SHAPES:
        raise DataError(
            f"{folder}: {len(identities)} files identityXXX.obj of {len(names)}; expected {MODEL_LAYOUT}"
        )
    mesh = _read(folder / NEUTRAL)
    neutral = _numbers(folder / NEUTRAL, mesh.vertices, 3)
    polygons, textures = np.array(mesh.polygons), np.array(mesh.polygon_textures)
    uv = _numbers(folder / NEUTRAL, mesh.textures, 2)
    _check(folder, polygons, textures, len(neutral), len(uv))
    material = np.array(mesh.material)
    triangles, kinds = kept_triangles(polygons, mesh.names, material)
    of_face = np.array([MATERIALS.get(name) == "face" for name in mesh.names])[material]
    shapes = [_displacement(folder / name, neutral) for name in identities]
    return HeadModel(
        path=folder,
        neutral=neutral,
        identity=np.stack(shapes),
        expression={name[:-4]: _displacement(folder / name, neutral) for name in movements},
        triangles=triangles,
        material=kinds,
        uv=places_of_vertices(len(neutral), polygons, textures, uv, of_face),
        landmarks=_landmarks(folder / INDICES),
    )


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DataError(
                f"{path}: {size / 1024**2:.0f} MB; a file of a head model has less than "
                f"{MOST_BYTES // 1024**2}; name {MODEL_LAYOUT}"
            )
        return path.read_text("ascii")
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; expected {MODEL_LAYOUT}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({one_line(error)}); copy it again") from error


def _read(path: Path) -> _Mesh:
    mesh = _Mesh()
    for number, line in enumerate(_text(path).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            mesh.add(words)
        except (ValueError, IndexError) as error:
            raise DataError(
                f"{path}: line {number} cannot be read ({one_line(error)}); copy it again"
            ) from error
    if not mesh.polygons:
        raise DataError(f"{path}: no polygons; expected {MODEL_LAYOUT}")
    return mesh


def _numbers(path: Path, words: list[str], columns: int) -> np.ndarray:
    try:
        found = np.array(words, dtype=np.float32).reshape(-1, columns)
    except ValueError as error:
        raise DataError(f"{path}: cannot be read ({one_line(error)}); copy it again") from error
    if len(found) > MOST_VERTICES:
        raise DataError(f"{path}: {len(found)} vertices; expected at most {MOST_VERTICES}")
    return found


def _displacement(path: Path, neutral: np.ndarray) -> np.ndarray:
    """How a mesh of the model differs from the neutral one."""
    lines = _text(path).splitlines()
    words = [word for line in lines if line.startswith("v ") for word in line.split()[1:4]]
    found = _numbers(path, words, 3)
    if found.shape != neutral.shape:
        raise DataError(
            f"{path}: {len(found)} vertices; expected {len(neutral)} like {NEUTRAL}; copy the folder again"
        )
    return found - neutral


def _landmarks(path: Path) -> np.ndarray:
    try:
        return np.array(json.loads(_text(path))[LANDMARKS_KEY], dtype=np.int64)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise DataError(
            f"{path}: no list {LANDMARKS_KEY} of vertices ({one_line(error)}); copy it again"
        ) from error


def _check(folder: Path, polygons: np.ndarray, textures: np.ndarray, count: int, uvs: int) -> None:
    """Raise DataError unless polygons name vertices that are there."""
    for name, indices, end in (("vertices", polygons, count), ("textures", textures, uvs)):
        if indices.min() < -1 or indices.max() >= end or (polygons[:, :3] < 0).any():
            raise DataError(
                f"{folder / NEUTRAL}: polygons name {name} that are not there; copy it again"
            )
