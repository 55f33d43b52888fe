"""Rows of an HDF5 data set, by their numbers, each time as fast as its storage allows."""

from __future__ import annotations

import math
import os
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
from h5py import h5t

from ..errors import DataError
from .hdf5_opening import damage_told, dataset_of, open_file
from .hdf5_storage import check_whole, with_raw_files
from .layout import DATASET

__all__ = ["FULL", "Rows"]

FULL = {"uint8": 255.0, "uint16": 65535.0}
"""What stands for 1 in integers."""

AS_STORED = {"float16", "float32", "float64", "uint8"}
"""Kinds that torch takes as they are; HDF5 turns all others into float32."""


class Rows:
    """The samples of one data set, checked to be all there.

    A data set that lies in the file in one piece, as published, is read past HDF5, which is several
    times slower at picking rows; any other through it.

    Args:
        path: of the HDF5 file.
        name: of the data set.
        file: the opened file, where it is open.

    Raises:
        DataError: the file or a part of it cannot be read.
    """

    def __init__(self, path: Path, name: str = DATASET, file: h5py.File | None = None) -> None:
        self.path, self.name = path, name
        self._handle: int | None = None
        with damage_told(path):
            self.dataset = with_raw_files(dataset_of(file or open_file(path), path, name))
            if self.dataset.shape is None:
                raise DataError(f"{path}: {name} holds nothing; make the file again")
            self.shape: tuple[int, ...] = tuple(self.dataset.shape)
            self.kind = _kind_of(self.dataset, path, name)
            """Such as ``float64``, big-endian or not; of what are no numbers, in words."""
            # What are no numbers is for the caller to refuse.
            numbers = self.is_float or self.kind in FULL
            self._others = check_whole(self.dataset, path) if numbers else ()
            self._prepare()

    def _prepare(self) -> None:
        made = self.dataset.id.get_create_plist()
        stored = self.dataset.dtype.newbyteorder("=")
        # Also not floats of other bits than the processor's, of which HDF5 has many.
        plain = self.kind in AS_STORED and self.dataset.id.get_type().equal(h5t.py_create(stored))
        self._kind = stored if plain else np.dtype(np.float32)
        self._packed = bool(
            self.dataset.chunks and self.dataset.chunks[0] > 1 and made.get_nfilters()
        )
        self._offset = self.dataset.id.get_offset()  # None unless in one piece
        if plain and self._offset is not None and hasattr(os, "preadv"):
            self._handle = self.dataset.file.id.get_vfd_handle()  # HDF5's own, which it closes
            self._bytes = stored.itemsize * math.prod(self.shape[1:])

    @property
    def is_float(self) -> bool:
        """Whether the values are floating point, of any precision and byte order."""
        return self.kind.startswith("float")

    @property
    def full(self) -> float:
        """What stands for 1: the largest integer, or 1."""
        return FULL.get(self.kind, 1.0)

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Rows in the order of their numbers, in the kind they are stored in or float32, not divided.

        Raises:
            DataError: they cannot be read.
        """
        with damage_told(self.path):
            try:
                return self._rows(numbers)
            finally:
                for other in self._others:
                    other.check(self.path)

    def _rows(self, numbers: np.ndarray) -> np.ndarray:
        # A run of neighbours is one read; a list of rows would take HDF5 several times as long.
        breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
        runs = list(pairwise((0, *breaks.tolist(), len(numbers))))
        if self._packed and len(runs) > 1:
            return self._of_shared_chunks(numbers)
        block = np.empty((len(numbers), *self.shape[1:]), self._kind)
        for start, stop in runs:
            self._run(block[start:stop], int(numbers[start]))
        return block

    def _run(self, block: np.ndarray, first: int) -> None:
        """Consecutive rows."""
        if self._handle is not None:
            self._past_hdf5(block, first)
        else:
            self.dataset.read_direct(block, np.s_[first : first + len(block)])

    def _of_shared_chunks(self, numbers: np.ndarray) -> np.ndarray:
        """Rows of chunks that hold several: in one read, for which HDF5 unpacks each chunk once."""
        rows, back = np.unique(numbers, return_inverse=True)
        block = np.empty((len(rows), *self.shape[1:]), self._kind)
        self.dataset.read_direct(block, rows)
        return block[back]

    def _past_hdf5(self, block: np.ndarray, first: int) -> None:
        """Consecutive rows, straight from the file."""
        assert self._handle is not None
        assert self._offset is not None
        part, at = block.reshape(-1).view(np.uint8).data, self._offset + first * self._bytes
        while len(part):
            count = os.preadv(self._handle, [part], at)
            if count == 0:
                raise OSError(f"the file ends at byte {at}")
            part, at = part[count:], at + count


def _kind_of(dataset: h5py.Dataset, path: Path, name: str) -> str:
    """See `Rows.kind`."""
    try:
        kind = dataset.dtype
    except TypeError as error:
        raise DataError(
            f"{path}: {name} holds values of a kind that h5py does not read ({error}); write floating "
            "point"
        ) from error
    if kind.names:
        return f"records of {', '.join(kind.names)}"
    return str(kind.name if kind.kind in "fu" else kind)
