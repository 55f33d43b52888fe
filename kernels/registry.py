"""Renderer backends: what is known of each, which run here, and which takes a given tensor.

A backend registers itself: `register` is told its name, where its code lies, and all that must be
known before that code is imported. `choose` decides for a device; `kernel` is how the operator reaches
the code. A backend asked for by name that cannot run raises, and says why; `auto` falls back to the
plain-torch reference with one warning.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from functools import cache, cached_property
from types import MappingProxyType, ModuleType, TracebackType
from typing import Any, Protocol, TypeVar, cast

import torch

from biofacenet.errors import BackendUnavailableError

from .measured import cuda_is_faster

__all__ = [
    "BACKENDS",
    "HALF",
    "Backend",
    "Kernels",
    "available",
    "choose",
    "constant_for_compile",
    "kernel",
    "register",
    "select",
]

Function = TypeVar("Function", bound=Callable[..., Any])

REFERENCE = "reference"
RESERVED = ("auto", REFERENCE)
"""Names that ``backend=`` accepts besides those of kernels."""

FUNCTIONS = ("unavailable", "render", "render_backward")
"""What the code of a backend must have."""


def constant_for_compile(function: Function) -> Function:
    """Mark a function that torch.compile calls while tracing, and whose result it takes for constant.

    The same as `torch.compiler.assume_constant_result`, which imports torch's whole compiler: two
    seconds, for those who never compile.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


class Kernels(Protocol):
    """The code of a backend, a module or any other object; its last arguments are tensors to fill."""

    def unavailable(self) -> str | None:
        """None where it runs, else in one line why it does not."""

    def render(self, *arguments: Any) -> None:
        """Four maps, light and camera (six tensors or None), eight tables, whether melanin is fixed,
        three numbers about light and camera, and the image to fill; csrc/fold.h says what they are.
        """

    def render_backward(self, *arguments: Any) -> None:
        """The same but for the image to fill; the image, its gradient, and the ten gradients to fill
        or None.
        """


@dataclass(frozen=True)
class Backend:
    """A backend as it was registered; as a context manager, it is registered only within."""

    name: str
    module: Kernels | str
    """Its code, or the full name of a module that is imported when it is first needed."""
    device: str
    """Where the tensors lie that it takes, ``cpu``, ``cuda`` or another of torch's names."""
    priority: int | None = None
    """Of those that run on a device, `auto` takes the one with the highest; None: never this one."""
    half: bool = False
    """Whether it reads and writes maps of 16 bits."""
    max_components: int | None = None
    """Most functions of a skin table that it takes; None: any number."""

    @cached_property
    def _imported(self) -> tuple[Kernels | None, str]:
        """Its code, or None and why it cannot be had."""
        if not isinstance(self.module, str):
            return self.module, ""
        try:
            module = importlib.import_module(self.module)
        except ImportError as error:
            missing = (error.name or "").partition(".")[0]
            elsewhere = missing not in ("", self.module.partition(".")[0])
            hint = f"; pip install {missing}" if elsewhere else ""
            return None, f"{self.module} cannot be imported ({error}){hint}"
        lacking = _lacking(module)
        return (None, lacking) if lacking else (cast(Kernels, module), "")

    def code(self) -> Kernels:
        """Its code, imported now if need be.

        Raises:
            BackendUnavailableError: it cannot run here.
        """
        module, reason = self._imported
        why = reason if module is None else module.unavailable()
        if module is None or why:
            raise BackendUnavailableError(
                f"backend {self.name!r} cannot run: {why}; use backend='auto' or 'reference'"
            )
        return module

    def unavailable(self) -> str | None:
        """None where it runs, else why it does not."""
        module, reason = self._imported
        return reason if module is None else module.unavailable()

    def refuses(self, components: int) -> str | None:
        """None where it takes so many components, else why it does not."""
        if self.max_components is None or components <= self.max_components:
            return None
        return f"{components} functions are more than its {self.max_components}"

    def remove(self) -> None:
        """Take it off the register."""
        if _backends.get(self.name) is self:
            del _backends[self.name]
            _half.discard(self.name)
            _decide.cache_clear()

    def __enter__(self) -> Backend:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()


_backends: dict[str, Backend] = {}
_half: set[str] = set()

BACKENDS: Mapping[str, Backend] = MappingProxyType(_backends)
"""Every backend that has kernels, by name; `register` adds to it."""

HALF: Set[str] = _half
"""Names of those that read and write maps of 16 bits."""


def register(
    name: str,
    module: Kernels | ModuleType | str,
    *,
    device: str,
    priority: int | None = None,
    half: bool = False,
    max_components: int | None = None,
) -> Backend:
    """Make a backend known under a name, which ``backend=`` accepts from then on.

    Args:
        name: not taken yet.
        module: a module or another object with the functions of `Kernels`, or the full name of such
            a module, which is imported when it is first needed.
        device: where the tensors lie that it takes, ``cpu``, ``cuda`` or another of torch's names.
        priority: of those that run on a device, ``auto`` takes the one with the highest; by default
            it takes this one never. The package's own have 10 and 20.
        half: whether it reads and writes maps of 16 bits.
        max_components: most functions of a skin table that it takes; by default any number.

    Returns:
        The backend. It stays until its `remove` is called; in a ``with``, until that ends.

    Raises:
        ValueError: the name is taken.
        TypeError: the module lacks a function.

    Example:
        >>> with register("again", "biofacenet.kernels.cpp", device="cpu"):
        ...     "again" in BACKENDS
        True
    """
    if name in RESERVED or name in _backends:
        raise ValueError(f"backend {name!r} is registered already; choose another name")
    if not isinstance(module, str) and (lacking := _lacking(module)):
        raise TypeError(f"backend {name!r}: {lacking}")
    code = cast("Kernels | str", module)
    _backends[name] = backend = Backend(name, code, device, priority, half, max_components)
    if half:
        _half.add(name)
    _decide.cache_clear()
    return backend


def _lacking(module: object) -> str:
    """Which functions a backend's code lacks; nothing if none."""
    lacking = [name for name in FUNCTIONS if not callable(getattr(module, name, None))]
    whose = getattr(module, "__name__", repr(module))
    return f"{whose} has no function {', '.join(lacking)}" if lacking else ""


def available() -> dict[str, str | None]:
    """Each backend's name, with None where it runs here and the reason where it does not."""
    own = {name: backend.unavailable() for name, backend in _backends.items()}
    return {REFERENCE: None, **own}


def select(name: str = "auto") -> str:
    """The backend that a name stands for, checked; ``auto`` obeys BIOFACENET_BACKEND if it is set.

    Raises:
        BackendUnavailableError: the backend was asked for by name and cannot run here.
        ValueError: there is no backend of that name.
    """
    if name == "auto":
        name = os.environ.get("BIOFACENET_BACKEND", "").strip() or "auto"
    if name == "auto":
        # Load or build what the CPU takes now, not in the middle of something.
        any(backend.unavailable() is None for backend in _preferred("cpu"))
    elif name != REFERENCE:
        if name not in _backends:
            names = ", ".join((*RESERVED, *_backends))
            raise ValueError(f"unknown backend {name!r}: choose one of {names}")
        _backends[name].code()
    return name


def choose(name: str, device_type: str, components: int = 1) -> str:
    """The backend for tensors on a device: a selected name, or what ``auto`` takes there.

    Args:
        name: what `select` returned.
        device_type: ``cpu``, ``cuda`` or another of torch's names.
        components: functions of the skin table, some backends limit them.

    Raises:
        BackendUnavailableError: the named backend takes no such tensors, or not so many functions.
    """
    if name == "auto":
        return _automatic(device_type, components)
    if name == REFERENCE:
        return name
    reason = _refused(name, device_type, components)
    if reason:
        raise BackendUnavailableError(
            f"backend {name!r} {reason}; use backend='auto' or 'reference'"
        )
    return name


@constant_for_compile
def _refused(name: str, device_type: str, components: int) -> str | None:
    """Why a backend does not take such tensors; None where it does."""
    backend = _registered(name)
    if backend.device != device_type:
        return f"takes {backend.device} tensors, got {device_type}"
    refused = backend.refuses(components)
    return f"does not take the skin table: {refused}" if refused else None


@constant_for_compile
def _automatic(device_type: str, components: int) -> str:
    """What `auto` takes on a device; decided once, also while torch.compile traces."""
    return _decide(device_type, components)


def _preferred(device_type: str) -> list[Backend]:
    """What `auto` may take on a device, best first."""
    there = [
        (backend.priority, backend)
        for backend in _backends.values()
        if backend.device == device_type and backend.priority is not None
    ]
    ordered = [backend for _, backend in sorted(there, key=lambda one: -one[0])]
    if device_type == "cuda" and _cuda_is_faster():
        # Before Triton, whose place it takes; what others registered above both stays there.
        names = [backend.name for backend in ordered]
        if {"cuda", "triton"} <= set(names):
            ordered.insert(names.index("triton"), ordered.pop(names.index("cuda")))
    return ordered


def _cuda_is_faster() -> bool:
    """Whether it was measured to be so on this machine's GPU."""
    return torch.cuda.is_available() and cuda_is_faster(torch.cuda.get_device_name())


@cache
def _decide(device_type: str, components: int) -> str:
    reasons = []
    for backend in _preferred(device_type):
        reason = backend.unavailable() or backend.refuses(components)
        if reason is None:
            return backend.name
        reasons.append(f"{backend.name}: {reason}")
    why = "; ".join(reasons) or f"no kernel takes {device_type} tensors"
    warnings.warn(
        f"rendering with the slow plain-torch reference: {why} (see python -m biofacenet.doctor)",
        stacklevel=2,
    )
    return REFERENCE


def _registered(name: str) -> Backend:
    if name not in _backends:
        raise BackendUnavailableError(
            f"backend {name!r} has no kernel; choose one of {', '.join(_backends)}"
        )
    return _backends[name]


def kernel(name: str) -> Kernels:
    """The code whose `render` and `render_backward` compute the operator.

    Raises:
        BackendUnavailableError: no such kernel, or it cannot run here.
    """
    return _registered(name).code()
