"""The network: one face image in, one `Decomposition` out.

A U-Net whose encoder is shared by four decoders, one for each map, and by a fully connected branch
for the light and the camera.

Source: BioFaceNet, section 4 and figure 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..decomposition import Decomposition
from ..physics.camera import COORDINATE_RANGE
from ..physics.illuminant import CCT_RANGE, ILLUMINANT_NAMES, Illuminant
from ..physics.skin import SkinName, skin_name
from ..system.files import whole_directory
from . import folders, pretrained

__all__ = ["PUBLISHED_IMAGE_MEAN", "SIZES", "BioFaceNet", "NetworkSize"]

PUBLISHED_IMAGE_MEAN = (0.3506, 0.2167, 0.1679)
"""Mean linear R, G and B of the published Neural Face Editing set."""

MAP_NAMES = ("melanin", "haemoglobin", "diffuse", "specular")

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


SIZES = {
    "small": NetworkSize((16, 32, 64, 96, 128), 2, 2, 256, normalised=False, logarithms=True),
    "paper": NetworkSize((32, 64, 128, 256, 512), 3, 3, 512, normalised=True, logarithms=False),
}
"""Network sizes by name: ``paper`` is the published one, ``small`` has under 4 M parameters."""


def _convolutions(channels: Sequence[int], *, normalised: bool) -> nn.Sequential:
    """3 x 3 convolutions with ReLU, and batch norm between, through a list of channel counts."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        convolution = nn.Conv2d(before, after, 3, padding=1, bias=not normalised)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
        norm = [nn.BatchNorm2d(after)] if normalised else []
        layers += [convolution, *norm, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Image to features at five resolutions, the finest first."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        inputs = (6 if size.logarithms else 3, *size.widths[:-1])
        self.levels = nn.ModuleList(
            _convolutions(
                [before] + [width] * size.encoder_convolutions, normalised=size.normalised
            )
            for before, width in zip(inputs, size.widths, strict=True)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        features = [self.levels[0](image)]
        for level in self.levels[1:]:
            features.append(level(F.max_pool2d(features[-1], 2)))
        return features


class Decoder(nn.Module):
    """Features at five resolutions to one raw map (B, 1, H, W).

    Mirrors the encoder: each level's last convolution steps down to the next finer width; its
    output is upsampled and joined with the encoder's features of that resolution.
    """

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        levels = []
        for depth in reversed(range(len(size.widths))):
            width = size.widths[depth]
            before = width if depth == len(size.widths) - 1 else 2 * width
            after = size.widths[max(depth - 1, 0)]
            levels.append(
                _convolutions(
                    [before] + [width] * (size.decoder_convolutions - 1) + [after],
                    normalised=size.normalised,
                )
            )
        self.levels = nn.ModuleList(levels)
        self.head = nn.Conv2d(size.widths[0], 1, 3, padding=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        x = self.levels[0](features[-1])
        for level, skip in zip(self.levels[1:], reversed(features[:-1]), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = level(torch.cat((x, skip), dim=1))
        raw: Tensor = self.head(x)
        return raw


class BioFaceNet(nn.Module):
    """Linear sRGB face image to melanin, haemoglobin, shadings, light and camera.

    Args:
        size: ``small`` (3.5 M parameters) or ``paper`` (47 M, as published).
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
        self.decoders = nn.ModuleDict({name: Decoder(shape) for name in MAP_NAMES})
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
        with torch.no_grad():
            for name, bias in (
                ("melanin", 0.0),
                ("haemoglobin", 0.0),
                ("diffuse", math.log(diffuse)),
                ("specular", math.log(specular)),
            ):
                head = self.decoders[name].head
                assert isinstance(head, nn.Conv2d)
                assert head.bias is not None
                head.weight.mul_(0.1)
                head.bias.fill_(bias)
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
        if image.ndim != 4 or image.shape[1] != 3 or image.shape[2] % 16 or image.shape[3] % 16:
            raise ValueError(
                f"image must have shape (B, 3, H, W) with H and W divisible by 16, got "
                f"{tuple(image.shape)}"
            )
        seen = image - self.image_mean
        if SIZES[self.size].logarithms:
            logs = (image.clamp(min=0.0) + DARKEST).log() - (self.image_mean + DARKEST).log()
            seen = torch.cat((seen, logs), dim=1)
        features = self.encoder(seen)
        raw = {name: self.decoders[name](features).float() for name in MAP_NAMES}
        vector = self.vector(features[-1]).float()
        weights, cct, camera = vector.split((len(ILLUMINANT_NAMES), 1, 2), dim=1)
        return Decomposition(
            melanin=2.0 * torch.sigmoid(raw["melanin"]) - 1.0,
            haemoglobin=2.0 * torch.sigmoid(raw["haemoglobin"]) - 1.0,
            diffuse=torch.exp(raw["diffuse"]),
            specular=torch.exp(raw["specular"]),
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
