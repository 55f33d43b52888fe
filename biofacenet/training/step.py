"""One step of training: decompose, render, compare, move the weights."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..data.pairs import FaceBatch
from ..decomposition import Decomposition
from ..errors import BioFaceNetError
from ..network.sizes import MAP_NAMES
from ..network.unet import BioFaceNet, RawOutputs
from . import losses as loss_terms
from .losses import FACE_TERMS, TERMS, Losses
from .means import how_to_go_on
from .photographs import photographs_of_step
from .precision import autocast
from .run import Run, layout
from .shape_losses import Known
from .symmetry import Views

__all__ = [
    "Outcome",
    "advice_on_memory",
    "as_vector",
    "step_losses",
    "take_step",
]

LOOK_BACK = 10
"""Steps after which maps that have run away are set back."""

# Steps ---------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What came of some faces."""

    losses: Losses
    decomposition: Decomposition
    rendered: Tensor
    """(B, 3, H, W), linear sRGB."""
    raw: RawOutputs


def step_losses(
    run: Run,
    model: nn.Module,
    batch: FaceBatch,
    pixels: Tensor | None = None,
    known: Known | None = None,
) -> Outcome:
    """Decompose, render and compare faces, all of a batch or, with its mask's pixels, a part of it.

    Args:
        run: the run.
        model: a `Trainee`, in one process or several.
        batch: the faces.
        pixels: of the whole batch's mask.
        known: how much is known of the whole batch's normals and parts.
    """
    image = batch.image.contiguous(memory_format=layout(run.plan, run.team.device))
    with autocast(run):
        decomposition, raw = model(image)
    rendered = decomposition.render()
    terms = loss_terms.objective(
        decomposition,
        rendered,
        batch.image,
        batch.mask,
        batch.shading,
        run.plan.weights,
        raw=raw,
        truth=batch.truth,
        geometry=batch.geometry,
        pixels=pixels,
        images=None if pixels is None else run.batch,
        known=known,
    )
    return Outcome(terms, decomposition, rendered, raw)


def as_vector(losses: Losses) -> Tensor:
    """Losses of faces in the order of `TERMS`; those of photographs 0."""
    values = torch.stack([getattr(losses, name).detach() for name in FACE_TERMS])
    return nn.functional.pad(values, (0, len(TERMS) - len(FACE_TERMS)))


def take_step(run: Run, batch: FaceBatch) -> Tensor:
    """One step of the optimiser; this process's share of the losses."""
    run.network.train()
    run.optimiser.zero_grad(set_to_none=True)
    # All parts of a batch are divided by the same number, so that their losses add up.
    pixels, *counts = run.team.sum(
        torch.stack((batch.mask.sum(), *Known.of(batch.geometry, batch.mask)))
    )
    photos = photographs_of_step(run)
    parts: list[FaceBatch | Views] = [*batch.split(run.settings.accumulate)]
    parts += photos.parts if photos is not None else []
    shares = torch.zeros(len(TERMS), device=run.team.device)
    raw_sums = torch.zeros(len(MAP_NAMES), device=run.team.device)
    for number, part in enumerate(parts):
        together = number == len(parts) - 1 or run.team.size == 1
        with contextlib.nullcontext() if together else run.model.no_sync():  # type: ignore[operator]
            if isinstance(part, Views):
                assert photos is not None
                total, terms = photos.losses(run.model, part)
                shares[0] += total.detach()
                shares[len(FACE_TERMS) :] += terms
            else:
                found = step_losses(run, run.model, part, pixels, Known(*counts))
                run.watch.see(found.decomposition, part.mask)
                raw_sums += (found.raw.maps.detach() * part.mask).sum(dim=(0, 2, 3))
                total = found.losses.total
                shares += as_vector(found.losses)
            # Processes' gradients are averaged, and their losses are to be added.
            (total * run.team.size).backward()  # type: ignore[no-untyped-call]
    if math.isfinite(run.plan.clip):
        nn.utils.clip_grad_norm_(run.network.parameters(), run.plan.clip)
    run.optimiser.step()
    run.schedule.step()
    if run.taken % LOOK_BACK == LOOK_BACK - 1:
        run.network.bring_back(run.team.sum(raw_sums) / pixels.clamp(min=1.0))
    if run.average is not None:
        # Weights that have learned already are no beginning to be forgotten.
        step = run.taken if run.settings.from_ is None else math.inf
        follow(run.average, run.network, decay=run.plan.average, step=step)
    return shares


@torch.no_grad()
def follow(average: BioFaceNet, network: BioFaceNet, *, decay: float, step: float) -> None:
    """Move an average of weights towards the network's; running statistics are taken over.

    The first steps move it by 9/10, 9/11, 9/12, .., until 1 - decay is more: a short run forgets where
    it began.
    """
    weight = max(1 - decay, 9 / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), weight)
    for ours, theirs in zip(average.buffers(), network.buffers(), strict=True):
        ours.copy_(theirs)


@contextlib.contextmanager
def advice_on_memory(run: Run) -> Iterator[None]:
    """Running out of memory is a matter of settings."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        words = str(error)
        out = not isinstance(error, RuntimeError) or isinstance(error, torch.OutOfMemoryError)
        if out or "not enough memory" in words or "allocate memory" in words:
            raise BioFaceNetError(
                f"out of memory on {run.team.device} with batches of {run.batch}; raise --accumulate "
                f"and {how_to_go_on(run)}, or start a new run with a lower --batch-size"
            ) from error
        raise
