"""Checkpoints of a training run: written whole or not at all, checked when read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from ..errors import BioFaceNetError, ModelError
from ..network.unet import BioFaceNet
from ..system.files import sha256, whole_directory

__all__ = [
    "STATE_FILE",
    "checkpoints",
    "clear_leftovers",
    "discard",
    "read",
    "save",
    "write",
]

STATE_FILE = "training_state.pt"

DIGEST_FILE = "training_state.json"


def checkpoints(run: Path) -> list[Path]:
    """Checkpoints in the folder of a run, the oldest first."""
    return sorted((run / "checkpoints").glob("step_*"))


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
            f"{path}: cannot be written ({str(error).strip().splitlines()[0]}); free some space or "
            "name another --out. Earlier checkpoints are as they were"
        ) from error


def write(run: Path, step: int, network: BioFaceNet, state: dict[str, Any]) -> Path:
    """Network and training state after a number of steps."""

    def write_files(folder: Path) -> None:
        network.write(folder)
        torch.save(state, folder / STATE_FILE)
        # torch.load does not notice a bit that has changed.
        digest = {"sha256": sha256(folder / STATE_FILE)}
        (folder / DIGEST_FILE).write_text(json.dumps(digest) + "\n", "utf-8")

    path = run / "checkpoints" / f"step_{step:08d}"
    save(path, write_files)
    return path


def discard(run: Path, keep: int) -> None:
    """Remove all checkpoints but the newest."""
    for old in checkpoints(run)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)


def clear_leftovers(run: Path) -> None:
    """Remove what a killed process left half written."""
    for folder in (run, run / "checkpoints", run / "grids"):
        for path in folder.glob(".partial-*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def read(run: Path, network: BioFaceNet, restore: Callable[[dict[str, Any]], None]) -> Path:
    """Load the newest checkpoint into a network, and hand the rest of it to `restore`.

    Raises:
        ModelError: there is none, or it is damaged or of another network.
    """
    found = checkpoints(run)
    if not found:
        raise ModelError(f"{run}: no checkpoint in it; start anew without --resume")
    path = found[-1]
    stored = BioFaceNet.from_pretrained(path)
    network.load_weights(stored.state_dict(), where=str(path))
    try:
        digest = json.loads((path / DIGEST_FILE).read_text("utf-8"))["sha256"]
        if digest != sha256(path / STATE_FILE):
            raise ValueError(f"its bytes are not those that {DIGEST_FILE} was written for")
        restore(torch.load(path / STATE_FILE, map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load raises many kinds on damaged bytes
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{path / STATE_FILE}: cannot be read ({reason}); remove that checkpoint to go on from the "
            "one before"
        ) from error
    return path
