"""What a run says: at its start, at each epoch, at its end."""

from __future__ import annotations

import platform
import shlex
from dataclasses import asdict, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..data.pairs import decode
from ..plotting.grids import training_grid
from ..system.console import console
from ..system.device import peak_memory, processor
from .losses import TERMS
from .meanings import unit_of
from .precision import autocast_type
from .run import Run
from .settings import GRID_ROWS, words
from .starts import to_paste
from .step import step_losses

__all__ = [
    "describe",
    "facts",
    "farewell",
    "short",
    "shown_settings",
    "summary",
    "write_grid",
    "write_report",
]

UNITS = {
    "batch_size": "faces",
    "learning_rate": "per step",
    "average": "kept per step",
    "exposure": "stops",
    "checkpoint_steps": "steps",
    "log_steps": "steps",
    "keep": "checkpoints",
    "sides": "pixels",
    "weight_decay": "per step, times the learning rate",
    "clip": "at most, length of the gradient",
}
"""Units of settings, where they have one."""


def describe(run: Run) -> None:
    """Say what is about to happen."""
    parameters = sum(p.numel() for p in run.network.parameters()) / 1e6
    held = f", {len(run.validation)} held out" if run.validation is not None else ""
    team = "" if run.team.size == 1 else f" and {run.team.size - 1} more"
    normalised = any(isinstance(module, nn.BatchNorm2d) for module in run.network.modules())
    if run.team.size > 1 and normalised:
        team += ", batch norm by each process's own faces"
    begun = f" after {run.step} steps" if run.step else ""
    weights = asdict(run.plan.weights)
    units = "; ".join(f"{term} in {unit_of(term)}" for term in TERMS if weights.get(term))
    photos = ""
    if run.photos is not None:
        size = f"{run.photos.height} x {run.photos.width}"
        photos = f"photos   {len(run.photos)} of {size} pixels, in two views\n"
    console.print(
        f"faces    {len(run.training)} of {run.training.height} x {run.training.width} pixels{held}\n"
        f"{photos}"
        f"network  {run.plan.network}, {parameters:.1f} M parameters{outputs_of(run)}, on "
        f"{run.team.device}{team}\n"
        f"plan     epochs {run.epoch + 1}{begun}..{run.plan.epochs}, batches of {run.batch}, "
        f"{run.plan.optimiser} at {run.plan.learning_rate:g} per step\n"
        f"losses   {units}\n"
        f"results  {run.folder}\n",
        markup=False,
    )


def outputs_of(run: Run) -> str:
    """What its network gives beside maps, light and camera."""
    return "" if run.network.shape is None else ", with normals and parts"


def facts(run: Run) -> dict[str, str]:
    """What the report says of data, network, time and machine."""
    device = run.team.device
    seconds = sum(record["seconds"] for record in run.history)
    faces = len(run.training) * len(run.history)
    held = "none" if run.validation is None else f"{len(run.validation)}"
    validated = "" if run.validation is None else " with validation"
    parameters = sum(p.numel() for p in run.network.parameters()) / 1e6
    machine = f"{torch.get_num_threads()} threads of {processor()}"
    if device.type == "cuda":
        machine = f"{torch.cuda.get_device_name(device)}, {machine}"
    half = autocast_type(run)
    return {
        "faces": f"{len(run.training)} of {run.training.height} x {run.training.width} pixels, "
        f"{held} held out",
        "network": f"{run.plan.network}, {parameters:.1f} M parameters{outputs_of(run)}",
        "precision": f"{str(half or torch.float32).removeprefix('torch.')}"
        + (", compiled" if run.settings.compile else ""),
        "time": f"{timedelta(seconds=round(seconds))} h:min:s{validated}, "
        f"{faces / seconds:.3g} training faces a second",
        "processes": str(run.team.size),
        "machine": machine,
        "memory": f"{peak_memory(device) / 2**30:.2f} GiB at the peak of the last process",
        "software": f"torch {torch.__version__}, Python {platform.python_version()}, "
        f"{platform.system()}",
        "repeat it": to_paste(
            "--settings", run.folder / "settings.json", "--out", "NEW", processes=run.team.size
        ),
    }


def shown_settings(run: Run) -> dict[str, str]:
    """Every setting as it was in effect, for people."""
    values = asdict(replace(run.settings, resume=None)) | asdict(run.plan)
    weights = asdict(run.plan.weights)
    values["loss_weights"] = ", ".join(f"{name} {value:g}" for name, value in weights.items())
    shown = {field.name: field.metadata.get("shown", "") for field in fields(run.settings)}
    hidden = {
        "weights",
        "truth_weight",
        "shape_weights",
        "faces",
        "resume",
        "show",
        "dry_run",
        "profile",
    }
    return {
        name.replace("_", " "): _told(name, value, shown.get(name, ""))
        for name, value in values.items()
        if name not in hidden
    }


def _told(name: str, value: Any, default: str) -> str:
    """A setting with its unit; one that was left open in the words of its default."""
    if value is None or (value == () and name == "files"):
        return default
    return f"{words(value)} {UNITS.get(name, '') if value != () else ''}".rstrip()


def short(values: dict[str, float]) -> str:
    """The terms on one line; those of truth, shape, bounds and photographs only where they are not 0."""
    always = ("appearance", "camera", "specular", "shading")
    names = [name for name in TERMS[1:] if name in always or values[name]]
    return "  ".join(f"{name} {values[name]:.4g}" for name in names)


def summary(record: dict[str, float], epochs: int) -> str:
    """One epoch on one line."""
    part = "validation" if "validation_total" in record else "train"
    terms = {
        name.removeprefix(f"{part}_"): value
        for name, value in record.items()
        if name.startswith(part)
    }
    return f"epoch {int(record['epoch']):3d}/{epochs}  {record['seconds']:5.1f} s  {part}: {short(terms)}"


@torch.no_grad()
def write_grid(run: Run, name: str, title: str) -> Path:
    """Some faces held out, their maps and what the maps render to, as grids/NAME.png."""
    path = run.folder / "grids" / f"{name}.png"
    data = run.validation or run.training
    stride = max(1, len(data) // GRID_ROWS)
    raw = data.read(range(0, len(data), stride)[:GRID_ROWS])
    batch = decode(raw.to(run.team.device), normals_encoding=run.settings.normals)
    _, decomposition, rendered, _ = step_losses(run, run.examinee, batch)
    training_grid(
        batch.image.cpu(),
        batch.mask.cpu(),
        batch.shading.cpu(),
        decomposition.to("cpu"),
        rendered.cpu(),
        path,
        title=title,
    )
    return path


def write_report(run: Run) -> None:
    """report.html: what was done, with what, and how well."""
    if run.journal is not None:
        weights = asdict(run.plan.weights)
        run.journal.report(run.history, facts(run), shown_settings(run), weights)


def farewell(run: Run) -> None:
    """Name everything that was written."""
    losses = f"{run.folder / 'losses.csv'}"
    if (run.folder / "steps.csv").exists():
        losses += f", {run.folder / 'steps.csv'}"
    console.print(
        f"\nnetwork      {run.folder / 'model'}\n"
        f"pictures     {run.folder / 'grids'}\n"
        f"losses       {losses}\n"
        f"report       {run.folder / 'report.html'}\n"
        f"best epoch   {run.folder / 'best'}\n"
        f"checkpoints  {run.folder / 'checkpoints'}\n"
        "try it:      biofacenet predict PHOTO --model "
        f"{shlex.quote(str(run.folder / 'model'))}",
        markup=False,
    )
