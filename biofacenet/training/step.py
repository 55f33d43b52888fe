"""One step of training: decompose, render, compare, move the weights."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..data.pairs import FaceBatch
from ..decomposition import Decomposition
from ..errors import BioFaceNetError
from ..network.unet import BioFaceNet
from . import checkpoints
from . import losses as loss_terms
from .losses import TERMS, Losses
from .run import Run, layout

__all__ = [
    "Means",
    "advice_on_memory",
    "autocast_type",
    "step_losses",
    "take_step",
]

# Steps ---------------------------------------------------------------------------------------


def autocast_type(run: Run) -> torch.dtype | None:
    """What the network computes in, where that is not float32."""
    device = run.team.device.type
    wanted = run.settings.precision
    if wanted == "auto":
        if device == "cuda":
            half = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            amx = torch.cpu._is_amx_tile_supported()
            half = device == "cpu" and amx and not run.settings.compile
        wanted = "bfloat16" if half else "float32"
    return torch.bfloat16 if wanted == "bfloat16" else None


def autocast(run: Run) -> contextlib.AbstractContextManager[Any]:
    """The network's precision."""
    kind = autocast_type(run)
    return torch.autocast(run.team.device.type, kind, enabled=kind is not None)


def step_losses(
    run: Run, model: nn.Module, batch: FaceBatch, pixels: Tensor | None = None
) -> tuple[Losses, Decomposition, Tensor]:
    """Decompose, render and compare faces, all of a batch or, with its mask's pixels, a part of it.

    Args:
        run: the run.
        model: a `Trainee`, in one process or several.
        batch: the faces.
        pixels: of the whole batch's mask.
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
        pixels=pixels,
        images=None if pixels is None else run.batch,
    )
    return terms, decomposition, rendered


def take_step(run: Run, batch: FaceBatch) -> Tensor:
    """One step of the optimiser; this process's share of the losses."""
    run.network.train()
    run.optimiser.zero_grad(set_to_none=True)
    # All parts of a batch are divided by the same number, so that their losses add up.
    pixels = run.team.sum(batch.mask.sum())
    parts = batch.split(run.settings.accumulate)
    shares = torch.zeros(len(TERMS), device=run.team.device)
    for number, part in enumerate(parts):
        together = number == len(parts) - 1 or run.team.size == 1
        with contextlib.nullcontext() if together else run.model.no_sync():  # type: ignore[operator]
            terms, decomposition, _ = step_losses(run, run.model, part, pixels)
            run.watch.see(decomposition, part.mask)
            # Processes' gradients are averaged, and their losses are to be added.
            (terms.total * run.team.size).backward()  # type: ignore[no-untyped-call]
        shares += torch.stack([getattr(terms, name).detach() for name in TERMS])
    if math.isfinite(run.plan.clip):
        nn.utils.clip_grad_norm_(run.network.parameters(), run.plan.clip)
    run.optimiser.step()
    run.schedule.step()
    if run.average is not None:
        follow(run.average, run.network, decay=run.plan.average, step=run.taken)
    return shares


@torch.no_grad()
def follow(average: BioFaceNet, network: BioFaceNet, *, decay: float, step: int) -> None:
    """Move an average of weights towards the network's; running statistics are taken over.

    The first steps move it by 9/10, 9/11, 9/12, .., until 1 - decay is more: a short run forgets where
    it began.
    """
    weight = max(1 - decay, 9 / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), weight)
    for ours, theirs in zip(average.buffers(), network.buffers(), strict=True):
        ours.copy_(theirs)


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
        return {"sums": self.run.team.sum(rows).cpu(), "count": self.count}

    def restore(self, state: dict[str, Any]) -> None:
        """Everybody's own sums; those of another number of processes are the leader's."""
        rows, team = state["sums"].reshape(-1, len(TERMS)), self.run.team
        if len(rows) != team.size:
            rows = nn.functional.pad(rows.sum(0, keepdim=True), (0, 0, 0, team.size - 1))
        self.sums.copy_(rows[team.rank])
        self.count = state["count"]


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


def how_to_go_on(run: Run) -> str:
    """After an error; nothing of the steps since the last checkpoint is in it."""
    if checkpoints.checkpoints(run.folder):
        return f"go on with --resume {run.folder}, whose last checkpoint is good"
    return "start again"
