"""A photo that waits in memory, in 8 bits: float would take four times as much."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..photos.reading import Photo
from ..plotting.encoding import eight_bit

__all__ = ["KeptPhoto"]


class KeptPhoto:
    """A photo in 8 bits a channel.

    Attributes:
        bare: the photo without its pixels.
    """

    def __init__(self, photo: Photo) -> None:
        self.bare = replace(photo, pixels=photo.pixels[:, :0])
        self._pixels = eight_bit(photo.pixels)

    def photo(self) -> Photo:
        """The photo as it was, but for rounding."""
        pixels = torch.from_numpy(self._pixels).permute(2, 0, 1).float() / 255.0
        return replace(self.bare, pixels=pixels)
