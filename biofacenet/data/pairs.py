"""Reading the file pairs of faces (`data.layout`) in batches, and decoding them.

Samples are read straight from the files: memory holds one batch, not the set.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..decomposition import Decomposition
from ..errors import DataError
from ..physics.colour import srgb_to_linear
from ..physics.lighting import sh_shading, unit
from ..system.brief import Brief
from .geometry import Geometry
from .labels import read_labels
from .layout import DATASET, IMAGE_CHANNELS, LAYOUT, LIGHTING_SHAPE, NormalsEncoding
from .pair_files import PairFile
from .rows import Rows
from .truth import Truth

__all__ = [
    "FaceBatch",
    "FacePairs",
    "RawBatch",
    "decode",
]

RANGES = (
    ("image", slice(0, 3), -1e-3, 1.0 + 1e-3),
    ("normal", slice(3, 6), -1.5, 1.5),
    ("mask", slice(6, 7), -0.5, 1.5),
)
"""What channels may hold: normals and masks that were resized overshoot; some store normals in -1..1."""


@dataclass
class RawBatch:
    """Samples as stored, in float32; `decode` turns them into a `FaceBatch`."""

    channels: Tensor
    """(B, 10, H, W)"""
    lighting: Tensor
    """(B, 3, 9)"""
    truth: Decomposition | None = None
    """True maps, light and camera, where they are known and were asked for."""
    geometry: Geometry | None = None
    """Normals, parts, occlusion and landmarks, where they are known of some and were asked for."""

    def map(self, change: Callable[[Tensor], Tensor]) -> RawBatch:
        """A batch with a function applied to each of its tensors."""
        truth = None if self.truth is None else self.truth.map(change)
        geometry = None if self.geometry is None else self.geometry.map(change)
        return RawBatch(change(self.channels), change(self.lighting), truth, geometry)

    def pin_memory(self) -> RawBatch:
        """Page-locked copies, for fast transfer to a GPU."""
        return self.map(Tensor.pin_memory)

    def to(self, device: torch.device | str) -> RawBatch:
        """A copy on another device."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))


@dataclass(repr=False)
class FaceBatch(Brief):
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
    geometry: Geometry | None = None
    """Normals of the whole head, parts, occlusion and landmarks, where they are known of some."""

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
                self.geometry and self.geometry[place],
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
        truth: also read the true maps, light and camera of synthetic faces.
        geometry: also read normals, parts, occlusion and landmarks, from truth files that have them.
    """

    def __init__(
        self,
        files: Sequence[PairFile],
        *,
        start: int = 0,
        stop: int | None = None,
        in_memory: bool = False,
        truth: bool = False,
        geometry: bool = False,
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
        self.truth, self.geometry = truth, geometry
        self.height, self.width = first.height, first.width
        self._ends = np.cumsum([file.count for file in files])
        self._range = range(int(self._ends[-1]))[start:stop]
        self._process = -1
        self._handles: dict[int, tuple[Rows, Rows]] = {}
        self._truths: dict[int, Truth] = {}
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
        return {**self.__dict__, "_handles": {}, "_truths": {}, "_process": -1}

    def read(self, indices: Sequence[int]) -> RawBatch:
        """Samples by their indices, in that order.

        Raises:
            DataError: a file cannot be read, or a sample holds NaN or values out of range.
        """
        wanted = np.array([self._range[index] for index in indices], dtype=np.int64)
        if self._memory is not None:
            chosen = torch.as_tensor(np.asarray(indices, dtype=np.int64))
            return self._memory.map(lambda values: values[chosen])
        channels = torch.empty(
            len(wanted), IMAGE_CHANNELS, self.height, self.width, dtype=torch.float32
        )
        lighting = torch.empty(len(wanted), *LIGHTING_SHAPE, dtype=torch.float32)
        file_of = np.searchsorted(self._ends, wanted, side="right")
        truths: list[Decomposition] = []
        shapes: list[Geometry | None] = []
        order = []
        for number in np.unique(file_of):
            places = np.flatnonzero(file_of == number)
            rows = wanted[places] - (self._ends[number] - self.files[number].count)
            self._read_file(int(number), rows, places, channels, lighting)
            order.append(places)
            if self.truth:
                truths.append(self._open_truth(int(number)).read(rows))
            if self.geometry:
                shapes.append(self._read_geometry(int(number), rows))
        back = (
            torch.from_numpy(np.argsort(np.concatenate(order))) if order else torch.empty(0).long()
        )
        maps = Decomposition.join(truths).map(lambda x: x[back]) if truths else None
        return RawBatch(channels, lighting, maps, self._joined(shapes, order, back))

    def _joined(
        self, shapes: Sequence[Geometry | None], places: Sequence[np.ndarray], back: Tensor
    ) -> Geometry | None:
        """Geometry of the files of a batch, in the order of its samples; nothing where none has any."""
        if all(shape is None for shape in shapes):
            return None
        whole = [
            shape or Geometry.unknown(len(rows), self.height, self.width)
            for shape, rows in zip(shapes, places, strict=True)
        ]
        return Geometry.join(whole).map(lambda x: x[back])

    def _read_geometry(self, number: int, rows: np.ndarray) -> Geometry | None:
        """Of rows of one file, where it is known: old ones have none, pairs of photos labels at most."""
        if not self.files[number].truth.is_file():
            return read_labels(self.files[number], rows)
        return self._open_truth(number).read_geometry(rows)

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
        block = torch.from_numpy(images.read(rows))
        light = torch.from_numpy(lights.read(rows))
        if len(places) == len(channels):
            values, lamps = channels.copy_(block), lighting.copy_(light)
        else:
            values, lamps = block.float(), light.float()
        if images.full != 1.0:
            values.div_(images.full)
        _check_values(file, rows, values, lamps)
        if values is not channels:
            where = torch.from_numpy(places)
            channels[where], lighting[where] = values, lamps

    def _open_pair(self, number: int) -> tuple[Rows, Rows]:
        self._forget_after_fork()
        if number not in self._handles:
            file = self.files[number]
            images, lights = Rows(file.images), Rows(file.lighting)
            for rows, shape in ((images, file.shape), (lights, (file.count, *LIGHTING_SHAPE))):
                if rows.shape != shape:
                    raise DataError(
                        f"{rows.path}: {DATASET} has shape {rows.shape} and had {shape} at the start; put "
                        "the earlier file back, or start again"
                    )
            self._handles[number] = (images, lights)
        return self._handles[number]

    def _open_truth(self, number: int) -> Truth:
        self._forget_after_fork()
        if number not in self._truths:
            truth = Truth(self.files[number])
            for other in self._truths.values():
                if truth.skin != other.skin:
                    raise DataError(
                        f"{truth.path}: true maps of {truth.skin} skin among those of {other.skin} skin "
                        f"({other.path.name}); name files of one skin (--files)"
                    )
            self._truths[number] = truth
        return self._truths[number]

    def _forget_after_fork(self) -> None:
        if self._process != os.getpid():  # HDF5 handles do not survive a fork
            self._process, self._handles, self._truths = os.getpid(), {}, {}


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
    scale = "0..1 for floating point, 0..255 for uint8, 0..65535 for uint16"
    for name, part, lowest, highest in RANGES:
        low, high = map(float, channels[:, part].aminmax())
        if low < lowest or high > highest:
            raise DataError(
                f"{file.images}: {name} values reach from {low:.4g} to {high:.4g}; expected {scale}: "
                "divide, or make the file again"
            )
    # `high` is the mask's, the last of them.
    if 0.0 < high <= 0.5:
        raise DataError(
            f"{file.images}: the mask reaches {high:.4g} of 1 at most; expected 0 and 1, and in integers, "
            "as for the images, 0 and 255 (uint8) or 65535 (uint16)"
        )


def decode(raw: RawBatch, *, normals_encoding: NormalsEncoding = "offset") -> FaceBatch:
    """Stored channels to linear image, mask, unit normals and shading, for a whole batch.

    Runs on whatever device the batch lies on.
    """
    channels = raw.channels
    mask = (channels[:, 6:7] > 0.5).to(channels.dtype)
    normals = channels[:, 3:6]
    if normals_encoding == "offset":
        normals = unit(2.0 * normals - 1.0, dim=1)
    normals = normals * mask
    return FaceBatch(
        image=srgb_to_linear(channels[:, :3].clamp(0.0, 1.0)),
        mask=mask,
        normals=normals,
        shading=sh_shading(normals, raw.lighting) * mask,
        lighting=raw.lighting,
        truth=raw.truth,
        geometry=raw.geometry,
    )
