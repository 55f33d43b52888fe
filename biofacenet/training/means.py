"""Means of the losses over steps."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import BioFaceNetError
from . import checkpoints
from .losses import TERMS
from .run import Run

__all__ = ["Means", "how_to_go_on"]

EARLIER_TERMS = (
    *("total", "appearance", "camera", "specular", "shading", "bounds", "truth"),
    *("photo_appearance", "photo_pigments", "photo_diffuse", "photo_specular"),
)
"""Of checkpoints that do not name them."""


class Means:
    """Means of the losses over steps; sums stay on the device until they are asked for."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.sums = torch.zeros(len(TERMS), dtype=torch.float64, device=run.team.device)
        self.count = 0

    def add(self, shares: Tensor, weight: int = 1) -> None:
        self.sums += weight * shares
        self.count += weight

    def values(self, *, shared: bool = True) -> dict[str, float]:
        """By name; `shared`: the terms are those of this process's share of the faces."""
        sums = self.sums.clone()
        if shared:
            self.run.team.sum(sums)
        means = (sums / max(1, self.count)).tolist()
        return dict(zip(TERMS, means, strict=True))

    def check(self) -> None:
        """Raise if a loss was NaN or infinite."""
        values = self.values()
        if not math.isfinite(values["total"]):
            run = self.run
            raise BioFaceNetError(
                f"the loss became {values['total']} in epoch {run.epoch + 1} before step {run.step}; "
                f"lower --learning-rate and {how_to_go_on(run)}"
            )

    def state(self) -> dict[str, Any]:
        """For the checkpoint: everybody's sums, a row each."""
        rows = self.sums.new_zeros(self.run.team.size, len(TERMS))
        rows[self.run.team.rank] = self.sums
        return {"sums": self.run.team.sum(rows).cpu(), "count": self.count, "terms": [*TERMS]}

    def restore(self, state: dict[str, Any]) -> None:
        """Everybody's own sums; those of another number of processes are the leader's."""
        names, team = list(state.get("terms", EARLIER_TERMS)), self.run.team
        before = state["sums"].reshape(-1, len(names))
        rows = before.new_zeros(len(before), len(TERMS))
        for place, name in enumerate(TERMS):
            if name in names:
                rows[:, place] = before[:, names.index(name)]
        if len(rows) != team.size:
            rows = nn.functional.pad(rows.sum(0, keepdim=True), (0, 0, 0, team.size - 1))
        self.sums.copy_(rows[team.rank])
        self.count = state["count"]


def how_to_go_on(run: Run) -> str:
    """After an error; nothing of the steps since the last checkpoint is in it."""
    if checkpoints.checkpoints(run.folder):
        return f"go on with --resume {run.folder}, whose last checkpoint is good"
    return "start again"
