"""Photo by photo: decompose, write, go on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..errors import BioFaceNetError, PhotoError
from ..photos.framing import Wanted
from ..photos.paths import is_video
from ..photos.reading import read_photo
from ..system.console import console, progress
from .choices import Format
from .folder import write
from .methods import Method
from .results import Result

__all__ = [
    "process",
    "result_folders",
]


def process(
    photos: tuple[Path, ...],
    out: Path,
    method: Method,
    wanted: Wanted,
    *,
    said: str,
    formats: Sequence[Format] = (),
    video: Callable[[Path, Path], str] | None = None,
) -> None:
    """Decompose photo by photo and write results, a folder in `out` for each face.

    Args:
        photos: files; one that cannot be used is told of, and the others are done all the same.
        out: folder for results.
        method: what decomposes a part of a photo.
        wanted: which parts of each photo.
        said: the method in words, for the terminal and the summary.
        formats: in which maps are written beside the usual ones.
        video: what to do with a video, given its file and the folder for its results; says in a line
            what came of it. Without it, a video is taken for a photo, and refused.

    Raises:
        SystemExit: with status 2, after everything else, where a photo could not be used.
    """
    if not photos:
        raise BioFaceNetError(
            "no photo named; name one or more, such as portrait.jpg (--help shows all settings)"
        )
    folders = result_folders(out, photos)
    taken = {folder.name.lower() for folder in folders}
    lines: list[str] = []
    failed = 0
    with progress("photos", len(photos), shown=len(photos) > 1, unit="photos") as bar:
        for path, first in zip(photos, folders, strict=True):
            bar.update(what=path.name)
            try:
                if video is not None and is_video(path):
                    lines.append(video(path, first))
                else:
                    photo = read_photo(path)
                    results = [method(photo, part) for part in wanted.of(photo)]
                    for result, folder in zip(results, _further(first, taken), strict=False):
                        write(result, folder, method=said, formats=formats)
                        lines.append(_line(result, folder))
            except PhotoError as error:
                sys.stderr.write(f"error: {error}\n")
                failed += 1
            bar.advance()

    console.print(said, markup=False)
    for line in lines:
        console.print(line, markup=False)
    if failed:
        console.print(f"{failed} of {len(photos)} photos could not be used")
        raise SystemExit(2)


def _line(result: Result, folder: Path) -> str:
    remarks = "; ".join(result.remarks)
    return (
        f"{result.photo.path} -> {folder / 'figure.png'} and more beside it"
        f"  (RMSE {result.rmse:.3f}; {remarks})"
    )


def _further(first: Path, taken: set[str]) -> Iterator[Path]:
    """The folder of a photo's first face, and new ones for its others."""
    yield first
    number = 1
    while True:
        number += 1
        name = f"{first.name}-{number}"
        if name.lower() not in taken:
            taken.add(name.lower())
            yield first.with_name(name)


# Writing -------------------------------------------------------------------------------------


def result_folders(out: Path, photos: tuple[Path, ...]) -> list[Path]:
    """A folder for each photo, named like it; photos of one name are numbered from the second on."""
    taken: set[str] = set()
    folders = []
    for path in photos:
        name, number = path.stem, 1
        # Some file systems do not tell Face from face.
        while name.lower() in taken:
            number += 1
            name = f"{path.stem}-{number}"
        taken.add(name.lower())
        folders.append(out / name)
    return folders
