"""The network: one face image in, one `Decomposition` out.

A U-Net: an encoder, then one decoder for each map, as published, or one for all four, and a fully
connected branch for the light and the camera.

Source: BioFaceNet, section 4 and figure 2; the shared decoder, padding and slope are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..decomposition import Calibration, Decomposition
from ..physics.camera import COORDINATE_RANGE
from ..physics.colour import luminance
from ..physics.illuminant import CCT_RANGE, ILLUMINANT_NAMES, Illuminant
from ..physics.skin import SkinName, skin_name
from ..system.files import whole_directory
from . import folders, pretrained
from .links import DIFFUSE, LINKS, PIGMENT, SPECULAR
from .sizes import MAP_NAMES, SIZES, NetworkSize

__all__ = ["PUBLISHED_IMAGE_MEAN", "BioFaceNet", "RawOutputs"]

PUBLISHED_IMAGE_MEAN = (0.3506, 0.2167, 0.1679)
"""Mean linear R, G and B of the published Neural Face Editing set."""

VECTOR_LENGTH = len(ILLUMINANT_NAMES) + 1 + 2
"""14 illuminant weights, the colour temperature, two camera coordinates."""

DARKEST = 0.01
"""Added to linear light before its logarithm is taken: below it is noise."""

BEGINNING = (0.0, 0.0, math.log(2.0), math.log(0.02))
"""Raw maps of the untrained network: medium skin, well exposed, matt."""

LIT = 0.25
"""Mean luminance that the middle of an image is brought to."""

DIMMEST = 1e-3
"""Mean luminance below which an image is not made brighter still."""

RUN_AWAY = 2.0
"""How far beyond its range the mean of a raw map must lie for the map to begin again."""

POOLED = 4
"""Side of the bottom feature map that the vector branch sees, that of a 64 x 64 image."""


class RawOutputs(NamedTuple):
    """What the network says before it is bounded; see `biofacenet.network.links`."""

    maps: Tensor
    """(B, 4, H, W), in the order of `MAP_NAMES`."""
    vector: Tensor
    """(B, 17): logits of the illuminants, of the colour temperature and of the camera."""


class Convolution(nn.Conv2d):
    """A 3 x 3 convolution that leaves the size of what it sees.

    Under autocast on a CPU, torch would repeat the edge in float32, and turn all to and fro for it.
    """

    def __init__(self, before: int, after: int, size: NetworkSize, *, bias: bool = True) -> None:
        super().__init__(before, after, 3, padding=1, padding_mode=size.padding, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        kind = features.device.type
        if self.padding_mode == "zeros" or not torch.is_autocast_enabled(kind):
            return super().forward(features)
        with torch.autocast(kind, enabled=False):
            padded = F.pad(features, (1, 1, 1, 1), mode=self.padding_mode)
        return F.conv2d(padded, self.weight, self.bias)


def _convolutions(channels: Sequence[int], size: NetworkSize) -> nn.Sequential:
    """3 x 3 convolutions with ReLU, and batch norm between, through a list of channel counts."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        convolution = Convolution(before, after, size, bias=not size.normalised)
        nn.init.kaiming_normal_(convolution.weight, a=size.slope)
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
        norm = [nn.BatchNorm2d(after)] if size.normalised else []
        activation = nn.LeakyReLU(size.slope, inplace=True) if size.slope else nn.ReLU(inplace=True)
        layers += [convolution, *norm, activation]
    return nn.Sequential(*layers)


def _bounded(features: Tensor) -> Tensor:
    """Features (B, C, H, W) less their mean, over sqrt(1 + their variance), of every pixel's channels.

    Small ones stay as they differ; of large ones the direction is left.
    """
    last = features.permute(0, 2, 3, 1)  # as channels-last tensors lie
    return F.layer_norm(last, last.shape[-1:], eps=1.0).permute(0, 3, 1, 2)


def _unchanged(features: Tensor) -> Tensor:
    return features


def exposure(image: Tensor) -> Tensor:
    """Mean luminance of the middle of images (B, 3, H, W), where faces are, over `LIT`: (B, 1, 1, 1)."""
    height, width = image.shape[2:]
    middle = image[:, :, height // 4 : height - height // 4, width // 4 : width - width // 4]
    return luminance(middle).mean(dim=(1, 2, 3), keepdim=True).clamp(min=DIMMEST) / LIT


class Encoder(nn.Module):
    """Image to features at five resolutions, the finest first."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        inputs = (6 if size.logarithms else 3, *size.widths[:-1])
        self.levels = nn.ModuleList(
            _convolutions([before] + [width] * size.encoder_convolutions, size)
            for before, width in zip(inputs, size.widths, strict=True)
        )
        self.finish = _bounded if size.bounded else _unchanged

    def forward(self, image: Tensor) -> list[Tensor]:
        features = [self.finish(self.levels[0](image))]
        for level in self.levels[1:]:
            features.append(self.finish(level(F.max_pool2d(features[-1], 2))))
        return features


class Decoder(nn.Module):
    """Features at five resolutions to those that its head makes raw maps (B, maps, H, W) of.

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
            if depth == 0 and size.features is not None:
                channels = [before, size.features]
            levels.append(_convolutions(channels, size))
        self.levels = nn.ModuleList(levels)
        self.finish = _bounded if size.bounded else _unchanged
        self.head = Convolution(channels[-1], maps, size)

    def forward(self, features: list[Tensor]) -> Tensor:
        x = self.finish(self.levels[0](features[-1]))
        for level, skip in zip(self.levels[1:], reversed(features[:-1]), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = self.finish(level(torch.cat((x, skip), dim=1)))
        return x


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
        self.calibration: Calibration | None = None
        shape = SIZES[size]
        self.register_buffer("image_mean", torch.tensor(image_mean).reshape(1, 3, 1, 1).float())
        self.encoder = Encoder(shape)
        self.decoders = nn.ModuleDict(
            {"_".join(names): Decoder(shape, len(names)) for names in shape.groups}
        )
        self.ratios: nn.Conv2d | None = None
        if shape.ratios:
            self.ratios = nn.Conv2d(3, 2, 1, bias=False)
            nn.init.zeros_(self.ratios.weight)
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
        cct = 6500.0
        share = (cct - CCT_RANGE[0]) / (CCT_RANGE[1] - CCT_RANGE[0])
        biases = dict(zip(MAP_NAMES, BEGINNING, strict=True))
        with torch.no_grad():
            for names in SIZES[self.size].groups:
                head = cast(Decoder, self.decoders["_".join(names)]).head
                assert head.bias is not None
                head.weight.mul_(0.1)
                head.bias.copy_(torch.tensor([biases[name] for name in names]))
            last = self.vector[-1]
            assert isinstance(last, nn.Linear)
            last.weight.mul_(0.1)
            last.bias.zero_()
            last.bias[ILLUMINANT_NAMES.index("D")] = 3.0
            last.bias[len(ILLUMINANT_NAMES)] = math.log(share / (1.0 - share))

    def train(self, mode: bool = True) -> BioFaceNet:
        """Turn training on or off; what trains becomes another network, and its calibration is gone."""
        self.calibration = None if mode else self.calibration
        return super().train(mode)

    def forward(self, image: Tensor) -> Decomposition:
        """Decompose a batch of images.

        Args:
            image: (B, 3, H, W), linear sRGB in 0..1, H and W divisible by 16.

        Raises:
            ValueError: another shape.
        """
        decomposition, _ = self.with_raw_outputs(image)
        return decomposition

    def with_raw_outputs(self, image: Tensor) -> tuple[Decomposition, RawOutputs]:
        """The decomposition and what it was made of.

        Gradients of the raw outputs reach the last layers alone: pulling one map back into its range
        must not disturb the features that the others are made of.

        Args:
            image: as for `forward`.
        """
        if image.ndim != 4 or image.shape[1] != 3 or image.shape[2] % 16 or image.shape[3] % 16:
            raise ValueError(
                f"image must have shape (B, 3, H, W) with H and W divisible by 16, got "
                f"{tuple(image.shape)}"
            )
        size = SIZES[self.size]
        light = exposure(image) if size.exposed else torch.ones_like(image[:, :1, :1, :1])
        if size.exposed:
            image = image / light
        seen = image - self.image_mean
        logs = image
        if size.logarithms:
            logs = (image.clamp(min=0.0) + DARKEST).log() - (self.image_mean + DARKEST).log()
            seen = torch.cat((seen, logs), dim=1)
        features = self.encoder(seen)
        decoders = [cast(Decoder, decoder) for decoder in self.decoders.values()]
        last = [(decoder.head, decoder(features)) for decoder in decoders]
        raw = alone = torch.cat([head(x) for head, x in last], dim=1).float()
        if self.training:
            alone = torch.cat([head(x.detach()) for head, x in last], dim=1).float()
        if self.ratios is not None:
            pigments = self.ratios(logs - logs.mean(dim=1, keepdim=True)).float()
            pigments = F.pad(pigments, (0, 0, 0, 0, 0, len(MAP_NAMES) - 2))
            raw, alone = raw + pigments, alone + pigments
        melanin, haemoglobin, diffuse, specular = raw.chunk(len(MAP_NAMES), dim=1)
        hidden = self.vector[:-1](features[-1])
        vector = self.vector[-1](hidden).float()
        weights, cct, camera = vector.split((len(ILLUMINANT_NAMES), 1, 2), dim=1)
        decomposition = Decomposition(
            melanin=2.0 * PIGMENT(melanin) - 1.0,
            haemoglobin=2.0 * PIGMENT(haemoglobin) - 1.0,
            diffuse=light * DIFFUSE(diffuse),
            specular=light * SPECULAR(specular),
            illuminant=Illuminant(
                # Only the weights: the temperature has its own range and its own gradient.
                weights=torch.softmax(weights, dim=1),
                cct=CCT_RANGE[0] + (CCT_RANGE[1] - CCT_RANGE[0]) * PIGMENT(cct.squeeze(1)),
            ),
            camera=COORDINATE_RANGE[1] * (2.0 * PIGMENT(camera) - 1.0),
            skin=self.skin,
        )
        if self.training:
            vector = self.vector[-1](hidden.detach()).float()
        return decomposition, RawOutputs(alone, vector)

    @torch.no_grad()
    def bring_back(self, means: Tensor) -> None:
        """Let maps that have run away begin again: their mean goes to where that of a new network is.

        Args:
            means: (4,), of the raw maps in the mask. Those that lie beyond their range by more than
                `RUN_AWAY` are set back, by the biases of the last layer.
        """
        shifts = [
            torch.where(
                (mean < link.low - RUN_AWAY) | (mean > link.high + RUN_AWAY), start - mean, 0.0
            )
            for mean, link, start in zip(means.unbind(), LINKS, BEGINNING, strict=True)
        ]
        shift = torch.stack(shifts)
        for names in SIZES[self.size].groups:
            head = cast(Decoder, self.decoders["_".join(names)]).head
            assert head.bias is not None
            head.bias += shift[: len(names)]
            shift = shift[len(names) :]

    @torch.no_grad()
    def decompose(self, image: Tensor) -> Decomposition:
        """Decompose images of any size from 16 x 16: their edge is repeated up to a multiple of 16.

        Each is seen as it is and mirrored, and what is found of both is averaged: a mirrored image has
        mirrored maps, and the same light and camera.

        Args:
            image: (B, 3, H, W), linear sRGB in 0..1.
        """
        count, _, height, width = image.shape
        both = torch.cat((image, image.flip(3)))
        maps: Decomposition = self(F.pad(both, (0, -width % 16, 0, -height % 16), mode="replicate"))

        def average(values: Tensor) -> Tensor:
            if values.ndim != 4:
                return (values[:count] + values[count:]) / 2.0
            values = values[..., :height, :width]
            return (values[:count] + values[count:].flip(3)) / 2.0

        return maps.map(average)

    def save_pretrained(self, path: str | Path, *, half: bool = False) -> None:
        """Write ``config.json`` and ``model.safetensors`` to a folder, whole or not at all.

        Args:
            path: the folder; of one that is there, these two files are replaced, and nothing else.
            half: store numbers of 16 bits, half the size, rounded by up to 5e-4 of themselves.
        """
        with whole_directory(path) as folder:
            self.write(folder, half=half)

    def write(self, folder: Path, *, half: bool = False) -> None:
        """Write the two files of `save_pretrained` into an existing folder."""
        what = {"size": self.size, "skin": self.skin, "calibration": self.calibration}
        pretrained.write(folder, self.state_dict(), **what, half=half)  # type: ignore[arg-type]

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
        network.eval().calibration = stored.calibration
        return network

    def load_weights(self, weights: dict[str, Tensor], *, where: str) -> None:
        """Load a state dict that must fit exactly.

        Raises:
            ModelError: it belongs to a network of another size or holds NaN.
        """
        pretrained.check_weights(self.state_dict(), weights, size=self.size, where=where)
        self.load_state_dict(weights)
