"""The batches of an epoch: order, reading and chance."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader

from ..data.pairs import FaceBatch, FacePairs, RawBatch, decode
from ..errors import BioFaceNetError, DataError
from ..system.device import usable_cpus
from . import augment
from .run import Run
from .variety import draw_variety, varied

__all__ = [
    "batches",
    "faces_of_epoch",
    "generator",
    "side_of_step",
]


def generator(run: Run, purpose: int, step: int = 0) -> torch.Generator:
    """Random numbers of a purpose in a step of this epoch."""
    numbers = torch.Generator()
    seed = ((run.settings.seed * 1_000_003 + run.epoch) * 1_000_003 + step) * 3 + purpose
    return numbers.manual_seed(seed % 2**63)


def batches(run: Run, data: FacePairs, numbers: list[list[int]]) -> Iterator[RawBatch]:
    """Batches of these samples, read by workers where there are some."""
    workers = run.settings.workers
    if workers is None:
        workers = 0 if run.team.device.type == "cpu" else min(8, usable_cpus())
    loader: DataLoader[RawBatch] = DataLoader(
        data,
        batch_sampler=numbers,
        num_workers=workers,
        collate_fn=FacePairs.collate,  # type: ignore[arg-type]
        pin_memory=run.team.device.type == "cuda",
    )
    try:
        yield from loader
    except DataError as error:
        # From a worker the message comes wrapped in its traceback, the last line being ours.
        message = str(error).strip().splitlines()[-1]
        told = DataError(message.removeprefix(f"{DataError.__module__}.DataError: "))
        # A traceback would keep the loader, which ends its workers at once only when nothing does.
        raise told from error.with_traceback(None)
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise BioFaceNetError(
            "a process that reads faces ended at once, perhaps for want of memory; go on with --resume, and "
            "with fewer --workers"
        ) from error.with_traceback(None)


def faces_of_epoch(run: Run) -> Iterator[FaceBatch]:
    """This process's share of every batch that is left of the epoch, changed by chance."""
    order = torch.randperm(len(run.training), generator=generator(run, 0)).tolist()
    share = run.batch // run.team.size
    mine = slice(run.team.rank * share, (run.team.rank + 1) * share)
    numbers = [
        order[step * run.batch : (step + 1) * run.batch][mine]
        for step in range(run.step, run.steps)
    ]
    for step, raw in enumerate(batches(run, run.training, numbers), start=run.step):
        batch = decode(raw.to(run.team.device), normals_encoding=run.settings.normals)
        numbers_of_step = generator(run, 1, step)
        if run.plan.flip or run.plan.exposure:
            changes = augment.draw(
                run.batch,
                flip=run.plan.flip,
                exposure=run.plan.exposure,
                generator=numbers_of_step,
            )
            batch = augment.apply(batch, changes.part(mine).to(run.team.device))
        if run.plan.variety:
            drawn = draw_variety(run.batch, run.plan.variety, numbers_of_step)
            batch = varied(batch, drawn.part(mine).to(run.team.device))
        side = side_of_step(run, step)
        if side is not None:
            batch = augment.resize(batch, side)
        yield batch


def side_of_step(run: Run, step: int) -> int | None:
    """The side that the pictures of a step are resized to, in pixels; None for as they are."""
    if not run.plan.sides:
        return None
    chosen = torch.randint(len(run.plan.sides), (), generator=generator(run, 2, step))
    return run.plan.sides[int(chosen)]
