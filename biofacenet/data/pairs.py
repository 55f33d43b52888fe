"""The Neural Face Editing file pairs: reading, decoding, writing.

A set is a folder of numbered pairs of HDF5 files, each with a data set ``zx_7``:

- ``zx_7_d10_inmc_<tag>_XX.hdf5``, (N, 10, H, W): sRGB image in 0..1, surface normal stored as
  (n + 1) / 2, face mask, face coordinates;
- ``zx_7_d3_lrgb_<tag>_XX.hdf5``, (N, 3, 9): spherical harmonic lighting per colour channel.

Samples are read in batches, straight from the files: memory holds one batch, not the set.

Source: Shu et al., Neural Face Editing with Intrinsic Image Disentangling, CVPR 2017.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..decomposition import Decomposition
from ..errors import DataError
from ..files import whole_file
from ..physics.colour import srgb_to_linear
from ..physics.lighting import sh_shading
from ..physics.skin import skin_name

__all__ = [
    "FaceBatch",
    "FacePairs",
    "NormalsEncoding",
    "PairFile",
    "PairWriter",
    "RawBatch",
    "decode",
    "find_pairs",
    "read_truth",
    "write_pairs",
]

DATASET = "zx_7"
IMAGE_CHANNELS = 10
LIGHTING_SHAPE = (3, 9)
SKIN = "skin"
"""Attribute of truth files: which skin the maps are of; the published one where there is none."""
IMAGE_NAME = re.compile(r"zx_7_d10_inmc_(?P<tag>.+)_(?P<number>\d+)\.hdf5")
LAYOUT = "zx_7_d10_inmc_celebA_XX.hdf5 beside zx_7_d3_lrgb_celebA_XX.hdf5"

NormalsEncoding = Literal["offset", "stored"]
"""``offset``: normals are stored as (n + 1) / 2, the published form. ``stored``: take the numbers as
they are, as some earlier readers did; for comparison with their results only."""


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
    with _damage_told(path), _open(path) as file:
        dataset = _dataset(file, path)
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
def _damage_told(path: Path) -> Iterator[None]:
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


def _open(path: Path) -> h5py.File:
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


def _dataset(file: h5py.File, path: Path) -> h5py.Dataset:
    dataset = file.get(DATASET)
    if not isinstance(dataset, h5py.Dataset):
        there = ", ".join(file) or "nothing"
        raise DataError(f"{path}: no data set {DATASET!r} inside, only {there}; is it of this set?")
    return dataset


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
        with _damage_told(file.images):
            block = images.rows(rows)
        with _damage_told(file.lighting):
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
            with _damage_told(file.images):
                images = _Rows(file.images)
            with _damage_told(file.lighting):
                self._handles[number] = (images, _Rows(file.lighting))
        return self._handles[number]


class _Rows:
    """The samples of one file, read by their numbers.

    A data set that lies in the file in one piece, as published, is read past HDF5, which is several
    times slower at picking rows; any other through it.
    """

    def __init__(self, path: Path) -> None:
        self.dataset = _dataset(_open(path), path)
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


class PairWriter:
    """Appends samples to the open files of one pair; made by `write_pairs`."""

    def __init__(self, images: h5py.File, lighting: h5py.File, truth: h5py.File | None) -> None:
        self._images, self._lighting, self._truth = images, lighting, truth
        self.count = 0

    def append(
        self,
        image: Tensor,  # [B, 3, H, W], sRGB-encoded, 0..1
        normals: Tensor,  # [B, 3, H, W], unit length
        mask: Tensor,  # [B, 1, H, W], 0 or 1
        coordinates: Tensor,  # [B, 3, H, W]
        lighting: Tensor,  # [B, 3, 9]
        truth: Decomposition | None = None,
    ) -> None:
        """Add a batch of samples."""
        channels = torch.cat((image, (normals + 1.0) / 2.0, mask, coordinates), dim=1)
        _append(self._images, DATASET, channels.numpy())
        _append(self._lighting, DATASET, lighting.numpy())
        if self._truth is not None and truth is not None:
            self._truth.attrs[SKIN] = truth.skin
            for name, values in truth.arrays().items():
                _append(self._truth, name, values)
        self.count += len(image)


def _append(file: h5py.File, name: str, values: np.ndarray) -> None:
    if name not in file:
        file.create_dataset(
            name,
            data=values,
            maxshape=(None, *values.shape[1:]),
            # Maps: one sample to a chunk, so that shuffled reading touches nothing else.
            chunks=(1, *values.shape[1:]) if values.ndim == 4 else True,
            compression="gzip" if values.ndim == 4 else None,
            compression_opts=1 if values.ndim == 4 else None,
            shuffle=values.ndim == 4,
        )
        return
    dataset = file[name]
    dataset.resize(len(dataset) + len(values), axis=0)
    dataset[-len(values) :] = values


@contextmanager
def write_pairs(
    folder: str | Path, number: str, *, tag: str = "synthetic", truth: bool = False
) -> Iterator[PairWriter]:
    """Write one pair of files; they appear when the block ends well.

    Args:
        folder: made when missing.
        number: two digits, such as ``01``.
        tag: part of the file names; the published set has ``celebA``.
        truth: also write ``zx_7_truth_<tag>_XX.hdf5`` with true maps, light and camera.
    """
    folder = Path(folder)
    with ExitStack() as stack:
        files = [
            stack.enter_context(whole_file(folder / f"zx_7_{kind}_{tag}_{number}.hdf5"))
            for kind in ("truth", "d3_lrgb", "d10_inmc")
            if truth or kind != "truth"
        ]
        opened = [h5py.File(path, "w") for path in files]
        try:
            yield PairWriter(opened[-1], opened[-2], opened[0] if truth else None)
        finally:
            for file in opened:
                file.close()


def read_truth(file: PairFile, indices: Sequence[int]) -> Decomposition:
    """True maps, light and camera of samples of a synthetic pair.

    Raises:
        DataError: the pair has no truth file, or it cannot be read.
    """
    from ..physics.illuminant import Illuminant

    rows = np.asarray(indices, dtype=np.int64)
    unique, inverse = np.unique(rows, return_inverse=True)
    with _open(file.truth) as opened:
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
