"""The networks there are, as numbers that fix their shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["MAP_NAMES", "SIZES", "USUAL_SHARES", "NetworkSize"]

MAP_NAMES = ("melanin", "haemoglobin", "diffuse", "specular")


@dataclass(frozen=True)
class NetworkSize:
    """Numbers that fix the network's shape."""

    widths: tuple[int, ...]
    """Filters of the five levels, from the image down."""
    encoder_convolutions: int
    """3 x 3 convolutions in each level of the encoder."""
    decoder_convolutions: int
    """3 x 3 convolutions in each level of each decoder."""
    hidden: int
    """Units of the two hidden layers of the vector branch."""
    normalised: bool
    """Batch norm after each convolution. In training it ties the colour of a face to the others of
    its batch, which costs accuracy where batches are small."""
    logarithms: bool
    """The encoder also sees the logarithm of the image, in which pigments and shading add up: ratios
    of colours are then as plain in dark skin as in light skin."""
    shared: bool = False
    """One decoder gives all four maps."""
    padding: Literal["zeros", "replicate"] = "zeros"
    """What lies beyond the edge. Zeros tell a convolution where the edge is, and maps get a frame."""
    slope: float = 0.0
    """Of the activation below zero; with 0, a unit that is negative everywhere learns no more."""
    bounded: bool = False
    """Each level hands on features whose spread over a pixel's channels stays below 1: lengths can run
    away, and carry all maps to their ends."""
    exposed: bool = False
    """The image is brought to the same exposure first, and the shadings back from it: pigments then do
    not change with the exposure, nor with what dark skin leaves of the light."""
    features: int | None = None
    """Channels that the maps are made of, from a single convolution at the finest level; as many as its
    width, from as many convolutions as elsewhere, when not given."""
    ratios: bool = False
    """Melanin and haemoglobin also see the logarithms of colour ratios directly: both are nearly linear
    in them, and neither shading nor a neutral highlight of its own is there to be mistaken for skin."""

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The maps that each decoder gives."""
        return (MAP_NAMES,) if self.shared else tuple((name,) for name in MAP_NAMES)


SIZES = {
    "small": NetworkSize(
        (16, 32, 64, 96, 128),
        2,
        2,
        256,
        normalised=False,
        logarithms=True,
        shared=True,
        padding="replicate",
        slope=0.1,
        bounded=True,
        exposed=True,
        features=32,
        ratios=True,
    ),
    "paper": NetworkSize((32, 64, 128, 256, 512), 3, 3, 512, normalised=True, logarithms=False),
}
"""Network sizes by name: ``paper`` is the published one, ``small`` has under 2 M parameters."""

USUAL_SHARES = {
    "background": 0.37,
    "skin": 0.37,
    "lips": 0.007,
    "brows": 0.005,
    "eyes": 0.005,
    "teeth": 0.002,
    "hair": 0.165,
    "glasses": 0.006,
    "cloth": 0.07,
}
"""Of the pixels of a picture of a face, about: what a network says of parts before it learns."""
