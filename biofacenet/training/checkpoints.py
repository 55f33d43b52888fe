"""Checkpoints of a training run: written whole or not at all, checked when read."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from ..errors import BioFaceNetError, ModelError
from ..network.folders import CONFIG_FILE, WEIGHTS_FILE
from ..network.unet import BioFaceNet
from ..system.files import sha256, whole_directory

__all__ = [
    "STATE_FILE",
    "Checkpoint",
    "checkpoints",
    "clear_leftovers",
    "damage",
    "discard",
    "read",
    "save",
    "write",
]

STATE_FILE = "training_state.pt"

DIGEST_FILE = "training_state.json"

FILES = (CONFIG_FILE, WEIGHTS_FILE, STATE_FILE)
"""Of a checkpoint, whose digests are in its last one."""

KEYS = {
    *("epoch", "step", "steps", "optimiser", "average"),
    *("means", "history", "best", "greatest", "random"),
}
"""Of a checkpoint's state."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds, on the CPU."""

    path: Path
    network: BioFaceNet
    state: dict[str, Any]
    """Of everything else."""


def checkpoints(run: Path) -> list[Path]:
    """Checkpoints in the folder of a run, the oldest first."""
    found = (run / "checkpoints").glob("step_*")
    return sorted(path for path in found if path.name.removeprefix("step_").isdigit())


def save(path: Path, write_files: Callable[[Path], None]) -> None:
    """Make a folder of what `write_files` writes, whole or not at all.

    Raises:
        BioFaceNetError: it cannot be written; an earlier folder of that name stays as it was.
    """
    try:
        with whole_directory(path) as folder:
            write_files(folder)
    except (OSError, RuntimeError, SafetensorError) as error:
        # torch and safetensors report a full disk as errors of their own.
        raise BioFaceNetError(
            f"{path}: cannot be written ({_first_line(error)}); free some space or "
            "name another --out. Earlier checkpoints are as they were"
        ) from error


def write(run: Path, step: int, network: BioFaceNet, state: dict[str, Any]) -> Path:
    """Network and training state after a number of steps."""

    def write_files(folder: Path) -> None:
        network.write(folder)
        torch.save(state, folder / STATE_FILE)
        # torch.load does not notice a bit that has changed.
        digests = {name: sha256(folder / name) for name in FILES}
        (folder / DIGEST_FILE).write_text(json.dumps({"sha256": digests}) + "\n", "utf-8")

    path = run / "checkpoints" / f"step_{step:08d}"
    if path.exists() and not path.is_dir():
        path.unlink()  # no checkpoint, whatever it is
    save(path, write_files)
    return path


def discard(run: Path, keep: int, damaged: Collection[Path] = ()) -> None:
    """Remove damaged checkpoints, and of the others all but the newest."""
    good = [path for path in checkpoints(run) if path not in damaged]
    for old in [*good[:-keep], *damaged]:
        _remove(old)


def _remove(path: Path) -> None:
    """Remove a checkpoint if that can be; a process that is killed meanwhile leaves no half of it."""
    with contextlib.suppress(OSError):
        if not path.is_dir():
            path.unlink()
            return
        doomed = Path(tempfile.mkdtemp(prefix=".partial-", dir=path.parent))
        try:
            path.rename(doomed / path.name)
        finally:
            shutil.rmtree(doomed, ignore_errors=True)


def clear_leftovers(run: Path) -> None:
    """Remove what a killed process left half written; no other must be at work in the run."""
    for name in ("", "checkpoints", "grids", "best", "model"):
        for path in (run / name).glob(".partial-*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def damage(path: Path) -> str:
    """What is wrong with a checkpoint's files; nothing if they are as they were written."""
    try:
        digests = json.loads((path / DIGEST_FILE).read_text("utf-8"))["sha256"]
        if isinstance(digests, str):  # version 0.1.0 knew that of the state alone
            digests = {STATE_FILE: digests, WEIGHTS_FILE: None, CONFIG_FILE: None}
        for name in FILES:
            digest = sha256(path / name)
            if digests[name] not in (None, digest):
                return f"{name} is not what {DIGEST_FILE} was written for"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except OSError as error:
        return f"{Path(error.filename or path).name}: {error.strerror}"
    except (ValueError, LookupError, TypeError, RecursionError):
        return f"{DIGEST_FILE} is no list of digests"
    return ""


def read(path: Path) -> Checkpoint:
    """What a checkpoint holds, whose files `damage` has found to be good.

    Raises:
        ModelError: it holds something else, in one line that begins with its path.
    """
    network = BioFaceNet.from_pretrained(path)
    try:
        state = torch.load(path / STATE_FILE, map_location="cpu", weights_only=True)
        missing = KEYS - state.keys()
    except Exception as error:  # torch.load raises many kinds on damaged bytes
        raise ModelError(f"{path / STATE_FILE}: cannot be read ({_first_line(error)})") from error
    if missing:
        raise ModelError(f"{path / STATE_FILE}: holds no {', '.join(sorted(missing))}")
    return Checkpoint(path, network, state)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
