"""Network and renderer in one module of plain tensor operations, to run without this package."""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn

from ..physics.colour import linear_to_srgb, srgb_to_linear
from ..physics.illuminant import spectrum
from ..rendering import half_folded
from ..rendering.accuracy import Accuracy
from ..rendering.folding import fold
from ..rendering.renderer import Renderer
from .unet import BioFaceNet

__all__ = ["OUTPUTS", "Deployed", "Precision"]

Precision = Literal["float32", "float16"]

OUTPUTS = (
    *("melanin", "haemoglobin", "diffuse", "specular"),
    *("illuminant_weights", "cct", "spectrum", "camera", "reconstruction"),
)
"""Names of the results, in order."""


class AnySizePool(nn.Module):
    """`nn.AdaptiveAvgPool2d` as two matrix products, so that the size of the image stays free."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, features: Tensor) -> Tensor:
        height, width = features.shape[2:]
        across = self.means(width, features)
        return self.means(height, features) @ features @ across.T

    def means(self, length: int, like: Tensor) -> Tensor:
        """(side, length): each row takes the mean of its window."""
        windows = torch.arange(self.side, device=like.device).unsqueeze(1)
        start = windows * length // self.side
        end = ((windows + 1) * length + self.side - 1) // self.side
        places = torch.arange(length, device=like.device)
        inside = (places >= start) & (places < end)
        return inside.to(like) / (end - start).to(like)


class Deployed(nn.Module):
    """Image to all named results, in plain tensor operations.

    Args:
        network: a trained one.
        encoding: ``srgb`` or ``linear``, of the image and of the reconstruction.
        accuracy: of the skin table, ``fast``, ``default`` or ``exact``; see `Renderer`.
        precision: of weights and features. ``float16`` stays float32 in what it takes and gives, in
            exposure and logarithms, and in all that the renderer does: 16 bits have too few digits for
            a place in the skin table.

    Example:
        >>> deployed = Deployed(BioFaceNet("small"))
        >>> deployed(torch.rand(1, 3, 64, 64))["spectrum"].shape
        torch.Size([1, 33])
    """

    def __init__(
        self,
        network: BioFaceNet,
        *,
        encoding: Literal["srgb", "linear"] = "srgb",
        accuracy: Accuracy = "default",
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
        for module in list(self.network.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.AdaptiveAvgPool2d):
                    setattr(module, name, AnySizePool(int(child.output_size)))  # type: ignore[arg-type]
        if precision == "float16":
            self.network.half()
            self.network.image_mean = self.network.image_mean.float()
            if self.network.ratios is not None:
                self.network.ratios.float()
            if self.network.surroundings is not None:
                self.network.surroundings.float()
        self.encoding = encoding
        renderer = Renderer(network.skin, accuracy=accuracy)
        self.half_folded = renderer.prepared(torch.device("cpu"), torch.float32)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """All results by name.

        Args:
            image: (B, 3, H, W), in 0..1, H and W divisible by 16.
        """
        linear = srgb_to_linear(image) if self.encoding == "srgb" else image
        found = self.network(linear)
        tables = self.half_folded.tables
        weights, highlight = fold(found.illuminant, found.camera, tables)
        maps = (found.melanin, found.haemoglobin, found.diffuse, found.specular)
        rendered = half_folded.render(*maps, weights, highlight, self.half_folded.basis)
        reconstruction = linear_to_srgb(rendered) if self.encoding == "srgb" else rendered
        return {
            "melanin": found.melanin,
            "haemoglobin": found.haemoglobin,
            "diffuse": found.diffuse,
            "specular": found.specular,
            "illuminant_weights": found.illuminant.weights,
            "cct": found.illuminant.cct,
            "spectrum": spectrum(found.illuminant, tables.fixed_illuminants, tables.daylights),
            "camera": found.camera,
            "reconstruction": reconstruction,
        }
