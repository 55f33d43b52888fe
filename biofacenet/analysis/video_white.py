"""What white is in the frames of a video, and pigments at the level that it tells."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from ..decomposition import Decomposition
from ..errors import PhotoError
from ..photos.reading import Photo
from ..photos.white import White, balanced, of_box, read_white
from ..photos.white_choice import WhiteChoice
from .results import Result
from .whitening import at_level

__all__ = ["WhiteOfFrames", "with_level"]


@dataclass
class WhiteOfFrames:
    """The white of one frame after the other.

    A card that is found in the first frame is taken to stay where it is, as a box is. Its light is read
    anew in each frame, for cameras change their exposure; where it cannot be, as a hand hides it, that of
    the frame before holds. What is read from a photo of reference holds for all.
    """

    choice: WhiteChoice
    white: White | None = None
    """Of the last frame."""
    hidden: int = 0
    """Frames in which none could be read."""
    unlikely: int = 0
    """Frames in which no skin looks so beside it."""
    first: White | None = field(default=None, init=False)

    def balanced(self, frame: Photo, seconds: float) -> Photo:
        """A frame in which a perfect white surface in the card's place is 1 in each channel.

        Raises:
            PhotoError: it is the first, and there is no white: see `biofacenet.photos.white.read_white`.
        """
        if self.first is None:
            try:
                self.first = self.white = read_white(frame, self.choice)
            except PhotoError as error:
                raise PhotoError(f"{error} (frame at {seconds:.2f} s, the first)") from error
        elif self.choice.reference is None:
            try:
                box, share = self.first.box, self.first.reflectance
                self.white = of_box(frame, box, share, kind=self.first.kind)
            except PhotoError:
                self.hidden += 1
        assert self.white is not None
        return balanced(frame, self.white)

    def at_level(self, result: Result) -> Result:
        """A result of the last frame that was balanced, with its pigments at their absolute level."""
        assert self.white is not None
        found = at_level(result, self.white)
        assert found.known is not None
        self.unlikely += found.known.unlikely
        return found

    def words(self) -> str:
        """For people, in a line."""
        assert self.first is not None
        hidden = f", hidden in {self.hidden} frames" if self.hidden else ""
        unlikely = (
            f", beside it no skin looks so in {self.unlikely} frames" if self.unlikely else ""
        )
        return f"{self.first.words()} in the first frame{hidden}{unlikely}"

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON: the white of the first frame, and in how many it was none."""
        assert self.first is not None
        more = {"frames_hidden": self.hidden, "frames_unlikely": self.unlikely}
        return self.first.as_json() | more


def with_level(
    maps: Decomposition, skin: Tensor, melanin: float, haemoglobin: float
) -> Decomposition:
    """Maps of one image whose medians over the skin, (1, 1, H, W), are these map values."""
    inside = skin > 0.5
    if not bool(inside.any()):
        return maps

    def moved(values: Tensor, to: float) -> Tensor:
        return (values + (to - values[inside].median())).clamp(-1.0, 1.0).contiguous()

    return replace(
        maps,
        melanin=moved(maps.melanin, melanin),
        haemoglobin=moved(maps.haemoglobin, haemoglobin),
    )
