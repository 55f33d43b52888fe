"""The folder of a run, and going on in it: who may, from what, and with which settings."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from ..data.hdf5_opening import damage_told, dataset_of, open_file
from ..data.labels import read_persons
from ..data.pairs import FacePairs
from ..errors import BioFaceNetError, ModelError
from ..system.console import console
from ..system.locks import LOCK_FILE, folder_lock
from . import checkpoints
from .checkpoints import Checkpoint
from .distributed import Team
from .settings import Preset, Settings

__all__ = [
    "Start",
    "by_leader",
    "check_data",
    "find_start",
    "fixed_settings",
    "next_free_folder",
    "run_folder",
]

Value = TypeVar("Value")

REMEDY = "or start a new run with another --out, without --resume"

# The folder ----------------------------------------------------------------------------------


@contextmanager
def run_folder(settings: Settings, team: Team) -> Iterator[Path]:
    """The folder of a run, which no other process trains in while the block lasts.

    What a killed run left half written is removed from it.

    Raises:
        BioFaceNetError: another process trains there, or there is a run that is not to go on.
        SystemExit: in all processes but the leader, which says why.
    """
    with contextlib.ExitStack() as stack:

        def enter() -> Path:
            named = settings.out or settings.resume
            if settings.show or settings.dry_run:  # these leave nothing behind
                folder = named or next_free_folder(Path("runs"))
            else:
                folder = stack.enter_context(_locked(named))
            if settings.resume is None:
                _refuse_earlier_run(folder)
            return folder

        yield by_leader(team, enter)


def by_leader(team: Team, work: Callable[[], Value]) -> Value:
    """What the leader finds, for all; what goes wrong it says alone, and all end.

    Raises:
        BioFaceNetError: in the leader, what its work raised.
        SystemExit: in all others then.
    """
    if not team.leads:
        found = team.share(cast("tuple[Value] | None", None))
        if found is None:
            raise SystemExit(2)
        return found[0]
    try:
        value = work()
    except BaseException:
        team.share(None)
        raise
    team.share((value,))
    return value


@contextmanager
def _locked(named: Path | None) -> Iterator[Path]:
    """A folder as its only process; if it is new and nothing was put into it, it goes again."""
    parent = Path("runs") if named is None else named
    made = [path for path in (parent, *parent.parents) if not path.exists()]
    folder = make_free_folder(parent) if named is None else named
    if named is None:
        made.insert(0, folder)
    # What lies in other folders is not ours.
    earlier = any((folder / name).exists() for name in (LOCK_FILE, "settings.json", "checkpoints"))
    try:
        with folder_lock(folder, f"trains on {socket.gethostname()}") as held:
            if held and earlier:
                checkpoints.clear_leftovers(folder)
            elif not held:
                console.print(
                    f"warning: {folder} cannot be locked; see that nothing else trains there",
                    markup=False,
                )
            yield folder
    finally:
        with contextlib.suppress(OSError):  # not empty
            for path in made:
                path.rmdir()


def make_free_folder(parent: Path) -> Path:
    """A new folder, parent/001 or what follows; no other process gets the same."""
    while True:
        folder = next_free_folder(parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder


def next_free_folder(parent: Path) -> Path:
    """parent/001, or the number after the highest that is there."""
    taken = [int(path.name) for path in parent.glob("[0-9]*") if path.name.isdigit()]
    return parent / f"{max(taken, default=0) + 1:03d}"


def _refuse_earlier_run(folder: Path) -> None:
    if checkpoints.checkpoints(folder):
        raise BioFaceNetError(
            f"{folder}: already holds a run; continue it with --resume {folder}, or name another --out"
        )
    if (folder / "model").exists():
        raise BioFaceNetError(
            f"{folder}: already holds a run that has ended, without its checkpoints; name another --out"
        )


# What to go on from --------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """Where a run begins or goes on."""

    checkpoint: Checkpoint | None = None
    """The newest good one; None: at the beginning."""
    damaged: frozenset[Path] = frozenset()
    """Checkpoints that are not good."""

    @property
    def fixed(self) -> dict[str, Any]:
        """What the run was begun with; version 0.1.0 did not write that down."""
        return {} if self.checkpoint is None else self.checkpoint.state.get("fixed", {})


def find_start(settings: Settings, plan: Preset, folder: Path, team: Team) -> Start:
    """The newest good checkpoint of a run that is to go on, with a warning of each that is damaged.

    Raises:
        ModelError: in the leader: there is no good one, though there was one, or the settings are
            others than the run was begun with.
        SystemExit: in the others then.
    """
    if settings.resume is None:
        return Start()
    start = Start()

    def choose() -> tuple[Path | None, frozenset[Path]]:
        nonlocal start
        start = newest(folder)
        refuse_other_settings(folder, start.fixed, settings, plan)
        return None if start.checkpoint is None else start.checkpoint.path, start.damaged

    path, damaged = by_leader(team, choose)
    if not team.leads and path is not None:
        start = Start(checkpoints.read(path), damaged)
    return start


def newest(folder: Path) -> Start:
    """The newest checkpoint that is good; the others are looked at too.

    Raises:
        ModelError: none is good, or there is none, though there was one.
    """
    found = checkpoints.checkpoints(folder)
    if not found:
        _begin_anew(folder)
        return Start()
    damaged = {path: why for path in reversed(found) if (why := checkpoints.damage(path))}
    checkpoint = None
    for path in reversed(found):
        if path not in damaged and checkpoint is None:
            try:
                checkpoint = checkpoints.read(path)
            except ModelError as error:
                damaged[path] = str(error).removeprefix(f"{path}").lstrip("/: ")
    last = found[-1]
    if checkpoint is None:
        raise ModelError(
            f"{folder}: no checkpoint in it is good, the newest being {last.name} ({damaged[last]}); "
            "start a new run with another --out"
        )
    for path, why in damaged.items():
        console.print(
            f"warning: {path} is damaged ({why}); going on from {checkpoint.path.name}",
            markup=False,
        )
    return Start(checkpoint, frozenset(damaged))


def _begin_anew(folder: Path) -> None:
    """A run that was killed before its first checkpoint has lost nothing but time.

    Raises:
        ModelError: the folder is that of none, or of one that had come further.
    """
    if not (folder / "settings.json").is_file():
        raise ModelError(f"{folder}: not the folder of a run; start anew without --resume")
    losses, epochs = folder / "losses.csv", 0
    if losses.exists():
        epochs = len(losses.read_text("utf-8", errors="replace").splitlines()) - 1
    # The first line of losses is written just before the first checkpoint of all.
    if epochs > 1 or (folder / "model").exists():
        raise ModelError(
            f"{folder}: no checkpoint in it, though {max(1, epochs)} epochs have ended; start a new run "
            "with another --out"
        )
    console.print(f"{folder}: killed before its first checkpoint, so it begins anew", markup=False)


# What must stay the same ---------------------------------------------------------------------

FIXED: dict[str, Callable[[Settings, Preset], Any]] = {
    # Weights and moments have other shapes, or mean something else.
    "network": lambda settings, plan: plan.network,
    "skin": lambda settings, plan: plan.skin,
    "optimiser": lambda settings, plan: plan.optimiser,
    "average": lambda settings, plan: plan.average,
    # Which weights have moments at all.
    "learn": lambda settings, plan: settings.learn,
    # Order and number of steps are those of an epoch that has begun.
    "seed": lambda settings, plan: settings.seed,
    "batch_size": lambda settings, plan: plan.batch_size,
    # Losses of other weights or other normals do not tell which epoch is the best.
    "loss_weights": lambda settings, plan: _four(plan),
    "truth_weight": lambda settings, plan: plan.weights.truth,
    "shape_weights": lambda settings, plan: [plan.weights.normals, plan.weights.parts],
    "normals": lambda settings, plan: settings.normals,
}
"""Settings that a run is begun and ended with, by the option that names them. The data are another
such thing: see `data_facts`. All other settings may change, and hold from then on."""

ALIKE: dict[str, Callable[[Any, Any], bool]] = {
    # There is an average to go on with, or there is none; its decay may change.
    "average": lambda old, new: (old > 0) == (new > 0),
}
"""When two values are as good as the same, where that is not equality."""


def _four(plan: Preset) -> list[float]:
    weights = plan.weights
    return [weights.appearance, weights.camera, weights.specular, weights.shading]


def fixed_settings(settings: Settings, plan: Preset) -> dict[str, Any]:
    """What a checkpoint keeps of the settings."""
    values = {name: value(settings, plan) for name, value in FIXED.items()}
    return {"preset": settings.preset, **values}


def refuse_other_settings(
    folder: Path, before: Mapping[str, Any], settings: Settings, plan: Preset
) -> None:
    """Compare settings with those that a run was begun with.

    Raises:
        ModelError: the run cannot go on with one of them.
    """
    now = fixed_settings(settings, plan)
    for name in FIXED:
        if name not in before or ALIKE.get(name, _equal)(before[name], now[name]):
            continue
        old, new = f"{_shown(before[name])}", f"{_shown(now[name])}"
        option, remedy, why = _option(name), f"give {_option(name)} {old}", ""
        if getattr(settings, name) is None and before["preset"] != settings.preset:
            remedy, why = f"give --preset {before['preset']}", f" (by --preset {settings.preset})"
        raise ModelError(
            f"{folder}: {option} was {old} and cannot be {new}{why} when a run goes on; {remedy}, {REMEDY}"
        )


def _equal(old: Any, new: Any) -> bool:
    return bool(old == new)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _shown(value: Any) -> str:
    """A value as a command line has it."""
    values = value if isinstance(value, list | tuple) else [value]
    return " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)


SAMPLED = 64
"""Faces of each part of the data whose images are compared."""


def data_facts(
    settings: Settings,
    training: FacePairs,
    validation: FacePairs | None,
    photos: FacePairs | None = None,
) -> dict[str, Any]:
    """What a checkpoint keeps of the data: a digest, and words for a message.

    The digest is of names and sizes of files, of which faces are for training and which for
    validation, of the lighting of every face, of who is on photographs, and of the images, normals and
    masks (and true maps and parts, where they are read) of some. It does not depend on where the files
    lie and how they are read, and does not notice if a few images change and their lighting does not.
    """
    digest = hashlib.sha256()
    parts = [part for part in (training, validation, photos) if part is not None]
    for file in {file.images: file for part in parts for file in part.files}.values():
        digest.update(f"{file.images.name} {file.count} {file.height} {file.width}\n".encode())
        with damage_told(file.lighting), open_file(file.lighting) as opened:
            digest.update(dataset_of(opened, file.lighting)[()].astype("float32").tobytes())
    if photos is not None and (persons := read_persons(photos.files)).max() >= 0:
        digest.update(persons.tobytes())
    for part in parts:
        digest.update(f"{len(part)} faces\n".encode())
        raw = part.read(range(0, len(part), max(1, len(part) // SAMPLED)))
        tensors = [raw.channels, raw.lighting]
        if raw.truth is not None:
            tensors += [raw.truth.melanin, raw.truth.haemoglobin]
        if raw.geometry is not None:
            tensors += [raw.geometry.normals, raw.geometry.parts]
        for tensor in tensors:
            digest.update(tensor.numpy().tobytes())
    faces = " + ".join(str(len(part)) for part in parts if part is not photos)
    of_photos = "" if photos is None else f", {len(photos)} photographs"
    return {
        "data": str(training.files[0].images.parent),
        "files": list(settings.files),
        "holdout": settings.holdout,
        "photos": "none" if photos is None else str(photos.files[0].images.parent),
        "faces": f"{faces} faces of {training.height} x {training.width}{of_photos}",
        "digest": digest.hexdigest(),
    }


def check_data(
    folder: Path,
    start: Start,
    settings: Settings,
    training: FacePairs,
    validation: FacePairs | None,
    photos: FacePairs | None = None,
) -> dict[str, Any]:
    """What a checkpoint keeps of the data, which are those that the run was begun with.

    Raises:
        ModelError: they are others.
    """
    before, now = start.fixed, data_facts(settings, training, validation, photos)
    if "digest" not in before or before["digest"] == now["digest"]:
        return now
    old, new = (f"{facts['faces']}, digest {facts['digest'][:8]}" for facts in (before, now))
    for name in ("data", "files", "holdout", "photos"):
        if before.get(name, "none") != now[name]:
            was, becomes = _shown(before.get(name, "none")) or "all", _shown(now[name]) or "all"
            raise ModelError(
                f"{folder}: {_option(name)} was {was} ({old}) and cannot be {becomes} ({new}) when a run "
                f"goes on; give {_option(name)} {was}, {REMEDY}"
            )
    raise ModelError(
        f"{folder}: the files in --data {now['data']} were others when the run began ({old}) than they "
        f"are now ({new}); bring them back, {REMEDY}"
    )
