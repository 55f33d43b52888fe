"""The 68 landmarks of a parametric head, in canonical coordinates and the order of the iBUG set."""

from __future__ import annotations

import torch
from torch import Tensor

from .features import EYE_X, EYE_Y, Brows, Eyes, Mouth
from .shape import CHIN, MIDDLE, Head, Relief, front_depth

__all__ = ["parametric_landmarks"]

JAW_Y = (0.12, -0.1, -0.29, -0.48, -0.69, -0.87)
"""Heights of the outline's landmarks from the ear to the edge of the chin; 0.93 and 0.97 follow."""

OUTLINE = 0.97
"""Share of the head's half width at which its outline is marked."""

NOSE_Y = (0.12, -0.01, -0.14, -0.27)
"""Of the ridge, from the root to the tip."""

NOSTRILS = ((-0.12, -0.35), (-0.06, -0.37), (0.0, -0.385), (0.06, -0.37), (0.12, -0.35))

BROW_X = (0.46, 0.38, 0.3, 0.21, 0.12)
"""|x| from the outer end to the inner."""


def parametric_landmarks(
    head: Head, relief: Relief, mouth: Mouth, eyes: Eyes, brows: Brows
) -> Tensor:
    """Canonical places of the landmarks of a head, whose relief is given: (68, 3)."""
    places = torch.cat((_jaw(head), _brows(brows), _nose(), _eyes(eyes), _mouth(mouth)))
    return torch.cat((places, front_depth(relief, places)[:, None]), dim=1)


def _both_sides(left: Tensor) -> Tensor:
    """Points of the left of the picture, from outside, and their mirror images in the order of x."""
    return torch.cat((left, (left * torch.tensor([-1.0, 1.0])).flip(0)))


def _jaw(head: Head) -> Tensor:
    y = torch.tensor(JAW_Y)
    below = ((MIDDLE - y) / (MIDDLE - CHIN)).clamp(min=0.0)
    wide = OUTLINE * head.half_width * head.taper(y) * (1.0 - below**4).sqrt()
    sides = torch.stack((-wide, y), dim=1)
    edge = torch.tensor([[-0.7 * float(wide[-1]), -0.94], [-0.36 * float(wide[-1]), -0.98]])
    sides = torch.cat((sides, edge))
    return torch.cat(
        (sides, torch.tensor([[0.0, -1.0]]), sides.flip(0) * torch.tensor([-1.0, 1.0]))
    )


def _brows(brows: Brows) -> Tensor:
    ax = torch.tensor(BROW_X)
    return _both_sides(torch.stack((-ax, brows.arch(ax) + 0.5 * brows.thickness), dim=1))


def _nose() -> Tensor:
    ridge = torch.stack((torch.zeros(4), torch.tensor(NOSE_Y)), dim=1)
    return torch.cat((ridge, torch.tensor(NOSTRILS)))


def _eyes(eyes: Eyes) -> Tensor:
    dx = torch.tensor([1.0, 0.4, -0.4, -1.0, -0.4, 0.4])  # from the outer corner around the top
    upper, lower = eyes.edges(dx)
    y = EYE_Y + eyes.tilt * dx * eyes.width + torch.where(torch.arange(6) < 3, upper, lower)
    left = torch.stack((-EYE_X - dx * eyes.width, y), dim=1)
    order = torch.tensor([3, 2, 1, 0, 5, 4])
    return torch.cat((left, (left * torch.tensor([-1.0, 1.0]))[order]))


def _mouth(mouth: Mouth) -> Tensor:
    outer = torch.tensor([-1.0, -0.55, -0.2, 0.0, 0.2, 0.55, 1.0, 0.55, 0.25, 0.0, -0.25, -0.55])
    x = outer * mouth.width
    upper, lower = mouth.edges(x)
    y = mouth.line(x) + torch.where(torch.arange(12) < 7, upper, -lower)
    inner = torch.tensor([-0.85, -0.35, 0.0, 0.35, 0.85, 0.35, 0.0, -0.35]) * mouth.width
    gap = mouth.gap(inner)
    y_inner = mouth.line(inner) + torch.where(torch.arange(8) < 5, gap, -gap)
    return torch.stack((torch.cat((x, inner)), torch.cat((y, y_inner))), dim=1)
