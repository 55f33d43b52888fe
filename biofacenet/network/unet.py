"""The network: one face image in, one `Decomposition` out.

A U-Net: an encoder, then one decoder for each map, as published, or one for all four, and a fully
connected branch for the light and the camera.

Source: BioFaceNet, section 4 and figure 2; the shared decoder, padding and slope are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..decomposition import Decomposition
from ..physics.camera import COORDINATE_RANGE
from ..physics.illuminant import CCT_RANGE, ILLUMINANT_NAMES, Illuminant
from ..physics.skin import SkinName, skin_name
from ..system.files import whole_directory
from . import folders, pretrained

__all__ = [
    "MAP_NAMES",
    "PUBLISHED_IMAGE_MEAN",
    "RAW_RANGES",
    "SIZES",
    "BioFaceNet",
    "NetworkSize",
]

PUBLISHED_IMAGE_MEAN = (0.3506, 0.2167, 0.1679)
"""Mean linear R, G and B of the published Neural Face Editing set."""

MAP_NAMES = ("melanin", "haemoglobin", "diffuse", "specular")

RAW_RANGES = {
    "melanin": (-5.0, 5.0),
    "haemoglobin": (-5.0, 5.0),
    "diffuse": (math.log(0.02), math.log(50.0)),
    "specular": (math.log(1e-3), math.log(10.0)),
}
"""What each map is made of: logits of (map + 1) / 2, up to 0.987 of its range, and natural logarithms of
shadings. Outputs beyond are clamped."""

VECTOR_LENGTH = len(ILLUMINANT_NAMES) + 1 + 2
"""14 illuminant weights, the colour temperature, two camera coordinates."""

DARKEST = 0.01
"""Added to linear light before its logarithm is taken: below it is noise."""

POOLED = 4
"""Side of the bottom feature map that the vector branch sees, that of a 64 x 64 image."""


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
    directions: bool = False
    """What becomes maps, light and camera is the direction of a pixel's features, not their length: it
    can run away, and carry all maps to their ends."""

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
        directions=True,
    ),
    "paper": NetworkSize((32, 64, 128, 256, 512), 3, 3, 512, normalised=True, logarithms=False),
}
"""Network sizes by name: ``paper`` is the published one, ``small`` has under 2 M parameters."""


def _convolutions(channels: Sequence[int], size: NetworkSize) -> nn.Sequential:
    """3 x 3 convolutions with ReLU, and batch norm between, through a list of channel counts."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        convolution = nn.Conv2d(
            before, after, 3, padding=1, padding_mode=size.padding, bias=not size.normalised
        )
        nn.init.kaiming_normal_(convolution.weight, a=size.slope)
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
        norm = [nn.BatchNorm2d(after)] if size.normalised else []
        activation = nn.LeakyReLU(size.slope, inplace=True) if size.slope else nn.ReLU(inplace=True)
        layers += [convolution, *norm, activation]
    return nn.Sequential(*layers)


def _directions(features: Tensor) -> Tensor:
    """Features (B, C, H, W) whose mean square over the channels is 1 at every pixel."""
    square = features.float().square().mean(dim=1, keepdim=True)
    return features * (square + 1e-6).rsqrt().to(features.dtype)


class Encoder(nn.Module):
    """Image to features at five resolutions, the finest first."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        inputs = (6 if size.logarithms else 3, *size.widths[:-1])
        self.levels = nn.ModuleList(
            _convolutions([before] + [width] * size.encoder_convolutions, size)
            for before, width in zip(inputs, size.widths, strict=True)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        features = [self.levels[0](image)]
        for level in self.levels[1:]:
            features.append(level(F.max_pool2d(features[-1], 2)))
        return features


class Decoder(nn.Module):
    """Features at five resolutions to those that the head makes raw maps (B, maps, H, W) of.

    Args of the call: what the encoder saw, and its features, the finest first.

    Mirrors the encoder: each level's last convolution steps down to the next finer width; its
    output is upsampled and joined with the encoder's features of that resolution.
    """

    def __init__(self, size: NetworkSize, maps: int) -> None:
        super().__init__()
        levels = []
        for depth in reversed(range(len(size.widths))):
            width = size.widths[depth]
            before = width if depth == len(size.widths) - 1 else 2 * width
            after = size.widths[max(depth - 1, 0)]
            channels = [before] + [width] * (size.decoder_convolutions - 1) + [after]
            levels.append(_convolutions(channels, size))
        self.levels = nn.ModuleList(levels)
        self.logarithms = size.logarithms
        self.directions = size.directions
        inputs = size.widths[0] + (6 if size.logarithms else 0)
        self.head = nn.Conv2d(inputs, maps, 3, padding=1, padding_mode=size.padding)

    def forward(self, seen: Tensor, features: list[Tensor]) -> Tensor:
        x = self.levels[0](features[-1])
        for level, skip in zip(self.levels[1:], reversed(features[:-1]), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = level(torch.cat((x, skip), dim=1))
        if self.directions:
            x = _directions(x)
        # Raw maps are logarithms, and nearly linear in those of the image.
        return torch.cat((x, seen), dim=1) if self.logarithms else x


class BioFaceNet(nn.Module):
    """Linear sRGB face image to melanin, haemoglobin, shadings, light and camera.

    Args:
        size: ``small`` (1.7 M parameters) or ``paper`` (47 M, as published).
        image_mean: mean linear R, G and B of the training images; stored with the weights.
        skin: which constants of the skin model its maps are of, ``published`` or ``measured``.

    Example:
        >>> network = BioFaceNet("small").eval()
        >>> decomposition = network(torch.rand(2, 3, 64, 64))
        >>> decomposition.melanin.shape
        torch.Size([2, 1, 64, 64])
    """

    image_mean: Tensor

    def __init__(
        self,
        size: str = "small",
        *,
        image_mean: Sequence[float] = PUBLISHED_IMAGE_MEAN,
        skin: SkinName = "published",
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise ValueError(f"unknown network size {size!r}: choose one of {', '.join(SIZES)}")
        self.size = size
        self.skin = skin_name(skin)
        shape = SIZES[size]
        self.register_buffer("image_mean", torch.tensor(image_mean).reshape(1, 3, 1, 1).float())
        self.encoder = Encoder(shape)
        self.decoders = nn.ModuleDict(
            {"_".join(names): Decoder(shape, len(names)) for names in shape.groups}
        )
        self.vector = nn.Sequential(
            nn.AdaptiveAvgPool2d(POOLED),
            nn.Flatten(),
            nn.Linear(shape.widths[-1] * POOLED**2, shape.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(shape.hidden, shape.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(shape.hidden, VECTOR_LENGTH),
        )
        self._start_at_a_plausible_face()

    def _start_at_a_plausible_face(self) -> None:
        """Outputs of the untrained network: medium skin, well exposed, matt, under daylight.

        From arbitrary outputs the exponential shadings and the flat ends of the sigmoids cost the
        first epochs.
        """
        diffuse, specular, cct = 2.0, 0.02, 6500.0
        share = (cct - CCT_RANGE[0]) / (CCT_RANGE[1] - CCT_RANGE[0])
        biases = {"diffuse": math.log(diffuse), "specular": math.log(specular)}
        with torch.no_grad():
            for names, decoder in zip(SIZES[self.size].groups, self._each_decoder(), strict=True):
                head = decoder.head
                assert head.bias is not None
                head.weight.mul_(0.1)
                head.bias.copy_(torch.tensor([biases.get(name, 0.0) for name in names]))
            last = self.vector[-1]
            assert isinstance(last, nn.Linear)
            last.weight.mul_(0.1)
            last.bias.zero_()
            last.bias[ILLUMINANT_NAMES.index("D")] = 3.0
            last.bias[len(ILLUMINANT_NAMES)] = math.log(share / (1.0 - share))

    def forward(self, image: Tensor) -> Decomposition:
        """Decompose a batch of images.

        Args:
            image: (B, 3, H, W), linear sRGB in 0..1, H and W divisible by 16.

        Raises:
            ValueError: another shape.
        """
        seen = self._seen(image)
        features = self.encoder(seen)
        raw = [decoder.head(decoder(seen, features)) for decoder in self._each_decoder()]
        return self._decomposition(torch.cat(raw, dim=1), features[-1])

    def with_raw_maps(self, image: Tensor) -> tuple[Decomposition, Tensor]:
        """The decomposition, and the raw maps (B, 4, H, W) behind it, in the order of `MAP_NAMES`.

        Gradients of the raw maps reach the last layer alone: pulling one map back into its range must
        not disturb the features that the others are made of.

        Args:
            image: as for `forward`.
        """
        seen = self._seen(image)
        features = self.encoder(seen)
        last = [(decoder.head, decoder(seen, features)) for decoder in self._each_decoder()]
        raw = torch.cat([head(x) for head, x in last], dim=1)
        alone = torch.cat([head(x.detach()) for head, x in last], dim=1)
        return self._decomposition(raw, features[-1]), alone.float()

    def _each_decoder(self) -> Iterator[Decoder]:
        for decoder in self.decoders.values():
            assert isinstance(decoder, Decoder)
            yield decoder

    def _seen(self, image: Tensor) -> Tensor:
        """What the encoder is given: the image, and its logarithm where the size says so."""
        if image.ndim != 4 or image.shape[1] != 3 or image.shape[2] % 16 or image.shape[3] % 16:
            raise ValueError(
                f"image must have shape (B, 3, H, W) with H and W divisible by 16, got "
                f"{tuple(image.shape)}"
            )
        seen = image - self.image_mean
        if SIZES[self.size].logarithms:
            logs = (image.clamp(min=0.0) + DARKEST).log() - (self.image_mean + DARKEST).log()
            seen = torch.cat((seen, logs), dim=1)
        return seen

    def _decomposition(self, raw: Tensor, coarsest: Tensor) -> Decomposition:
        """What raw maps and the coarsest features stand for."""
        maps = {
            name: values.clamp(*RAW_RANGES[name])
            for name, values in zip(
                MAP_NAMES, raw.float().chunk(len(MAP_NAMES), dim=1), strict=True
            )
        }
        if SIZES[self.size].directions:
            coarsest = _directions(coarsest)
        vector = self.vector(coarsest).float()
        weights, cct, camera = vector.split((len(ILLUMINANT_NAMES), 1, 2), dim=1)
        return Decomposition(
            melanin=2.0 * torch.sigmoid(maps["melanin"]) - 1.0,
            haemoglobin=2.0 * torch.sigmoid(maps["haemoglobin"]) - 1.0,
            diffuse=torch.exp(maps["diffuse"]),
            specular=torch.exp(maps["specular"]),
            illuminant=Illuminant(
                # Only the weights: the temperature has its own range and its own gradient.
                weights=torch.softmax(weights, dim=1),
                cct=CCT_RANGE[0] + (CCT_RANGE[1] - CCT_RANGE[0]) * torch.sigmoid(cct.squeeze(1)),
            ),
            camera=2.0 * COORDINATE_RANGE[1] * torch.sigmoid(camera) - COORDINATE_RANGE[1],
            skin=self.skin,
        )

    @torch.no_grad()
    def decompose(self, image: Tensor) -> Decomposition:
        """Decompose images of any size from 16 x 16: their edge is repeated up to a multiple of 16.

        Args:
            image: (B, 3, H, W), linear sRGB in 0..1.
        """
        height, width = image.shape[2:]
        below, beside = -height % 16, -width % 16
        if not (below or beside):
            return self(image)
        maps: Decomposition = self(F.pad(image, (0, beside, 0, below), mode="replicate"))
        return maps.map(
            lambda values: values[..., :height, :width].contiguous() if values.ndim == 4 else values
        )

    def save_pretrained(self, path: str | Path, *, half: bool = False) -> None:
        """Write ``config.json`` and ``model.safetensors`` to a folder, whole or not at all.

        Args:
            path: the folder; an older one is replaced.
            half: store numbers of 16 bits, half the size, rounded by up to 5e-4 of themselves.
        """
        with whole_directory(path) as folder:
            self.write(folder, half=half)

    def write(self, folder: Path, *, half: bool = False) -> None:
        """Write the two files of `save_pretrained` into an existing folder."""
        pretrained.write(folder, self.state_dict(), size=self.size, skin=self.skin, half=half)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> BioFaceNet:
        """A network from a folder that `save_pretrained` or training wrote, in evaluation mode.

        Args:
            path: the folder; ``small`` for the weights that come with the package; or
                ``owner/name`` of a model on the Hugging Face hub (needs the ``hub`` extra).

        Raises:
            ModelError: nothing is there, or what is there is damaged or of another kind.
        """
        stored = pretrained.read(folders.find(path), sizes=tuple(SIZES))
        network = cls(stored.size, skin=stored.skin)
        network.load_weights(stored.weights(), where=str(stored.file))
        return network.eval()

    def load_weights(self, weights: dict[str, Tensor], *, where: str) -> None:
        """Load a state dict that must fit exactly.

        Raises:
            ModelError: it belongs to a network of another size or holds NaN.
        """
        pretrained.check_weights(self.state_dict(), weights, size=self.size, where=where)
        self.load_state_dict(weights)
