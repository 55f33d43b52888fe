"""What is known of photographs beside their pairs: which part some pixels show, and who is on them.

``zx_7_labels_<tag>_XX.hdf5`` beside a pair of files, as `prepare` writes it:

- ``parts``, (N, 1, H, W), uint8: index into `PART_NAMES`, or `UNLABELLED`;
- ``person``, (N,), integers: equal for photographs of one person, in all files of a folder; -1 where
  nobody knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import torch

from ..decomposition.parts import PART_NAMES, UNLABELLED
from ..errors import DataError
from ..system.files import whole_file
from .geometry import Geometry
from .hdf5_opening import damage_told, dataset_of, open_file
from .layout import PARTS
from .pair_files import PairFile
from .rows import Rows

__all__ = ["PERSON", "has_labels", "labels_path", "read_labels", "read_persons", "write_labels"]

PERSON = "person"


def labels_path(file: PairFile) -> Path:
    """Where the labels of a pair are, if there are some."""
    return file.images.with_name(file.images.name.replace("_d10_inmc_", "_labels_"))


def has_labels(file: PairFile) -> bool:
    """Whether a part is known of some pixel of a pair's photographs."""
    if not labels_path(file).is_file():
        return False
    rows = _parts(file)
    numbers = range(file.count)
    # A few at a time: the first photograph mostly tells.
    return any((rows.read(np.array([number])) != UNLABELLED).any() for number in numbers)


def read_labels(file: PairFile, numbers: np.ndarray) -> Geometry | None:
    """Parts of photographs by their numbers, all else unknown; nothing where a pair has no labels.

    Raises:
        DataError: the file is damaged, not of these photographs, or holds what is no label.
    """
    path = labels_path(file)
    if not path.is_file():
        return None
    parts = torch.from_numpy(_parts(file).read(numbers))
    odd = ((parts >= len(PART_NAMES)) & (parts != UNLABELLED)).flatten(1).any(dim=1)
    if odd.any():
        bad = int(odd.int().argmax())
        raise DataError(
            f"{path}: {PARTS} of sample {int(numbers[bad])} holds what is no label; expected "
            f"0..{len(PART_NAMES) - 1} or {UNLABELLED}; make it again"
        )
    geometry = Geometry.unknown(len(numbers), file.height, file.width)
    geometry.parts = parts
    return geometry


def _parts(file: PairFile) -> Rows:
    path = labels_path(file)
    rows = Rows(path, PARTS)
    expected = (file.count, 1, file.height, file.width)
    if rows.shape != expected or rows.kind != "uint8":
        raise DataError(
            f"{path}: {PARTS} has shape {rows.shape} of {rows.kind}; expected {expected} of uint8 like "
            f"{file.images.name}; copy or make the files of this number again, together"
        )
    return rows


def read_persons(files: Sequence[PairFile]) -> np.ndarray:
    """Who is on each sample of some pairs, one after the other: int64, -1 where nobody knows.

    Raises:
        DataError: a file is damaged or not of these photographs.
    """
    found = []
    for file in files:
        path = labels_path(file)
        if not path.is_file():
            found.append(np.full(file.count, -1, np.int64))
            continue
        with damage_told(path), open_file(path) as opened:
            values = np.asarray(dataset_of(opened, path, PERSON)[()])
        if values.shape != (file.count,) or values.dtype.kind not in "iu":
            raise DataError(
                f"{path}: {PERSON} has shape {values.shape} of {values.dtype}; expected "
                f"({file.count},) of integers; make it again"
            )
        found.append(values.astype(np.int64))
    return np.concatenate(found)


def write_labels(path: Path, parts: np.ndarray, persons: np.ndarray) -> None:
    """Write the labels of a pair.

    Args:
        path: see `labels_path`.
        parts: (N, 1, H, W), uint8.
        persons: (N,), integers.
    """
    with whole_file(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset(
            PARTS, data=parts, chunks=(1, *parts.shape[1:]), compression="gzip", compression_opts=1
        )
        file.create_dataset(PERSON, data=persons.astype(np.int64))
