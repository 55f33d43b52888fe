"""Where networks are: with the package, in a folder, or on the hub; found without importing torch."""

from __future__ import annotations

import contextlib
import difflib
import re
from pathlib import Path

from ..errors import BioFaceNetError, ModelError
from ..system.names import as_given, wrong_source
from . import hub

__all__ = [
    "CONFIG_FILE",
    "ENDINGS",
    "EXPECTED",
    "OPSETS",
    "SHIPPED",
    "WEIGHTS_FILE",
    "check_ending",
    "check_opset",
    "find",
    "list_models",
]

SHIPPED = {"small": Path(__file__).parent / "weights" / "small"}
"""Weights that come with the package, by name; how they were made: the model card in docs."""
BARE = ("paper",)
"""Sizes of networks without such weights."""
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
EXPECTED = f"expected a folder with {CONFIG_FILE} and {WEIGHTS_FILE}, as training writes them"

ENDINGS = (".onnx", ".pt2")
"""Of the files that a network is exported to."""
OPSETS = range(18, 24)
"""Versions of the ONNX operators that are written; torch writes 18, and later ones are made of it."""


def list_models(*, hub_too: bool = False) -> list[str]:
    """Names of networks that `biofacenet.BioFaceNet.from_pretrained` takes.

    Args:
        hub_too: also ask the Hugging Face hub for models that `push_to_hub` made.

    Raises:
        ModelError: the hub is asked, and cannot be reached.

    Example:
        >>> list_models()
        ['small']
    """
    return [*SHIPPED, *(hub.models() if hub_too else ())]


def find(path: str | Path, source: hub.Source = hub.ANY) -> Path:
    """The folder that a name means: of shipped weights, of a model on the hub, or its own.

    Args:
        path: the name.
        source: which version of a model on the hub, and where it is kept.

    Raises:
        ModelError: no network is there, or it would be on the hub, and is not to be had.
    """
    if remedy := wrong_source(path):
        there = re.fullmatch(r"https?:/+(?:www\.)?huggingface\.co/([\w.-]+/[\w.-]+).*", str(path))
        raise ModelError(
            f"{as_given(path)}: {f'a URL; name the model itself, {there[1]}' if there else remedy}"
        )
    folder = SHIPPED.get(str(path), _expanded(path))
    if not folder.exists() and len(folder.parts) == 2 and not folder.is_absolute():
        folder = hub.download(str(path), source, (CONFIG_FILE, WEIGHTS_FILE))
    if not folder.exists():
        shipped = " or ".join(SHIPPED)
        raise ModelError(
            f"{folder}: no such folder{_meant(str(path))}; {EXPECTED}, or the name {shipped}"
        )
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: not a saved network, {name} is missing; {EXPECTED}")
    return folder


def _expanded(path: str | Path) -> Path:
    """A path whose ``~`` is the home folder, as shells have it; as it is where there is none."""
    with contextlib.suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)


def _meant(name: str) -> str:
    """What a word may stand for that is almost a name."""
    near = difflib.get_close_matches(name.lower(), (*SHIPPED, *BARE), 1, 0.6)
    if not near:
        return ""
    if near[0] in BARE:
        return f", and no weights of the {near[0]} network come with the package"
    return f", did you mean {near[0]}?"


def check_ending(path: Path) -> None:
    """Raise BioFaceNetError unless a file's ending says how to export to it."""
    if path.suffix not in ENDINGS:
        raise BioFaceNetError(f"{path}: expected a name that ends in {' or '.join(ENDINGS)}")


def check_opset(opset: int) -> None:
    """Raise BioFaceNetError unless files of this version of the ONNX operators can be written."""
    if opset not in OPSETS:
        raise BioFaceNetError(
            f"opset {opset}: expected {OPSETS[0]} to {OPSETS[-1]}; runtimes read older ones than their "
            f"own, so {OPSETS[0]} is read by most"
        )
