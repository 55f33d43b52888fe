"""Folders for results beside those of earlier ones, which stay."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from .names import shown

__all__ = ["beside_earlier", "holds", "numbered"]


def holds(names: Sequence[str]) -> Callable[[Path], bool]:
    """What tells whether a folder holds one of some files."""
    return lambda folder: any((folder / name).exists() for name in names)


def beside_earlier(
    out: Path, taken: Callable[[Path], bool], *, overwrite: bool = False, quiet: bool = False
) -> Path:
    """A folder, or where it holds earlier results the first of its name with a number that holds none.

    Says in a line which folder stays, and where results go instead.

    Args:
        out: folder for results.
        taken: whether a folder holds results that are to stay.
        overwrite: whether these are to be replaced: then it is `out` itself.
        quiet: say nothing.

    Example:
        >>> beside_earlier(Path("evaluation"), holds(["evaluation.json"]), quiet=True)  # doctest: +SKIP
        PosixPath('evaluation-2')
    """
    if overwrite or not taken(out):
        return out
    whole = out.resolve() if out.name in ("", "..") else out
    found = next(
        folder
        for number in count(2)
        if not taken(folder := whole.with_name(f"{whole.name or 'results'}-{number}"))
    )
    if not quiet:
        sys.stdout.write(
            f"{shown(out)}: earlier results are there and stay; these go to {shown(found)} "
            "(--overwrite replaces)\n"
        )
    return found


def numbered(out: Path) -> tuple[Path, ...]:
    """The folders that are there with the name of another and a number, as `beside_earlier` makes them.

    Args:
        out: the other, which need not be there.
    """
    whole = Path(os.path.realpath(out))
    if not whole.parent.is_dir():
        return ()
    name = re.compile(re.escape(whole.name) + r"-[0-9]+")
    return tuple(path for path in sorted(whole.parent.iterdir()) if name.fullmatch(path.name))
