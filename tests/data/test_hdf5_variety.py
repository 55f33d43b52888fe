"""HDF5 as people have it: each kind of storage is read right, or refused in a line that names the cause."""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from h5py import h5d, h5p, h5s, h5t, h5z

from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs
from biofacenet.errors import DataError

IMAGES, LIGHTING = "zx_7_d10_inmc_celebA_01.hdf5", "zx_7_d3_lrgb_celebA_01.hdf5"
COUNT, SIDE = 7, 16
ORDER = [3, 0, 6, 1, 2, 3, 4, 5]

Make = Callable[[Path], object]


def channels() -> np.ndarray:
    rng = np.random.default_rng(1)
    values = rng.uniform(size=(COUNT, 10, SIDE, SIDE))
    values[:, 6] = values[:, 6] > 0.4
    return values


VALUES = channels()
LIGHTS = np.random.default_rng(2).normal(size=(COUNT, 3, 9))


def write(
    path: Path, values: object, *, file: dict[str, Any] | None = None, **options: Any
) -> None:
    with h5py.File(path, "w", **(file or {})) as opened:
        opened.create_dataset("zx_7", data=values, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    write(folder / IMAGES, VALUES)
    write(folder / LIGHTING, LIGHTS)
    return folder


def images(values: np.ndarray = VALUES, **options: Any) -> Make:
    return lambda folder: write(folder / IMAGES, values, **options)


def lighting(values: np.ndarray = LIGHTS, **options: Any) -> Make:
    return lambda folder: write(folder / LIGHTING, values, **options)


def of_type(kind: h5t.TypeID, values: np.ndarray) -> Make:
    """Written as HDF5 has types and NumPy has not."""

    def make(folder: Path) -> None:
        with h5py.File(folder / IMAGES, "w") as file:
            made = h5d.create(file.id, b"zx_7", kind, h5s.create_simple(values.shape))
            made.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(values))

    return make


def odd_float() -> h5t.TypeID:
    """Four bytes, with another bias of the exponent than the processor's."""
    kind = h5t.IEEE_F32LE.copy()
    kind.set_ebias(100)
    return kind


def virtual(
    *,
    pieces: int = 2,
    names: tuple[str, str] = ("piece0.h5", "piece1.h5"),
    folder: Path | None = None,
) -> Make:
    """A data set of two pieces in other files, of which it may name but one."""

    def make(folder: Path) -> None:
        layout = h5py.VirtualLayout(VALUES.shape, VALUES.dtype)
        for number, rows in enumerate((slice(0, 3), slice(3, COUNT))):
            with h5py.File(folder / f"piece{number}.h5", "w") as file:
                file["x"] = VALUES[rows]
            if number < pieces:
                shape = VALUES[rows].shape
                layout[rows] = h5py.VirtualSource(names[number], "x", shape=shape)
        with h5py.File(folder / IMAGES, "w") as file:
            file.create_virtual_dataset("zx_7", layout)

    return make


def virtual_within(folder: Path) -> None:
    """Pieces in the file itself, and backwards."""
    layout = h5py.VirtualLayout(VALUES.shape, VALUES.dtype)
    with h5py.File(folder / IMAGES, "w") as file:
        for row in range(COUNT):
            file[f"row{COUNT - row}"] = VALUES[row]
            layout[row] = h5py.VirtualSource(file[f"row{COUNT - row}"])
        file.create_virtual_dataset("zx_7", layout)


def external(name: str = "raw.bin") -> Make:
    """Values in a plain file, behind 100 bytes of something else."""

    def make(folder: Path) -> None:
        with h5py.File(folder / IMAGES, "w") as file:
            file.create_dataset(
                "zx_7", VALUES.shape, VALUES.dtype, external=[(name, 100, VALUES.nbytes)]
            )
        (folder / "raw.bin").write_bytes(bytes(100) + VALUES.tobytes())

    return make


def filtered(code: int) -> Make:
    """As if compressed by a filter that is not installed."""

    def make(folder: Path) -> None:
        with h5py.File(folder / IMAGES, "w") as file:
            made = h5p.create(h5p.DATASET_CREATE)
            made.set_chunk((1, *VALUES.shape[1:]))
            made.set_filter(code, h5z.FLAG_OPTIONAL, (1,))
            space = h5s.create_simple(VALUES.shape)
            dataset = h5d.create(file.id, b"zx_7", h5t.IEEE_F64LE, space, made)
            for row in range(COUNT):
                dataset.write_direct_chunk((row, 0, 0, 0), VALUES[row].tobytes())

    return make


def link(to: h5py.SoftLink | h5py.ExternalLink) -> Make:
    def make(folder: Path) -> None:
        write(folder / "other.h5", VALUES)
        with h5py.File(folder / IMAGES, "w") as file:
            file["deep/faces"] = VALUES
            file["zx_7"] = to

    return make


def then(*steps: Make) -> Make:
    def make(folder: Path) -> None:
        for step in steps:
            step(folder)

    return make


def remove(name: str) -> Make:
    return lambda folder: (folder / name).unlink()


def cut(name: str, count: int = 5000) -> Make:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-count])


def bytes_instead(content: bytes) -> Make:
    return lambda folder: (folder / IMAGES).write_bytes(content)


def superblock(number: int) -> Make:
    """Another version in the first bytes."""

    def make(folder: Path) -> None:
        content = bytearray((folder / IMAGES).read_bytes())
        content[content.index(b"\x89HDF") + 8] = number
        (folder / IMAGES).write_bytes(content)

    return make


def null(folder: Path) -> None:
    write(folder / IMAGES, h5py.Empty("f8"))


def scaled(factor: float, channel: int) -> np.ndarray:
    values = VALUES.copy()
    values[:, channel] *= factor
    return values


def one(channel: int, value: float) -> np.ndarray:
    values = VALUES.copy()
    values[2, channel, 3, 3] = value
    return values


def whole(values: np.ndarray, most: int, kind: str) -> np.ndarray:
    return np.round(values * most).astype(kind)


# Read ----------------------------------------------------------------------------------------

READ: dict[str, tuple[Make, float]] = {
    "as published": (lambda folder: None, 1e-6),
    **{f"big-endian {n}": (images(VALUES.astype(f">f{n}")), 1e-3) for n in (2, 4, 8)},
    "big-endian, packed": (images(VALUES.astype(">f4"), compression="gzip"), 1e-6),
    "big-endian lighting": (lighting(LIGHTS.astype(">f8")), 1e-6),
    "big-endian uint16": (images(whole(VALUES, 65535, ">u2")), 1e-5),
    "uint16": (images(whole(VALUES, 65535, "<u2")), 1e-5),
    "uint8": (images(whole(VALUES, 255, "u1")), 2e-3),
    "uint8, packed": (images(whole(VALUES, 255, "u1"), chunks=True, compression="lzf"), 2e-3),
    "float16": (images(VALUES.astype("f2")), 1e-3),
    "float16 lighting": (lighting(LIGHTS.astype("f2")), 2e-3),
    "long double": (images(VALUES.astype(np.longdouble)), 1e-6),
    "long double lighting": (lighting(LIGHTS.astype(np.longdouble)), 1e-6),
    "floats of other bits": (of_type(odd_float(), VALUES.astype("f4")), 1e-6),
    "virtual": (virtual(), 1e-6),
    "virtual, within": (virtual_within, 1e-6),
    "external": (external(), 1e-6),
    "a sample a chunk": (images(chunks=(1, *VALUES.shape[1:])), 1e-6),
    "all in one chunk": (images(chunks=VALUES.shape, compression="gzip"), 1e-6),
    "odd chunks": (images(chunks=(4, 3, 5, 7), compression="gzip"), 1e-6),
    "chunks by h5py": (images(chunks=True), 1e-6),
    "lighting in chunks": (lighting(chunks=(3, 3, 9), compression="gzip"), 1e-6),
    "lzf": (images(compression="lzf"), 1e-6),
    "shuffle, checksums": (images(compression="gzip", shuffle=True, fletcher32=True), 1e-6),
    "scale-offset": (images(scaleoffset=4), 1e-3),
    "user block": (images(file={"userblock_size": 1024}), 1e-6),
    "newest format": (
        then(images(file={"libver": "latest"}), lighting(file={"libver": "latest"})),
        1e-6,
    ),
    "soft link": (link(h5py.SoftLink("/deep/faces")), 1e-6),
    "external link": (link(h5py.ExternalLink("other.h5", "/zx_7")), 1e-6),
}


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("name", READ)
def test_is_read_right(name: str, in_memory: bool, folder: Path) -> None:
    """In any order, with repeats and runs of neighbours."""
    make, tolerance = READ[name]
    make(folder)
    data = FacePairs(find_pairs(folder), in_memory=in_memory)
    for order in (ORDER, [5], list(range(COUNT))):
        raw = data.read(order)
        assert raw.channels.dtype == raw.lighting.dtype == torch.float32
        np.testing.assert_allclose(raw.channels, VALUES[order], atol=tolerance)
        np.testing.assert_allclose(raw.lighting, LIGHTS[order], atol=tolerance)


def test_szip(folder: Path) -> None:
    if not h5z.filter_avail(h5z.FILTER_SZIP):
        pytest.skip("this HDF5 has no szip")
    images(compression="szip")(folder)
    np.testing.assert_allclose(
        FacePairs(find_pairs(folder)).read(ORDER).channels, VALUES[ORDER], atol=1e-6
    )


def test_with_hdf5plugin(folder: Path) -> None:
    """In a process that has not imported it."""
    plugin = pytest.importorskip("hdf5plugin")
    images(chunks=(1, *VALUES.shape[1:]), **plugin.Zstd())(folder)
    script = (
        "import sys; from biofacenet.data import *; FacePairs(find_pairs(sys.argv[1])).read([1, 0])"
    )
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True, timeout=60)


@pytest.mark.parametrize("name", ["Bitshuffle", "Blosc", "Blosc2", "LZ4", "Zstd"])
def test_compression_of_hdf5plugin(name: str, folder: Path) -> None:
    """Such as other people's tools choose by default."""
    plugin = pytest.importorskip("hdf5plugin")
    images(chunks=(2, *VALUES.shape[1:]), **getattr(plugin, name)())(folder)
    lighting(chunks=(COUNT, 3, 9), **getattr(plugin, name)())(folder)
    raw = FacePairs(find_pairs(folder)).read(ORDER)
    np.testing.assert_allclose(raw.channels, VALUES[ORDER], atol=1e-6)
    np.testing.assert_allclose(raw.lighting, LIGHTS[ORDER], atol=1e-6)


@pytest.mark.parametrize("place", ["beside", "here"])
def test_raw_files_are_beside_the_file_or_where_the_process_is(
    place: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the same name where the process happens to be is not taken for the right one."""
    external()(folder)
    here = tmp_path / "here"
    here.mkdir()
    (here / "raw.bin").write_bytes(bytes(100 + VALUES.nbytes))
    if place == "here":
        (folder / "raw.bin").replace(here / "raw.bin")
    monkeypatch.chdir(here)
    raw = FacePairs(find_pairs(folder)).read(ORDER)
    np.testing.assert_allclose(raw.channels, VALUES[ORDER], atol=1e-6)


def test_a_chunk_is_unpacked_once_for_a_batch(folder: Path) -> None:
    """Shuffled rows of one large chunk: otherwise ten times as slow, or a hundred."""
    values = np.tile(VALUES, (20, 1, 2, 2))
    write(folder / IMAGES, values, chunks=values.shape, compression="gzip")
    write(folder / LIGHTING, np.tile(LIGHTS, (20, 1, 1)))
    with h5py.File(folder / IMAGES) as file:
        assert values.nbytes > file["zx_7"].id.get_access_plist().get_chunk_cache()[1]
    data = FacePairs(find_pairs(folder))

    def seconds(order: list[int]) -> float:
        begin = time.perf_counter()
        data.read(order)
        return time.perf_counter() - begin

    alone = min(seconds([place]) for place in (3, 30, 60))
    assert seconds(list(range(139, 0, -2))) < 10 * alone  # of 70 rows


# Refused -------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Make, str]] = {
    "int8": (images(whole(VALUES, 100, "i1")), "int8; expected floating point, uint8 or uint16"),
    "uint32": (images(whole(VALUES, 255, "u4")), "uint32; expected floating point"),
    "truth values": (images(VALUES > 0.5), "bool; expected floating point"),
    "complex": (images(VALUES.astype(complex)), "complex128; expected floating point"),
    "strings": (images(np.full(VALUES.shape, b"ab")), "S2; expected floating point"),
    "texts": (images(np.full(VALUES.shape, "ab", dtype=object)), "object; expected floating point"),
    "records": (
        images(np.zeros(VALUES.shape, [("a", "f4")])),
        "records of a; expected floating point",
    ),
    "lighting in integers": (lighting(whole(LIGHTS, 9, "i4")), "int32; expected floating point"),
    "lighting in uint8": (lighting(whole(LIGHTS, 9, "u1")), "uint8; expected floating point"),
    "nothing": (null, "zx_7 holds nothing"),
    "no samples": (then(images(VALUES[:0]), lighting(LIGHTS[:0])), "N > 0"),
    "other count": (lighting(LIGHTS[:4]), "holds 7 samples but .* holds 4"),
    "NaN": (images(one(0, np.nan)), "sample 2 holds NaN"),
    "infinite coordinates": (images(one(9, np.inf)), "sample 2 holds NaN or infinite"),
    "lighting beyond float32": (lighting(LIGHTS * 1e300), "NaN or infinite"),
    "images to 255": (images(scaled(255.0, 1)), r"image values reach from .* to 25\d"),
    "negative image": (images(one(1, -0.5)), "image values reach from -0.5"),
    "normals to 255": (images(scaled(255.0, 4)), "normal values reach"),
    "mask to 255": (images(scaled(255.0, 6)), "mask values reach from 0 to 255"),
    "mask of 1 among 255": (images(whole(scaled(1 / 255, 6), 255, "u1")), "mask reaches 0.0039"),
    "8 bits in 16": (images(whole(VALUES, 255, "u2")), "mask reaches 0.00389.*65535"),
    "virtual, piece missing": (then(virtual(), remove("piece1.h5")), "piece1.h5 is not there"),
    "virtual, piece cut": (then(virtual(), cut("piece1.h5")), "piece1.h5: truncated"),
    "virtual, in part": (virtual(pieces=1), "pieces give 7680 of 17920 values"),
    "virtual, piece of other things": (
        then(virtual(), lambda folder: write(folder / "piece0.h5", 1.0)),
        "piece0.h5: no data set 'x' inside, only zx_7",
    ),
    "virtual, piece smaller": (
        then(virtual(), remove("piece1.h5"), lambda folder: piece(folder, VALUES[3:5])),
        r"piece1.h5: x has shape \(2, 10, 16, 16\)",
    ),
    "virtual, piece never written": (
        then(virtual(), remove("piece1.h5"), lambda folder: piece(folder, None)),
        "piece1.h5: holds 0 chunks of x",
    ),
    "virtual, no HDF5": (
        then(virtual(), lambda f: (f / "piece1.h5").write_text("x")),
        "begins with b'x'",
    ),
    "virtual of itself": (virtual(names=(IMAGES, IMAGES)), "no data set 'x'"),
    "external, missing": (then(external(), remove("raw.bin")), "raw.bin, which is not there"),
    "external, of no file's name": (external("x" * 300), "xxx, which is not there"),
    "virtual, of no file's name": (virtual(names=("x" * 300, "y" * 300)), "xxx is not there"),
    "external link to no file's name": (
        link(h5py.ExternalLink("x" * 300, "/zx_7")),
        "xxx, which is not there",
    ),
    "external, cut": (
        then(external(), cut("raw.bin")),
        "raw.bin, which has 138460 bytes of 143460",
    ),
    "zstd": (filtered(32015), r"filter 32015 \(.*zstd.*\).*pip install hdf5plugin"),
    "a filter nobody knows": (
        filtered(411),
        r"filter 411 \(of no known name\).*pip install hdf5plugin",
    ),
    "soft link broken": (link(h5py.SoftLink("/away")), "link to '/away', which is not in the file"),
    "external link broken": (
        then(link(h5py.ExternalLink("other.h5", "/zx_7")), remove("other.h5")),
        "other.h5, which is not there",
    ),
    "external link to nothing": (
        link(h5py.ExternalLink("other.h5", "/away")),
        "'/away' of other.h5, which holds only zx_7",
    ),
    "external link to a cut file": (
        then(link(h5py.ExternalLink("other.h5", "/zx_7")), cut("other.h5")),
        "other.h5: truncated",
    ),
    "cut": (cut(IMAGES), "truncated: holds 134968 of 139968 bytes|truncated"),
    "cut behind a user block": (
        then(images(file={"userblock_size": 512}), cut(IMAGES)),
        "truncated",
    ),
    "format of the future": (superblock(9), "format version 9"),
    "Git LFS": (
        bytes_instead(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n"),
        "git lfs pull",
    ),
    "git-annex": (bytes_instead(b"/annex/objects/SHA256E-s1--ab.hdf5\n"), "git annex get"),
    "web page": (bytes_instead(b"\n<!DOCTYPE html><html><title>Virus scan"), "web page"),
    "empty": (bytes_instead(b""), "empty"),
    "zeros": (bytes_instead(bytes(9000)), "begins with zeros"),
    "zip": (bytes_instead(b"PK\x03\x04 and so on"), "ZIP archive: unpack it"),
    "gzip": (bytes_instead(b"\x1f\x8b\x08 and so on"), "gzip archive: unpack it"),
    "NumPy": (bytes_instead(b"\x93NUMPY\x01 and so on"), "NumPy array"),
    "some text": (bytes_instead(b"hello"), "begins with b'hello'"),
    "link to nowhere": (
        then(remove(IMAGES), lambda folder: (folder / IMAGES).symlink_to("/nowhere/x.hdf5")),
        "a link to /nowhere/x.hdf5, which is not there",
    ),
}


def piece(folder: Path, values: np.ndarray | None) -> None:
    """The second piece: of other values, or of none."""
    with h5py.File(folder / "piece1.h5", "w") as file:
        shape = (4, *VALUES.shape[1:]) if values is None else values.shape
        file.create_dataset("x", shape, "f8", data=values, chunks=(1, *VALUES.shape[1:]))


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_in_one_line(
    name: str, in_memory: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    monkeypatch.setattr(h5z, "filter_avail", lambda code: code < 256)  # imported or not
    make, cause = REFUSED[name]
    make(folder)
    with pytest.raises(DataError, match=cause) as told:
        FacePairs(find_pairs(folder), in_memory=in_memory).read(ORDER)
    assert "\n" not in str(told.value)
    assert str(told.value).startswith(str(folder))


# Other processes -----------------------------------------------------------------------------


@contextlib.contextmanager
def writer(path: Path, **options: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file open for writing."""
    script = (
        "import h5py, sys\n"
        f"file = h5py.File(sys.argv[1], 'a', **{options})\n"
        "file.flush()\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_file_that_is_being_written(folder: Path) -> None:
    expected = "locked, so another program writes.*HDF5_USE_FILE_LOCKING=FALSE"
    with writer(folder / IMAGES), pytest.raises(DataError, match=expected):
        find_pairs(folder)
    assert len(FacePairs(find_pairs(folder)).read(ORDER).channels) == len(ORDER)


def test_a_file_whose_writer_was_killed(folder: Path) -> None:
    images(file={"libver": "latest"})(folder)
    with writer(folder / IMAGES, libver="latest"):
        pass
    with pytest.raises(DataError, match=f"marked as open for writing.*h5clear -s {IMAGES}"):
        find_pairs(folder)


# While training ------------------------------------------------------------------------------

LATER: dict[str, tuple[Make, Make, str]] = {
    "cut": (images(), cut(IMAGES), "the file ends at byte"),
    "packed, cut": (
        images(chunks=(1, *VALUES.shape[1:]), compression="gzip"),
        cut(IMAGES, 100_000),
        IMAGES,
    ),
    "piece gone": (
        virtual(),
        remove("piece1.h5"),
        "piece1.h5, which holds values of it, was removed",
    ),
    "piece cut": (
        virtual(),
        cut("piece1.h5"),
        "piece1.h5, which holds values of it, was removed or",
    ),
    "raw file cut": (
        external(),
        cut("raw.bin"),
        "raw.bin, which holds values of it, was removed or",
    ),
    "raw file gone": (external(), remove("raw.bin"), "raw.bin"),
}


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("name", LATER)
def test_a_file_that_breaks_after_the_start(name: str, opened: bool, folder: Path) -> None:
    """Zeros in the place of faces would train on."""
    make, damage, cause = LATER[name]
    make(folder)
    data = FacePairs(find_pairs(folder))
    if opened:
        data.read([0])
    damage(folder)
    with pytest.raises(DataError, match=cause if opened else str(folder)) as told:
        data.read(range(COUNT))
    assert "\n" not in str(told.value)


def test_a_file_that_is_another_after_the_start(folder: Path) -> None:
    data = FacePairs(find_pairs(folder))
    images(VALUES[:5])(folder)
    with pytest.raises(DataError, match=r"has shape \(5, 10, 16, 16\) and had \(7, 10, 16, 16\)"):
        data.read([0])


def test_other_sets_are_not_touched(folder: Path, tmp_path: Path) -> None:
    """Reading leaves the folder as it was, and a moved set is read where it is."""
    virtual()(folder)
    before = sorted(path.name for path in folder.iterdir())
    shutil.move(folder, tmp_path / "moved")
    raw = FacePairs(find_pairs(tmp_path / "moved")).read(ORDER)
    np.testing.assert_allclose(raw.channels, VALUES[ORDER], atol=1e-6)
    assert sorted(path.name for path in (tmp_path / "moved").iterdir()) == before
