"""A photo and what its face decomposes into."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from ..decomposition import Calibration, Decomposition
from ..fitting.absolute import Absolute, Known
from ..fitting.uncertainty import Uncertainty
from ..photos.boxes import Part
from ..photos.framing import region
from ..photos.reading import Photo
from ..photos.skin_pixels import seen_skin
from ..photos.white import White
from ..system.brief import Brief
from .areas import skin_seen
from .measuring.numbers import SkinNumbers, deviations, disagreement, skin_numbers, skin_of_parts

__all__ = [
    "Result",
]

UNLIKELY = "but no skin looks so beside it"

LEAST_SKIN = 0.02
"""Share of the pixels below which parts are not believed: there is no face, or a tiny one."""

LEAST_SHARE = 0.5
"""Of the skin of parts, below which what colours tell of it is not believed."""


@dataclass(frozen=True, repr=False)
class Result(Brief):
    """A photo and what its face decomposes into."""

    photo: Photo
    part: Part
    """What was looked at of it, and how that was chosen."""
    image: Tensor
    """(1, 3, H, W), linear sRGB: that part, upright."""
    decomposition: Decomposition
    """Of one image, on the CPU."""
    reconstruction: Tensor
    """(1, 3, H, W), linear sRGB, rendered from the decomposition."""
    mask: Tensor | None = None
    """(1, 1, H, W), 1 where skin was seen, if it was looked for."""

    calibration: Calibration | None = None
    """How far intervals of the method are right, where that was measured."""

    method: str = "maps"
    """What found it, in a word: ``network``, ``fit`` or ``network, refined``."""

    beside: Result | None = None
    """What another method finds in the same part, where one was asked."""

    white: White | None = None
    """What white is, where that is known: the photo is balanced by it."""

    absolute: Absolute | None = None
    """What that tells of pigments, whose level is absolute then, and else only what is usual."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of it: how the part was found, and what was converted."""
        alike = self.mask is not None and bool(self.mask.all())
        nowhere = ("no skin found, everything taken for it",) if alike else ()
        differs = (self.disagreement,) if self.disagreement else ()
        return (self.part.note, *nowhere, *self.photo.notes, *differs)

    @property
    def rmse(self) -> float:
        """Root mean square error of the reconstruction, linear RGB, over the whole square."""
        return float((self.reconstruction - self.image).square().mean().sqrt())

    @property
    def skin_rmse(self) -> float:
        """The same over the skin that numbers are of."""
        error = (self.reconstruction - self.image).square().mean(dim=1, keepdim=True)
        return float(error[self.counted > 0.5].mean().sqrt())

    @cached_property
    def counted(self) -> Tensor:
        """(1, 1, H, W), 0 or 1: the skin that numbers and sheets are of.

        That of the parts, its own or those told beside it: face, ears and neck without lips, brows, eyes
        and beard; of a face without what its colours tell to be hair or teeth, as edits have it. Where
        nobody tells parts, `skin`.
        """
        height, width = self.image.shape[2:]
        told = self.decomposition
        if told.parts is None and self.beside is not None:
            told = self.beside.decomposition
        found = skin_of_parts(told, (height, width))
        if found is None or float(found.mean()) < LEAST_SKIN:
            return (self.skin() > 0.5).float()
        if self.part.is_face and told.parts is not None:
            seen = found * skin_seen(self.image, told.parts).to(found)
            if float(seen.sum()) >= LEAST_SHARE * float(found.sum()):
                return seen
        return found

    @cached_property
    def deviations(self) -> Uncertainty:
        """Of the face's means, and of maps of 32 pixels or so; calibrated where the method is."""
        return deviations(self.decomposition, self.counted, self.calibration)

    @cached_property
    def numbers(self) -> SkinNumbers:
        """Melanosomes and blood of the skin, in percent."""
        if self.known is not None:
            return skin_numbers(self.decomposition, self.counted, self.known)
        return skin_numbers(self.decomposition, self.counted, self.deviations)

    @cached_property
    def known(self) -> Known | None:
        """What the white tells of the skin; None without a white."""
        return None if self.absolute is None else self.absolute.known(self.counted)

    @property
    def disagreement(self) -> str:
        """Where this and what is beside it exclude each other, in words; empty where they do not."""
        other = self.beside
        if other is None or other.decomposition.skin != self.decomposition.skin:
            return ""
        return disagreement((self.method, self.numbers), (other.method, other.numbers))

    @property
    def level_words(self) -> str:
        """For people: by which white pigments have an absolute level; empty where none is known."""
        if self.white is None or self.known is None:
            return ""
        said = f"melanin and blood have an absolute level, {self.white.words()}"
        return said + (f"; {UNLIKELY}" if self.known.unlikely else "")

    def skin(self) -> Tensor:
        """(1, 1, H, W), 1 where skin is: as it was seen, else looked for now, by the maps' own skin."""
        if self.mask is not None:
            return self.mask
        where = region(self.photo, self.part, *self.image.shape[2:])
        return seen_skin(self.image, self.part, where, skin=self.decomposition.skin)
