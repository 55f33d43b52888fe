"""Parts of photographs by their landmarks, and who is on them: what training learns beside the pairs.

Landmarks of a folder's table come first; where it has none of a photo, the mesh of the optional model stands
in, if it is installed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ..data.labels import write_labels
from ..decomposition.parts import UNLABELLED
from ..photos.boxes import Box
from .outlines import parts_of_points
from .parts import Plan, Used, read_labels, read_samples
from .people import read_landmarks, who_is_on

__all__ = ["Known", "Tables", "write_labels_of"]

LEAST_INSIDE = 0.9
"""Share of the points that must lie in a face's square, for them to be that face's."""


@dataclass(frozen=True)
class Known:
    """What the tables of a folder say of a photo."""

    person: str = ""
    """The folder and the id of who is on it, empty where nobody knows."""
    points: np.ndarray | None = None
    """(189 or 468, 2), pixels of the upright photo."""

    @property
    def digest(self) -> str:
        """Of the points; empty where there are none."""
        if self.points is None:
            return ""
        return hashlib.sha256(np.ascontiguousarray(self.points).tobytes()).hexdigest()[:8]

    def points_in(self, box: Box, size: int) -> np.ndarray | None:
        """The points in pixels of a square of the photo, if they are of the face in it."""
        if self.points is None:
            return None
        to_photo = box.to_photo(size, size)
        linear, shift = to_photo[:, :2], to_photo[:, 2]
        found = (self.points - shift) @ np.linalg.inv(linear).T
        inside = ((found > 0.0) & (found < size)).all(axis=1).mean()
        return found if inside >= LEAST_INSIDE else None


class Tables:
    """People and landmarks of the folders that photos lie in, each read once.

    See `biofacenet.preparation.people` for the tables.
    """

    def __init__(self) -> None:
        self._people: dict[Path, dict[Path, str]] = {}
        self._points: dict[Path, dict[str, np.ndarray]] = {}

    def of(self, photo: Path) -> Known:
        """What is known of a photo.

        Raises:
            DataError: a table of its folder is damaged.
        """
        folder = photo.parent
        if folder not in self._people:
            self._people[folder] = who_is_on(folder)
            self._points[folder] = read_landmarks(folder) or {}
        person = self._people[folder].get(photo, "")
        return Known(person and f"{folder.name}/{person}", self._points[folder].get(photo.stem))


def write_labels_of(
    path: Path,
    rows: Sequence[tuple[Used, int]],
    plan: Plan,
    known: Mapping[Path, Known],
    everybody: Sequence[str],
) -> None:
    """Parts and persons of the samples of a pair, if some are known.

    Args:
        path: of the file.
        rows: photos, and which of their samples.
        plan: where the samples are.
        known: of each photo.
        everybody: all persons of the set; each has the number of their place.
    """
    said = [known[item.photo] for item, _ in rows]
    persons = np.array([everybody.index(one.person) if one.person else -1 for one in said])
    parts = np.stack([_labels(item, i, plan, known[item.photo]) for item, i in rows])
    if (persons >= 0).any() or (parts != UNLABELLED).any():
        write_labels(path, parts, persons)


def _labels(item: Used, number: int, plan: Plan, said: Known) -> np.ndarray:
    """Parts of a sample: (1, S, S), uint8."""
    facts = item.faces[number]
    box = Box(**{field.name: facts[field.name] for field in fields(Box) if field.name in facts})
    points = said.points_in(box, plan.size)
    part = plan.part(item.digest)
    if points is None:
        return read_labels(part)[number]
    mask = read_samples(part).mask[number, 0].numpy()
    return parts_of_points(points, mask > 0.0)[None]
