"""What a network is given: checked, with the remedy, and how much light is in it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..physics.colour import luminance

__all__ = ["check_image", "exposure", "whole"]

SIDE = 16
"""Height and width must be multiples of it."""

LIT = 0.25
"""Mean luminance that the middle of an image is brought to."""

DIMMEST = 1e-3
"""Mean luminance below which an image is not made brighter still."""

OF_A_PHOTO = "for photos, paths and arrays there is biofacenet.analysis.decompose(network, photo)"


def check_image(image: Any, *, weights: Tensor, multiple: int = SIDE) -> None:
    """Raise where a network would not take an image, or take it for another.

    Args:
        image: what was given.
        weights: some of the network's.
        multiple: of which height and width must be.

    Raises:
        TypeError: no tensor.
        ValueError: another shape, integers, or another precision than the weights have.
    """
    if not isinstance(image, Tensor):
        raise TypeError(f"image must be a tensor, got {type(image).__name__}; {OF_A_PHOTO}")
    if not image.is_floating_point():
        raise ValueError(
            f"image must be linear sRGB in 0..1, got {image.dtype}: "
            f"biofacenet.physics.colour.srgb_to_linear(image / 255); {OF_A_PHOTO}"
        )
    height, width = image.shape[-2:] if image.ndim >= 2 else (0, 0)
    small = min(height, width) < SIDE
    if image.ndim != 4 or image.shape[1] != 3 or height % multiple or width % multiple or small:
        divisible = f"divisible by {multiple}" if multiple > 1 else f"{SIDE} or more"
        remedy = ""
        if image.ndim == 3 and image.shape[0] == 3:
            remedy = "; a batch of one is image[None]"
        elif image.ndim == 4 and image.shape[3] == 3:
            remedy = "; channels come second: image.permute(0, 3, 1, 2)"
        elif image.ndim == 4 and image.shape[1] == 3 and not small:
            remedy = "; decompose takes any size"
        raise ValueError(
            f"image must have shape (B, 3, H, W) with H and W {divisible}, got "
            f"{tuple(image.shape)}{remedy}"
        )
    kind = image.device.type
    if image.dtype != weights.dtype and not torch.is_autocast_enabled(kind):
        raise ValueError(
            f"image must be {weights.dtype} like the network, got {image.dtype}: image.to("
            f"{weights.dtype}), or network.to({image.dtype})"
        )


def whole(values: Tensor) -> Tensor:
    """Values of 16 bits as float32, others as they are."""
    return values.float() if values.dtype.itemsize < 4 else values


def exposure(image: Tensor) -> Tensor:
    """Mean luminance of the middle of images (B, 3, H, W), where faces are, over `LIT`: (B, 1, 1, 1)."""
    height, width = image.shape[2:]
    middle = image[:, :, height // 4 : height - height // 4, width // 4 : width - width // 4]
    return luminance(middle).mean(dim=(1, 2, 3), keepdim=True).clamp(min=DIMMEST) / LIT
