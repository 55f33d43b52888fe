"""Measure decompositions against what is known, beside baselines: python -m biofacenet.evaluate."""

from __future__ import annotations

from collections.abc import Sequence

from .cli import parse, run
from .evaluation.settings import Settings, beside_earlier_results, check

__all__ = ["Settings", "main"]

EXAMPLES = (
    "--model runs/001/model --methods network,fit --count 100",
    "--photos faces/london --without 006,024",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate what the command line names."""
    settings = parse(Settings, arguments, program="evaluate", examples=EXAMPLES)
    check(settings)
    settings = beside_earlier_results(settings)

    from .system.console import console

    if settings.photos is not None:
        from .evaluation.people.report import show as show_people
        from .evaluation.people.run import measure_people

        show_people(measure_people(settings))
        console.print(
            f"tables and sheets: {settings.out / 'people.md'} and beside it", markup=False
        )
        return

    if settings.calibrate:
        from .evaluation.calibrating import calibrate_method

        for line in calibrate_method(settings):
            console.print(line, markup=False)
        return

    from .evaluation.run import CASES_FILE, evaluate
    from .evaluation.tables import show

    show(evaluate(settings))
    console.print(f"tables: {settings.out / 'evaluation.md'} and beside it", markup=False)
    if settings.polarised is None:
        console.print(f"faces: {settings.out / CASES_FILE}", markup=False)


if __name__ == "__main__":
    run(main)
