"""Finding file pairs of faces, and checking what they say of themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import DataError
from .layout import DATASET, IMAGE_CHANNELS, IMAGE_NAME, LAYOUT, LIGHTING_SHAPE

__all__ = [
    "PairFile",
    "damage_told",
    "dataset_of",
    "find_pairs",
    "open_file",
]


@dataclass(frozen=True)
class PairFile:
    """One numbered pair of files, checked for shape."""

    number: str
    images: Path
    lighting: Path
    count: int
    height: int
    width: int

    @property
    def truth(self) -> Path:
        """Where synthetic pairs keep their true maps."""
        return self.images.with_name(self.images.name.replace("_d10_inmc_", "_truth_"))


def find_pairs(folder: str | Path, numbers: Sequence[str] = ()) -> list[PairFile]:
    """The file pairs of a folder, in the order of their numbers or as asked for.

    Args:
        folder: where the files are.
        numbers: take these only, such as ``("20", "05")``; all when empty.

    Raises:
        DataError: no pairs, a pair that lacks its half, a number that is not there, or files that
            do not have the layout above.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with {LAYOUT}")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = IMAGE_NAME.fullmatch(path.name)
        if match is None:
            continue
        number = match["number"]
        if number in found:
            raise DataError(
                f"{folder}: two image files have the number {number} ({found[number].name} and "
                f"{path.name}); keep one set to a folder"
            )
        found[number] = path
    if not found:
        raise DataError(f"{folder}: no image files; expected {LAYOUT}")
    chosen = list(found)
    if numbers:
        # 5 and 05 mean the same file.
        by_value = {int(number): number for number in found}
        for number in numbers:
            if not number.isdigit() or int(number) not in by_value:
                raise DataError(
                    f"{folder}: no file numbered {number!r}; there are {', '.join(found)}"
                )
        chosen = list(dict.fromkeys(by_value[int(number)] for number in numbers))
    return [_check_pair(number, found[number]) for number in chosen]


def _check_pair(number: str, images: Path) -> PairFile:
    lighting = images.with_name(images.name.replace("_d10_inmc_", "_d3_lrgb_"))
    if not lighting.is_file():
        raise DataError(f"{lighting}: missing; expected beside {images.name} as its other half")
    shape, kind = _describe(images)
    if len(shape) != 4 or shape[1] != IMAGE_CHANNELS or 0 in shape:
        raise DataError(
            f"{images}: {DATASET} has shape {shape}; expected (N, {IMAGE_CHANNELS}, H, W) with N > 0"
        )
    if not (kind.kind == "f" or kind == np.uint8):
        raise DataError(f"{images}: {DATASET} holds {kind}; expected floating point or uint8")
    light_shape, light_kind = _describe(lighting)
    if len(light_shape) != 3 or light_shape[1:] != LIGHTING_SHAPE:
        raise DataError(f"{lighting}: {DATASET} has shape {light_shape}; expected (N, 3, 9)")
    if light_kind.kind != "f":
        raise DataError(f"{lighting}: {DATASET} holds {light_kind}; expected floating point")
    if light_shape[0] != shape[0]:
        raise DataError(
            f"{images} holds {shape[0]} samples but {lighting.name} holds {light_shape[0]}; a pair must "
            "have as many of both: copy both files again"
        )
    return PairFile(number, images, lighting, shape[0], shape[2], shape[3])


def _describe(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of a file's data set, without reading it."""
    with damage_told(path), open_file(path) as file:
        dataset = dataset_of(file, path)
        shape, kind = tuple(dataset.shape), dataset.dtype
        if dataset.chunks is None:
            kept, needed = dataset.id.get_storage_size(), math.prod(shape) * kind.itemsize
            unit = "bytes"
        else:
            kept, unit = dataset.id.get_num_chunks(), "chunks"
            needed = math.prod(-(-n // size) for n, size in zip(shape, dataset.chunks, strict=True))
        if kept != needed:
            raise DataError(
                f"{path}: holds {kept} {unit} of {DATASET} where its shape {shape} needs {needed}; the "
                "file is damaged or unfinished: download or make it again"
            )
        return shape, kind


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """HDF5 meets damaged bytes with errors of many kinds."""
    try:
        yield
    except DataError:
        raise
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}: cannot be read ({reason}); the file is damaged: download or make it again"
        ) from error


def open_file(path: Path) -> h5py.File:
    """The opened file, or DataError."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected an HDF5 file of the layout {LAYOUT}")
    try:
        return h5py.File(path, "r")
    except PermissionError as error:
        raise DataError(f"{path}: permission denied; make the file readable") from error
    except OSError as error:
        raise DataError(
            f"{path}: cannot be opened as HDF5, so it is truncated or of another format "
            f"({error}); download or make it again"
        ) from error


def dataset_of(file: h5py.File, path: Path) -> h5py.Dataset:
    """The data set of one half of a pair, or DataError."""
    dataset = file.get(DATASET)
    if not isinstance(dataset, h5py.Dataset):
        there = ", ".join(file) or "nothing"
        raise DataError(f"{path}: no data set {DATASET!r} inside, only {there}; is it of this set?")
    return dataset
