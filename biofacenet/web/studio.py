"""What the page works with: a network, photos, open sittings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..analysis.methods import ByFitting, ByNetwork, Method
from ..analysis.results import Result
from ..analysis.whitening import beside_white
from ..errors import BioFaceNetError, PhotoError
from ..network.unet import BioFaceNet
from ..photos.boxes import Box, Part
from ..photos.faces import find_faces
from ..photos.reading import Photo, read_photo
from ..photos.white_choice import WhiteChoice
from .examples import Example
from .keeping import KeptPhoto
from .session import Session
from .sittings import Sitting, Sittings
from .words import unquoted

__all__ = ["FITTING", "NETWORK", "Studio"]

NETWORK, FITTING = "Network, then fitted", "Fitted without a network"


@dataclass
class Studio:
    """Photos to sessions, within limits."""

    model: BioFaceNet | None = None
    """Network to decompose with; photos are fitted without."""
    name: str = "small"
    """What it is called by commands."""
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
    sittings: Sittings = field(default_factory=Sittings)
    known: dict[tuple[Path, str], Result] = field(default_factory=dict)
    """Examples that were looked at, by file and method: the second time is quick."""

    @property
    def methods(self) -> list[str]:
        """Ways to decompose, the usual one first."""
        return [FITTING] if self.model is None else [NETWORK, FITTING]

    def read(self, path: str | Path) -> Photo:
        """A photo within the limits.

        Raises:
            PhotoError: as `read_photo`; without the folder, which means nothing to who uploaded it, and
                without anything that stands in the file.
        """
        path = Path(path)
        try:
            if path.stat().st_size > self.most_megabytes * 2**20:
                raise PhotoError(
                    f"{path.name}: larger than {self.most_megabytes} MB; expected a smaller "
                    "file, shrink it first"
                )
            return read_photo(path, max_pixels=self.most_megapixels * 1_000_000)
        except OSError as error:
            raise PhotoError(f"{path.name}: {error.strerror}; choose it again") from error
        except PhotoError as error:
            told = str(error).replace(str(path), path.name)
            raise PhotoError(unquoted(told, path.name)) from error

    def begin(self, photo: Photo) -> str:
        """Find the faces of a photo, or else its middle; the name of a sitting that waits for a choice."""
        boxes = find_faces(photo.pixels)
        several = len(boxes) > 1
        parts = [
            Part(box, "face", f"face {i} of {len(boxes)}" if several else "face found")
            for i, box in enumerate(boxes, 1)
        ]
        if not parts:
            parts = [Part(Box.central(photo.height, photo.width), "central", "no face found")]
        return self.sittings.add(Sitting(tuple(parts), waiting=photo))

    def try_out(self, example: Example) -> str:
        """The name of a sitting with an example."""
        photo = example.photo()
        part = example.part(photo)
        if part is None:
            return self.begin(photo)
        return self.sittings.add(Sitting((part,), waiting=photo))

    def look(
        self,
        name: str,
        index: int,
        method: str,
        white: WhiteChoice | None = None,
        *,
        example: bool = False,
    ) -> Session:
        """Decompose a part of a sitting's photo, which it then shows.

        Args:
            name: of the sitting.
            index: of the part.
            method: one of `methods`.
            white: what white is; not known when not given.
            example: whether to remember the result.

        Raises:
            BioFaceNetError: the sitting was forgotten, there is no such part or method, or the photo
                cannot be used, or there is no white in it.
        """
        white = white or WhiteChoice()
        sitting = self.sittings.get(name)
        if method not in self.methods:
            raise BioFaceNetError(f"no such method; expected one of {', '.join(self.methods)}")
        if not 0 <= index < len(sitting.parts):
            raise BioFaceNetError(f"no part {index + 1}; expected 1 to {len(sitting.parts)}")
        photo = sitting.photo()
        key = (photo.path, method)
        remembered = example and not white.given
        result = self.known.get(key) if remembered else None
        if result is None:
            way = beside_white(self._way(method), white)
            result = way(photo, sitting.parts[index])
        if remembered:
            self.known[key] = result
        how: dict[str, Any] = {"model": "none", "size": self.resolution}
        if method == NETWORK:
            how = {"model": self.name, "size": self.size, "resolution": self.resolution}
        others = [part.box for i, part in enumerate(sitting.parts) if i != index]
        session = Session(result, method=method, others=others, how=how)
        session.disagreement = _compared(sitting, (index, method, white), result)
        if white.given and sitting.original is None:
            sitting.original = KeptPhoto(photo)
        sitting.session, sitting.waiting, sitting.chosen = session, None, index
        return session

    def _way(self, method: str) -> Method:
        if method == FITTING or self.model is None:
            return ByFitting(self.resolution)
        return ByNetwork(self.model, self.size, self.refine, self.resolution)


def _compared(sitting: Sitting, key: tuple[int, str, WhiteChoice], result: Result) -> str:
    """Where another method that was tried on the same part excludes a result, in words."""
    index, method, white = key
    told = ""
    for other in sitting.methods_tried(index, white, besides=method):
        told = told or replace(result, beside=other).disagreement
    pixels = result.photo.pixels[:, :0]
    # What counts as skin is found while there is a photo to look at.
    seen = replace(result, mask=result.skin(), photo=replace(result.photo, pixels=pixels))
    sitting.tried[key] = seen
    return told
