"""What this machine has, which renderer backends run here, and why the others don't."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

import torch
from rich.table import Table

from . import kernels
from .cli import console, parse, run
from .kernels import build, cpp

__all__ = ["Settings", "doctor"]

VARIABLES = (
    "BIOFACENET_BACKEND",
    "BIOFACENET_CACHE",
    "BIOFACENET_INSTRUCTION_SET",
    "BIOFACENET_REQUIRE_NATIVE",
    "CXX",
)


@dataclass
class Settings:
    """Show what the renderer found on this machine: torch, compilers, GPU, backends.

    Builds the C++ library if it is neither installed nor built yet, also where the same build has
    failed before. Send the output along when you report a problem.
    """


def doctor(settings: Settings) -> None:
    """Print the findings."""
    del settings
    facts = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _facts():
        facts.add_row(name, value)
    console.print(facts)
    console.print()
    library = build.prebuilt()
    build_failure = None
    if not library.is_file():
        try:
            library = build.cached(cpp.this_torch(), retry=True)
        except build.BuildError as error:
            build_failure = error
    backends = Table("backend", "runs here", "notes", box=None, pad_edge=False)
    for name, reason in kernels.available().items():
        note = reason or ""
        if name == "cpp" and reason is None:
            sets = torch.ops.biofacenet_cpu.instruction_sets()
            note = f"{torch.ops.biofacenet_cpu.instruction_set()} of {sets}; {library}"
        backends.add_row(name, "no" if reason else "yes", note)
    console.print(backends)
    if build_failure is not None and build_failure.__cause__ is not None:
        console.print("\nThe compiler's words:")
        console.print(str(build_failure.__cause__)[:4000], markup=False, highlight=False)
    console.print(
        f"\nbackend='auto' takes {kernels.choose(kernels.select(), 'cpu')} for CPU tensors."
    )


def _facts() -> list[tuple[str, str]]:
    facts = [
        ("python", f"{platform.python_version()} on {platform.platform()}"),
        ("torch", f"{torch.__version__}, {torch.get_num_threads()} threads"),
        ("gpu", _gpu()),
    ]
    try:
        facts.append(("c++ compiler", build.compiler()))
    except build.BuildError as error:
        facts.append(("c++ compiler", f"none: {error}"))
    facts += [(name, os.environ[name]) for name in VARIABLES if os.environ.get(name)]
    return facts


def _gpu() -> str:
    if not torch.cuda.is_available():
        built = torch.version.cuda
        return "none" if built else "none that this build of torch (CPU only) could use"
    return ", ".join(
        torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())
    )


def main() -> None:
    doctor(parse(Settings, program="biofacenet.doctor"))


if __name__ == "__main__":
    run(main)
