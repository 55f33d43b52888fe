"""Make synthetic faces to train on: python -m biofacenet.synthesize."""

from __future__ import annotations

from collections.abc import Sequence

from .cli import parse, run
from .preparation.settings import SyntheticSettings as Settings
from .system.files import check_folder

__all__ = ["Settings", "main"]

EXAMPLES = ("", "--count 6000 --size 96 --seed 1 --out data/large")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the faces that the command line asks for."""
    settings = parse(Settings, arguments, program="synthesize", examples=EXAMPLES)
    check_folder(settings.out)

    from .preparation.synthetic import synthesize

    synthesize(settings)


if __name__ == "__main__":
    run(main)
