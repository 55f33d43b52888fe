"""Renderer backends: which there are, which run here, and which takes a given tensor.

`choose` decides for a device; `kernel` is how the operator reaches the code. A backend asked for by
name that cannot run raises, and says why; `auto` falls back to the plain-torch reference with one
warning. Triton is imported only when it is needed.
"""

from __future__ import annotations

import importlib
import os
import warnings
from functools import cache
from types import ModuleType

import torch

from biofacenet.errors import BackendUnavailableError

__all__ = [
    "BACKENDS",
    "HALF",
    "available",
    "choose",
    "kernel",
    "select",
]

BACKENDS = ("reference", "cpp", "triton", "cuda")
"""Names that ``backend=`` accepts, besides ``auto``."""

HALF = ("triton", "cuda")
"""Backends that read and write maps of 16 bits."""

PREFERENCE = {"cpu": ("cpp",), "cuda": ("triton", "cuda")}
"""What `auto` takes on a device, best first."""


@cache
def _module(name: str) -> tuple[ModuleType | None, str]:
    """A backend's module, or None and why it cannot be imported."""
    try:
        return importlib.import_module(f".{name}", __package__), ""
    except ImportError as error:
        if name == "triton":
            return None, f"triton cannot be imported ({error}); pip install triton"
        raise


def _reason(name: str) -> str | None:
    """None where a backend runs, else why it does not."""
    if name == "reference":
        return None
    module, reason = _module(name)
    return reason if module is None else module.unavailable()


def available() -> dict[str, str | None]:
    """Each backend's name, with None where it runs here and the reason where it does not."""
    return {name: _reason(name) for name in BACKENDS}


def select(name: str = "auto") -> str:
    """The backend that a name stands for, checked; ``auto`` obeys BIOFACENET_BACKEND if it is set.

    Raises:
        BackendUnavailableError: the backend was asked for by name and cannot run here.
        ValueError: there is no backend of that name.
    """
    if name == "auto":
        name = os.environ.get("BIOFACENET_BACKEND", "").strip() or "auto"
    if name == "auto":
        _reason("cpp")  # load or build it now, not in the middle of something
        return name
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}: choose auto, {', '.join(BACKENDS)}")
    reason = _reason(name)
    if reason:
        raise BackendUnavailableError(
            f"backend {name!r} cannot run: {reason}; use backend='auto' or 'reference'"
        )
    return name


def choose(name: str, device_type: str, components: int = 1) -> str:
    """The backend for tensors on a device: a selected name, or what ``auto`` takes there.

    Args:
        name: what `select` returned.
        device_type: ``cpu``, ``cuda`` or another of torch's names.
        components: of the skin table, some backends limit them.

    Raises:
        BackendUnavailableError: the named backend does not run on that device.
    """
    if name == "auto":
        return _automatic(device_type, components)
    if name == "reference":
        return name
    takes = _takes(name)
    if takes != device_type:
        raise BackendUnavailableError(
            f"backend {name!r} takes {takes} tensors, got {device_type}; "
            "use backend='auto' or 'reference'"
        )
    return name


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _takes(name: str) -> str:
    """Where the tensors lie that a backend takes."""
    return str(kernel(name).DEVICE)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _automatic(device_type: str, components: int) -> str:
    """What `auto` takes on a device; decided once, also while torch.compile traces."""
    return _decide(device_type, components)


@cache
def _decide(device_type: str, components: int) -> str:
    reasons = []
    for name in PREFERENCE.get(device_type, ()):
        reason = _reason(name)
        most = None if reason else getattr(kernel(name), "MAX_COMPONENTS", None)
        if most is not None and components > most:
            reason = f"{components} components are more than its {most}"
        if reason is None:
            return name
        reasons.append(f"{name}: {reason}")
    why = "; ".join(reasons) or f"no kernel takes {device_type} tensors"
    warnings.warn(
        f"rendering with the slow plain-torch reference: {why} (see python -m biofacenet.doctor)",
        stacklevel=2,
    )
    return "reference"


def kernel(name: str) -> ModuleType:
    """The module whose `forward` and `backward` compute the operator.

    Raises:
        BackendUnavailableError: no such kernel, or it cannot run here.
    """
    if name not in BACKENDS or name == "reference":
        raise BackendUnavailableError(
            f"backend {name!r} has no kernel; choose one of {', '.join(BACKENDS[1:])}"
        )
    module, reason = _module(name)
    why = reason if module is None else module.unavailable()
    if module is None or why:
        raise BackendUnavailableError(
            f"backend {name!r} cannot run: {why}; use backend='auto' or 'reference'"
        )
    return module
