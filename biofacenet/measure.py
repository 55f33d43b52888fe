"""Numbers about skin, for a table: python -m biofacenet.measure PHOTO [PHOTO ...]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .analysis.measuring.places import results_at
from .analysis.measuring.plans import Plan, of_pair, of_pairs, of_repeats
from .analysis.measuring.settings import Settings, check
from .cli import parse, run
from .photos.paths import PHOTO_ENDINGS, VIDEO_ENDINGS, expand

__all__ = ["Settings", "main"]

EXAMPLES = ("album --out numbers --no-sheets", "--before monday.jpg --after friday.jpg")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the photos that the command line names."""
    settings = parse(Settings, arguments, program="measure", examples=EXAMPLES)
    check(settings)
    if settings.join:
        from .analysis.measuring.run import join

        join(settings.join, settings.out, settings.repeatability, overwrite=settings.overwrite)
        return
    plan = _plan(settings)

    from .analysis.measuring.run import measure

    measure(plan, settings)


def _plan(settings: Settings) -> Plan:
    """What the settings name."""
    if settings.before is not None and settings.after is not None:
        plan = of_pair(settings.before, settings.after)
    elif settings.pairs is not None:
        plan = of_pairs(settings.pairs)
    elif settings.repeats is not None:
        plan = of_repeats(settings.repeats, without=results_at(settings.out))
    else:
        endings, results = PHOTO_ENDINGS | VIDEO_ENDINGS, results_at(settings.out)
        plan = Plan(expand(settings.photos, endings=endings, without=results, tell=True))
    return replace(plan, changes=settings.reliability)


if __name__ == "__main__":
    run(main)
