"""Which files a command line means: files, folders with all below them, and patterns."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import BioFaceNetError, PhotoError
from ..system.names import as_given, shown, wrong_source

__all__ = [
    "EXAMPLE",
    "PHOTO_ENDINGS",
    "VIDEO_ENDINGS",
    "expand",
    "is_video",
]

EXAMPLE = Path(__file__).parent / "example.png"
"""A photo that comes with the package, of a synthetic face."""

PHOTO_ENDINGS = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "tif", "tiff", "bmp", "gif", "avif"),
        *("heic", "heif", "hif", "jxl"),
        *("ppm", "pgm", "pnm"),
    )
)
"""Endings of photos, by which they are found in a folder; a file that is named may have any."""

VIDEO_ENDINGS = frozenset(
    f".{ending}"
    for ending in ("mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "mts", "wmv")
)


NAMED = 3
"""Files, and endings of files, that are named of many."""


def is_video(path: Path) -> bool:
    """Whether a name is that of a video."""
    return path.suffix.lower() in VIDEO_ENDINGS


def expand(
    named: Sequence[Path],
    *,
    endings: frozenset[str] = PHOTO_ENDINGS,
    without: Path | Sequence[Path] | None = None,
    tell: bool = False,
) -> tuple[Path, ...]:
    """The files that names mean, in order, each once.

    A folder means all files below it with one of the endings, hidden ones left out; a name of no file
    with ``*``, ``?`` or ``[`` in it is a pattern, in which ``**`` stands for any folders. In folders
    and patterns ``photo2`` comes before ``photo10``. A file stands for itself, and so does what does
    not exist beside others that do. Links that lead nowhere and pipes are found as files are, so that
    whoever reads them says what is wrong.

    Args:
        named: what the command line was given.
        endings: which files of folders count, in lower case with the dot.
        without: a folder or several, such as that of the results, in which nothing is looked for.
        tell: say how many files of other kinds are in a folder, and name some.

    Raises:
        BioFaceNetError: a folder or pattern has no such file, a URL is named, or nothing that is named
            exists.
    """
    found: dict[Path, None] = {}
    left_out = () if without is None else (without,) if isinstance(without, Path) else without
    for name in named:
        if name.is_dir():
            there = sorted(_below(name, left_out), key=_order)
            files = [path for path in there if path.suffix.lower() in endings]
            others = _in_words([path for path in there if path.suffix.lower() not in endings])
            if not files:
                but = f", but {others}" if others else ""
                raise BioFaceNetError(
                    f"{shown(name)}: a folder without a photo in it{but}; expected files such as "
                    "portrait.jpg"
                )
            if tell and others:
                sys.stdout.write(f"{shown(name)}: passed over {others}\n")
        elif not name.exists() and glob.has_magic(str(name)):
            # Path.glob takes no pattern that starts at the root.
            matches = map(Path, glob.glob(str(name), recursive=True))  # noqa: PTH207
            files = sorted((path for path in matches if not path.is_dir()), key=_order)
            if not files:
                raise BioFaceNetError(
                    f"{name}: no file fits this pattern; check the spelling, and the folder that it "
                    "starts from"
                )
        else:
            files = [name]
        found.update(dict.fromkeys(files))
    _check_named(tuple(found))
    return tuple(found)


def _check_named(found: Sequence[Path]) -> None:
    """Raise PhotoError where a URL is named, or nothing is there of all that is."""
    for path in found:
        if remedy := wrong_source(path):
            raise PhotoError(f"{as_given(path)}: {remedy}")
    if found and not any(os.path.lexists(path) for path in found):
        first, *rest = found
        more = f", nor {len(rest)} more that are named" if rest else ""
        raise PhotoError(
            f"{first}: no such file{more}; name a photo, a folder of photos, or a pattern in quotes"
        )


def _in_words(files: Sequence[Path]) -> str:
    """How many files there are of which endings, and the names of some; empty where there are none."""
    if not files:
        return ""
    kinds = Counter(path.suffix.lower() or "no ending" for path in files).most_common()
    counts = ", ".join(f"{count} of {kind}" for kind, count in kinds[:NAMED])
    names = ", ".join(shown(path.name) for path in files[:NAMED])
    more = ", .." if len(files) > NAMED else ""
    many = "1 other file" if len(files) == 1 else f"{len(files)} other files"
    return f"{many} ({counts}{', ..' if len(kinds) > NAMED else ''}): {names}{more}"


def _below(folder: Path, without: Sequence[Path]) -> Iterator[Path]:
    left_out = {_real(place) for place in without}
    for path in folder.rglob("*"):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if left_out and not left_out.isdisjoint(_real(path).parents):
            continue
        if not path.is_dir():
            yield path


def _real(path: Path) -> Path:
    """A path without links; unlike `Path.resolve`, also of one that leads to itself."""
    return Path(os.path.realpath(path))


def _order(path: Path) -> list[tuple[int, int, str]]:
    """As people count: by the numbers in names, not by their digits."""
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in parts]
