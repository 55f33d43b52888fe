"""What the page works with: a network, photos, open sessions, examples."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from ..analysis.methods import ByFitting, ByNetwork
from ..data.synthetic.faces import generate
from ..errors import PhotoError
from ..network.unet import BioFaceNet
from ..photos.reading import Photo, read_photo
from .session import Session, Sessions

__all__ = [
    "EXAMPLE_SIDE",
    "Studio",
    "examples",
]

NETWORK, FITTING = "Network, then fitted", "Fitted without a network"

EXAMPLE_SEEDS = (500_003, 500_011, 500_004)
"""Synthetic faces that are offered to try."""

EXAMPLE_SIDE = 192


@dataclass
class Studio:
    """Photos to sessions, within limits."""

    model: BioFaceNet | None = None
    """Network to decompose with; photos are fitted without."""
    size: int = 96
    """Side of the square that the network sees, in pixels."""
    resolution: int = 256
    """Side of the maps, and of what is fitted without a network."""
    refine: int = 60
    """Steps of fitting from the network's answer."""
    most_megabytes: int = 40
    """Largest file that is taken."""
    most_megapixels: int = 50
    """Largest photo that is taken."""
    sessions: Sessions = field(default_factory=Sessions)

    @property
    def methods(self) -> list[str]:
        """Ways to decompose, the usual one first."""
        return [FITTING] if self.model is None else [NETWORK, FITTING]

    def read(self, path: str | Path) -> Photo:
        """A photo within the limits.

        Raises:
            PhotoError: as `read_photo`; without the folder, which means nothing to who uploaded it.
        """
        path = Path(path)
        if path.stat().st_size > self.most_megabytes * 2**20:
            raise PhotoError(
                f"{path.name}: larger than {self.most_megabytes} MB; expected a smaller "
                "file, shrink it first"
            )
        try:
            return read_photo(path, max_pixels=self.most_megapixels * 1_000_000)
        except PhotoError as error:
            raise PhotoError(str(error).replace(str(path), path.name)) from error

    def open(self, photo: Photo, method: str) -> str:
        """Decompose a photo; the name of its session."""
        if method == NETWORK and self.model is not None:
            result = ByNetwork(self.model, self.size, self.refine, self.resolution)(photo)
        else:
            method = FITTING
            result = ByFitting(self.resolution)(photo)
        return self.sessions.add(Session(result, method=method))


@cache
def examples() -> tuple[Photo, ...]:
    """Faces to try: synthetic ones, and scikit-image's portrait where that is installed."""
    faces = generate(EXAMPLE_SEEDS, size=EXAMPLE_SIDE).image
    photos = [
        Photo(Path(f"synthetic-{i}.png"), one, notes=("a synthetic face",))
        for i, one in enumerate(faces, 1)
    ]
    if find_spec("skimage") is not None:
        from skimage import data

        stored = np.array(data.astronaut())  # type: ignore[no-untyped-call,unused-ignore]
        portrait = torch.from_numpy(stored.transpose(2, 0, 1).copy())
        photos.insert(0, Photo(Path("astronaut.png"), portrait.float() / 255.0))
    return tuple(photos)
