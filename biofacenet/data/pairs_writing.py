"""Writing file pairs of faces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import h5py
import numpy as np
import torch

from ..system.files import whole_file
from .geometry import Geometry
from .layout import DATASET, LANDMARKS, NORMALS, OCCLUSION, PARTS, SKIN, TRUTH_VERSION, VERSION
from .records import Faces
from .rows import FULL

__all__ = [
    "PairWriter",
    "write_pairs",
]


class PairWriter:
    """Appends samples to the open files of one pair; made by `write_pairs`."""

    def __init__(self, images: h5py.File, lighting: h5py.File, truth: h5py.File | None) -> None:
        self._images, self._lighting, self._truth = images, lighting, truth
        self.count = 0

    def append(self, faces: Faces) -> None:
        """Add a batch of samples.

        Raises:
            ValueError: true maps are to be written and not known, or are of another skin than those
                written before; or geometry is known of these and not of those, or the other way.
        """
        channels = torch.cat(
            (faces.image, (faces.normals + 1.0) / 2.0, faces.mask, faces.coordinates), dim=1
        )
        if self._truth is not None:
            truth = faces.known()
            if self._truth.attrs.get(SKIN, truth.skin) != truth.skin:
                raise ValueError(
                    f"true maps of {truth.skin} skin among those of {self._truth.attrs[SKIN]} skin; "
                    "write a pair of files for each"
                )
            self._truth.attrs[SKIN] = truth.skin
            if self.count and (PARTS in self._truth) != (faces.geometry is not None):
                raise ValueError(
                    "faces whose geometry is known among others; write a pair of files for each"
                )
            self._truth.attrs[VERSION] = TRUTH_VERSION
            for name, values in truth.arrays().items():
                _append(self._truth, name, values)
            if faces.geometry is not None:
                _append_geometry(self._truth, faces.geometry)
        # Integers of 16 bits hold images of 8 exactly, and are read several times as fast as packed ones.
        whole = (channels.clamp(0.0, 1.0) * FULL["uint16"]).round().numpy().astype(np.uint16)
        _append(self._images, DATASET, whole, packed=False)
        _append(self._lighting, DATASET, faces.lighting.numpy())
        self.count += len(faces)


def _append_geometry(file: h5py.File, geometry: Geometry) -> None:
    """Normals and occlusion in 16 bits: they are exact to a thousandth, and half as many bytes."""
    _append(file, NORMALS, geometry.normals.numpy().astype(np.float16))
    _append(file, PARTS, geometry.parts.numpy())
    _append(file, OCCLUSION, geometry.occlusion.numpy().astype(np.float16))
    _append(file, LANDMARKS, geometry.landmarks.numpy())


def _append(file: h5py.File, name: str, values: np.ndarray, *, packed: bool = True) -> None:
    if name not in file:
        packed = packed and values.ndim == 4
        file.create_dataset(
            name,
            data=values,
            maxshape=(None, *values.shape[1:]),
            # Maps: one sample to a chunk, so that shuffled reading touches nothing else.
            chunks=(1, *values.shape[1:]) if values.ndim == 4 else True,
            compression="gzip" if packed else None,
            compression_opts=1 if packed else None,
            shuffle=packed,
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
        truth: also write ``zx_7_truth_<tag>_XX.hdf5`` with true maps, light and camera, and the
            geometry where it is known.
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
