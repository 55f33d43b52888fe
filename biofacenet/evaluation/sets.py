"""Faces to judge by: photos, where to look, and what is true of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .._version import __version__
from ..data.pair_files import find_pairs
from ..data.pairs import FacePairs, decode
from ..data.pairs_writing import write_pairs
from ..data.records import Faces
from ..data.synthetic.batches import FaceBatches
from ..data.truth import read_truth
from ..decomposition import Decomposition
from ..errors import DataError
from ..physics.colour import srgb_to_linear
from ..physics.names import SkinName
from ..system.files import sha256
from .settings import COUNT

__all__ = ["SEED", "SIZE", "TRAINING_SEED", "KnownFaces", "fixed_faces"]

SEED = 20190909
"""Of the fixed test set; training sets are made from small numbers."""

TRAINING_SEED = 0

NUMBER = "20"
"""Of the pair of files that keeps a set: the held out one, in the published numbering."""
SIZE = 64
"""Side of all images, that of the training images."""


@dataclass(frozen=True)
class KnownFaces:
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

    def __getitem__(self, part: slice) -> KnownFaces:
        return KnownFaces(self.name, self.image[part], self.mask[part], self.truth[part])


def generator_digest() -> str:
    """Of everything that decides what the faces of a seed look like: the modules and their figures."""
    package = Path(__file__).parents[1]
    sources = [
        *(package / "data" / "synthetic").rglob("*.py"),
        *(package / "physics").glob("*.py"),
        *(package / "physics" / "figures").glob("*.csv"),
    ]
    digests = "".join(sha256(path) for path in sorted(sources))
    return hashlib.sha256((__version__ + digests).encode()).hexdigest()[:12]


def fixed_faces(
    count: int = COUNT,
    seed: int = SEED,
    *,
    size: int = SIZE,
    skin: SkinName = "published",
    cache: str | Path | None = None,
    tick: Callable[[int], object] = lambda _: None,
) -> KnownFaces:
    """The first faces of the fixed synthetic test set, which no training set holds, with their truth.

    The same for the same numbers on every machine; 500 take a quarter of a minute on two cores.

    Args:
        count: how many.
        seed: another one gives another set.
        size: side of the images in pixels.
        skin: which constants of the skin model their maps are of.
        cache: folder in which they are kept as a pair of HDF5 files with truth, so that they are made
            once; a set made by another version of the generator is not taken.
        tick: told of how many faces are done.
    """
    of_skin = "" if skin == "published" else f", {skin} skin"
    name = f"{count} synthetic faces of {size} x {size} pixels{of_skin}, seed {seed}"
    folder = None
    if cache is not None:
        folder = Path(cache) / f"seed-{seed}-size-{size}-{skin}-{generator_digest()}"
        kept = _kept(folder, count)
        if kept is not None:
            return KnownFaces(name, *kept)
    made = []
    for part in FaceBatches(range(count), seed, size=size, skin=skin).made_in_parallel():
        made.append(part)
        tick(len(part))
    faces = Faces.join(made)
    if folder is not None:
        with write_pairs(folder, NUMBER, truth=True) as writer:
            writer.append(faces)
    return KnownFaces(name, srgb_to_linear(faces.image), faces.mask, faces.known())


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
