"""What the network is put together from: convolutions, the encoder, and decoders."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .sizes import NetworkSize

__all__ = ["Convolution", "Decoder", "Encoder"]


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
