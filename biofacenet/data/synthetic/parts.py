"""What each sample of a picture shows: hair, eye, mouth, skin of the face, neck, clothes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...decomposition.parts import PART_NAMES, part_index
from .view import SUPERSAMPLING, View

__all__ = ["Neck", "Parts", "commonest", "divide_into_parts"]


@dataclass(frozen=True)
class Neck:
    """The neck below the head, in the picture."""

    shown: Tensor
    """(S, S), bool, also where clothes cover it."""
    middle: float
    width: float
    """Half of it."""
    collar: Tensor
    """(S, S), height at which clothes begin."""


@dataclass(frozen=True)
class Parts:
    """Labels of the samples, each (S, S) and, unless said, bool; on the head but for neck and cloth."""

    hair: Tensor
    """Covering the head itself; hair beside and behind it is painted."""
    eye: Tensor
    mouth: Tensor
    """Where an open mouth shows teeth or dark."""
    teeth: Tensor
    """Those of the mouth that are teeth."""
    lips: Tensor
    """0..1"""
    brows: Tensor
    """0..1"""
    iris_distance: Tensor
    """From the iris's middle, in its radius."""
    lid: Tensor
    """Nearness of the upper lid's edge, 0..1."""
    nostril: Tensor
    """Nearness of a nostril, 0..1."""
    neck: Neck
    cloth: Tensor
    """Shoulders and what covers the neck."""
    face_skin: Tensor
    """Without the throat."""
    skin: Tensor
    """Of face, throat and neck."""

    def labels(self) -> Tensor:
        """The part that each sample shows, before anything is painted over it: (S, S), uint8."""
        found = torch.zeros(self.skin.shape, dtype=torch.uint8)
        for name, where in (
            ("cloth", self.cloth),
            ("skin", self.skin),
            ("lips", self.skin & (self.lips > 0.5)),
            ("brows", self.skin & (self.brows > 0.5)),
            ("eyes", self.eye),
            ("teeth", self.mouth),
            ("hair", self.hair),
        ):
            found.masked_fill_(where, part_index(name))
        return found


def divide_into_parts(view: View, hair: Tensor, cloth: Tensor | None = None) -> Parts:
    """Label every sample, of which some on the head are covered by hair, (S, S), and some by ``cloth``."""
    surface, features = view.surface, view.features
    head = surface.hit & ~surface.neck
    hair = head & hair & ~features.mouth
    eye, mouth = features.eye & ~hair, features.mouth
    face_skin = head & ~hair & ~eye & ~mouth
    collar = -1.12 - 0.22 * (1.0 - ((view.x - view.neck.middle) / 0.5).square()).clamp(0.0)
    cloth = _cloth(view, collar) if cloth is None else cloth
    return Parts(
        hair=hair,
        eye=eye,
        mouth=mouth,
        teeth=features.teeth & mouth,
        lips=features.lips,
        brows=features.brows,
        iris_distance=features.iris,
        lid=features.lid,
        nostril=features.nostril,
        neck=Neck(surface.neck, view.neck.middle, view.neck.width, collar),
        cloth=cloth,
        face_skin=face_skin,
        skin=face_skin | (surface.neck & ~cloth),
    )


def _cloth(view: View, collar: Tensor) -> Tensor:
    """Shoulders beside the neck, and all of the neck below the collar."""
    x, y = view.x, view.y
    shoulders = (y < -0.98 - 0.35 * (x / 1.1).abs() ** 3) & ~view.surface.hit
    return (y < collar) & (shoulders | view.surface.neck)


def commonest(labels: Tensor) -> Tensor:
    """The part that most samples of each pixel show, the earlier of two: (S, S) to (1, size, size)."""
    every = range(SUPERSAMPLING)
    corners = torch.stack(
        [labels[i::SUPERSAMPLING, j::SUPERSAMPLING] for i in every for j in every]
    )
    found = torch.zeros_like(corners[:1])
    most = torch.zeros_like(found)
    for label in range(len(PART_NAMES)):
        count = (corners == label).sum(dim=0, keepdim=True, dtype=torch.uint8)
        found.masked_fill_(count > most, label)
        most = torch.maximum(most, count)
    return found
