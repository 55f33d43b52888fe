"""The C++ kernel, for CPU tensors: find or build its library, load it once, call it."""

from __future__ import annotations

import os
import warnings
from functools import cache
from pathlib import Path

import torch

from biofacenet.errors import BackendUnavailableError

from . import build

__all__ = ["backward", "forward", "load", "unavailable"]


def this_torch() -> build.Torch:
    """The torch of this process."""
    return build.Torch.at(torch.__version__, Path(torch.__file__).parent)


def _open(library: Path) -> None:
    torch.ops.load_library(library)  # type: ignore[no-untyped-call]


@cache
def _load() -> str | None:
    """Load the library; None, or why there is none."""
    reasons = []
    library = build.prebuilt()
    if library.is_file():
        try:
            _open(library)
        except OSError as error:
            reasons.append(f"the installed binary does not load ({str(error).splitlines()[0]})")
    else:
        reasons.append("no binary was installed")
    if not hasattr(torch.ops.biofacenet_cpu, "forward"):
        try:
            _open(build.cached(this_torch()))
        except build.BuildError as error:
            reasons.append(f"no build: {error}")
        except OSError as error:
            reasons.append(f"the build does not load ({str(error).splitlines()[0]})")
    if not hasattr(torch.ops.biofacenet_cpu, "forward"):
        return "; ".join(reasons)
    wanted = os.environ.get("BIOFACENET_INSTRUCTION_SET")
    if wanted:
        supported = torch.ops.biofacenet_cpu.instruction_sets().split()
        if wanted in supported:
            torch.ops.biofacenet_cpu.use_instruction_set(wanted)
        else:
            warnings.warn(
                f"BIOFACENET_INSTRUCTION_SET={wanted} cannot run here; "
                f"expected one of {', '.join(supported)}",
                stacklevel=2,
            )
    return None


def unavailable() -> str | None:
    """None where the kernel runs, else why it does not."""
    reason = _load()
    if reason and os.environ.get("BIOFACENET_REQUIRE_NATIVE", "0") not in ("", "0"):
        raise BackendUnavailableError(f"BIOFACENET_REQUIRE_NATIVE is set, but {reason}")
    return reason


def load() -> None:
    """Load the library.

    Raises:
        BackendUnavailableError: it is not installed and cannot be built; both causes are named.
    """
    reason = unavailable()
    if reason:
        raise BackendUnavailableError(
            f"backend 'cpp' cannot run: {reason}; use backend='auto' or 'reference'"
        )


def forward(*tensors: torch.Tensor) -> None:
    """Eight inputs of `torch.ops.biofacenet.render` and the image to fill."""
    torch.ops.biofacenet_cpu.forward(*tensors)


def backward(*tensors: torch.Tensor | None) -> None:
    """The eight inputs, image, its gradient, and the six gradients to fill or None."""
    torch.ops.biofacenet_cpu.backward(*tensors)
