"""Settings of a training run: presets, what changes them, and what is allowed."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from ..data.layout import LAYOUT, NormalsEncoding
from ..errors import BioFaceNetError, DataError, ModelError
from ..physics.names import SkinName
from ..preparation.settings import SyntheticSettings
from ..system.settings import load_settings, option

__all__ = [
    "GRID_ROWS",
    "PRESETS",
    "LossWeights",
    "Preset",
    "Settings",
    "check",
    "resolve",
    "settings_of_run",
]


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms; the defaults are the published ones, and ours of bounds."""

    appearance: float = 1e-3
    camera: float = 1e-4
    specular: float = 1e-5
    shading: float = 1e-5
    bounds: float = 5.0
    """Of raw outputs that leave the range of their map; 0 for all others."""
    truth: float = 0.0
    """Of the true maps, which only synthetic faces have."""
    normals: float = 0.0
    """Of the true normals of the head, likewise."""
    parts: float = 0.0
    """Of what each pixel shows, likewise; of photographs too, where landmarks tell it."""
    photos: float = 1.0
    """Of what maps of photographs owe to those of other views of them; where there are photographs."""
    person: float = 4.0
    """Of the mean pigments that two photographs of a person share; where there are such."""
    veil: float = 0.1
    """Of a surface that returns more than skin's does, on photographs."""


GRID_ROWS = 8

FINE_TUNING = 0.1
"""Share of the preset's learning rate for weights that have learned already."""


@dataclass(frozen=True)
class Preset:
    """Settings that belong together."""

    skin: SkinName
    network: Literal["small", "paper"]
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
    variety: float
    """Chance of another wall, of each part's light, and of each spot, face by face."""
    weights: LossWeights
    sides: tuple[int, ...]
    """Sides that batches are resized to, one of them by chance; as stored when empty."""
    faces: SyntheticSettings
    """Synthetic faces to make where no data is named."""


# In the published weights the shading and specular terms stay below a ten-thousandth of the appearance
# term, and shading leaks into melanin; the default gives each term a say.
PRESETS = {
    "default": Preset(
        skin="measured",
        network="small",
        epochs=7,
        batch_size=8,
        optimiser="adamw",
        learning_rate=2.5e-3,
        schedule="cosine",
        weight_decay=1e-2,
        clip=1.0,
        average=0.99,
        flip=True,
        exposure=0.1,
        variety=0.0,
        weights=LossWeights(
            appearance=3e-3,
            camera=1e-3,
            specular=0.1,
            shading=1.0,
            truth=1.0,
            normals=1.0,
            parts=0.1,
        ),
        sides=(),
        faces=SyntheticSettings(),
    ),
    "paper": Preset(
        skin="published",
        network="paper",
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
        variety=0.0,
        weights=LossWeights(),
        sides=(),
        faces=SyntheticSettings(out=Path("data/synthetic-published"), skin="published"),
    ),
    # Where the truth is known, it replaces the priors that stand in for it.
    "shipped": Preset(
        skin="measured",
        network="small",
        epochs=8,
        batch_size=16,
        optimiser="adamw",
        learning_rate=2e-3,
        schedule="cosine",
        weight_decay=1e-2,
        clip=1.0,
        average=0.998,
        flip=True,
        exposure=0.3,
        variety=0.0,
        weights=LossWeights(
            appearance=1e-3,
            camera=0.0,
            specular=0.0,
            shading=0.0,
            truth=1.0,
            normals=0.5,
            parts=0.1,
        ),
        sides=(64, 64, 64, 96),
        faces=SyntheticSettings(out=Path("data/synthetic-96"), count=6000, size=96, seed=1),
    ),
}


def words(value: Any) -> str:
    """A value of a preset, for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "as stored"
    return f"{value:g}" if isinstance(value, float) else str(value)


def loss_words(weights: LossWeights) -> str:
    """Weights of the four terms, for people."""
    four = (weights.appearance, weights.camera, weights.specular, weights.shading)
    return " ".join(f"{weight:g}" for weight in four)


def shape_words(weights: LossWeights) -> str:
    """Weights of normals and parts, for people."""
    return f"{weights.normals:g} {weights.parts:g}"


def by_preset(name: str, *, told: Callable[[Any], str] = words, metavar: str = "") -> Any:
    """A setting that is the preset's when not given; help shows that of each preset that differs.

    Args:
        name: of the preset's value.
        told: the value, for people.
        metavar: as for `option`.
    """
    values = {preset: told(getattr(PRESETS[preset], name)) for preset in PRESETS}
    usual = values.pop("default")
    others = [f"{preset}: {value}" for preset, value in values.items() if value != usual]
    return option(None, shown="; ".join([usual, *others]), metavar=metavar)


@dataclass
class Settings:
    """Train BioFaceNet on face images. No maps are needed as truth; where they are known, they help.

    Reads numbered HDF5 pairs of the Neural Face Editing layout. Without --data it makes synthetic
    faces once, in data/synthetic, and trains on those. Each epoch leaves a checkpoint, a line in
    losses.csv and a picture grid in the output folder; at the end the network is in OUT/model, for
    biofacenet predict. Ctrl-C finishes the step, saves, and says how to go on.
    """

    data: Path | None = option(None, shown="synthetic faces, made once")
    """Folder with the file pairs."""
    files: tuple[str, ...] = option((), shown="all", metavar="NUMBER")
    """Use these files only, by number, such as --files 20 05."""
    holdout: str = "auto"
    """Number of the file kept for validation. auto: 20 when there are others, else the last
    twentieth of the samples. none: train on everything."""
    photos: Path | None = option(None, shown="none", metavar="FOLDER")
    """Folder with file pairs of photographs, such as prepare makes, of which each step sees half as many
    as faces, each in two views: as it is, and in other light, moved, mirrored or with a highlight more.
    Maps must explain both, and agree."""
    out: Path | None = option(None, shown="the next free one of runs/001, runs/002, ..")
    """Folder for results."""
    from_: str | None = option(
        None, shown="a network that has learned nothing", metavar="small|FOLDER|OWNER/NAME"
    )
    """Begin with the weights of a network: small, which comes with the package, a folder that training
    wrote, or a model on the Hugging Face hub. Its size and skin hold, and the learning rate is a tenth
    of the preset's, so that the first epoch does not undo what it knows."""
    resume: Path | None = option(None, shown="a new run", metavar="FOLDER")
    """Continue the run in this folder, with its settings, from its last checkpoint."""
    preset: Literal["default", "paper", "shipped"] = "default"
    """default: converges quickly. paper: the published setting, faces as they are. shipped: the recipe of
    the weights that come with the package, which also learns from the true maps of synthetic faces, at
    several sizes."""
    skin: SkinName | None = by_preset("skin")
    """Constants of the skin model: published, those of the paper's authors, or measured, tuned on
    measured spectra."""
    network: Literal["small", "paper"] | None = by_preset("network")
    """Network to train: small (1.7 M parameters) or paper (47 M)."""
    epochs: int | None = by_preset("epochs")
    """Passes over the data."""
    batch_size: int | None = by_preset("batch_size", metavar="FACES")
    """Faces in a step, of all processes together."""
    accumulate: int = option(1, metavar="PARTS")
    """Parts that each process computes its share of a batch in, one after the other: for batches
    that do not fit into memory. The result is the same, but for batch norm."""
    optimiser: Literal["adamw", "sgd"] | None = by_preset("optimiser")
    """adamw, or sgd with momentum 0.9 as published."""
    learning_rate: float | None = by_preset("learning_rate")
    """Step size of the optimiser."""
    average: float | None = by_preset("average", metavar="DECAY")
    """Decay of the moving average of the weights; 0 for none."""
    flip: bool | None = by_preset("flip")
    """Mirror every other face, by chance."""
    exposure: float | None = by_preset("exposure", metavar="STOPS")
    """Standard deviation of a random exposure, in stops."""
    variety: float | None = by_preset("variety", metavar="CHANCE")
    """Chance that a face gets another wall, brighter or darker cloth or hair, and each of three spots
    of pigment, where its parts and maps are known; of photographs, where the network is sure of them."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the network; the renderer and the losses stay in float32. auto: bfloat16 where the
    processor or the GPU has instructions for it."""
    compile: bool = False
    """Compile the network with torch.compile, which takes a minute and makes steps shorter."""
    device: str = option("auto", metavar="auto|cpu|cuda|cuda:N")
    """Where to compute."""
    seed: int = 0
    """Another seed gives other initial weights, another order of the samples and other changes of them."""
    workers: int | None = option(None, shown="0 on a CPU, up to 8 beside a GPU")
    """Processes that read data, which does not depend on it."""
    in_memory: bool = False
    """Read the whole set once and keep it."""
    normals: NormalsEncoding = "offset"
    """offset: stored as (n + 1) / 2, as published. stored: take the numbers as they are, as some
    earlier readers did, to compare with their results."""
    checkpoint_steps: int = 500
    """Steps between checkpoints; there is one after each epoch besides."""
    log_steps: int = 10
    """Steps that a line of steps.csv is the mean of."""
    keep: int = option(3, metavar="CHECKPOINTS")
    """Checkpoints kept, the newest ones; the best network by validation is kept besides."""
    loss_weights: tuple[float, float, float, float] | None = by_preset("weights", told=loss_words)
    """Weights of appearance, camera, specular and shading."""
    truth_weight: float | None = by_preset("weights", told=lambda weights: f"{weights.truth:g}")
    """Weight of the true maps, which synthetic pairs have beside them; without effect where they have not,
    unless it is given."""
    shape_weights: tuple[float, float] | None = by_preset("weights", told=shape_words)
    """Weights of normals and of parts, which synthetic pairs have beside them too. Where both are 0, or
    no file has them, the network does not tell them."""
    learn: Literal["all", "surroundings"] = "all"
    """all, or what the surroundings of skin tell, while the rest of the network of --from stays as it is."""
    sides: tuple[int, ...] | None = by_preset("sides", metavar="SIDE")
    """Sides that batches are resized to, in pixels, one of them by chance."""
    tensorboard: bool = False
    """Also write event files for TensorBoard to OUT/tensorboard (needs the tensorboard extra)."""
    show: bool = False
    """Open a picture of some faces as training would see them, and leave nothing behind."""
    dry_run: bool = False
    """Send one batch through everything, say what came out, how much memory it took and how long the
    run would take, and leave nothing behind."""
    profile: bool = False
    """Measure where the time of a few steps goes, and leave a trace, but no network."""


def check(settings: Settings) -> None:
    """Raise where a setting is out of range, or what it names is not there."""
    if settings.data is not None and not settings.data.is_dir():
        raise DataError(f"{settings.data}: no such folder; expected one with {LAYOUT}")
    if settings.photos is not None and not settings.photos.is_dir():
        raise DataError(f"{settings.photos}: no such folder; expected one with {LAYOUT}")
    if settings.truth_weight is not None and not 0 <= settings.truth_weight < math.inf:
        raise BioFaceNetError(f"--truth-weight must be at least 0, got {settings.truth_weight}")
    for weight in settings.shape_weights or ():
        if not 0 <= weight < math.inf:
            raise BioFaceNetError(f"--shape-weights must be at least 0, got {weight}")
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
    if settings.variety is not None and not 0 <= settings.variety <= 1:
        raise BioFaceNetError(f"--variety must lie in [0, 1], got {settings.variety}")
    if settings.workers is not None and settings.workers < 0:
        raise BioFaceNetError(f"--workers must be at least 0, got {settings.workers}")
    if settings.learn != "all" and settings.from_ is None and settings.resume is None:
        raise BioFaceNetError(
            f"--learn {settings.learn} leaves the rest as it is; name a network that has learned, with --from"
        )
    if settings.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise BioFaceNetError("--tensorboard needs pip install 'biofacenet[tensorboard]'")


def resolve(settings: Settings) -> Preset:
    """The preset with what the settings change in it."""
    names = {field.name for field in fields(Preset)} & {field.name for field in fields(Settings)}
    changes: dict[str, Any] = {name: getattr(settings, name) for name in names}
    given = {name: value for name, value in changes.items() if value is not None}
    plan = replace(PRESETS[settings.preset], **given)
    if settings.from_ is not None and settings.learning_rate is None:
        plan = replace(plan, learning_rate=FINE_TUNING * plan.learning_rate)
    if settings.loss_weights is not None:
        terms = ("appearance", "camera", "specular", "shading")
        four = dict(zip(terms, settings.loss_weights, strict=True))
        plan = replace(plan, weights=replace(plan.weights, **four))
    if settings.truth_weight is not None:
        plan = replace(plan, weights=replace(plan.weights, truth=settings.truth_weight))
    if settings.shape_weights is not None:
        normals, parts = settings.shape_weights
        plan = replace(plan, weights=replace(plan.weights, normals=normals, parts=parts))
    return plan


def settings_of_run(folder: Path, changed: Settings, given: Collection[str]) -> Settings:
    """Settings of an earlier run, with what was given on the command line.

    Args:
        folder: of the run.
        changed: settings as the command line has them.
        given: names of those that it names; at its default, too, a setting that is named counts.

    Raises:
        ModelError: the folder is not that of a run.
        BioFaceNetError: results are to go into another folder.
    """
    if "out" in given and changed.out != folder:
        raise BioFaceNetError(
            f"--resume {folder} goes on in that folder; leave --out away, or start a new run without --resume"
        )
    if "from_" in given:
        raise BioFaceNetError(
            f"--from begins a new run, and --resume {folder} goes on with one; give one of them"
        )
    path = folder / "settings.json"
    if not path.is_file():
        raise ModelError(
            f"{folder}: not the folder of a run, it has no settings.json; name one that training wrote, such "
            "as runs/001"
        )
    stored = load_settings(Settings, path)
    return replace(
        stored, **{name: getattr(changed, name) for name in {*given} - {"out"}}, out=folder
    )
