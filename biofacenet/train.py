"""Train BioFaceNet on file pairs of faces: one file, read from top to bottom."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler

from . import losses as loss_terms
from .cli import choose_device, console, load_settings, parse, save_settings
from .cli import run as run_command
from .data.pairs import FaceBatch, FacePairs, NormalsEncoding, RawBatch, decode, find_pairs
from .decomposition import Decomposition
from .errors import BioFaceNetError, DataError, ModelError
from .files import whole_directory, whole_file
from .losses import Losses, LossWeights
from .network import BioFaceNet
from .pictures import training_grid

__all__ = ["PRESETS", "Preset", "Settings", "train"]

SYNTHETIC_FOLDER = Path("data/synthetic")
CUSTOMARY_HOLDOUT = "20"
STATE_FILE = "training_state.pt"
GRID_ROWS = 8


@dataclass(frozen=True)
class Preset:
    """Settings that belong together."""

    size: Literal["small", "paper"]
    epochs: int
    batch_size: int
    optimiser: Literal["adamw", "sgd"]
    learning_rate: float
    schedule: Literal["cosine", "constant"]
    """cosine: rise to the learning rate over the first steps, then fall along a cosine."""
    clip: float
    """Largest norm of the gradient; infinite for none."""
    weights: LossWeights


# In the published weights the shading and specular terms stay below a ten-thousandth of the appearance
# term, and shading leaks into melanin; the default gives each term a say.
PRESETS = {
    "default": Preset(
        size="small",
        epochs=8,
        batch_size=8,
        optimiser="adamw",
        learning_rate=2e-3,
        schedule="cosine",
        clip=1.0,
        weights=LossWeights(appearance=3e-3, camera=1e-3, specular=0.1, shading=1.0),
    ),
    "paper": Preset(
        size="paper",
        epochs=200,
        batch_size=64,
        optimiser="sgd",
        learning_rate=1e-5,
        schedule="constant",
        clip=math.inf,
        weights=LossWeights(),
    ),
}


@dataclass
class Settings:
    """Train BioFaceNet on face images; no maps are needed as truth.

    Reads numbered HDF5 pairs of the Neural Face Editing layout. Without --data it makes synthetic
    faces once, in data/synthetic, and trains on those. Each epoch leaves a checkpoint, a line in
    losses.csv and a picture grid in the output folder; at the end the network is in OUT/model, for
    python -m biofacenet.predict.
    """

    data: Path | None = None
    """Folder with the file pairs; synthetic faces are made when none is given."""
    files: tuple[str, ...] = ()
    """Use these files only, by number, such as --files 20 05; all when empty."""
    holdout: str = "auto"
    """Number of the file kept for validation. auto: 20 when there are others, else the last
    twentieth of the samples. none: train on everything."""
    out: Path | None = None
    """Folder for results; the next free one of runs/001, runs/002, .. when not given."""
    resume: Path | None = None
    """Continue the run in this folder, with its settings, from its last checkpoint."""
    preset: Literal["default", "paper"] = "default"
    """default: converges quickly. paper: the published setting (paper network, SGD, learning rate
    1e-5, batches of 64, 200 epochs)."""
    size: Literal["small", "paper"] | None = None
    """Network: small (3.5 M parameters) or paper (47 M); by the preset when not given."""
    epochs: int | None = None
    """Passes over the data (8; paper 200)."""
    batch_size: int | None = None
    """Faces in a step (8; paper 64)."""
    optimiser: Literal["adamw", "sgd"] | None = None
    """adamw, or sgd with momentum 0.9 as published."""
    learning_rate: float | None = None
    """Step size (2e-3; paper 1e-5)."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    seed: int = 0
    """Of the initial weights and the order of the samples."""
    workers: int | None = None
    """Processes that read data; 0 on a CPU, up to 8 beside a GPU when not given."""
    in_memory: bool = False
    """Read the whole set once and keep it."""
    normals: NormalsEncoding = "offset"
    """offset: stored as (n + 1) / 2, as published. stored: take the numbers as they are, as some
    earlier readers did, to compare with their results."""
    keep: int = 3
    """Checkpoints kept, the newest ones."""
    loss_weights: tuple[float, float, float, float] | None = None
    """Weights of appearance, camera, specular and shading; by the preset when not given."""


@dataclass
class Run:
    """Everything a training run holds between steps."""

    settings: Settings
    plan: Preset
    folder: Path
    device: torch.device
    network: BioFaceNet
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    training: FacePairs
    validation: FacePairs | None
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def main() -> None:
    settings = parse(Settings, program="biofacenet.train")
    if settings.resume is not None:
        settings = settings_of_run(settings.resume, changed=settings)
    train(settings)


def train(settings: Settings) -> Path:
    """Train as the settings say.

    Returns:
        The folder with the results.

    Raises:
        BioFaceNetError: data, checkpoint or settings are not usable, or training diverged.
    """
    check(settings)
    device = choose_device(settings.device)
    torch.manual_seed(settings.seed)
    plan = resolve(settings)
    training, validation = load_data(settings)
    run = set_up(settings, plan, device, training, validation)
    describe(run)
    save_settings(replace(settings, resume=None, out=run.folder), run.folder / "settings.json")
    while run.epoch < plan.epochs:
        begin = time.perf_counter()
        record: dict[str, float] = {
            "epoch": run.epoch + 1.0,
            "learning_rate": float(run.schedule.get_last_lr()[0]),
        }
        record |= {f"train_{name}": value for name, value in train_epoch(run).items()}
        record |= {f"validation_{name}": value for name, value in validate(run).items()}
        record["seconds"] = time.perf_counter() - begin
        run.epoch += 1
        run.history.append(record)
        write_grid(run)
        write_losses(run)
        write_checkpoint(run)
        console.print(summary(record, plan.epochs))
    run.network.save_pretrained(run.folder / "model")
    console.print(
        f"\nnetwork      {run.folder / 'model'}\n"
        f"pictures     {run.folder / 'grids'}\n"
        f"losses       {run.folder / 'losses.csv'}\n"
        f"checkpoints  {run.folder / 'checkpoints'}\n"
        f"try it:      python -m biofacenet.predict PHOTO --model {run.folder / 'model'}"
    )
    return run.folder


# Settings ------------------------------------------------------------------------------------


def check(settings: Settings) -> None:
    """Raise where a setting is out of range."""
    for name in ("epochs", "batch_size", "keep"):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise BioFaceNetError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
    if settings.learning_rate is not None and not 0 < settings.learning_rate < math.inf:
        raise BioFaceNetError(f"--learning-rate must be > 0, got {settings.learning_rate}")
    if settings.workers is not None and settings.workers < 0:
        raise BioFaceNetError(f"--workers must be at least 0, got {settings.workers}")


def resolve(settings: Settings) -> Preset:
    """The preset with what the settings change in it."""
    changes: dict[str, Any] = {
        "size": settings.size,
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "optimiser": settings.optimiser,
        "learning_rate": settings.learning_rate,
        "weights": settings.loss_weights and LossWeights(*settings.loss_weights),
    }
    given = {name: value for name, value in changes.items() if value is not None}
    return replace(PRESETS[settings.preset], **given)


def settings_of_run(folder: Path, changed: Settings) -> Settings:
    """Settings of an earlier run, with what was changed on the command line."""
    path = folder / "settings.json"
    if not path.is_file():
        raise ModelError(f"{folder}: not the folder of a run, it has no settings.json")
    stored = load_settings(Settings, path)
    default = Settings()
    given = {
        item.name: getattr(changed, item.name)
        for item in fields(Settings)
        if getattr(changed, item.name) != getattr(default, item.name)
    }
    return replace(stored, **given, out=folder)


# Data ----------------------------------------------------------------------------------------


def load_data(settings: Settings) -> tuple[FacePairs, FacePairs | None]:
    """Training and validation samples; synthetic faces are made where no data is named."""
    folder = settings.data
    if folder is None:
        folder = SYNTHETIC_FOLDER
        if not (folder / "settings.json").is_file():  # the last file to be written
            from .synthesize import Settings as SynthesizeSettings
            from .synthesize import synthesize

            console.print(f"no --data given: making synthetic faces in {folder}, once")
            synthesize(SynthesizeSettings(out=folder))
        else:
            console.print(f"no --data given: using the synthetic faces in {folder}")
    files = find_pairs(folder, settings.files)
    if files[0].height % 16 or files[0].width % 16:
        raise DataError(
            f"{files[0].images}: images of {files[0].height} x {files[0].width}; the network needs "
            "sides divisible by 16"
        )

    holdout = settings.holdout
    if holdout == "auto" and len(files) > 1 and any(f.number == CUSTOMARY_HOLDOUT for f in files):
        holdout = CUSTOMARY_HOLDOUT
    in_memory = settings.in_memory
    if holdout == "none":
        return FacePairs(files, in_memory=in_memory), None
    if holdout == "auto":
        total = sum(file.count for file in files)
        kept = total // 20
        training = FacePairs(files, stop=total - kept, in_memory=in_memory)
        return training, FacePairs(files, start=total - kept, in_memory=in_memory) if kept else None
    kept_files = [file for file in files if file.number.lstrip("0") == holdout.lstrip("0")]
    others = [file for file in files if file not in kept_files]
    if not kept_files or not others:
        numbers = ", ".join(file.number for file in files)
        raise DataError(
            f"{folder}: cannot hold out file {holdout!r} of {numbers}; name one of several, auto or none"
        )
    return FacePairs(others, in_memory=in_memory), FacePairs(kept_files, in_memory=in_memory)


def loader(run: Run, data: FacePairs, *, shuffle: bool) -> DataLoader[RawBatch]:
    """Batches of a data set; the order depends on seed and epoch alone."""
    workers = run.settings.workers
    if workers is None:
        workers = 0 if run.device.type == "cpu" else min(8, os.cpu_count() or 1)
    order = torch.Generator().manual_seed(run.settings.seed * 100_003 + run.epoch)
    batch_size = min(run.plan.batch_size, len(data))
    return DataLoader(
        data,
        batch_size=batch_size,
        sampler=RandomSampler(data, generator=order) if shuffle else None,
        drop_last=shuffle,
        num_workers=workers,
        collate_fn=FacePairs.collate,  # type: ignore[arg-type]
        pin_memory=run.device.type == "cuda",
    )


def faces(run: Run, data: FacePairs, *, shuffle: bool) -> Iterator[FaceBatch]:
    """Decoded batches on the run's device."""
    try:
        for raw in loader(run, data, shuffle=shuffle):
            yield decode(raw.to(run.device), normals_encoding=run.settings.normals)
    except DataError as error:
        # From a worker the message comes wrapped in its traceback, the last line being ours.
        message = str(error).strip().splitlines()[-1]
        raise DataError(message.removeprefix(f"{DataError.__module__}.DataError: ")) from error


# Steps ---------------------------------------------------------------------------------------


def set_up(
    settings: Settings,
    plan: Preset,
    device: torch.device,
    training: FacePairs,
    validation: FacePairs | None,
) -> Run:
    """Network, optimiser and schedule, new or from the last checkpoint of the run."""
    network = BioFaceNet(plan.size, image_mean=image_mean(training)).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    optimiser: torch.optim.Optimizer
    if plan.optimiser == "adamw":
        groups: list[dict[str, Any]] = [
            {"params": decayed},
            {"params": others, "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(groups, lr=plan.learning_rate, weight_decay=1e-2)
    else:
        optimiser = torch.optim.SGD(network.parameters(), lr=plan.learning_rate, momentum=0.9)
    steps = plan.epochs * max(1, len(training) // min(plan.batch_size, len(training)))

    def factor(step: int) -> float:
        if plan.schedule == "constant":
            return 1.0
        rise = max(1, min(steps // 20, 500))
        return min((step + 1) / rise, 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / steps)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
    folder = settings.out or next_free_folder(Path("runs"))
    run = Run(settings, plan, folder, device, network, optimiser, schedule, training, validation)
    if settings.resume is not None:
        read_checkpoint(run)
    elif (folder / "checkpoints").exists():
        raise BioFaceNetError(
            f"{folder}: already holds a run; continue it with --resume {folder}, or name another --out"
        )
    return run


def image_mean(data: FacePairs, most: int = 512) -> list[float]:
    """Mean linear R, G and B of (up to) some evenly spaced samples."""
    stride = max(1, len(data) // most)
    raw = data.read(range(0, len(data), stride)[:most])
    return [float(mean) for mean in decode(raw).image.mean(dim=(0, 2, 3))]


def step_losses(run: Run, batch: FaceBatch) -> tuple[Losses, Decomposition, Tensor]:
    """Decompose, render and compare one batch."""
    image = batch.image.contiguous(memory_format=torch.channels_last)
    decomposition: Decomposition = run.network(image)
    rendered = decomposition.render()
    terms = loss_terms.objective(
        decomposition, rendered, batch.image, batch.mask, batch.shading, run.plan.weights
    )
    return terms, decomposition, rendered


class Averages:
    """Running means of the loss terms, kept on the device."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def add(self, terms: Losses) -> None:
        for name, value in vars(terms).items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value.detach()
        self._count += 1

    def values(self) -> dict[str, float]:
        return {name: float(total) / self._count for name, total in self._sums.items()}


def train_epoch(run: Run) -> dict[str, float]:
    """One pass over the training samples; the mean of each loss."""
    run.network.train()
    averages = Averages()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[losses]}"),
        TimeRemainingColumn(),
    )
    per_epoch = max(1, len(run.training) // run.plan.batch_size)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(
            f"epoch {run.epoch + 1}/{run.plan.epochs}",
            total=per_epoch * run.plan.epochs,
            completed=per_epoch * run.epoch,
            losses="",
        )
        for batch in faces(run, run.training, shuffle=True):
            terms, _, _ = step_losses(run, batch)
            value = float(terms.total.detach())
            if not math.isfinite(value):
                raise BioFaceNetError(
                    f"the loss became {value} in epoch {run.epoch + 1}; lower --learning-rate and go on "
                    f"with --resume {run.folder}"
                )
            run.optimiser.zero_grad(set_to_none=True)
            terms.total.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(run.network.parameters(), run.plan.clip)
            run.optimiser.step()
            run.schedule.step()
            averages.add(terms)
            progress.update(task, advance=1, losses=short(terms.values()))
    return averages.values()


@torch.no_grad()
def validate(run: Run) -> dict[str, float]:
    """Mean losses over the samples held out."""
    if run.validation is None:
        return {}
    run.network.eval()
    averages = Averages()
    for batch in faces(run, run.validation, shuffle=False):
        averages.add(step_losses(run, batch)[0])
    return averages.values()


# Results -------------------------------------------------------------------------------------


def next_free_folder(parent: Path) -> Path:
    """parent/001, or the number after the highest that is there."""
    taken = [int(path.name) for path in parent.glob("[0-9]*") if path.name.isdigit()]
    return parent / f"{max(taken, default=0) + 1:03d}"


def describe(run: Run) -> None:
    """Say what is about to happen."""
    parameters = sum(p.numel() for p in run.network.parameters()) / 1e6
    held = f", {len(run.validation)} held out" if run.validation is not None else ""
    console.print(
        f"faces    {len(run.training)} of {run.training.height} x {run.training.width}{held}\n"
        f"network  {run.plan.size}, {parameters:.1f} M parameters, on {run.device}\n"
        f"plan     epochs {run.epoch + 1}..{run.plan.epochs}, batches of {run.plan.batch_size}, "
        f"{run.plan.optimiser} at {run.plan.learning_rate:g}\n"
        f"results  {run.folder}\n"
    )


def short(values: dict[str, float]) -> str:
    """The four terms on one line."""
    names = ("appearance", "camera", "specular", "shading")
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


def write_losses(run: Run) -> None:
    """losses.csv: a line per epoch."""
    with (
        whole_file(run.folder / "losses.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, list(run.history[-1]), restval="")
        writer.writeheader()
        for record in run.history:
            writer.writerow({name: f"{value:.6g}" for name, value in record.items()})


@torch.no_grad()
def write_grid(run: Run) -> None:
    """Some faces held out, their maps and what the maps render to."""
    data = run.validation or run.training
    run.network.eval()
    stride = max(1, len(data) // GRID_ROWS)
    raw = data.read(range(0, len(data), stride)[:GRID_ROWS])
    batch = decode(raw.to(run.device), normals_encoding=run.settings.normals)
    _, decomposition, rendered = step_losses(run, batch)
    training_grid(
        batch.image.cpu(),
        batch.mask.cpu(),
        batch.shading.cpu(),
        decomposition.to("cpu"),
        rendered.cpu(),
        run.folder / "grids" / f"epoch_{run.epoch:04d}.png",
        title=f"epoch {run.epoch}",
    )


def write_checkpoint(run: Run) -> None:
    """The network and all that is needed to go on, in one folder; older ones beyond `keep` go."""
    parent = run.folder / "checkpoints"
    with whole_directory(parent / f"epoch_{run.epoch:04d}") as folder:
        run.network.write(folder)
        state = {
            "epoch": run.epoch,
            "optimiser": run.optimiser.state_dict(),
            "schedule": run.schedule.state_dict(),
            "history": run.history,
            "random": torch.get_rng_state(),
        }
        torch.save(state, folder / STATE_FILE)
    for old in checkpoints(run.folder)[: -run.settings.keep]:
        for path in old.iterdir():
            path.unlink()
        old.rmdir()


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a run, the oldest first."""
    return sorted((folder / "checkpoints").glob("epoch_*"))


def read_checkpoint(run: Run) -> None:
    """Continue from the last checkpoint of the run's folder."""
    found = checkpoints(run.folder)
    if not found:
        raise ModelError(f"{run.folder}: no checkpoint in it; start anew without --resume")
    path = found[-1]
    stored = BioFaceNet.from_pretrained(path)
    run.network.load_weights(stored.state_dict(), where=str(path))
    try:
        state = torch.load(path / STATE_FILE, map_location="cpu", weights_only=True)
        run.optimiser.load_state_dict(state["optimiser"])
        run.schedule.load_state_dict(state["schedule"])
        run.epoch, run.history = state["epoch"], state["history"]
        torch.set_rng_state(state["random"])
    except Exception as error:  # torch.load raises many kinds on damaged bytes
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{path / STATE_FILE}: cannot be read ({reason}); remove that checkpoint to go on from the "
            "one before"
        ) from error


if __name__ == "__main__":
    run_command(main)
