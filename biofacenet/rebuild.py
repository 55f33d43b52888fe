"""Rebuild the figure files that come with the package: python -m biofacenet.rebuild PART [SOURCE]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .cli import parse, run
from .errors import DataError
from .system.files import check_folder
from .system.settings import option

__all__ = ["Settings", "main"]

EXAMPLES = ("cie --out figures", "camera camspec_database.txt")

SOURCES = {
    "cie": "",
    "camera": "camspec_database.txt as published, or the authors' rgbCMF.mat",
    "chromophores": "the folder with the .mat files of the authors' SkinModel release",
}
"""What each part is made of."""


@dataclass
class Settings:
    """Rebuild the figure files that come with the package from their sources.

    cie: illuminants A and F1..F12, the daylight basis and the 1931 observer, from colour-science (needs
    pip install 'biofacenet[rebuild]'). camera: mean and principal components of the 28 camera
    sensitivities of Jiang et al., WACV 2013. chromophores: extinction spectra of melanins and
    haemoglobins.
    """

    part: Literal["cie", "camera", "chromophores"] = option(positional=True)
    """Which figures to rebuild."""
    source: Path | None = option(None, shown="none, for cie", positional=True)
    """What they are made of. For camera: camspec_database.txt as published (a name, then a line each for
    R, G and B), or rgbCMF.mat. For chromophores: the folder with eumelanin_ext.mat, pheomelanin_ext.mat,
    oxy_hemo_ext_coeff.mat and deoxy_hemo_ext_coeff.mat."""
    out: Path | None = option(None, shown="the package's own")
    """Folder to write to."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Rebuild the figures that the command line names."""
    settings = parse(Settings, arguments, program="rebuild", examples=EXAMPLES)
    expected = SOURCES[settings.part]
    if expected and settings.source is None:
        raise DataError(f"{settings.part}: no source named; name {expected}")
    if expected and settings.source is not None and not settings.source.exists():
        raise DataError(f"{settings.source}: no such file or folder; expected {expected}")
    if not expected and settings.source is not None:
        raise DataError(f"{settings.source}: {settings.part} is made of no file; leave it out")

    from .physics.rebuilding import FIGURES, Camera, Chromophores, Cie

    out = settings.out or FIGURES
    check_folder(out)
    if settings.source is None:
        Cie(out)()
    elif settings.part == "camera":
        Camera(settings.source, out)()
    else:
        Chromophores(settings.source, out)()


if __name__ == "__main__":
    run(main)
