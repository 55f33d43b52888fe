"""Make training data of photos: python -m biofacenet.prepare PHOTO|FOLDER [...] --out DATA."""

from __future__ import annotations

from collections.abc import Sequence

from .cli import parse, run
from .photos.paths import expand
from .preparation.settings import PhotoSettings as Settings
from .system.files import check_folder

__all__ = ["Settings", "main"]

EXAMPLES = ("album --out data/mine", "'album/*.jpg' --size 96 --normals network")


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare what the command line names."""
    settings = parse(Settings, arguments, program="prepare", examples=EXAMPLES)
    check_folder(settings.out)
    expand(settings.photos, without=settings.out, tell=True)  # before torch is imported

    from .preparation.photos import prepare

    prepare(settings)


if __name__ == "__main__":
    run(main)
