"""What this machine has, and which renderer backends run here: python -m biofacenet.doctor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .cli import parse, run

__all__ = ["Settings", "main"]

EXAMPLES = ("",)


@dataclass
class Settings:
    """Show what the renderer found on this machine: torch, compilers, GPU, backends.

    Builds the C++ library, and with a GPU the CUDA library, if it is neither installed nor built
    yet, also where the same build has failed before. Send the output along when you report a problem.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Say what is found."""
    parse(Settings, arguments, program="doctor", examples=EXAMPLES)

    from .rendering.findings import report

    report()


if __name__ == "__main__":
    run(main)
