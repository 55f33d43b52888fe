"""Texts without a size in HDF5 files, which HDF5 would seek for ever."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from biofacenet.data.hdf5_opening import open_file
from biofacenet.errors import DataError
from biofacenet.system.hdf5_heaps import endless_heap
from biofacenet.system.matlab import read_matlab


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A healthy file whose attributes are texts of variable length."""
    found = tmp_path / "whole.hdf5"
    with h5py.File(found, "w") as file:
        file.attrs["skin"] = "measured"
        file["numbers"] = np.arange(6.0)
        file["numbers"].attrs["MATLAB_class"] = "double"
    return found


def without_size(path: Path) -> None:
    """The free rest of each collection gets a size of 0."""
    content = bytearray(path.read_bytes())
    place = content.find(b"GCOL")
    assert place >= 0
    while place >= 0:
        end = place + int.from_bytes(content[place + 8 : place + 16], "little")
        at = place + 16
        while int.from_bytes(content[at : at + 2], "little"):
            at += 16 + -(-int.from_bytes(content[at + 8 : at + 16], "little") // 8) * 8
        assert at < end
        content[at + 8 : at + 16] = bytes(8)
        place = content.find(b"GCOL", place + 1)
    path.write_bytes(content)


def test_a_healthy_file_is_read(path: Path) -> None:
    assert not endless_heap(path)
    with open_file(path) as file:
        assert file.attrs["skin"] == "measured"
    assert np.array_equal(read_matlab(path)["numbers"], np.arange(6.0))


def test_a_text_without_a_size_is_told(path: Path) -> None:
    """By a line: HDF5 itself would never come back from the attribute."""
    without_size(path)
    assert endless_heap(path)
    with pytest.raises(
        DataError, match=r"whole.hdf5: a text in it has no size; the file is damaged"
    ):
        open_file(path)
    with pytest.raises(ValueError, match="no size"):
        read_matlab(path)


def test_numbers_that_look_like_a_collection_are_none(tmp_path: Path) -> None:
    path = tmp_path / "numbers.hdf5"
    with h5py.File(path, "w") as file:
        file["bytes"] = np.frombuffer(b"GCOL\x02\0\0\0" * 64 + b"GCOL" + bytes(4), np.uint8)
    assert b"GCOL" in path.read_bytes()
    assert not endless_heap(path)


def test_a_collection_that_is_cut_off_ends(path: Path) -> None:
    content = path.read_bytes()
    place = content.find(b"GCOL")
    for length in (place + 4, place + 15, place + 16, place + 20, place + 40):
        path.write_bytes(content[:length])
        assert not endless_heap(path)
