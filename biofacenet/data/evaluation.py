"""Faces to judge by: photos, where to look, and what is true of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .. import __version__
from ..decomposition import Decomposition
from ..errors import DataError
from ..files import sha256
from ..physics.colour import srgb_to_linear
from .pairs import FacePairs, decode, find_pairs, read_truth, write_pairs
from .synthetic import SyntheticFaces

__all__ = ["SEED", "TRAINING_SEED", "Faces", "synthetic_faces"]

SEED = 20190909
"""Of the fixed test set; training sets are made from small numbers."""
TRAINING_SEED = 0
NUMBER = "20"
"""Of the pair of files that keeps a set: the held out one, in the published numbering."""


@dataclass(frozen=True)
class Faces:
    """Photos of faces and their true decomposition."""

    name: str
    """What they are, in words."""
    image: Tensor
    """(B, 3, H, W), linear sRGB, H and W divisible by 16."""
    mask: Tensor
    """(B, 1, H, W), 1 where to compare."""
    truth: Decomposition

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, part: slice) -> Faces:
        return Faces(self.name, self.image[part], self.mask[part], self.truth[part])


def generator_digest() -> str:
    """Of everything that decides what the faces of a seed look like: the modules and their figures."""
    package = Path(__file__).parents[1]
    sources = [
        *(package / "data").glob("synthetic*.py"),
        *(package / "physics").glob("*.py"),
        *(package / "physics" / "figures").glob("*.csv"),
    ]
    digests = "".join(sha256(path) for path in sorted(sources))
    return hashlib.sha256((__version__ + digests).encode()).hexdigest()[:12]


def synthetic_faces(
    count: int,
    seed: int = SEED,
    *,
    size: int = 64,
    cache: str | Path | None = None,
    make: Callable[[], list[SyntheticFaces]],
) -> Faces:
    """Faces 0, 1, .. of a seed, with their truth.

    Args:
        count: how many.
        seed: another seed gives other faces.
        size: side of the images in pixels.
        cache: folder in which they are kept as a pair of HDF5 files with truth, so that they are made
            once; a set made by another version of the generator is not taken.
        make: makes the faces where they are not kept, in order.
    """
    name = f"{count} synthetic faces of {size} x {size} pixels, seed {seed}"
    folder = None
    if cache is not None:
        folder = Path(cache) / f"seed-{seed}-size-{size}-{generator_digest()}"
        kept = _kept(folder, count)
        if kept is not None:
            return Faces(name, *kept)
    made = make()
    image = torch.cat([part.image for part in made])
    mask = torch.cat([part.mask for part in made])
    truth = Decomposition.join([part.truth for part in made])
    if folder is not None:
        with write_pairs(folder, NUMBER, truth=True) as writer:
            for part in made:
                writer.append(
                    part.image, part.normals, part.mask, part.coordinates, part.lighting, part.truth
                )
    return Faces(name, srgb_to_linear(image), mask, truth)


def _kept(folder: Path, count: int) -> tuple[Tensor, Tensor, Decomposition] | None:
    """Images, masks and truth of a folder that holds enough of them, undamaged."""
    if not folder.is_dir():
        return None
    try:
        (file,) = find_pairs(folder)
        if file.count < count:
            return None
        batch = decode(FacePairs([file]).read(range(count)))
        return batch.image, batch.mask, read_truth(file, range(count))
    except (DataError, ValueError):
        return None
