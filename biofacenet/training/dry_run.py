"""Trying a run out: what it sees, what it takes, where its time goes."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import webbrowser
from pathlib import Path

import torch

from ..plotting.grids import sample_sheet
from ..system.console import console
from ..system.device import peak_memory
from ..system.files import whole_file
from .batches import faces_of_epoch
from .means import Means
from .messages import short
from .run import Run
from .settings import GRID_ROWS
from .step import advice_on_memory, step_losses, take_step

__all__ = [
    "dry_run",
    "measure",
    "show",
]

# Trying out ----------------------------------------------------------------------------------


def show(run: Run) -> None:
    """Open a picture of the first faces of an epoch."""
    batch = next(faces_of_epoch(run))
    if not run.team.leads:
        return
    path = Path(tempfile.mkdtemp(prefix="biofacenet-")) / "samples.png"
    image, mask, normals, shading = (
        value[:GRID_ROWS].cpu() for value in (batch.image, batch.mask, batch.normals, batch.shading)
    )
    sample_sheet(image, mask, normals, shading, path, title="as training sees them")
    console.print(f"samples  {path}", markup=False)
    if (
        os.name == "nt"
        or sys.platform == "darwin"
        or {"DISPLAY", "WAYLAND_DISPLAY"} & {*os.environ}
    ):
        webbrowser.open(path.as_uri())


def dry_run(run: Run) -> None:
    """One batch through everything: shapes, memory, time."""
    batch = next(faces_of_epoch(run))
    if run.team.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(run.team.device)
    with advice_on_memory(run):
        seconds = []
        for _ in range(4):
            begin = time.perf_counter()
            means = Means(run)
            means.add(take_step(run, batch))
            values = means.values()  # waits for the device
            seconds.append(time.perf_counter() - begin)
        with torch.no_grad():
            _, decomposition, rendered, _ = step_losses(run, run.examinee, batch)
    means.check()
    if not run.team.leads:
        return
    shapes = {"image": batch.image, "mask": batch.mask, "proxy shading": batch.shading}
    shapes |= {"melanin": decomposition.melanin, "haemoglobin": decomposition.haemoglobin}
    shapes |= {"diffuse": decomposition.diffuse, "specular": decomposition.specular}
    shapes |= {"light weights": decomposition.illuminant.weights}
    shapes |= {"colour temperature": decomposition.illuminant.cct, "camera": decomposition.camera}
    shapes |= {"rendered": rendered}
    for name, tensor in shapes.items():
        console.print(
            f"{name:20s}{' x '.join(map(str, tensor.shape)):20s}"
            f"{float(tensor.min()):10.4g} .. {float(tensor.max()):.4g}"
        )
    step = sorted(seconds[1:])[1]
    whole = step * run.steps * run.plan.epochs
    console.print(
        f"\nlosses  {short(values)}\n"
        f"memory  {peak_memory(run.team.device) / 2**30:.2f} GiB at the peak\n"
        f"time    {step:.3f} s a step, {whole / 3600:.2f} h for {run.steps} steps x "
        f"{run.plan.epochs} epochs, reading and validation not counted\n"
        "nothing was written"
    )


def measure(run: Run) -> None:
    """Where the time of a few steps goes, as a table and a trace."""
    from torch.profiler import ProfilerActivity, profile, record_function

    activities = [ProfilerActivity.CPU]
    if run.team.device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with advice_on_memory(run):
        for number, batch in enumerate(faces_of_epoch(run)):
            take_step(run, batch)
            if number == 2:
                break
        with profile(activities=activities) as recorded:
            faces = faces_of_epoch(run)
            for _ in range(min(5, run.steps)):
                with record_function("read and decode"):
                    batch = next(faces)
                with record_function("step"):
                    take_step(run, batch)
    if not run.team.leads:
        return
    order = "self_cuda_time_total" if run.team.device.type == "cuda" else "self_cpu_time_total"
    console.print(recorded.key_averages().table(sort_by=order, row_limit=25), markup=False)
    with whole_file(run.folder / "trace.json.gz") as temporary:
        recorded.export_chrome_trace(str(temporary))
    console.print(f"trace {run.folder / 'trace.json.gz'}, for chrome://tracing or perfetto.dev")
