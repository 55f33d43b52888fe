"""Numbers about skin, for a table: python -m biofacenet.measure PHOTO [PHOTO ...]."""

from __future__ import annotations

from collections.abc import Sequence

from .analysis.measuring.settings import Settings, check
from .cli import parse, run
from .photos.paths import PHOTO_ENDINGS, VIDEO_ENDINGS, expand

__all__ = ["Settings", "main"]

EXAMPLES = ("portrait.jpg", "album --out numbers --no-sheets")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the photos that the command line names."""
    settings = parse(Settings, arguments, program="measure", examples=EXAMPLES)
    check(settings)
    endings = PHOTO_ENDINGS | VIDEO_ENDINGS
    photos = expand(settings.photos, endings=endings, without=settings.out, tell=True)

    from .analysis.measuring.run import measure

    measure(photos, settings)


if __name__ == "__main__":
    run(main)
