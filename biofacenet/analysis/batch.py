"""Photo by photo: decompose, write, go on."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import BioFaceNetError, DataError, PhotoError
from ..photos.framing import Wanted
from ..photos.paths import is_video
from ..photos.reading import Photo, read_photo
from ..system.console import console, progress
from ..system.files import check_folder, remove_abandoned
from ..system.names import complain, folder_name, same_name, shown
from .choices import Format
from .folder import write
from .methods import Method
from .results import Result

__all__ = [
    "Writing",
    "new_folders",
    "one_by_one",
    "process",
    "result_folders",
]

OF_ONE_FILE = {
    *(errno.EACCES, errno.EEXIST, errno.EILSEQ, errno.EINVAL, errno.EISDIR),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EPERM),
}
"""Errors that speak of a file or its folder, and not of the disk that all share."""


@dataclass(frozen=True)
class Writing:
    """How results are written."""

    formats: Sequence[Format] = ()
    """In which maps are written beside the usual ones."""
    show_all: bool = False
    """Whether sheets show maps beyond the skin too."""
    overwrite: bool = False
    """Whether folders of earlier results may be written to; new ones are numbered otherwise."""


def process(
    photos: tuple[Path, ...],
    out: Path,
    method: Method,
    wanted: Wanted,
    *,
    said: str,
    writing: Writing | None = None,
    video: Callable[[Path, Path], str] | None = None,
) -> None:
    """Decompose photo by photo and write results, a folder in `out` for each face.

    Args:
        photos: files; one that cannot be used is told of, and the others are done all the same.
        out: folder for results.
        method: what decomposes a part of a photo.
        wanted: which parts of each photo.
        said: the method in words, for the terminal and the summary.
        writing: how results are written.
        video: what to do with a video, given its file and the folder for its results; says in a line
            what came of it. Without it, a video is taken for a photo, and refused.

    Raises:
        SystemExit: with status 2, after everything else, where a photo could not be used.
    """
    if not photos:
        raise BioFaceNetError(
            "no photo named; name one or more, such as portrait.jpg (--help shows all settings)"
        )
    how = writing or Writing()
    folders = new_folders(out, photos, overwrite=how.overwrite)
    taken = {same_name(folder.name) for folder in folders}
    if not how.overwrite:
        taken |= _names_in(out)

    def decomposed(path: Path, first: Path) -> Iterator[str]:
        if video is not None and is_video(path):
            yield video(path, first)
            return
        photo = read_photo(path)
        _tell_of_size(photo)
        results = [method(photo, part) for part in wanted.of(photo)]
        for result, folder in zip(results, _further(first, taken), strict=False):
            write(result, folder, method=said, formats=how.formats, show_all=how.show_all)
            yield _line(result, folder)

    console.print(said)
    one_by_one(photos, folders, decomposed, what="photos")


LARGE = 24e6
"""Pixels from which a photo is said to take its time."""


def _tell_of_size(photo: Photo) -> None:
    pixels = photo.height * photo.width
    if pixels >= LARGE:
        console.print(
            f"{shown(photo.path)}: {photo.width} x {photo.height} pixels, {pixels / 1e6:.0f} megapixels, "
            f"which take {16 * pixels / 1e9 + 0.5:.1f} GB of memory"
        )


def one_by_one(
    sources: Sequence[Path],
    folders: Sequence[Path],
    work: Callable[[Path, Path], Iterable[str]],
    *,
    what: str,
) -> None:
    """Do the same with many files, each with a folder of its own, and say what came of each at once.

    Args:
        sources: files; one that cannot be used is told of, and the others are done all the same.
        folders: for the results of each.
        work: what is done; gives lines to say.
        what: the files are, in a word.

    Raises:
        BioFaceNetError: before anything else, where a folder cannot be written to.
        OSError: nothing more can be written, as the disk is full.
        SystemExit: with status 2, after everything else, where a file could not be used.
    """
    for folder in folders:
        check_folder(folder)
    for folder in {*folders, *(folder.parent for folder in folders)}:
        remove_abandoned(folder)
    failed = 0
    with progress(what, len(sources), unit=what, watched=True) as bar:
        for path, folder in zip(sources, folders, strict=True):
            bar.update(what=shown(path.name))
            try:
                for line in work(path, folder):
                    console.print(line)
            except (PhotoError, DataError) as error:
                complain(error)
                failed += 1
            except OSError as error:
                if error.errno not in OF_ONE_FILE:
                    raise
                complain(f"{path}: {error.strerror} ({error.filename})")
                failed += 1
            except MemoryError:
                complain(f"{path}: too large for the memory of this machine; shrink it first")
                failed += 1
            bar.advance()
    if failed:
        console.print(f"{failed} of {len(sources)} {what} could not be used")
        raise SystemExit(2)


def _line(result: Result, folder: Path) -> str:
    remarks = "; ".join(result.remarks)
    return (
        f"{shown(result.photo.path)} -> {shown(folder / 'figure.png')} and more beside it"
        f"  (RMSE of skin {result.skin_rmse:.3f}; {remarks})"
    )


def _further(first: Path, taken: set[str]) -> Iterator[Path]:
    """The folder of a photo's first face, and new ones for its others."""
    yield first
    number = 1
    while True:
        number += 1
        name = f"{first.name}-{number}"
        if same_name(name) not in taken:
            taken.add(same_name(name))
            yield first.with_name(name)


# Writing -------------------------------------------------------------------------------------


def result_folders(out: Path, photos: tuple[Path, ...], *, new: bool = False) -> list[Path]:
    """A folder for each photo, named like it; photos of one name are numbered from the second on.

    Args:
        out: folder for all of them.
        photos: files.
        new: whether folders that are there already count as taken, so that they stay as they are.
    """
    taken = _names_in(out) if new else set()
    folders = []
    for path in photos:
        first = name = folder_name(path)
        number = 1
        while same_name(name) in taken:
            number += 1
            name = f"{first}-{number}"
        taken.add(same_name(name))
        folders.append(out / name)
    return folders


def new_folders(out: Path, sources: tuple[Path, ...], *, overwrite: bool = False) -> list[Path]:
    """A folder for each source, beside those of earlier results; says in a line where these are kept.

    Args:
        out: folder for all of them.
        sources: files.
        overwrite: whether earlier results are to be replaced.
    """
    folders = result_folders(out, sources, new=not overwrite)
    plain = result_folders(out, sources)
    kept = [pair for pair in zip(plain, folders, strict=True) if pair[0] != pair[1]]
    if len(kept) == 1:
        before, after = kept[0]
        console.print(
            f"{shown(before)} is there already and stays; this goes to {shown(after)} (--overwrite replaces)"
        )
    elif kept:
        console.print(
            f"{len(kept)} folders in {shown(out)} are there already and stay; new ones are numbered, such as "
            f"{kept[0][1].name} (--overwrite replaces)"
        )
    return folders


def _names_in(folder: Path) -> set[str]:
    return {same_name(path.name) for path in folder.iterdir()} if folder.is_dir() else set()
