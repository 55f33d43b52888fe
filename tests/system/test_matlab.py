"""MATLAB files are read as SciPy reads them, and damaged ones end with an error and nothing else."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from biofacenet.errors import DataError
from biofacenet.evaluation.iset_files import read_scene
from biofacenet.system.matlab import MOST_PARTS, read_matlab

RNG = np.random.default_rng(0)
VALUES: dict[str, Any] = {
    "double": RNG.normal(size=(3, 4)),
    "single": RNG.normal(size=(2, 3, 4)).astype("f4"),
    **{kind: RNG.integers(0, 100, (2, 3)).astype(kind) for kind in ("i1", "u2", "i4", "u8")},
    "whole": np.arange(6.0).reshape(2, 3),  # which is stored in bytes
    "logical": np.array([[True, False]]),
    "one": np.array([[2.5]]),
    "text": "a face, née",
    "a_name_of_many_letters": np.ones((1, 1)),
    "scene": {"wave": np.arange(400.0, 410.0), "inner": {"comment": "D65", "x": np.eye(2)}},
}


def same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        for name, value in expected.items():
            same(found[name], value)
    elif isinstance(expected, str):
        assert found == expected
    else:
        np.testing.assert_array_equal(found, np.atleast_2d(expected))
        assert found.dtype.itemsize == np.asarray(expected).dtype.itemsize


@pytest.mark.parametrize("packed", [False, True])
def test_what_scipy_wrote_is_read(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, VALUES, do_compression=packed)
    found = read_matlab(path)
    assert set(found) == set(VALUES)
    for name, value in VALUES.items():
        same(found[name], value)


def test_cells_and_arrays_of_structs(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    cells = np.empty((1, 3), object)
    cells[0] = [np.ones((2, 2)), "text", np.zeros((1, 5))]
    structs = np.array([(1.0, "a"), (2.0, "b")], dtype=[("number", object), ("name", object)])
    scipy.io.savemat(path, {"cells": cells, "structs": structs})
    found = read_matlab(path)
    same(found["cells"][0], np.ones((2, 2)))
    assert found["cells"][1] == "text"
    assert [one["name"] for one in found["structs"]] == ["a", "b"]
    assert float(found["structs"][1]["number"][0, 0]) == 2.0


def test_what_is_not_numbers_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(
        path, {"sparse": scipy.sparse.eye(3).tocsc(), "complex": np.array([1j]), "x": 3.0}
    )
    found = read_matlab(path)
    assert found["sparse"] is found["complex"] is None
    same(found["x"], 3.0)


def test_other_byte_order_and_version_4(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    values = struct.pack(">2d", 1.5, -2.0)
    array = struct.pack(">4I", 6, 8, 6, 0) + struct.pack(">4I", 5, 8, 1, 2)
    array += struct.pack(">HH4s", 1, 1, b"x") + struct.pack(">2I", 9, 16) + values
    path.write_bytes(
        b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + struct.pack(">2I", 14, len(array)) + array
    )
    same(read_matlab(path)["x"], np.array([[1.5, -2.0]]))
    scipy.io.savemat(path, {"x": np.eye(3)}, format="4")
    same(read_matlab(path)["x"], np.eye(3))


# Damaged -------------------------------------------------------------------------------------


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<2I", kind, len(content)) + content + bytes(-len(content) % 8)


def array(kind: int, shape: tuple[int, ...], *parts: bytes) -> bytes:
    flags = element(6, struct.pack("<2I", kind, 0))
    sizes = element(5, struct.pack(f"<{len(shape)}i", *shape))
    return element(14, flags + sizes + element(1, b"x") + b"".join(parts))


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + content)
    return path


def nested(depth: int) -> bytes:
    content = array(6, (1, 1), element(9, bytes(8)))
    for _ in range(depth):
        content = array(1, (1, 1), content)
    return content


DAMAGED = {
    "more numbers than there are": array(6, (2**31 - 1, 2**31 - 1), element(9, bytes(8))),
    "fewer": array(6, (0, 0), element(9, bytes(8))),
    "cells without end": array(1, (2**31 - 1, 2**31 - 1)),
    "structs without end": array(
        2, (2**31 - 1, 9), element(5, b"\x08\0\0\0"), element(1, b"a".ljust(8))
    ),
    "field names of no length": array(2, (1, 1), element(5, bytes(4)), element(1, b"a")),
    "field names of any length": array(
        2, (1, 1), element(5, b"\xff\xff\xff\x7f"), element(1, b"a")
    ),
    "numbers of no kind": array(6, (1, 1), element(99, bytes(8))),
    "negative sizes": array(6, (-1, -1), element(9, bytes(8))),
    "hundreds of dimensions": array(6, (1,) * 300, element(9, bytes(8))),
    "no class": element(14, element(6, b"")),
    "a size beyond the end": struct.pack("<2I", 14, 2**32 - 1),
    "half a number": array(6, (1, 1), element(9, bytes(7))),
    "nested too deeply": nested(100),
    "many parts": array(1, (1, MOST_PARTS), bytes(8 * MOST_PARTS)),
    "packed, and cut short": element(15, zlib.compress(nested(0))[:-30]),
    "packed by nothing": element(15, b"no zlib stream"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "a.mat", DAMAGED[name])
    with pytest.raises(DataError, match="cannot be read as a MATLAB file") as error:
        read_scene(path)
    assert "\n" not in str(error.value)


def test_a_message_is_never_as_long_as_what_it_quotes() -> None:
    error = DataError("a.csv: line 3 holds '" + "9" * 100_000 + "'; expected a number")
    assert len(str(error)) <= 1200
    assert str(error).startswith("a.csv: line 3 holds")
    assert str(error).endswith("expected a number")
    assert str(DataError("short")) == "short"
