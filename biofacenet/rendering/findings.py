"""What this machine has, which renderer backends run here, and why the others don't."""

from __future__ import annotations

import os
import platform
import shlex

import torch
from rich.table import Table

from .. import kernels
from ..kernels import build, native
from ..system.console import console

__all__ = [
    "report",
]

VARIABLES = (
    "BIOFACENET_AUTOTUNE",
    "BIOFACENET_BACKEND",
    "BIOFACENET_CACHE",
    "BIOFACENET_INSTRUCTION_SET",
    "BIOFACENET_REQUIRE_NATIVE",
    "CUDACXX",
    "CUDA_HOME",
    "CXX",
    "TORCH_CUDA_ARCH_LIST",
    "TRITON_INTERPRET",
)


def report() -> None:
    """Print what is found."""
    facts = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _facts():
        facts.add_row(name, value)
    console.print(facts)
    console.print()
    failures = [_build_failure(build.CPU)]
    if torch.cuda.is_available():
        failures.append(_build_failure(build.CUDA))
    backends = Table("backend", "runs here", "notes", box=None, pad_edge=False)
    for name, reason in kernels.available().items():
        backends.add_row(name, "no" if reason else "yes", reason or _note(name))
    console.print(backends)
    for failure in failures:
        if failure is not None and failure.__cause__ is not None:
            console.print("\nThe compiler's words:")
            console.print(str(failure.__cause__)[:4000], markup=False, highlight=False)
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    console.print()
    for device in devices:
        chosen = kernels.choose(kernels.select(), device)
        console.print(f"backend='auto' takes {chosen} for {device} tensors.")


def _build_failure(library: build.Library) -> build.BuildError | None:
    """Builds a library that is not there yet, also where that has failed before."""
    if not build.prebuilt(library).is_file():
        try:
            build.cached(library, native.this_torch(), retry=True)
        except build.BuildError as error:
            return error
    return None


def _note(name: str) -> str:
    """What there is to say of a backend that runs; nothing of one from elsewhere."""
    if name == "triton":
        import triton

        return f"triton {triton.__version__}"
    libraries = {"cpp": build.CPU, "cuda": build.CUDA}
    if name not in libraries:
        return ""
    library = libraries[name]
    path = build.prebuilt(library)
    if not path.is_file():
        path = build.cached(library, native.this_torch())
    if name == "cuda":
        return str(path)
    sets = torch.ops.biofacenet_cpu.instruction_sets()
    return f"{torch.ops.biofacenet_cpu.instruction_set()} of {sets}; {path}"


def _facts() -> list[tuple[str, str]]:
    facts = [
        ("python", f"{platform.python_version()} on {platform.platform()}"),
        ("torch", f"{torch.__version__}, {torch.get_num_threads()} threads"),
        ("gpu", _gpu()),
    ]
    for name, find in (("c++ compiler", build.compiler), ("cuda compiler", build.cuda_compiler)):
        try:
            facts.append((name, shlex.join(find())))
        except build.BuildError as error:
            facts.append((name, f"none: {error}"))
    facts += [(name, os.environ[name]) for name in VARIABLES if os.environ.get(name)]
    return facts


def _gpu() -> str:
    if not torch.cuda.is_available():
        built = torch.version.cuda
        return "none" if built else "none that this build of torch (CPU only) could use"
    return ", ".join(
        torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())
    )
