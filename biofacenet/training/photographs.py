"""A step's photographs: which, in which other view, and what their maps owe to each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..data.pairs import FaceBatch, decode
from .augment import resize
from .batches import generator, side_of_step
from .losses import appearance_loss, bounds_loss, veil_loss
from .precision import autocast
from .run import Run, layout
from .shape_losses import labelled, parts_loss
from .symmetry import (
    PIGMENTS_COUNT,
    Views,
    disagreements,
    draw_change,
    pairs_of_people,
    person_loss,
    views,
)
from .variety import Variety, draw_variety, spotted, surrounded

__all__ = ["Photographs", "photographs_of_step"]

CHANCE = 3
"""Purpose of the random numbers, beside those of batches."""

SURE = 0.5
"""Probability from which on a pixel counts as what the network says it shows."""


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
        pairs = torch.stack([pairs_of_people(part).sum() for part in self.parts]).sum()
        counts = (seen.mask.sum() + seen.other_mask.sum(), seen.other_mask.sum(), pairs)
        known = [seen.mask.new_zeros(())]
        if seen.labels is not None:
            known = [labelled(seen.labels, seen.mask)]
        self.in_both, self.in_other, self.pairs, self.labelled = run.team.sum(
            torch.stack((*counts, *known))
        )
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
        parts = person = torch.zeros_like(appearance)
        if raw.parts is not None and found.normals is not None:
            # Of the graph all the same: several processes wait for the gradient of every weight.
            parts = 0.0 * (raw.parts.sum() + found.normals.sum())
            if seen.labels is not None:
                parts = parts + parts_loss(raw.parts[:count], seen.labels, self.labelled)
        if seen.persons is not None:
            person = person_loss(found[:count], seen, self.pairs)
        veil = veil_loss(found.diffuse, found.specular, mask, self.images)
        total = (
            weights.appearance * appearance
            + weights.photos * (PIGMENTS_COUNT * pigments + diffuse + specular)
            + weights.bounds * bounds_loss(raw, mask, self.in_both, self.images)
            + weights.parts * parts
            + weights.person * person
            + weights.veil * veil
        )
        terms = (appearance, pigments, diffuse, specular, parts, person, veil)
        return total, torch.stack(terms).detach()


def photographs_of_step(run: Run) -> Photographs | None:
    """Those of the next step, drawn by chance with their other views; half as many as faces."""
    if run.photos is None:
        return None
    parts = run.team.size * run.settings.accumulate
    share = max(1, run.batch // 2 // parts) * run.settings.accumulate
    count = share * run.team.size
    numbers = generator(run, CHANCE, run.step)
    chosen = torch.randint(len(run.photos), (count,), generator=numbers).tolist()
    persons = None
    if run.persons is not None:
        together(chosen, share // run.settings.accumulate, run.persons, numbers)
        persons = torch.tensor([run.persons[place] for place in chosen])
    mine = slice(run.team.rank * share, (run.team.rank + 1) * share)
    batch = decode(
        run.photos.read(chosen[mine]).to(run.team.device), normals_encoding=run.settings.normals
    )
    side = side_of_step(run, run.step)
    if side is not None:
        batch = resize(batch, side)
    height, width = batch.image.shape[2:]
    change = draw_change(count, height, width, numbers)
    other, added = batch.image, None
    if run.plan.variety:
        drawn = draw_variety(count, run.plan.variety, numbers).part(mine).to(run.team.device)
        other, added = elsewhere(run, batch, drawn)
    if persons is not None:
        persons = persons[mine].to(run.team.device)
    change = change.part(mine).to(run.team.device)
    return Photographs(run, views(batch, change, persons, other=other, added=added))


@torch.no_grad()
def elsewhere(run: Run, photos: FaceBatch, changes: Variety) -> tuple[Tensor, Tensor]:
    """Photographs with spots by the network's own maps, and other surroundings where it is sure of them.

    Returns:
        (B, 3, H, W), the changed photos; (B, 2, H, W), added melanin and haemoglobin.
    """
    with autocast(run):
        maps, raw = run.network.with_raw_outputs(photos.image)
    image, more = spotted(photos.image, photos.mask, maps, changes)
    added = torch.cat((more.melanin - maps.melanin, more.haemoglobin - maps.haemoglobin), dim=1)
    if raw.parts is not None:
        sure = (torch.softmax(raw.parts.float(), dim=1) > SURE).to(image)
        image = surrounded(image, sure, photos.mask, changes)
    return image, added


def together(
    chosen: list[int], part: int, persons: Sequence[int], numbers: torch.Generator
) -> None:
    """Put another photo of the same person, where there is one, in every second place, by chance.

    Args:
        chosen: photos of a step; changed.
        part: how many are computed at a time, among which each needs its partner.
        persons: who is on each photo of the set; -1 where nobody knows.
        numbers: what chance is drawn from.
    """
    photos_of: dict[int, list[int]] = {}
    for photo, person in enumerate(persons):
        if person >= 0:
            photos_of.setdefault(person, []).append(photo)
    for begin in range(0, len(chosen), part):
        for first in range(begin, begin + part - 1, 2):
            same = photos_of.get(persons[chosen[first]], [])
            others = [photo for photo in same if photo != chosen[first]]
            if others:
                number = int(torch.randint(len(others), (), generator=numbers))
                chosen[first + 1] = others[number]
