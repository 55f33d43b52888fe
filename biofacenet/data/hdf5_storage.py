"""Whether all values of an HDF5 data set are there and can be read.

HDF5 gives zeros, without a word, for chunks that were never written, for parts of other files that are
not there, and past the end of files with external storage.
"""

from __future__ import annotations

import importlib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
from h5py import h5d, h5p, h5s, h5z

from ..errors import DataError
from ..system.files import is_file
from .hdf5_opening import damage_told, dataset_of, open_file

__all__ = [
    "Other",
    "check_whole",
    "with_raw_files",
]

FILTERS = {
    307: "bzip2",
    32000: "lzf",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32017: "sz",
    32024: "sz3",
    32026: "blosc2",
    32028: "sperr",
    h5z.FILTER_SZIP: "szip",
}
"""Compression that is not in every HDF5, for files that do not say its name."""

DEEPEST = 8
"""Data sets of pieces of pieces, and so on."""


@dataclass(frozen=True)
class Other:
    """Another file that values lie in."""

    path: Path
    size: int

    def check(self, path: Path) -> None:
        """Raise DataError where it is not as it was."""
        try:
            same = self.path.stat().st_size == self.size
        except OSError:
            same = False
        if not same:
            raise DataError(
                f"{path}: {self.path}, which holds values of it, was removed or changed meanwhile; put it "
                "back and start again"
            )


def check_whole(dataset: h5py.Dataset, path: Path, depth: int = 0) -> tuple[Other, ...]:
    """The other files that a data set lies in; none for most.

    Raises:
        DataError: a part is missing, or cannot be unpacked here.
    """
    made = dataset.id.get_create_plist()
    if made.get_layout() == h5d.VIRTUAL:
        if depth == DEEPEST:
            raise DataError(f"{path}: {dataset.name} is made of itself; make it again")
        return _check_virtual(dataset, path, depth)
    if made.get_external_count():
        return _check_external(dataset, path)
    _check_filters(made, dataset.name.strip("/"), path)
    shape = tuple(dataset.shape)
    if dataset.chunks is None:
        kept, unit = dataset.id.get_storage_size(), "bytes"
        needed = math.prod(shape) * dataset.id.get_type().get_size()
    else:
        kept, unit = dataset.id.get_num_chunks(), "chunks"
        needed = math.prod(-(-n // size) for n, size in zip(shape, dataset.chunks, strict=True))
    if kept != needed:
        raise DataError(
            f"{path}: holds {kept} {unit} of {dataset.name.strip('/')} where its shape {shape} needs "
            f"{needed}; the file is damaged or unfinished: download or make it again"
        )
    return ()


# Compression ---------------------------------------------------------------------------------


def _check_filters(made: h5p.PropDCID, name: str, path: Path) -> None:
    for place in range(made.get_nfilters()):
        code, _, _, said = made.get_filter(place)
        if not _can_unpack(code):
            words = re.split("[;:]", said.decode("utf-8", "replace"))[0].split()  # then an address
            called = " ".join(words) or FILTERS.get(code, "of no known name")
            raise DataError(
                f"{path}: {name} is compressed by filter {code} ({called}), which is not "
                "installed: pip install hdf5plugin, or write the file anew with gzip (h5repack -f GZIP=1)"
            )


def _can_unpack(code: int) -> bool:
    if not h5z.filter_avail(code):
        try:
            importlib.import_module("hdf5plugin")
        except ImportError:
            return False
    return h5z.filter_avail(code) and bool(
        h5z.get_filter_info(code) & h5z.FILTER_CONFIG_DECODE_ENABLED
    )


# Other files ---------------------------------------------------------------------------------


def with_raw_files(dataset: h5py.Dataset) -> h5py.Dataset:
    """A data set whose values lie in plain files, with these sought beside the HDF5 file first.

    HDF5 itself seeks them in the folder that the process happens to be in.
    """
    if not dataset.id.get_create_plist().get_external_count():
        return dataset
    access = h5p.create(h5p.DATASET_ACCESS)
    access.set_efile_prefix(os.fsencode(_raw_folder(dataset)))
    file, name = dataset.file, dataset.name.encode()
    dataset.id._close()  # HDF5 opens it with other settings only when it is closed
    return h5py.Dataset(h5d.open(file.id, name, access))


def _raw_files(dataset: h5py.Dataset) -> list[tuple[str, int, int]]:
    """Name, first byte and number of bytes of each."""
    made = dataset.id.get_create_plist()
    left = math.prod(dataset.shape) * dataset.id.get_type().get_size()
    found = []
    for place in range(made.get_external_count()):
        name, offset, size = made.get_external(place)
        used = min(left, size)  # the last may be without end
        if used:
            found.append((os.fsdecode(name), offset, used))
        left -= used
    return found


def _raw_folder(dataset: h5py.Dataset) -> Path:
    """Where relative names of raw files are."""
    beside = Path(dataset.file.filename).absolute().parent
    given = os.environ.get("HDF5_EXTFILE_PREFIX", "").replace("${ORIGIN}", str(beside))
    if given:  # which HDF5 obeys, whatever else it is told
        return Path(given)
    names = [name for name, _, _ in _raw_files(dataset)]
    places = (beside, Path.cwd())
    return next((p for p in places if all(is_file(p / name) for name in names)), beside)


def _check_external(dataset: h5py.Dataset, path: Path) -> tuple[Other, ...]:
    """Values in plain files beside the HDF5 file."""
    folder, others = _raw_folder(dataset), []
    for name, offset, used in _raw_files(dataset):
        raw = folder / name
        there = raw.stat().st_size if is_file(raw) else None
        if there is None or there < offset + used:
            what = "is not there" if there is None else f"has {there} bytes of {offset + used}"
            raise DataError(
                f"{path}: its values are in {raw}, which {what}; copy that file as well, or make both "
                "again"
            )
        others.append(Other(raw, there))
    return tuple(others)


def _source_of(path: Path, name: str, prefix: str) -> Path:
    """Where HDF5 finds a file that a virtual data set names; where it should be if it is nowhere."""
    folder = Path(os.path.realpath(path)).parent
    given = os.environ.get("HDF5_VDS_PREFIX", "") or prefix
    places = [Path(given.replace("${ORIGIN}", str(folder))) / name] if given else []
    places += [Path(name)] if Path(name).is_absolute() else []
    places += [folder / Path(name).name] if Path(name).is_absolute() else [folder / name]
    places += [Path(name)]
    return next((place for place in places if is_file(place)), folder / name)


def _check_virtual(dataset: h5py.Dataset, path: Path, depth: int) -> tuple[Other, ...]:
    """Values in data sets of other files."""
    name = dataset.name.strip("/")
    covered = dataset.id.get_space().copy()
    covered.select_none()
    others: list[Other] = []
    prefix = os.fsdecode(dataset.id.get_access_plist().get_virtual_prefix() or b"")
    for piece in dataset.virtual_sources():
        _cover(covered, piece.vspace, f"{path}: {name}")
        if piece.file_name == ".":
            source = path
        else:
            source = _source_of(path, piece.file_name, prefix)
            if not is_file(source):
                raise DataError(
                    f"{path}: {name} is a virtual data set of pieces, of which {source} is not there; "
                    "copy that file as well, or make one file of all (h5repack -l CONTI)"
                )
            others.append(Other(source, source.stat().st_size))
        try:
            with damage_told(source), open_file(source) as file:
                inner = dataset_of(file, source, piece.dset_name)
                _check_inside(piece, inner, source)
                others += check_whole(inner, source, depth + 1)
        except DataError as error:
            raise DataError(
                f"{path}: {name} is a virtual data set of pieces, one bad: {error}"
            ) from error
    points, needed = covered.get_select_npoints(), math.prod(dataset.shape)
    if points != needed:
        raise DataError(
            f"{path}: {name} is a virtual data set whose pieces give {points} of {needed} values; make "
            "it again"
        )
    return tuple(dict.fromkeys(others))


def _cover(covered: h5s.SpaceID, space: h5s.SpaceID, where: str) -> None:
    """Add the selection of a space to what is covered."""
    if space.get_select_type() == h5s.SEL_ALL:
        covered.select_all()
        return
    numbers: tuple[tuple[int, ...], ...] = ()
    if space.get_select_type() == h5s.SEL_HYPERSLABS and space.is_regular_hyperslab():
        numbers = space.get_regular_hyperslab()
    if not numbers or h5s.UNLIMITED in numbers[2] + numbers[3]:
        raise DataError(
            f"{where} is a virtual data set of pieces without end or of odd shapes; make one file of all "
            "(h5repack -l CONTI)"
        )
    start, stride, count, block = numbers
    covered.select_hyperslab(start, count, stride, block, op=h5s.SELECT_OR)


def _check_inside(piece: Any, inner: h5py.Dataset, source: Path) -> None:
    """Raise DataError where a piece reaches beyond the data set that it is of."""
    space = piece.src_space
    if space.get_select_type() == h5s.SEL_ALL:  # of whatever shape it has
        fits = piece.vspace.get_select_npoints() == inner.size
        needed = f"{piece.vspace.get_select_npoints()} values"
    else:
        ends = tuple(last + 1 for last in space.get_select_bounds()[1])
        fits = len(ends) == inner.ndim and all(map(int.__le__, ends, inner.shape))
        needed = f"{ends}"
    if not fits:
        raise DataError(
            f"{source}: {inner.name.strip('/')} has shape {inner.shape} where a virtual data set needs "
            f"{needed} of it; make it again"
        )
