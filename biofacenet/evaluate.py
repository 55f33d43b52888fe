"""Measure decompositions against the truth, beside baselines: python -m biofacenet.evaluate."""

from __future__ import annotations

from collections.abc import Sequence

from .cli import parse, run
from .evaluation.settings import Settings, check

__all__ = ["Settings", "main"]

EXAMPLES = ("", "--model runs/001/model --methods network,fit --count 100")


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate what the command line names."""
    settings = parse(Settings, arguments, program="evaluate", examples=EXAMPLES)
    check(settings)

    from .evaluation.run import CASES_FILE, evaluate
    from .evaluation.tables import show
    from .system.console import console

    show(evaluate(settings))
    console.print(f"tables: {settings.out / 'evaluation.md'} and beside it", markup=False)
    if settings.polarised is None:
        console.print(f"faces: {settings.out / CASES_FILE}", markup=False)


if __name__ == "__main__":
    run(main)
