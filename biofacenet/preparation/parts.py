"""What is kept of each photo: its samples, or why there are none."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from ..data.records import Faces
from ..errors import PhotoError
from ..photos.faces import find_faces
from ..photos.reading import read_photo
from ..physics.lighting import unit
from ..system.files import sha256, whole_file
from ..system.names import shown
from .sample import Method, Sample, UnfitError, make_sample

__all__ = [
    "PART_VERSION",
    "Outcome",
    "Plan",
    "Rejection",
    "Used",
    "look_at",
    "read_facts",
    "read_labels",
    "read_samples",
    "remove_parts",
]

PART_VERSION = 3
"""Changes whenever the same photo and settings would give another sample."""


PART_FOLDER = re.compile(r"\d+-size-\d+-[a-z0-9]+-from-\d+")
"""Names of the folders of parts, as `biofacenet.preparation.photos.plan_of` makes them of settings."""


@dataclass(frozen=True)
class Plan:
    """What decides on the sample of a photo."""

    folder: Path
    """Of part files."""
    size: int
    method: Method
    smallest: int
    model: str = "small"
    """The network that normals come from, where they come from one."""
    mesh: bool = False
    """Whether a mesh of landmarks tells parts."""

    def part(self, digest: str) -> Path:
        """Where the part of a photo with such content is."""
        return self.folder / digest[:2] / f"{digest}.npz"


@dataclass(frozen=True)
class Outcome:
    """What became of a photo."""

    photo: Path
    digest: str
    """Of its content; empty where it could not be read."""
    reason: str = ""
    """Why there is no part."""
    made: bool = False
    """Whether it was this run that made the part."""


@dataclass(frozen=True)
class Rejection:
    """A face or a photo that is not used, and why."""

    photo: Path
    kind: str
    reason: str


@dataclass(frozen=True)
class Used:
    """A photo that samples come from."""

    photo: Path
    digest: str
    faces: tuple[dict[str, Any], ...]
    """Of each sample: its number among the faces, box, certainty and so on."""


# One photo -----------------------------------------------------------------------------------


def look_at(photo: Path, plan: Plan) -> Outcome:
    """Make the part of a photo, unless it is there."""
    try:
        digest = sha256(photo)
    except OSError as error:
        return Outcome(photo, "", reason=f"cannot be read ({error.strerror or error})")
    part = plan.part(digest)
    if is_whole(part):
        return Outcome(photo, digest)
    samples: list[Sample] = []
    faces: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    try:
        opened = read_photo(photo)
        boxes = find_faces(opened.pixels)
        if not boxes:
            raise UnfitError("no face", "no face found; expected one that looks at the camera")
        for number, box in enumerate(boxes, start=1):
            try:
                sample = make_sample(
                    opened,
                    box,
                    size=plan.size,
                    method=plan.method,
                    smallest=plan.smallest,
                    model=plan.model,
                    mesh=plan.mesh,
                )
            except UnfitError as problem:
                rejected.append({"kind": problem.kind, "reason": str(problem)})
                continue
            samples.append(sample)
            faces.append(
                {"face": number, "turned_degrees": round(sample.turned, 1)}
                | {"certainty": round(sample.certainty, 3)}
                | {key: value for key, value in asdict(box).items() if value is not None}
            )
    except UnfitError as problem:
        rejected.append({"kind": problem.kind, "reason": str(problem)})
    except PhotoError as problem:
        reason = str(problem).removeprefix(f"{shown(photo)}: ")
        rejected.append({"kind": "unreadable", "reason": reason})
    except (cv2.error, RuntimeError, ValueError, MemoryError) as problem:
        # One odd photo does not stop a collection; without a part, it is tried again next time.
        reason = " ".join(f"{type(problem).__name__}: {problem}".split())
        return Outcome(photo, digest, reason=reason)
    write_part(part, samples, {"faces": faces, "rejected": rejected}, plan.size)
    return Outcome(photo, digest, made=True)


def write_part(part: Path, samples: list[Sample], facts: dict[str, Any], size: int) -> None:
    """Write the samples of a photo, and what was not used of it."""

    def joined(values: list[Tensor], shape: tuple[int, ...], kind: type[np.generic]) -> np.ndarray:
        if not values:
            return np.zeros((0, *shape), kind)
        return torch.stack(values).numpy().astype(kind)

    plane = (size, size)
    with whole_file(part) as temporary:
        np.savez_compressed(
            temporary,
            image=joined([255.0 * s.image.double() + 0.5 for s in samples], (3, *plane), np.uint8),
            normals=joined([s.normals for s in samples], (3, *plane), np.float16),
            mask=joined([s.mask for s in samples], (1, *plane), np.uint8),
            coordinates=joined([s.coordinates for s in samples], (3, *plane), np.float16),
            lighting=joined([s.lighting for s in samples], (3, 9), np.float32),
            labels=joined([s.labels for s in samples], (1, *plane), np.uint8),
            facts=np.array(json.dumps(facts)),
        )


def is_whole(part: Path) -> bool:
    """Whether a part is there and readable to its end."""
    try:
        with zipfile.ZipFile(part) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def read_facts(part: Path) -> dict[str, Any]:
    """Which faces of a photo were used and which were not."""
    with np.load(part, allow_pickle=False) as stored:
        facts: dict[str, Any] = json.loads(str(stored["facts"]))
    return facts


def read_samples(part: Path) -> Faces:
    """The samples of a part."""
    with np.load(part, allow_pickle=False) as stored:
        image, normals, mask, coordinates, lighting = (
            torch.from_numpy(stored[name]).float()
            for name in ("image", "normals", "mask", "coordinates", "lighting")
        )
    # Sixteen bits leave the length of a normal off by some ten-thousandths.
    normals = unit(normals, dim=1)
    return Faces(image / 255.0, normals, mask, coordinates, lighting)


def read_labels(part: Path) -> np.ndarray:
    """Labels of the samples of a part, by the mesh, if it was there: (N, 1, S, S), uint8."""
    with np.load(part, allow_pickle=False) as stored:
        labels: np.ndarray = stored["labels"]
    return labels


def remove_parts(folder: Path) -> None:
    """Remove parts of all settings from a folder, and the folder if nothing else is in it."""
    with contextlib.suppress(OSError):
        for path in list(folder.iterdir()):
            if PART_FOLDER.fullmatch(path.name) and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
        folder.rmdir()
