"""Faces to try: files that come with the package, so that they are there at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ..photos.boxes import Box, Part, crop
from ..photos.paths import EXAMPLE
from ..photos.reading import Photo, read_photo
from ..plotting.encoding import eight_bit, jpeg

__all__ = ["SEEDS", "Example", "examples"]

FOLDER = Path(__file__).parent / "examples"

SEEDS = {"fair": 500_020, "dark": 500_004}
"""Of `biofacenet.data.generate`, by the names of the files that `docs/make_pictures.py` makes of them."""

BUTTON = 160
"""Side of an example's button, in pixels."""


@dataclass(frozen=True)
class Example:
    """A face to try."""

    path: Path
    title: str
    synthetic: bool = True
    """Whether the picture is framed as faces are for the network."""

    def photo(self) -> Photo:
        """The picture as it is read from any file."""
        return read_photo(self.path)

    def part(self, photo: Photo) -> Part | None:
        """What to look at, where that is known."""
        if not self.synthetic:
            return None
        return Part(Box.whole(photo.height, photo.width), "face", "a synthetic face")

    def button(self) -> bytes:
        """A small square of it, as JPEG."""
        photo = self.photo()
        square = Box.central(photo.height, photo.width)
        return jpeg(eight_bit(crop(photo.pixels, square, BUTTON)))


@cache
def examples() -> tuple[Example, ...]:
    """Synthetic faces, and before them scikit-image's portrait of an astronaut where that is installed."""
    found = [Example(EXAMPLE, "synthetic face")]
    found += [Example(FOLDER / f"{name}.jpg", f"{name} synthetic face") for name in SEEDS]
    package = find_spec("skimage")
    for folder in (package.submodule_search_locations or []) if package else []:
        portrait = Path(folder) / "data" / "astronaut.png"
        if portrait.is_file():
            found.insert(0, Example(portrait, "Eileen Collins, NASA", synthetic=False))
    return tuple(found)
