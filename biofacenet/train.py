"""Train BioFaceNet on file pairs of faces: one file, read from top to bottom.

    python -m biofacenet.train
    torchrun --nproc-per-node 2 -m biofacenet.train ...

Everything random depends on the seed, the epoch and the step alone, and checkpoints hold the rest, so
that a run that was interrupted anywhere ends with the same bits as one that was not.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import inspect
import math
import os
import platform
import signal
import sys
import tempfile
import time
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from . import augment, checkpoints
from . import losses as loss_terms
from .cli import console, load_settings, parse, save_settings
from .cli import run as run_command
from .data.pairs import FaceBatch, FacePairs, NormalsEncoding, RawBatch, decode, find_pairs
from .decomposition import Decomposition
from .errors import BioFaceNetError, DataError, ModelError
from .files import whole_file
from .journal import Journal
from .losses import TERMS, Losses, LossWeights
from .network import BioFaceNet
from .pictures import sample_sheet, training_grid
from .processes import Team, join
from .synthesize import Settings as SynthesizeSettings
from .synthesize import synthesize

__all__ = ["PRESETS", "Preset", "Settings", "train"]

CUSTOMARY_HOLDOUT = "20"
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
    weight_decay: float
    """Of weights; biases and norms have none."""
    clip: float
    """Largest norm of the gradient; infinite for none."""
    average: float
    """Decay of the exponential moving average of the weights, which is what is validated and kept in
    the end; less in the first steps; 0 for none."""
    flip: bool
    """Mirror every other face."""
    exposure: float
    """Standard deviation of a random exposure, in stops."""
    weights: LossWeights
    sides: tuple[int, ...]
    """Sides that batches are resized to, one of them by chance; as stored when empty."""
    faces: SynthesizeSettings
    """Synthetic faces to make where no data is named."""


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
        weight_decay=1e-2,
        clip=1.0,
        average=0.99,
        flip=True,
        exposure=0.1,
        weights=LossWeights(appearance=3e-3, camera=1e-3, specular=0.1, shading=1.0),
        sides=(),
        faces=SynthesizeSettings(),
    ),
    "paper": Preset(
        size="paper",
        epochs=200,
        batch_size=64,
        optimiser="sgd",
        learning_rate=1e-5,
        schedule="constant",
        weight_decay=0.0,
        clip=math.inf,
        average=0.0,
        flip=False,
        exposure=0.0,
        weights=LossWeights(),
        sides=(),
        faces=SynthesizeSettings(),
    ),
    # Where the truth is known, it replaces the priors that stand in for it.
    "shipped": Preset(
        size="small",
        epochs=7,
        batch_size=16,
        optimiser="adamw",
        learning_rate=2e-3,
        schedule="cosine",
        weight_decay=1e-2,
        clip=1.0,
        average=0.998,
        flip=True,
        exposure=0.3,
        weights=LossWeights(appearance=1e-3, camera=0.0, specular=0.0, shading=0.0, truth=1.0),
        sides=(64, 64, 64, 96),
        faces=SynthesizeSettings(out=Path("data/synthetic-96"), count=6000, size=96, seed=1),
    ),
}


@dataclass
class Settings:
    """Train BioFaceNet on face images; no maps are needed as truth.

    Reads numbered HDF5 pairs of the Neural Face Editing layout. Without --data it makes synthetic
    faces once, in data/synthetic, and trains on those. Each epoch leaves a checkpoint, a line in
    losses.csv and a picture grid in the output folder; at the end the network is in OUT/model, for
    python -m biofacenet.predict. Ctrl-C finishes the step, saves, and says how to go on.
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
    preset: Literal["default", "paper", "shipped"] = "default"
    """default: converges quickly. paper: the published setting (paper network, SGD, learning rate
    1e-5, batches of 64, 200 epochs, faces as they are). shipped: the recipe of the weights that come
    with the package, which also learns from the true maps of synthetic faces, at several sizes."""
    size: Literal["small", "paper"] | None = None
    """Network: small (3.5 M parameters) or paper (47 M); by the preset when not given."""
    epochs: int | None = None
    """Passes over the data (8; paper 200)."""
    batch_size: int | None = None
    """Faces in a step, of all processes together (8; paper 64)."""
    accumulate: int = 1
    """Parts that each process computes its share of a batch in, one after the other: for batches
    that do not fit into memory. The result is the same, but for batch norm."""
    optimiser: Literal["adamw", "sgd"] | None = None
    """adamw, or sgd with momentum 0.9 as published."""
    learning_rate: float | None = None
    """Step size (2e-3; paper 1e-5)."""
    average: float | None = None
    """Decay of the moving average of the weights; 0 for none (0.99; paper 0)."""
    flip: bool | None = None
    """Mirror every other face, by chance (yes; paper no)."""
    exposure: float | None = None
    """Standard deviation of a random exposure, in stops (0.1; paper 0)."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the network; the renderer and the losses stay in float32. auto: bfloat16 where the
    processor or the GPU has instructions for it."""
    compile: bool = False
    """Compile the network with torch.compile, which takes a minute and makes steps shorter."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    seed: int = 0
    """Of the initial weights, the order of the samples and their changes."""
    workers: int | None = None
    """Processes that read data; 0 on a CPU, up to 8 beside a GPU when not given."""
    in_memory: bool = False
    """Read the whole set once and keep it."""
    normals: NormalsEncoding = "offset"
    """offset: stored as (n + 1) / 2, as published. stored: take the numbers as they are, as some
    earlier readers did, to compare with their results."""
    checkpoint_steps: int = 500
    """Steps between checkpoints; there is one after each epoch besides."""
    log_steps: int = 10
    """Steps that a line of steps.csv is the mean of."""
    keep: int = 3
    """Checkpoints kept, the newest ones; the best network by validation is kept besides."""
    loss_weights: tuple[float, float, float, float] | None = None
    """Weights of appearance, camera, specular and shading; by the preset when not given."""
    truth_weight: float | None = None
    """Weight of the true maps, which synthetic pairs have beside them (0; shipped 1)."""
    sides: tuple[int, ...] | None = None
    """Sides that batches are resized to, one of them by chance; as stored when not given."""
    tensorboard: bool = False
    """Also write event files for TensorBoard to OUT/tensorboard (needs the tensorboard extra)."""
    show: bool = False
    """Open a picture of some faces as training would see them, and leave nothing behind."""
    dry_run: bool = False
    """Send one batch through everything, say what came out, how much memory it took and how long the
    run would take, and leave nothing behind."""
    profile: bool = False
    """Measure where the time of a few steps goes, and leave a trace, but no network."""


@dataclass
class Run:
    """Everything a training run holds between steps."""

    settings: Settings
    plan: Preset
    folder: Path
    team: Team
    network: BioFaceNet
    model: nn.Module
    """The network, as it is called: among several processes it adds up their gradients."""
    average: BioFaceNet | None
    """A network that follows with the moving average of the weights."""
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    training: FacePairs
    validation: FacePairs | None
    epoch: int = 0
    """Epochs that are complete."""
    step: int = 0
    """Steps of the next one that are."""
    history: list[dict[str, float]] = field(default_factory=list)
    """A line of losses.csv for each epoch."""
    best: float = math.inf
    """Least loss of validation so far."""
    means: dict[str, Any] = field(default_factory=dict)
    """Sums of losses and seconds within the epoch, for the checkpoint."""
    began: float = 0.0
    """When the epoch began, by the clock of `time.perf_counter`."""
    journal: Journal | None = None
    """The leader's."""

    @property
    def batch(self) -> int:
        """Faces in a step, of all processes."""
        return min(self.plan.batch_size, len(self.training))

    @property
    def steps(self) -> int:
        """Steps in an epoch; what is left of the samples comes up in another."""
        return len(self.training) // self.batch

    @property
    def taken(self) -> int:
        """Steps taken so far."""
        return self.epoch * self.steps + self.step

    @property
    def result(self) -> BioFaceNet:
        """The network as it is validated and kept: the average where there is one."""
        return self.network if self.average is None else self.average


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
        KeyboardInterrupt: stopped by a signal, after a checkpoint was saved.
    """
    check(settings)
    with join(settings.device) as team:
        run = set_up(settings, team)
        if team.leads:
            describe(run)
        if settings.show:
            show(run)
            return run.folder
        if settings.dry_run:
            rehearse(run)
            return run.folder
        if settings.profile:
            measure(run)
            return run.folder
        with contextlib.ExitStack() as stack:
            if team.leads:
                stored = replace(settings, resume=None, out=run.folder)
                save_settings(stored, run.folder / "settings.json")
                journal = Journal(run.folder, tensorboard=settings.tensorboard, step=run.taken)
                run.journal = stack.enter_context(journal)
            asked_to_stop = stack.enter_context(stopping())
            while run.epoch < run.plan.epochs:
                run.began = time.perf_counter() - (run.means["seconds"] if run.step else 0.0)
                record = {"epoch": run.epoch + 1.0, "learning_rate": learning_rate(run)}
                record |= {f"train_{k}": v for k, v in train_epoch(run, asked_to_stop).items()}
                record |= {f"validation_{k}": v for k, v in validate(run).items()}
                finish_epoch(run, record)
            if run.journal is not None:
                checkpoints.save(run.folder / "model", run.result.write)
                run.journal.report(run.history, facts(run), shown_settings(run))
                farewell(run)
    return run.folder


# Settings ------------------------------------------------------------------------------------


def check(settings: Settings) -> None:
    """Raise where a setting is out of range."""
    if settings.truth_weight is not None and not 0 <= settings.truth_weight < math.inf:
        raise BioFaceNetError(f"--truth-weight must be at least 0, got {settings.truth_weight}")
    for side in settings.sides or ():
        if side < 16 or side % 16:
            raise BioFaceNetError(f"--sides must be multiples of 16, got {side}")
    for name in ("epochs", "batch_size", "keep", "accumulate", "checkpoint_steps", "log_steps"):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise BioFaceNetError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
    if settings.learning_rate is not None and not 0 < settings.learning_rate < math.inf:
        raise BioFaceNetError(f"--learning-rate must be > 0, got {settings.learning_rate}")
    if settings.average is not None and not 0 <= settings.average < 1:
        raise BioFaceNetError(f"--average must lie in [0, 1), got {settings.average}")
    if settings.exposure is not None and not 0 <= settings.exposure < math.inf:
        raise BioFaceNetError(f"--exposure must be at least 0, got {settings.exposure}")
    if settings.workers is not None and settings.workers < 0:
        raise BioFaceNetError(f"--workers must be at least 0, got {settings.workers}")
    if settings.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise BioFaceNetError("--tensorboard needs pip install 'biofacenet[tensorboard]'")


def resolve(settings: Settings) -> Preset:
    """The preset with what the settings change in it."""
    names = ("size", "epochs", "batch_size", "optimiser", "learning_rate", "average", "flip")
    changes: dict[str, Any] = {name: getattr(settings, name) for name in (*names, "exposure")}
    changes["sides"] = settings.sides
    given = {name: value for name, value in changes.items() if value is not None}
    plan = replace(PRESETS[settings.preset], **given)
    if settings.loss_weights is not None:
        plan = replace(plan, weights=LossWeights(*settings.loss_weights, truth=plan.weights.truth))
    if settings.truth_weight is not None:
        plan = replace(plan, weights=replace(plan.weights, truth=settings.truth_weight))
    return plan


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


def load_data(settings: Settings, *, quiet: bool = False) -> tuple[FacePairs, FacePairs | None]:
    """Training and validation samples; synthetic faces are made where no data is named."""
    plan, folder = resolve(settings), settings.data
    if folder is None:
        folder = plan.faces.out
        if not (folder / "settings.json").is_file():  # the last file to be written
            console.print(f"no --data given: making synthetic faces in {folder}, once")
            synthesize(plan.faces)
        elif not quiet:
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
    options = {"in_memory": settings.in_memory, "truth": plan.weights.truth > 0.0}
    if holdout == "none":
        return FacePairs(files, **options), None
    if holdout == "auto":
        total = sum(file.count for file in files)
        kept = total // 20
        training = FacePairs(files, stop=total - kept, **options)
        return training, FacePairs(files, start=total - kept, **options) if kept else None
    kept_files = [file for file in files if file.number.lstrip("0") == holdout.lstrip("0")]
    others = [file for file in files if file not in kept_files]
    if not kept_files or not others:
        numbers = ", ".join(file.number for file in files)
        raise DataError(
            f"{folder}: cannot hold out file {holdout!r} of {numbers}; name one of several, auto or none"
        )
    return FacePairs(others, **options), FacePairs(kept_files, **options)


def image_mean(data: FacePairs, most: int = 512) -> list[float]:
    """Mean linear R, G and B of (up to) some evenly spaced samples."""
    stride = max(1, len(data) // most)
    raw = data.read(range(0, len(data), stride)[:most])
    return [float(mean) for mean in decode(raw).image.mean(dim=(0, 2, 3))]


def generator(run: Run, purpose: int, step: int = 0) -> torch.Generator:
    """Random numbers of a purpose in a step of this epoch."""
    numbers = torch.Generator()
    seed = ((run.settings.seed * 1_000_003 + run.epoch) * 1_000_003 + step) * 3 + purpose
    return numbers.manual_seed(seed % 2**63)


def batches(run: Run, data: FacePairs, numbers: list[list[int]]) -> Iterator[RawBatch]:
    """Batches of these samples, read by workers where there are some."""
    workers = run.settings.workers
    if workers is None:
        workers = 0 if run.team.device.type == "cpu" else min(8, os.cpu_count() or 1)
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
        raise DataError(message.removeprefix(f"{DataError.__module__}.DataError: ")) from error


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
        if run.plan.flip or run.plan.exposure:
            changes = augment.draw(
                run.batch,
                flip=run.plan.flip,
                exposure=run.plan.exposure,
                generator=generator(run, 1, step),
            )
            batch = augment.apply(batch, changes.part(mine).to(run.team.device))
        if run.plan.sides:
            chosen = torch.randint(len(run.plan.sides), (), generator=generator(run, 2, step))
            batch = augment.resize(batch, run.plan.sides[int(chosen)])
        yield batch


# Setting up ----------------------------------------------------------------------------------


def set_up(settings: Settings, team: Team) -> Run:
    """Network, optimiser and schedule, new or from the last checkpoint of the run."""
    torch.manual_seed(settings.seed)
    plan = resolve(settings)
    if team.leads and settings.data is None:
        load_data(settings)  # makes the faces, once, for all
    team.wait()
    training, validation = load_data(settings, quiet=True)
    network = BioFaceNet(plan.size, image_mean=image_mean(training))
    network.to(team.device, memory_format=layout(plan, team.device))  # type: ignore[call-overload]
    if team.size > 1 and team.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    folder = settings.out or team.share(next_free_folder(Path("runs")))
    optimiser = make_optimiser(network, plan, team.device)
    run = Run(
        settings=settings,
        plan=plan,
        folder=folder,
        team=team,
        network=network,
        model=network,
        average=copy.deepcopy(network) if plan.average else None,
        optimiser=optimiser,
        schedule=torch.optim.lr_scheduler.LambdaLR(optimiser, lambda _: 1.0),
        training=training,
        validation=validation,
    )
    parts = team.size * settings.accumulate
    if run.batch % parts:
        raise BioFaceNetError(
            f"a batch of {run.batch} faces cannot be divided into {team.size} processes x "
            f"{settings.accumulate} parts; choose --batch-size as a multiple of {parts}"
        )
    run.schedule = make_schedule(run)
    if settings.resume is not None:
        checkpoints.clear_leftovers(folder)
        checkpoints.read(folder, network, lambda state: restore(run, state))
    elif (folder / "checkpoints").exists():
        raise BioFaceNetError(
            f"{folder}: already holds a run; continue it with --resume {folder}, or name another --out"
        )
    if settings.compile:
        if team.device.type == "cpu" and settings.precision == "bfloat16":
            raise BioFaceNetError(
                "--compile with --precision bfloat16 gives NaN on CPUs (torch.compile's doing); leave "
                "one of them out"
            )
        network.compile()
    if team.size > 1:
        # All begin with the same seed or checkpoint; running means are of the leader's faces.
        known = inspect.signature(DistributedDataParallel.__init__).parameters
        buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        options: dict[str, Any] = {"init_sync": False, buffers: False}
        run.model = DistributedDataParallel(network, **options)
    return run


def layout(plan: Preset, device: torch.device) -> torch.memory_format:
    """Channels last, but for the paper network on a CPU.

    There convolutions are no faster so, and the optimiser takes twice as long.
    """
    if device.type == "cpu" and plan.size == "paper":
        return torch.contiguous_format
    return torch.channels_last


def make_optimiser(
    network: BioFaceNet, plan: Preset, device: torch.device
) -> torch.optim.Optimizer:
    """The plan's optimiser; only weights decay, not biases and norms."""
    groups: list[dict[str, Any]] = [
        {"params": [p for p in network.parameters() if p.ndim > 1]},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    options: dict[str, Any] = {"lr": plan.learning_rate, "weight_decay": plan.weight_decay}
    options["fused"] = device.type in ("cpu", "cuda")
    if plan.optimiser == "adamw":
        return torch.optim.AdamW(groups, **options)
    return torch.optim.SGD(groups, momentum=0.9, **options)


def make_schedule(run: Run) -> torch.optim.lr_scheduler.LRScheduler:
    """Constant, or a rise over a twentieth of the run, 100 to 500 steps, and a fall along a cosine.

    Without a slow rise, the first steps of AdamW, which are all of the same length, throw the
    exponential shadings out of range. A run too short for it rises over its first half.
    """
    steps = run.plan.epochs * run.steps
    rise = max(1, min(max(steps // 20, 100), 500, steps // 2))

    def factor(step: int) -> float:
        if run.plan.schedule == "constant":
            return 1.0
        return min((step + 1) / rise, 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / steps)))

    return torch.optim.lr_scheduler.LambdaLR(run.optimiser, factor)


def learning_rate(run: Run) -> float:
    """That of the next step."""
    return float(run.schedule.get_last_lr()[0])


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
    """Decompose, render and compare faces, all of a batch or, with its mask's pixels, a part of it."""
    image = batch.image.contiguous(memory_format=layout(run.plan, run.team.device))
    with autocast(run):
        decomposition: Decomposition = model(image)
    rendered = decomposition.render()
    terms = loss_terms.objective(
        decomposition,
        rendered,
        batch.image,
        batch.mask,
        batch.shading,
        run.plan.weights,
        truth=batch.truth,
        pixels=pixels,
        images=None if pixels is None else run.batch,
    )
    return terms, decomposition, rendered


def take_step(run: Run, batch: FaceBatch) -> Tensor:
    """One step of the optimiser; this process's share of the five losses."""
    run.network.train()
    run.optimiser.zero_grad(set_to_none=True)
    # All parts of a batch are divided by the same number, so that their losses add up.
    pixels = run.team.sum(batch.mask.sum())
    parts = batch.split(run.settings.accumulate)
    shares = torch.zeros(len(TERMS), device=run.team.device)
    for number, part in enumerate(parts):
        together = number == len(parts) - 1 or run.team.size == 1
        with contextlib.nullcontext() if together else run.model.no_sync():  # type: ignore[operator]
            terms, _, _ = step_losses(run, run.model, part, pixels)
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

    def add(self, shares: Tensor) -> None:
        self.sums += shares
        self.count += 1

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
        return {"sums": self.sums.cpu(), "count": self.count}

    def restore(self, state: dict[str, Any]) -> None:
        self.sums.copy_(state["sums"])
        self.count = state["count"]


def train_epoch(run: Run, asked_to_stop: Callable[[], int]) -> dict[str, float]:
    """What is left of one pass over the training samples; the mean of each loss over all of it."""
    epoch, window = Means(run), Means(run)
    if run.step:
        epoch.restore(run.means["epoch"])
        window.restore(run.means["window"])
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[losses]}"),
        TimeRemainingColumn(),
    )
    shown = run.team.leads and console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task(
            f"epoch {run.epoch + 1}/{run.plan.epochs}",
            total=run.steps * run.plan.epochs,
            completed=run.taken,
            losses="",
        )
        with advice_on_memory(run):
            for batch in faces_of_epoch(run):
                shares = take_step(run, batch)
                run.step += 1
                epoch.add(shares)
                window.add(shares)
                if run.taken % run.settings.log_steps == 0:
                    window.check()
                    means = window.values()
                    if run.journal is not None:
                        run.journal.step(run.taken, run.epoch + 1, learning_rate(run), means)
                    progress.update(task, completed=run.taken, losses=short(means))
                    window = Means(run)
                run.means = {"epoch": epoch.state(), "window": window.state()}
                run.means["seconds"] = time.perf_counter() - run.began
                stop = run.team.any(asked_to_stop() != 0)
                if stop or (
                    run.taken % run.settings.checkpoint_steps == 0 and run.step < run.steps
                ):
                    epoch.check()
                    write_checkpoint(run)
                if stop:
                    say_how_to_go_on(run, asked_to_stop())
    epoch.check()
    return epoch.values()


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
                f"out of memory on {run.team.device} with batches of {run.batch}; raise --accumulate, "
                f"or lower --batch-size, and {how_to_go_on(run)}"
            ) from error
        raise


def how_to_go_on(run: Run) -> str:
    """After an error; nothing of the steps since the last checkpoint is in it."""
    if checkpoints.checkpoints(run.folder):
        return f"go on with --resume {run.folder}, whose last checkpoint is good"
    return "start again"


@contextlib.contextmanager
def stopping() -> Iterator[Callable[[], int]]:
    """While this lasts, SIGINT and SIGTERM are remembered; a second one stops at once."""
    caught: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if caught:
            signal.default_int_handler(number, frame)
        caught.append(number)

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # signals reach the main thread only
            before[number] = signal.signal(number, remember)
    try:
        yield lambda: caught[0] if caught else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say_how_to_go_on(run: Run, number: int) -> None:
    """Stop after a signal; everything is saved by now."""
    if run.team.leads:
        console.print(
            f"stopped in epoch {run.epoch + 1} after step {run.step} of {run.steps}; go on with\n"
            f"  python -m biofacenet.train --resume {run.folder}"
        )
    if number == signal.SIGTERM:
        raise SystemExit(128 + signal.SIGTERM)
    raise KeyboardInterrupt


@torch.no_grad()
def validate(run: Run) -> dict[str, float]:
    """Mean losses over the samples held out; each process does all of them."""
    if run.validation is None:
        return {}
    network = run.result.eval()
    count, means = len(run.validation), Means(run)
    numbers = [list(range(i, min(i + run.batch, count))) for i in range(0, count, run.batch)]
    for raw in batches(run, run.validation, numbers):
        batch = decode(raw.to(run.team.device), normals_encoding=run.settings.normals)
        terms, _, _ = step_losses(run, network, batch)
        means.add(torch.stack([getattr(terms, name) for name in TERMS]))
    return means.values(shared=False)


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


def rehearse(run: Run) -> None:
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
            _, decomposition, rendered = step_losses(run, run.result.eval(), batch)
    means.check()
    if not run.team.leads:
        return
    shapes = {"image": batch.image, "mask": batch.mask, "shading proxy": batch.shading}
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


def peak_memory(device: torch.device) -> int:
    """Bytes: of tensors on a GPU, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


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


# Results -------------------------------------------------------------------------------------


def next_free_folder(parent: Path) -> Path:
    """parent/001, or the number after the highest that is there."""
    taken = [int(path.name) for path in parent.glob("[0-9]*") if path.name.isdigit()]
    return parent / f"{max(taken, default=0) + 1:03d}"


def describe(run: Run) -> None:
    """Say what is about to happen."""
    parameters = sum(p.numel() for p in run.network.parameters()) / 1e6
    held = f", {len(run.validation)} held out" if run.validation is not None else ""
    team = "" if run.team.size == 1 else f" and {run.team.size - 1} more"
    normalised = any(isinstance(module, nn.BatchNorm2d) for module in run.network.modules())
    if run.team.size > 1 and normalised:
        team += ", batch norm by each process's own faces"
    begun = f" after {run.step} steps" if run.step else ""
    console.print(
        f"faces    {len(run.training)} of {run.training.height} x {run.training.width}{held}\n"
        f"network  {run.plan.size}, {parameters:.1f} M parameters, on {run.team.device}{team}\n"
        f"plan     epochs {run.epoch + 1}{begun}..{run.plan.epochs}, batches of {run.batch}, "
        f"{run.plan.optimiser} at {run.plan.learning_rate:g}\n"
        f"results  {run.folder}\n"
    )


def facts(run: Run) -> dict[str, str]:
    """What the report says of data, network, time and machine."""
    device = run.team.device
    seconds = sum(record["seconds"] for record in run.history)
    faces = len(run.training) * len(run.history)
    held = "none" if run.validation is None else f"{len(run.validation)}"
    parameters = sum(p.numel() for p in run.network.parameters()) / 1e6
    machine = f"{torch.get_num_threads()} threads of {processor()}"
    if device.type == "cuda":
        machine = f"{torch.cuda.get_device_name(device)}, {machine}"
    half = autocast_type(run)
    return {
        "faces": f"{len(run.training)} of {run.training.height} x {run.training.width}, {held} held out",
        "network": f"{run.plan.size}, {parameters:.1f} M parameters",
        "precision": f"{str(half or torch.float32).removeprefix('torch.')}"
        + (", compiled" if run.settings.compile else ""),
        "time": f"{timedelta(seconds=round(seconds))} with validation, {faces / seconds:.0f} faces a "
        "second",
        "processes": str(run.team.size),
        "machine": machine,
        "memory": f"{peak_memory(device) / 2**30:.2f} GiB at the peak of the last process",
        "software": f"torch {torch.__version__}, Python {platform.python_version()}, "
        f"{platform.system()}",
        "repeat it": f"python -m biofacenet.train --settings {run.folder / 'settings.json'} --out NEW",
    }


def shown_settings(run: Run) -> dict[str, str]:
    """Every setting as it was in effect."""
    values = asdict(replace(run.settings, resume=None)) | asdict(run.plan)
    weights = asdict(run.plan.weights)
    values["loss_weights"] = ", ".join(f"{name} {value:g}" for name, value in weights.items())
    hidden = {"weights", "faces", "resume", "show", "dry_run", "profile"}
    return {
        name.replace("_", " "): str(value) for name, value in values.items() if name not in hidden
    }


def processor() -> str:
    """The name of the CPU, as far as the system tells."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def short(values: dict[str, float]) -> str:
    """The terms on one line; that of the truth only where it is known."""
    names = [name for name in TERMS[1:] if name != "truth" or values[name]]
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
    run.journal.epoch(run.taken, run.history, write_grid(run))
    if better:
        checkpoints.save(run.folder / "best", run.result.write)
    write_checkpoint(run)
    console.print(summary(record, run.plan.epochs))


@torch.no_grad()
def write_grid(run: Run) -> Path:
    """Some faces held out, their maps and what the maps render to."""
    path = run.folder / "grids" / f"epoch_{run.epoch:04d}.png"
    data = run.validation or run.training
    stride = max(1, len(data) // GRID_ROWS)
    raw = data.read(range(0, len(data), stride)[:GRID_ROWS])
    batch = decode(raw.to(run.team.device), normals_encoding=run.settings.normals)
    _, decomposition, rendered = step_losses(run, run.result.eval(), batch)
    training_grid(
        batch.image.cpu(),
        batch.mask.cpu(),
        batch.shading.cpu(),
        decomposition.to("cpu"),
        rendered.cpu(),
        path,
        title=f"epoch {run.epoch}",
    )
    return path


def write_checkpoint(run: Run) -> None:
    """The network and all that is needed to go on."""
    if not run.team.leads:
        return
    state = {
        "epoch": run.epoch,
        "step": run.step,
        "steps": run.steps,
        "optimiser": run.optimiser.state_dict(),
        "schedule": run.schedule.state_dict(),
        "average": None if run.average is None else run.average.state_dict(),
        "means": run.means if run.step else {},
        "history": run.history,
        "best": run.best,
        "random": torch.get_rng_state(),
    }
    checkpoints.write(run.folder, run.taken, run.network, state)
    checkpoints.discard(run.folder, run.settings.keep)


def restore(run: Run, state: dict[str, Any]) -> None:
    """Go on where a checkpoint was written."""
    if state["steps"] != run.steps and state["step"]:
        raise ValueError(
            f"it was written within an epoch of {state['steps']} steps, and now there are {run.steps}"
        )
    run.optimiser.load_state_dict(state["optimiser"])
    run.schedule.load_state_dict(state["schedule"])
    if run.average is not None:
        if state["average"] is None:
            raise ValueError("it holds no average of the weights")
        run.average.load_state_dict(state["average"])
    run.epoch, run.step, run.means = state["epoch"], state["step"], state["means"]
    run.history, run.best = state["history"], state["best"]
    torch.set_rng_state(state["random"])


def farewell(run: Run) -> None:
    """Name everything that was written."""
    console.print(
        f"\nnetwork      {run.folder / 'model'}\n"
        f"pictures     {run.folder / 'grids'}\n"
        f"losses       {run.folder / 'losses.csv'}, {run.folder / 'steps.csv'}\n"
        f"report       {run.folder / 'report.html'}\n"
        f"best epoch   {run.folder / 'best'}\n"
        f"checkpoints  {run.folder / 'checkpoints'}\n"
        f"try it:      python -m biofacenet.predict PHOTO --model {run.folder / 'model'}"
    )


if __name__ == "__main__":
    run_command(main)
