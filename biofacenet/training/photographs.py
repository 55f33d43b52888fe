"""A step's photographs: which, in which other view, and what their maps owe to each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data.pairs import decode
from .batches import generator
from .losses import appearance_loss, bounds_loss
from .precision import autocast
from .run import Run, layout
from .symmetry import PIGMENTS_COUNT, Views, disagreements, draw_change, views

__all__ = ["Photographs", "photographs_of_step"]

CHANCE = 3
"""Purpose of the random numbers, beside those of batches."""


class Photographs:
    """This process's photographs of a step, in as many parts as its faces.

    Args:
        run: the run.
        seen: the photographs.
    """

    def __init__(self, run: Run, seen: Views) -> None:
        self.run = run
        self.parts = seen.split(run.settings.accumulate)
        # All parts are divided by the same numbers, so that their losses add up.
        counts = torch.stack((seen.mask.sum() + seen.other_mask.sum(), seen.other_mask.sum()))
        self.in_both, self.in_other = run.team.sum(counts)
        self.images = 2 * len(seen.image) * run.team.size

    def losses(self, model: nn.Module, seen: Views) -> tuple[Tensor, Tensor]:
        """The weighted sum of a part, and its terms in the order of `PHOTO_TERMS`."""
        run, weights = self.run, self.run.plan.weights
        image, mask = torch.cat((seen.image, seen.other)), torch.cat((seen.mask, seen.other_mask))
        with autocast(run):
            found, raw = model(image.contiguous(memory_format=layout(run.plan, run.team.device)))
        appearance = appearance_loss(found.render(), image, mask, self.in_both)
        count = len(seen.image)
        pigments, diffuse, specular = disagreements(
            found[:count], found[count:], seen, self.in_other
        )
        total = (
            weights.appearance * appearance
            + weights.photos * (PIGMENTS_COUNT * pigments + diffuse + specular)
            + weights.bounds * bounds_loss(raw, mask, self.in_both, self.images)
        )
        return total, torch.stack((appearance, pigments, diffuse, specular)).detach()


def photographs_of_step(run: Run) -> Photographs | None:
    """Those of the next step, drawn by chance with their other views; half as many as faces."""
    if run.photos is None:
        return None
    parts = run.team.size * run.settings.accumulate
    share = max(1, run.batch // 2 // parts) * run.settings.accumulate
    count = share * run.team.size
    numbers = generator(run, CHANCE, run.step)
    chosen = torch.randint(len(run.photos), (count,), generator=numbers).tolist()
    change = draw_change(count, run.photos.height, run.photos.width, numbers)
    mine = slice(run.team.rank * share, (run.team.rank + 1) * share)
    batch = decode(
        run.photos.read(chosen[mine]).to(run.team.device), normals_encoding=run.settings.normals
    )
    return Photographs(run, views(batch, change.part(mine).to(run.team.device)))
