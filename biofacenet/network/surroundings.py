"""How bright skin is beside what surrounds it, and what follows for the maps.

The colour of skin alone does not tell how dark it is: with much melanin the reflection of the surface
outweighs what comes from below, and the ratios of R, G and B are again those of lighter skin. Beside the
white of the eyes, hair, cloth and the wall behind, dark skin is dark under any exposure. So a few
statistics of the brightness of parts, compared with that of the skin, shift and scale the features that
the maps are made of.

Scaling features by what is known of the whole image: Perez et al., FiLM: Visual Reasoning with a General
Conditioning Layer, AAAI 2018.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..decomposition.parts import PART_NAMES
from ..physics.colour import luminance

__all__ = ["COMPARED", "STATISTICS", "Modulation", "Surroundings", "statistics"]

COMPARED = ("skin", "brows", "eyes", "hair", "background", "cloth")
"""Parts whose brightness is looked at; lips and teeth change with the expression."""

POWERS = (2.0, 4.0, -2.0)
"""Of power means, beside the mean of logarithms: what is bright in a part, such as the white of an eye or
a highlight, and what is dark in it."""

STATISTICS = len(COMPARED) * (1 + len(POWERS)) + 2

DARK = 0.02
"""Added to light relative to that of the skin before its logarithm is taken."""

FEW = 4.0
"""Pixels: of a part with no more, half is taken from the skin."""

DIMMEST = 1e-3
"""Least mean luminance of skin."""

FARTHEST = 4.0
"""Most of a statistic, in logarithms."""

HIDDEN = 64

PIGMENTS = 2


def statistics(image: Tensor, parts: Tensor) -> Tensor:
    """Brightness of parts beside that of the skin, and the colour of the skin: (B, 26), logarithms.

    Args:
        image: (B, 3, H, W), linear sRGB, at any exposure.
        parts: (B, 9, H, W), probabilities of `PART_NAMES`.
    """
    rows = torch.tensor([PART_NAMES.index(name) for name in COMPARED], device=parts.device)
    weight = parts.flatten(2).index_select(1, rows)
    count = weight.sum(dim=2)
    skin = weight[:, :1] / count[:, :1, None].clamp(min=1.0)
    # Of a part that is hardly there, its brightness is that of the skin.
    share = (weight + FEW * skin) / (count + FEW).unsqueeze(2)
    light = luminance(image).flatten(2)
    level = (skin * light).sum(dim=2, keepdim=True).clamp(min=DIMMEST)
    logs = ((light / level).clamp(min=0.0) + DARK).log()
    found = [(share * logs).sum(dim=2)]
    for power in POWERS:
        mean = (share * (power * logs).exp()).sum(dim=2).clamp(min=1e-6)
        found.append(mean.log() / power)
    colours = ((image.flatten(2) / level).clamp(min=0.0) + DARK).log()
    red, green, blue = colours.unbind(dim=1)
    ratios = torch.stack((red - green, green - blue), dim=1)
    found.append((skin * ratios).sum(dim=2))
    return torch.cat(found, dim=1).clamp(-FARTHEST, FARTHEST)


class Modulation(NamedTuple):
    """What the surroundings say of an image's features; nothing where all is 0."""

    scale: Tensor
    """(B, F, 1, 1), added to 1."""
    shift: Tensor
    """(B, F, 1, 1)"""
    ratios: Tensor
    """(B, 2, 3), added to the coefficients by which pigments follow the ratios of colours."""

    def of(self, features: Tensor) -> Tensor:
        """Features (B, F, H, W), scaled and shifted."""
        return features * (1.0 + self.scale).to(features.dtype) + self.shift.to(features.dtype)

    def pigments(self, ratios: Tensor) -> Tensor:
        """Raw melanin and haemoglobin (B, 2, H, W) by ratios of colours (B, 3, H, W)."""
        return torch.einsum("bpc,bchw->bphw", self.ratios, ratios)


class Surroundings(nn.Module):
    """From statistics of an image to the modulation of its features, none before training.

    Args:
        features: that the maps are made of.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        # Alike in all processes of a run, and no other weight is drawn otherwise for them.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layers = nn.Sequential(
                nn.Linear(STATISTICS, HIDDEN),
                nn.LeakyReLU(0.1),
                nn.Linear(HIDDEN, HIDDEN),
                nn.LeakyReLU(0.1),
                nn.Linear(HIDDEN, 2 * features + 3 * PIGMENTS),
            )
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, image: Tensor, parts: Tensor) -> Modulation:
        """Of images (B, 3, H, W), linear, with what their pixels show, (B, 9, H, W)."""
        seen = statistics(image.float(), parts.float())
        said = self.layers(seen.to(next(self.parameters()).dtype)).float()
        scale, shift, ratios = said.split((self.features, self.features, 3 * PIGMENTS), dim=1)
        return Modulation(
            scale[:, :, None, None], shift[:, :, None, None], ratios.view(-1, PIGMENTS, 3)
        )
