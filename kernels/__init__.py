"""Renderer backends: which there are, which run here, and which takes a given tensor.

`choose` decides for a device; `kernel` is how the operator reaches the code. A backend asked for by
name that cannot run raises, and says why; `auto` falls back to the plain-torch reference with one
warning.
"""

from __future__ import annotations

import os
import warnings
from functools import cache
from types import ModuleType

import torch

from biofacenet.errors import BackendUnavailableError

from . import cpp

__all__ = ["BACKENDS", "available", "choose", "kernel", "select"]

BACKENDS = ("reference", "cpp", "triton", "cuda")
"""Names that ``backend=`` accepts, besides ``auto``."""

_KERNELS: dict[str, ModuleType] = {"cpp": cpp}
_DEVICES = {"cpp": "cpu"}


def available() -> dict[str, str | None]:
    """Each backend's name, with None where it runs here and the reason where it does not."""
    none_yet = "this version of biofacenet has no such kernel"
    return {"reference": None, "cpp": cpp.unavailable(), "triton": none_yet, "cuda": none_yet}


def select(name: str = "auto") -> str:
    """The backend that a name stands for, checked; ``auto`` obeys BIOFACENET_BACKEND if it is set.

    Raises:
        BackendUnavailableError: the backend was asked for by name and cannot run here.
        ValueError: there is no backend of that name.
    """
    if name == "auto":
        name = os.environ.get("BIOFACENET_BACKEND", "").strip() or "auto"
    if name == "auto":
        cpp.unavailable()  # load or build it now, not in the middle of something
        return name
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}: choose auto, {', '.join(BACKENDS)}")
    reason = available()[name]
    if reason:
        raise BackendUnavailableError(
            f"backend {name!r} cannot run: {reason}; use backend='auto' or 'reference'"
        )
    return name


def choose(name: str, device_type: str) -> str:
    """The backend for tensors on a device: a selected name, or what ``auto`` takes there.

    Raises:
        BackendUnavailableError: the named backend does not run on that device.
    """
    if name == "auto":
        return _automatic(device_type)
    if name in _DEVICES and _DEVICES[name] != device_type:
        raise BackendUnavailableError(
            f"backend {name!r} takes {_DEVICES[name]} tensors, got {device_type}; "
            "use backend='auto' or 'reference'"
        )
    return name


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _automatic(device_type: str) -> str:
    """What `auto` takes on a device; decided once, also while torch.compile traces."""
    return _decide(device_type)


@cache
def _decide(device_type: str) -> str:
    if device_type == "cpu":
        reason = cpp.unavailable()
        if reason is None:
            return "cpp"
    else:
        reason = f"no kernel takes {device_type} tensors"
    warnings.warn(
        f"rendering with the slow plain-torch reference: {reason} (see python -m biofacenet.doctor)",
        stacklevel=2,
    )
    return "reference"


def kernel(name: str) -> ModuleType:
    """The module whose `forward` and `backward` compute the operator.

    Raises:
        BackendUnavailableError: no such kernel, or it cannot run here.
    """
    if name not in _KERNELS:
        raise BackendUnavailableError(
            f"backend {name!r} has no kernel; choose one of {', '.join(_KERNELS)}"
        )
    if name == "cpp":
        cpp.load()
    return _KERNELS[name]
