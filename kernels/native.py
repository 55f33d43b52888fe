"""What kernels need of this process: a native library, installed or built on first use, or a GPU."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from biofacenet.errors import BackendUnavailableError

from . import build

__all__ = [
    "demand",
    "load",
    "no_gpu",
    "this_torch",
]


def this_torch() -> build.Torch:
    """The torch of this process."""
    return build.Torch.at(torch.__version__, Path(torch.__file__).parent)


def _open(library: Path) -> None:
    torch.ops.load_library(library)  # type: ignore[no-untyped-call]


def load(library: build.Library) -> str | None:
    """Load the library; None, or in one line why there is none."""
    operators = getattr(torch.ops, library.namespace)
    reasons = []
    installed = build.prebuilt(library)
    if installed.is_file():
        try:
            _open(installed)
        except OSError as error:
            reasons.append(f"the installed binary does not load ({str(error).splitlines()[0]})")
    else:
        reasons.append("no binary was installed")
    if not hasattr(operators, "render"):
        try:
            _open(build.cached(library, this_torch()))
        except build.BuildError as error:
            reasons.append(f"no build: {error}")
        except OSError as error:
            reasons.append(f"the build does not load ({str(error).splitlines()[0]})")
    return None if hasattr(operators, "render") else "; ".join(reasons)


def demand(reason: str | None) -> str | None:
    """The reason again; an error where the environment says that native code must work.

    Raises:
        BackendUnavailableError: there is a reason and BIOFACENET_REQUIRE_NATIVE is set.
    """
    if reason and os.environ.get("BIOFACENET_REQUIRE_NATIVE", "0") not in ("", "0"):
        raise BackendUnavailableError(f"BIOFACENET_REQUIRE_NATIVE is set, but {reason}")
    return reason


def no_gpu(least: tuple[int, int]) -> str | None:
    """None where there is a GPU of at least this compute capability, else why not."""
    if not torch.cuda.is_available():
        return "no CUDA device" if torch.version.cuda else "this build of torch has no CUDA"
    capability = torch.cuda.get_device_capability()
    if capability >= least:
        return None
    found, wanted = (".".join(map(str, one)) for one in (capability, least))
    return f"the GPU has compute capability {found}, the kernels need {wanted} or newer"
