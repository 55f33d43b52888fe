"""What the network learns of a head's shape: where its surface faces, and which part each pixel shows.

Both terms are means over the pixels of which something is known: normals on the head, parts where they are
labelled. Faces of which nothing is known have no say.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.geometry import Geometry
from ..decomposition import Decomposition
from ..decomposition.parts import PART_NAMES, UNLABELLED
from ..network.sizes import USUAL_SHARES
from ..network.unet import RawOutputs

__all__ = ["BALANCE", "Known", "labelled", "normals_loss", "parts_loss", "shape_losses"]

BALANCE = tuple(USUAL_SHARES[name] ** -0.5 for name in PART_NAMES)
"""Weight of a pixel of each part: by its number alone, skin counts a hundred times as much as teeth."""


class Known(NamedTuple):
    """How much is known of a batch; the terms are divided by it, so that those of its parts add up."""

    head: Tensor
    """Scalar, pixels with normals."""
    labelled: Tensor
    """Scalar, pixels with labels, by their weights."""

    @classmethod
    def of(cls, geometry: Geometry | None, like: Tensor) -> Known:
        """What is known of faces.

        Args:
            geometry: of them, if there is any.
            like: a tensor of the device and the type to count in.
        """
        if geometry is None:
            nothing = like.new_zeros(())
            return cls(nothing, nothing)
        return cls(_on_head(geometry.normals).sum(), labelled(geometry.parts, like))


def labelled(parts: Tensor, like: Tensor) -> Tensor:
    """Labelled pixels, by their weights: a scalar.

    Args:
        parts: (B, 1, H, W), uint8.
        like: a tensor of the type to count in.
    """
    return _weights(like)[_known(parts).long()].sum()


def _on_head(normals: Tensor) -> Tensor:
    """(B, 1, H, W), 1 where a normal is known."""
    return (normals.square().sum(dim=1, keepdim=True) > 0.25).to(normals)


def _known(parts: Tensor) -> Tensor:
    """Labels with one more number for those that are none."""
    return torch.where(parts == UNLABELLED, len(PART_NAMES), parts)


def _weights(like: Tensor) -> Tensor:
    """Of the labels of `_known`: (10,)."""
    return like.new_tensor((*BALANCE, 0.0))


def normals_loss(found: Tensor, true: Tensor, head: Tensor | None = None) -> Tensor:
    """1 - cosine of the angle between normals, mean over the pixels whose true one is known.

    Args:
        found: (B, 3, H, W), unit length.
        true: (B, 3, H, W), unit length, or zero where it is not known.
        head: scalar, pixels of the whole batch whose normal is known; of these faces when not given.
    """
    inside = _on_head(true)
    off = (1.0 - (found * true).sum(dim=1, keepdim=True)) * inside
    return off.sum() / (inside.sum() if head is None else head).clamp(min=1.0)


def parts_loss(logits: Tensor, labels: Tensor, pixels: Tensor | None = None) -> Tensor:
    """Cross entropy of parts, mean over the labelled pixels by `BALANCE`.

    The weights are in the logits too, so that what is learned are the probabilities as they are, and lips
    do not grow into the skin around them (Menon et al., Long-tail learning via logit adjustment, 2021).

    Args:
        logits: (B, 9, H, W).
        labels: (B, 1, H, W), uint8, index into `PART_NAMES` or `UNLABELLED`.
        pixels: scalar, `labelled` of the whole batch; of these faces when not given.
    """
    weights = _weights(logits)
    adjusted = logits + weights[:-1].log().view(-1, 1, 1)
    known = _known(labels).long()
    loss = F.cross_entropy(
        adjusted, known[:, 0], weights[:-1], ignore_index=len(PART_NAMES), reduction="sum"
    )
    return loss / (weights[known].sum() if pixels is None else pixels).clamp(min=1.0)


def shape_losses(
    found: Decomposition, raw: RawOutputs, geometry: Geometry | None, known: Known | None = None
) -> tuple[Tensor, Tensor]:
    """The terms of normals and of parts; 0 where the network tells none, or nothing is known.

    Args:
        found: of the network.
        raw: what it was made of.
        geometry: what is true of the faces, as far as it is known.
        known: how much is known of the whole batch; of these faces when not given.
    """
    nothing = found.melanin.new_zeros(())
    if found.normals is None or raw.parts is None:
        return nothing, nothing
    if geometry is None:
        # Still of the graph: several processes wait for the gradient of every weight.
        return 0.0 * found.normals.sum(), 0.0 * raw.parts.sum()
    head, pixels = known or Known.of(geometry, found.melanin)
    return (
        normals_loss(found.normals, geometry.normals, head),
        parts_loss(raw.parts, geometry.parts, pixels),
    )
