"""Training, from the first epoch to the last."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from ..data.pairs import decode
from ..system.console import console, progress
from ..system.settings import save_settings
from . import checkpoints
from .batches import batches, faces_of_epoch
from .distributed import join
from .dry_run import dry_run, measure, show
from .journal import Journal
from .means import Means
from .messages import describe, farewell, short, summary, write_grid, write_report
from .resuming import run_folder
from .run import Run, first_learning_rate, learning_rate, set_up, write_checkpoint
from .settings import Settings, check
from .starts import note_start
from .step import advice_on_memory, as_vector, step_losses, take_step
from .stopping import say_how_to_go_on, stopping

__all__ = [
    "train",
]


FIRST_LOOK = 30.0
"""Seconds of training after which there is something to see."""


def train(settings: Settings) -> Path:
    """Train as the settings say.

    Returns:
        The folder with the results.

    Raises:
        BioFaceNetError: data, checkpoint or settings are not usable, or training diverged.
        KeyboardInterrupt: stopped by a signal, after a checkpoint was saved.
    """
    check(settings)
    with join(settings.device) as team, run_folder(settings, team) as folder:
        run = set_up(replace(settings, out=folder), team)
        if team.leads:
            describe(run)
        if settings.show:
            show(run)
            return run.folder
        if settings.dry_run:
            dry_run(run)
            return run.folder
        if settings.profile:
            measure(run)
            return run.folder
        with contextlib.ExitStack() as stack:
            if team.leads:
                save_settings(replace(run.settings, resume=None), folder / "settings.json")
                note_start(run.folder, run.taken)
                journal = Journal(run.folder, tensorboard=settings.tensorboard, step=run.taken)
                run.journal = stack.enter_context(journal)
            asked_to_stop = stack.enter_context(stopping())
            while run.epoch < run.plan.epochs:
                run.began = time.perf_counter() - (run.means["seconds"] if run.step else 0.0)
                record = {"epoch": run.epoch + 1.0, "learning_rate": first_learning_rate(run)}
                record |= {f"train_{k}": v for k, v in train_epoch(run, asked_to_stop).items()}
                record |= {f"validation_{k}": v for k, v in validate(run).items()}
                finish_epoch(run, record)
            if run.journal is not None:
                checkpoints.save(run.folder / "model", run.result.write)
                write_report(run)
                farewell(run)
    return run.folder


def train_epoch(run: Run, asked_to_stop: Callable[[], int]) -> dict[str, float]:
    """What is left of one pass over the training samples; the mean of each loss over all of it."""
    epoch, window = Means(run), Means(run)
    if run.step:
        epoch.restore(run.means["epoch"])
        window.restore(run.means["window"])
    title, total = f"epoch {run.epoch + 1}/{run.plan.epochs}, steps", run.steps * run.plan.epochs
    with progress(title, total, done=run.taken, shown=run.team.leads) as bar, advice_on_memory(run):
        for batch in faces_of_epoch(run):
            shares = take_step(run, batch)
            run.step += 1
            epoch.add(shares)
            window.add(shares)
            if run.taken % run.settings.log_steps == 0:
                window.check()
                means = window.values()
                if run.journal is not None:
                    for warning in run.watch.warnings(run.taken):
                        console.print(warning, markup=False)
                    run.journal.step(run.taken, run.epoch + 1, learning_rate(run), means)
                bar.update(done=run.taken, note=short(means))
                window = Means(run)
            look_first(run)
            stop = run.team.any(asked_to_stop() != 0)
            if stop or (run.taken % run.settings.checkpoint_steps == 0 and run.step < run.steps):
                epoch.check()
                run.means = {"epoch": epoch.state(), "window": window.state()}
                run.means["seconds"] = time.perf_counter() - run.began
                write_checkpoint(run)
            if stop:
                say_how_to_go_on(run, asked_to_stop())
    epoch.check()
    return epoch.values()


def look_first(run: Run) -> None:
    """Half a minute into the first epoch, say how it goes and draw some faces; once."""
    if run.looked or run.epoch > 0 or run.step == run.steps:
        return
    if time.perf_counter() - run.began < FIRST_LOOK:
        return
    run.looked = True
    if run.journal is not None:
        values = validate(run)
        grid = write_grid(run, "first_look", f"first look, after step {run.step}")
        part = f"validation: {short(values)}  " if values else ""
        console.print(f"first look, step {run.step}/{run.steps}  {part}{grid}", markup=False)


@torch.no_grad()
def validate(run: Run) -> dict[str, float]:
    """Mean losses over the faces held out, each counting alike; each process does all of them."""
    if run.validation is None:
        return {}
    count, means = len(run.validation), Means(run)
    numbers = [list(range(i, min(i + run.batch, count))) for i in range(0, count, run.batch)]
    for raw in batches(run, run.validation, numbers):
        batch = decode(raw.to(run.team.device), normals_encoding=run.settings.normals)
        terms = step_losses(run, run.examinee, batch).losses
        means.add(as_vector(terms), len(batch.image))
    return means.values(shared=False)


def finish_epoch(run: Run, record: dict[str, float]) -> None:
    """Picture, losses, checkpoint, and the network if it is the best so far."""
    run.epoch, run.step = run.epoch + 1, 0
    record |= {"step": float(run.taken), "seconds": time.perf_counter() - run.began}
    run.history.append(record)
    loss = record.get("validation_total", record["train_total"])
    better = loss < run.best
    run.best = min(loss, run.best)
    if run.journal is None:
        return
    run.journal.epoch(
        run.taken, run.history, write_grid(run, f"epoch_{run.epoch:04d}", f"epoch {run.epoch}")
    )
    if better:
        checkpoints.save(run.folder / "best", run.result.write)
    write_checkpoint(run)
    console.print(summary(record, run.plan.epochs))
