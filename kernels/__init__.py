"""Renderer backends: which there are, and which runs for a given tensor.

`select` is the only way the package reaches a backend. The plain-torch reference runs everywhere;
asking by name for a backend that this installation lacks raises, and says why.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from biofacenet import reference
from biofacenet.errors import BackendUnavailableError

__all__ = ["BACKENDS", "available", "select"]

BACKENDS = ("reference", "cpp", "triton", "cuda")
"""Names that ``backend=`` accepts, besides ``auto``."""

_RENDERERS: dict[str, Callable[..., Tensor]] = {"reference": reference.render}


def available() -> dict[str, str | None]:
    """Each backend's name, with None where it runs here and the reason where it does not."""
    return {
        name: None if name in _RENDERERS else "this version of biofacenet has no such kernel"
        for name in BACKENDS
    }


def select(name: str = "auto") -> Callable[..., Tensor]:
    """The rendering function of a backend; `auto` takes the fastest that runs.

    Raises:
        BackendUnavailableError: the backend was asked for by name and cannot run here.
        ValueError: there is no backend of that name.
    """
    if name == "auto":
        name = "reference"
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}: choose auto, {', '.join(BACKENDS)}")
    if name not in _RENDERERS:
        raise BackendUnavailableError(
            f"backend {name!r} cannot run: {available()[name]}; use backend='auto' or 'reference'"
        )
    return _RENDERERS[name]
