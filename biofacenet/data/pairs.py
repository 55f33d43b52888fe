"""Reading the file pairs of faces (`data.layout`) in batches, and decoding them.

Samples are read straight from the files: memory holds one batch, not the set.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..decomposition import Decomposition
from ..errors import DataError
from ..physics.colour import srgb_to_linear
from ..physics.lighting import sh_shading
from ..physics.skin import skin_name
from .layout import IMAGE_CHANNELS, LAYOUT, LIGHTING_SHAPE, SKIN, NormalsEncoding
from .pair_files import PairFile, damage_told, dataset_of, open_file

__all__ = [
    "FaceBatch",
    "FacePairs",
    "RawBatch",
    "decode",
    "read_truth",
]


@dataclass
class RawBatch:
    """Samples as stored, in float32; `decode` turns them into a `FaceBatch`."""

    channels: Tensor
    """(B, 10, H, W)"""
    lighting: Tensor
    """(B, 3, 9)"""
    truth: Decomposition | None = None
    """True maps, light and camera, where they are known and were asked for."""

    def map(self, change: Callable[[Tensor], Tensor]) -> RawBatch:
        """A batch with a function applied to each of its tensors."""
        truth = None if self.truth is None else self.truth.map(change)
        return RawBatch(change(self.channels), change(self.lighting), truth)

    def pin_memory(self) -> RawBatch:
        """Page-locked copies, for fast transfer to a GPU."""
        return self.map(Tensor.pin_memory)

    def to(self, device: torch.device | str) -> RawBatch:
        """A copy on another device."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))


@dataclass
class FaceBatch:
    """What training sees of a batch of faces."""

    image: Tensor
    """(B, 3, H, W), linear sRGB."""
    mask: Tensor
    """(B, 1, H, W), 0 or 1."""
    normals: Tensor
    """(B, 3, H, W), unit length in the mask, zero outside."""
    shading: Tensor
    """(B, 1, H, W), of the normals under the lighting: the rough proxy; zero outside the mask."""
    lighting: Tensor
    """(B, 3, 9)"""
    truth: Decomposition | None = None
    """True maps, light and camera, where they are known."""

    def split(self, parts: int) -> list[FaceBatch]:
        """The batch in equal parts."""
        if parts == 1:
            return [self]
        size = len(self.image) // parts
        places = [slice(part * size, (part + 1) * size) for part in range(parts)]
        return [
            FaceBatch(
                self.image[place],
                self.mask[place],
                self.normals[place],
                self.shading[place],
                self.lighting[place],
                self.truth and self.truth[place],
            )
            for place in places
        ]


class FacePairs(Dataset[RawBatch]):
    """Samples of many file pairs, as one data set that reads whole batches at a time.

    Use it with a `DataLoader` and ``collate_fn=FacePairs.collate``: the loader hands over all
    indices of a batch, and each file is read once for it. Files are opened by the process that
    reads, so any number of workers is safe.

    Args:
        files: from `find_pairs`.
        start: first of the joined samples to use, as in slicing.
        stop: the one after the last.
        in_memory: read everything once and keep it.
        truth: also read what is true of synthetic faces.
    """

    def __init__(
        self,
        files: Sequence[PairFile],
        *,
        start: int = 0,
        stop: int | None = None,
        in_memory: bool = False,
        truth: bool = False,
    ) -> None:
        if not files:
            raise DataError(f"no files to read; expected {LAYOUT}")
        first = files[0]
        for file in files:
            if (file.height, file.width) != (first.height, first.width):
                raise DataError(
                    f"{file.images} has images of {file.height} x {file.width}, {first.images.name} "
                    f"of {first.height} x {first.width}; train on one size at a time (--files)"
                )
        self.files = list(files)
        self.truth = truth
        self.height, self.width = first.height, first.width
        self._ends = np.cumsum([file.count for file in files])
        self._range = range(int(self._ends[-1]))[start:stop]
        self._process = -1
        self._handles: dict[int, tuple[_Rows, _Rows]] = {}
        self._memory: RawBatch | None = None
        if in_memory:
            self._memory = self.read(range(len(self)))

    def __len__(self) -> int:
        return len(self._range)

    def __getitem__(self, index: int) -> RawBatch:
        """One sample, as a batch of one."""
        return self.read([index])

    def __getitems__(self, indices: list[int]) -> RawBatch:
        """A whole batch; the loader calls this."""
        return self.read(indices)

    @staticmethod
    def collate(batch: RawBatch) -> RawBatch:
        """The batch itself: reading already joined the samples."""
        return batch

    def __getstate__(self) -> dict[str, Any]:
        """Open files stay behind when the data set travels to a worker."""
        return {**self.__dict__, "_handles": {}, "_process": -1}

    def read(self, indices: Sequence[int]) -> RawBatch:
        """Samples by their indices, in that order.

        Raises:
            DataError: a file cannot be read, or a sample holds NaN or values out of range.
        """
        wanted = np.array([self._range[index] for index in indices], dtype=np.int64)
        if self._memory is not None:
            chosen = torch.as_tensor(np.asarray(indices, dtype=np.int64))
            return self._memory.map(lambda values: values[chosen])
        channels = torch.empty(len(wanted), IMAGE_CHANNELS, self.height, self.width)
        lighting = torch.empty(len(wanted), *LIGHTING_SHAPE)
        file_of = np.searchsorted(self._ends, wanted, side="right")
        truths, order = [], []
        for number in np.unique(file_of):
            places = np.flatnonzero(file_of == number)
            rows = wanted[places] - (self._ends[number] - self.files[number].count)
            self._read_file(int(number), rows, places, channels, lighting)
            if self.truth:
                truths.append(read_truth(self.files[number], rows))
                order.append(places)
        if not truths:
            return RawBatch(channels, lighting)
        back = torch.from_numpy(np.argsort(np.concatenate(order)))
        return RawBatch(channels, lighting, Decomposition.join(truths).map(lambda x: x[back]))

    def _read_file(
        self,
        number: int,
        rows: np.ndarray,
        places: np.ndarray,
        channels: Tensor,
        lighting: Tensor,
    ) -> None:
        """Rows of one file into their places of a batch."""
        file = self.files[number]
        images, lights = self._open_pair(number)
        with damage_told(file.images):
            block = images.rows(rows)
        with damage_told(file.lighting):
            light = lights.rows(rows)
        if len(places) == len(channels):
            values, lamps = channels.copy_(block), lighting.copy_(light)
        else:
            values, lamps = block.float(), light.float()
        if block.dtype == torch.uint8:
            values.div_(255.0)
        _check_values(file, rows, values, lamps)
        if values is not channels:
            where = torch.from_numpy(places)
            channels[where], lighting[where] = values, lamps

    def _open_pair(self, number: int) -> tuple[_Rows, _Rows]:
        if self._process != os.getpid():  # HDF5 handles do not survive a fork
            self._process, self._handles = os.getpid(), {}
        if number not in self._handles:
            file = self.files[number]
            with damage_told(file.images):
                images = _Rows(file.images)
            with damage_told(file.lighting):
                self._handles[number] = (images, _Rows(file.lighting))
        return self._handles[number]


class _Rows:
    """The samples of one file, read by their numbers.

    A data set that lies in the file in one piece, as published, is read past HDF5, which is several
    times slower at picking rows; any other through it.
    """

    def __init__(self, path: Path) -> None:
        self.dataset = dataset_of(open_file(path), path)
        self._handle: int | None = None
        self._offset = self.dataset.id.get_offset()  # None unless in one piece
        kind = self.dataset.dtype
        if self._offset is not None and kind.isnative and hasattr(os, "preadv"):
            self._handle = self.dataset.file.id.get_vfd_handle()  # HDF5's own, which it closes
            self._bytes = kind.itemsize * math.prod(self.dataset.shape[1:])

    def rows(self, numbers: np.ndarray) -> Tensor:
        """Rows in the order of their numbers, as stored."""
        block = np.empty((len(numbers), *self.dataset.shape[1:]), self.dataset.dtype)
        # A run of neighbours is one read; a list of rows would take HDF5 several times as long.
        breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
        for start, stop in pairwise((0, *breaks.tolist(), len(numbers))):
            first = int(numbers[start])
            if self._handle is None:
                self.dataset.read_direct(
                    block, np.s_[first : first + stop - start], np.s_[start:stop]
                )
            else:
                self._past_hdf5(block[start:stop], first)
        return torch.from_numpy(block)

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


def _select(dataset: h5py.Dataset, rows: np.ndarray) -> np.ndarray:
    """Strictly increasing rows of a data set; one plain slice where they are consecutive."""
    if rows[-1] - rows[0] + 1 == len(rows):
        return np.asarray(dataset[rows[0] : rows[-1] + 1])
    return np.asarray(dataset[rows])


def _check_values(file: PairFile, rows: np.ndarray, channels: Tensor, lighting: Tensor) -> None:
    for path, values in ((file.images, channels), (file.lighting, lighting)):
        # NaN and infinity survive a sum, and a sum is the cheapest pass over the data.
        if not math.isfinite(float(values.sum())):
            finite = values.isfinite().flatten(1).all(dim=1).numpy()
            if finite.all():  # large numbers, no infinite one
                continue
            raise DataError(
                f"{path}: sample {int(rows[~finite][0])} holds NaN or infinite values; remove it or "
                "make the file again"
            )
    low, high = map(float, channels[:, :3].aminmax())
    if low < -1e-3 or high > 1.0 + 1e-3:
        raise DataError(
            f"{file.images}: image values reach from {low:.4g} to {high:.4g}; expected 0..1 for "
            "floating point (divide by 255) or uint8"
        )


def decode(raw: RawBatch, *, normals_encoding: NormalsEncoding = "offset") -> FaceBatch:
    """Stored channels to linear image, mask, unit normals and shading, for a whole batch.

    Runs on whatever device the batch lies on.
    """
    channels = raw.channels
    mask = (channels[:, 6:7] > 0.5).to(channels.dtype)
    normals = channels[:, 3:6]
    if normals_encoding == "offset":
        normals = torch.nn.functional.normalize(2.0 * normals - 1.0, dim=1)
    normals = normals * mask
    return FaceBatch(
        image=srgb_to_linear(channels[:, :3].clamp(0.0, 1.0)),
        mask=mask,
        normals=normals,
        shading=sh_shading(normals, raw.lighting) * mask,
        lighting=raw.lighting,
        truth=raw.truth,
    )


def read_truth(file: PairFile, indices: Sequence[int]) -> Decomposition:
    """True maps, light and camera of samples of a synthetic pair.

    Raises:
        DataError: the pair has no truth file, or it cannot be read.
    """
    from ..physics.illuminant import Illuminant

    rows = np.asarray(indices, dtype=np.int64)
    unique, inverse = np.unique(rows, return_inverse=True)
    with open_file(file.truth) as opened:
        try:
            stored = {
                name: torch.from_numpy(_select(opened[name], unique)[inverse]) for name in opened
            }
            return Decomposition(
                stored["melanin"],
                stored["haemoglobin"],
                stored["diffuse"],
                stored["specular"],
                Illuminant(stored["illuminant_weights"], stored["cct"]),
                stored["camera"],
                skin_name(str(opened.attrs.get(SKIN, "published"))),
            )
        except (KeyError, OSError, ValueError) as error:
            raise DataError(
                f"{file.truth}: not a truth file of synthetic faces ({error}); make it again"
            ) from error
