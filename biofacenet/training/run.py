"""Everything a run holds between steps: made anew, or from its last checkpoint."""

from __future__ import annotations

import copy
import inspect
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..data.pairs import FacePairs
from ..decomposition import Decomposition
from ..errors import BioFaceNetError, ModelError
from ..network.sizes import SIZES
from ..network.unet import BioFaceNet, RawOutputs
from . import checkpoints
from .checkpoints import Checkpoint
from .data import image_mean, load_data, load_photos, persons_of, tells_shape
from .distributed import Team
from .journal import Journal
from .resuming import (
    by_leader,
    check_data,
    find_start,
    fixed_settings,
    next_free_folder,
)
from .settings import Preset, Settings, resolve
from .watch import Watch

__all__ = [
    "Run",
    "Trainee",
    "first_learning_rate",
    "layout",
    "learning_rate",
    "set_up",
    "write_checkpoint",
]


class Trainee(nn.Module):
    """A network as training calls it: image to decomposition and the raw outputs behind it."""

    def __init__(self, network: BioFaceNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Decomposition, RawOutputs]:
        return self.network.with_raw_outputs(image)


@dataclass
class Run:
    """Everything a training run holds between steps."""

    settings: Settings
    plan: Preset
    folder: Path
    team: Team
    network: BioFaceNet
    model: nn.Module
    """The network's `Trainee`: among several processes it adds up their gradients."""
    average: BioFaceNet | None
    """A network that follows with the moving average of the weights."""
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    training: FacePairs
    validation: FacePairs | None
    photos: FacePairs | None = None
    """Photographs, whose maps nobody knows."""
    persons: list[int] | None = None
    """Who is on each of them, -1 where nobody knows; None where that is so of all."""
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
    watch: Watch = field(default_factory=Watch)
    """On the maps of this process's faces."""
    looked: bool = False
    """Whether the first look was taken."""
    fixed: dict[str, Any] = field(default_factory=dict)
    """What must stay the same when the run goes on, for the checkpoint."""
    damaged: set[Path] = field(default_factory=set)
    """Checkpoints that are not good."""

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

    @property
    def examinee(self) -> Trainee:
        """That network for `step_losses`, in evaluation mode."""
        return Trainee(self.result).eval()


# Setting up ----------------------------------------------------------------------------------


def set_up(settings: Settings, team: Team) -> Run:
    """Network, optimiser and schedule, new or from the last checkpoint of the run."""
    torch.manual_seed(settings.seed)
    origin = None
    if settings.from_ is not None and settings.resume is None:
        settings, origin = begin_with(settings, team)
    plan = resolve(settings)
    folder = settings.out or team.share(next_free_folder(Path("runs")))
    start = find_start(settings, plan, folder, team)
    if team.leads and settings.data is None:
        load_data(replace(settings, in_memory=False))  # makes the faces, once, for all
    team.wait()
    training, validation = load_data(settings, quiet=True)
    photos = load_photos(settings)
    facts = by_leader(
        team, lambda: check_data(folder, start, settings, training, validation, photos)
    )
    network = make_network(plan, origin, training, photos)
    choose_what_learns(network, settings)
    network.to(team.device, memory_format=layout(plan, team.device))  # type: ignore[call-overload]
    if team.size > 1 and team.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    optimiser = make_optimiser(network, plan, team.device)
    run = Run(
        settings=settings,
        plan=plan,
        folder=folder,
        team=team,
        network=network,
        model=Trainee(network),
        average=copy.deepcopy(network) if plan.average else None,
        optimiser=optimiser,
        schedule=torch.optim.lr_scheduler.LambdaLR(optimiser, lambda _: 1.0),
        training=training,
        validation=validation,
        photos=photos,
        persons=persons_of(photos),
        fixed=fixed_settings(settings, plan) | facts,
        damaged=set(start.damaged),
    )
    parts = team.size * settings.accumulate
    if run.batch % parts:
        raise BioFaceNetError(
            f"a batch of {run.batch} faces cannot be divided into {team.size} processes x "
            f"{settings.accumulate} parts; choose --batch-size as a multiple of {parts}"
        )
    run.schedule = make_schedule(run)
    if start.checkpoint is not None:
        restore(run, start.checkpoint)
    if settings.compile:
        if team.device.type == "cpu" and settings.precision == "bfloat16":
            raise BioFaceNetError(
                "--compile with --precision bfloat16 gives NaN on CPUs (torch.compile's doing); leave "
                "one of them out"
            )
        run.model.compile()
    if team.size > 1:
        run.model = together(run.model)
    return run


def make_network(
    plan: Preset, origin: BioFaceNet | None, training: FacePairs, photos: FacePairs | None
) -> BioFaceNet:
    """The network to train, which tells normals and parts where there is something to learn them from."""
    shaped = tells_shape(training, photos) and SIZES[plan.network].shared
    if origin is None:
        mean = image_mean(training)
        return BioFaceNet(plan.network, image_mean=mean, skin=plan.skin, shaped=shaped)
    if shaped and origin.shape is None:
        origin.add_shape()
    elif not shaped:
        # What it knows of them would be lost as the other outputs learn.
        origin.shape = origin.surroundings = None
    return origin


def choose_what_learns(network: BioFaceNet, settings: Settings) -> None:
    """Keep all weights but those of the surroundings as they are, where the settings say so.

    Raises:
        BioFaceNetError: the network has no such weights.
    """
    if settings.learn == "all":
        return
    if network.surroundings is None:
        raise BioFaceNetError(
            f"--learn {settings.learn}: this network does not compare skin with its surroundings; expected a "
            "small one that gives normals and parts"
        )
    for name, weight in network.named_parameters():
        weight.requires_grad_(name.startswith("surroundings."))


def together(model: nn.Module) -> nn.Module:
    """The model with the gradients of all processes, which begin with the same seed or checkpoint."""
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    # Running means are of the leader's faces.
    buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {"init_sync": False, buffers: False}
    return DistributedDataParallel(model, **options)


def begin_with(settings: Settings, team: Team) -> tuple[Settings, BioFaceNet]:
    """The network of --from, and settings that name its size and skin.

    Raises:
        ModelError: it cannot be had, or its size or skin is not what the settings ask for.
    """

    def load() -> BioFaceNet:
        assert settings.from_ is not None
        network = BioFaceNet.from_pretrained(settings.from_)
        if settings.network not in (None, network.size):
            raise ModelError(
                f"--from {settings.from_}: a {network.size!r} network; leave out --network "
                f"{settings.network}"
            )
        if settings.skin not in (None, network.skin):
            raise ModelError(
                f"--from {settings.from_}: a network of {network.skin} skin; leave out --skin {settings.skin}"
            )
        return network

    # The leader first: it says alone what is wrong, and fetches what is on a hub.
    by_leader(team, lambda: load().size)
    network = load()
    size = cast("Literal['small', 'paper']", network.size)
    return replace(settings, network=size, skin=network.skin), network


def layout(plan: Preset, device: torch.device) -> torch.memory_format:
    """Channels last, but for the paper network on a CPU.

    There convolutions are no faster so, and the optimiser takes twice as long.
    """
    if device.type == "cpu" and plan.network == "paper":
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


def make_schedule(run: Run) -> torch.optim.lr_scheduler.LambdaLR:
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

    return torch.optim.lr_scheduler.LambdaLR(run.optimiser, factor, last_epoch=run.taken - 1)


def learning_rate(run: Run) -> float:
    """That of the next step."""
    return float(run.schedule.get_last_lr()[0])


def first_learning_rate(run: Run) -> float:
    """That of the first step of this epoch."""
    factor = run.schedule.lr_lambdas[0]
    return float(run.schedule.base_lrs[0] * factor(run.epoch * run.steps))


# Results -------------------------------------------------------------------------------------


def write_checkpoint(run: Run) -> None:
    """The network and all that is needed to go on."""
    if not run.team.leads:
        return
    state = {
        "epoch": run.epoch,
        "step": run.step,
        "steps": run.steps,
        "optimiser": run.optimiser.state_dict(),
        "average": None if run.average is None else run.average.state_dict(),
        "means": run.means if run.step else {},
        "history": run.history,
        "best": run.best,
        "random": torch.get_rng_state(),
        "fixed": run.fixed,
        "greatest": run.watch.greatest,
    }
    run.damaged.discard(checkpoints.write(run.folder, run.taken, run.network, state))
    checkpoints.discard(run.folder, run.settings.keep, run.damaged)
    run.damaged.clear()


def restore(run: Run, checkpoint: Checkpoint) -> None:
    """Go on where a checkpoint was written.

    Raises:
        ModelError: it does not fit the run.
    """
    state = checkpoint.state
    run.network.load_weights(checkpoint.network.state_dict(), where=str(checkpoint.path))
    try:
        if state["steps"] != run.steps and state["step"]:
            raise ValueError(f"of an epoch of {state['steps']} steps, which now has {run.steps}")
        run.optimiser.load_state_dict(state["optimiser"])
        if run.average is not None:
            run.average.load_state_dict(state["average"])
        run.epoch, run.step, run.means = state["epoch"], state["step"], state["means"]
        run.history, run.best = state["history"], state["best"]
        run.watch.greatest = list(state["greatest"])
        torch.set_rng_state(state["random"])
    except Exception as error:  # whatever a state of another shape meets
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{checkpoint.path / checkpoints.STATE_FILE}: does not fit this run ({reason}); start a new "
            "run with another --out"
        ) from error
    # The optimiser remembers its rate; what the settings say now holds.
    for group in run.optimiser.param_groups:
        group["initial_lr"] = run.plan.learning_rate
    run.schedule = make_schedule(run)
