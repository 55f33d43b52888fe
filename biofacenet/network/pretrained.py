"""Networks as files: what `save_pretrained` writes and `from_pretrained` reads."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save
from torch import Tensor

from ..decomposition.calibration import Calibration
from ..errors import ModelError
from ..physics.names import SkinName
from ..physics.skin import SKINS
from ..system.files import sha256, whole_file
from ..system.limits import read_json
from .folders import CONFIG_FILE, EXPECTED, WEIGHTS_FILE

__all__ = ["Stored", "check_weights", "read", "write", "write_calibration"]

LFS_POINTER = b"version https://git-lfs"
"""How a file begins that `git clone` leaves where Git LFS is not installed."""

FORMAT = "biofacenet network 5"

WITHOUT_SURROUNDINGS = "biofacenet network 4"
"""Of small networks that do not compare skin with what surrounds it."""

WITHOUT_SHAPE = "biofacenet network 3"
"""Of small networks that give no normals and parts."""

EARLIER_FORMATS = ("biofacenet network 1", "biofacenet network 2")
"""Of small networks that were another function of their weights; paper networks are the same."""


def write(
    folder: Path,
    state: Mapping[str, Tensor],
    *,
    size: str,
    skin: SkinName,
    calibration: Calibration | None = None,
    half: bool = False,
    shaped: bool = True,
) -> None:
    """Write a network's two files into an existing folder.

    Args:
        folder: to write into.
        state: the weights.
        size: of the network.
        skin: that its maps are of.
        calibration: of its intervals, where it was measured.
        half: store numbers of 16 bits.
        shaped: it gives normals and parts, if networks of its size do.
    """
    kind = torch.float16 if half else torch.float32
    weights = {
        name: tensor.to(kind if tensor.is_floating_point() else tensor.dtype).contiguous()
        for name, tensor in state.items()
    }
    # Its own writer of files would leave them to be read by their owner alone.
    (folder / WEIGHTS_FILE).write_bytes(save(weights, metadata={"format": "pt"}))
    digest = sha256(folder / WEIGHTS_FILE)
    config: dict[str, Any] = {
        "format": FORMAT if shaped else WITHOUT_SHAPE,
        "size": size,
        "skin": skin,
        "sha256": digest,
    }
    if calibration is not None:
        config["calibration"] = calibration.as_json()
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def write_calibration(folder: Path, calibration: Calibration) -> Path:
    """Store how far a saved network's intervals are right with it, and nothing else; the file."""
    file = folder / CONFIG_FILE
    config = _config(file) | {"calibration": calibration.as_json()}
    with whole_file(file) as temporary:
        temporary.write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    return file


# Reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """A network in a folder, checked but for its weights."""

    file: Path
    """Of the weights."""
    size: str
    skin: SkinName
    shaped: bool
    """It gives normals and parts, if networks of its size do."""
    compared: bool
    """It compares skin with what surrounds it, if networks of its size do."""
    calibration: Calibration | None = None

    def weights(self) -> dict[str, Tensor]:
        """Read the weights.

        Raises:
            ModelError: they are damaged.
        """
        try:
            if os.fsencode(self.file).decode("utf-8", "ignore") != str(self.file):
                return load(self.file.read_bytes())  # safetensors opens no name that is not UTF-8
            return load_file(self.file)
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(
                f"{self.file}: damaged or not a safetensors file ({error}); copy it again"
            ) from error


def check_whole(file: Path) -> None:
    """Raise ModelError where Git keeps the weights elsewhere (LFS), and the file only says where."""
    with file.open("rb") as stream:
        if stream.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ModelError(
                f"{file}: a pointer of Git LFS, not the weights; bring them with git lfs pull in its folder"
            )


def read(folder: Path, *, sizes: Sequence[str]) -> Stored:
    """What a folder says of its network.

    Args:
        folder: that `biofacenet.network.folders.find` found.
        sizes: of networks that are known.

    Raises:
        ModelError: what is there is damaged or of another kind.
    """
    file = folder / CONFIG_FILE
    config = _config(file)
    if config["format"] in EARLIER_FORMATS and config.get("size") == "small":
        released = config["format"] == EARLIER_FORMATS[0]
        raise ModelError(
            f"{file}: a small network of an earlier version, which was built otherwise; train anew"
            + (", or install biofacenet 0.1 to use it" if released else "")
        )
    skin = config.get("skin", "published")  # of networks from before there was a choice
    for what, found, known in (("network size", config.get("size"), sizes), ("skin", skin, SKINS)):
        if found not in list(known):
            raise ModelError(
                f"{file}: {what} {found!r} is unknown; expected one of {', '.join(known)}"
            )
    check_whole(folder / WEIGHTS_FILE)
    if config.get("sha256") not in (None, sha256(folder / WEIGHTS_FILE)):
        raise ModelError(
            f"{folder / WEIGHTS_FILE}: not the weights that {CONFIG_FILE} was written with, so one "
            "of them is damaged or of another network; copy both again"
        )
    compared = config["format"] == FORMAT
    shaped = compared or config["format"] == WITHOUT_SURROUNDINGS
    calibration = None
    if config.get("calibration") is not None:
        try:
            calibration = Calibration.from_json(config["calibration"])
        except ValueError as error:
            raise ModelError(
                f"{file}: calibration: {error}; copy the file again, or measure it anew with biofacenet "
                "evaluate --calibrate after taking that entry out"
            ) from error
    return Stored(folder / WEIGHTS_FILE, config["size"], skin, shaped, compared, calibration)


def _config(file: Path) -> dict[str, Any]:
    try:
        config = read_json(file)
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: not JSON ({error}); {EXPECTED}") from error
    known = (FORMAT, WITHOUT_SURROUNDINGS, WITHOUT_SHAPE, *EARLIER_FORMATS)
    if not isinstance(config, dict) or config.get("format") not in known:
        raise ModelError(f"{file}: not of the form {FORMAT!r}; {EXPECTED}")
    return config


def check_weights(
    own: Mapping[str, Tensor], weights: Mapping[str, Tensor], *, size: str, where: str
) -> None:
    """Raise ModelError where weights do not fit a network's own, or hold NaN."""
    missing, unknown = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    other = [name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape]
    if missing or unknown or other:
        example = (missing + unknown + sorted(other))[0]
        raise ModelError(
            f"{where}: weights do not fit the {size!r} network (first at {example}); name its "
            "own size, or train anew in another folder"
        )
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise ModelError(f"{where}: {name} holds NaN or infinite values; use an earlier one")
