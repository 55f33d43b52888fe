"""Train BioFaceNet on file pairs of faces: python -m biofacenet.train."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .cli import given_names, parse, run
from .system.files import check_folder
from .training.launched import end_of_work, one_speaks
from .training.settings import Settings, check, settings_of_run

__all__ = ["Settings", "main"]

EXAMPLES = ("", "--data faces --network paper --epochs 20")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line says."""
    given = sys.argv[1:] if arguments is None else arguments
    with one_speaks():
        settings = parse(Settings, given, program="train", examples=EXAMPLES)
        if settings.resume is not None:
            settings = settings_of_run(settings.resume, settings, given_names(Settings, given))
        check(settings)
        if settings.out is not None:
            check_folder(settings.out)

    from .training.loop import train

    train(settings)


if __name__ == "__main__":
    run(main)
    end_of_work()
