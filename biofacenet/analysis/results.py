"""A photo and what its face decomposes into."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..decomposition import Calibration, Decomposition
from ..photos.boxes import Part
from ..photos.framing import region
from ..photos.reading import Photo
from ..photos.skin_pixels import seen_skin
from ..system.brief import Brief

__all__ = [
    "Result",
]


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

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of it: how the part was found, and what was converted."""
        alike = self.mask is not None and bool(self.mask.all())
        nowhere = ("no skin found, everything taken for it",) if alike else ()
        return (self.part.note, *nowhere, *self.photo.notes)

    @property
    def rmse(self) -> float:
        """Root mean square error of the reconstruction, linear RGB, over the whole square."""
        return float((self.reconstruction - self.image).square().mean().sqrt())

    @property
    def skin_rmse(self) -> float | None:
        """The same over the skin, where that was looked for or the network tells parts."""
        mask = self.decomposition.skin_share() if self.mask is None else self.mask
        if mask is None:
            return None
        error = (self.reconstruction - self.image).square().mean(dim=1, keepdim=True)
        return float(((error * mask).sum() / mask.sum().clamp(min=1.0)).sqrt())

    def skin(self) -> Tensor:
        """(1, 1, H, W), 1 where skin is: as it was seen, else looked for now, by the maps' own skin."""
        if self.mask is not None:
            return self.mask
        where = region(self.photo, self.part, *self.image.shape[2:])
        return seen_skin(self.image, self.part, where, skin=self.decomposition.skin)
