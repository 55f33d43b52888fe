"""Truth files that are damaged, each in one way: told in a line that names file and cause."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs
from biofacenet.data.truth import read_truth
from biofacenet.errors import DataError
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize

TRUTH = "zx_7_truth_synthetic_01.hdf5"
COUNT, SIDE = 5, 16
NAMES = ("melanin", "haemoglobin", "diffuse", "specular", "illuminant_weights", "cct", "camera")

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "set"
    synthesize(SyntheticSettings(out=folder, count=COUNT, holdout=0, size=SIDE, workers=0))
    return folder


def instead(name: str, make: Callable[[np.ndarray], object]) -> Damage:
    """Another data set in the place of one."""

    def damage(path: Path) -> None:
        with h5py.File(path, "a") as file:
            values = file[name][:]
            del file[name]
            file[name] = make(values)

    return damage


def one(name: str, value: float) -> Damage:
    """Another value in sample 3."""

    def make(values: np.ndarray) -> np.ndarray:
        values.reshape(COUNT, -1)[3, -1] = value
        return values

    return instead(name, make)


def delete(name: str) -> Damage:
    def damage(path: Path) -> None:
        with h5py.File(path, "a") as file:
            del file[name]

    return damage


def skin(name: object) -> Damage:
    def damage(path: Path) -> None:
        with h5py.File(path, "a") as file:
            file.attrs["skin"] = name

    return damage


def unwritten(path: Path) -> None:
    """The last samples have no place in the file, as if the writer had stopped."""
    with h5py.File(path, "a") as file:
        values = file["diffuse"][:]
        del file["diffuse"]
        made = file.create_dataset("diffuse", values.shape, "f4", chunks=(1, *values.shape[1:]))
        made[:3] = values[:3]


def flip(path: Path) -> None:
    """A byte of a packed sample."""
    with h5py.File(path) as file:
        chunk = file["specular"].id.get_chunk_info(2)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    path.write_bytes(content)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3000])


def thousand(name: str) -> Damage:
    return instead(name, lambda values: 1000 * values)


DAMAGES: dict[str, tuple[Damage, str]] = {
    "missing": (Path.unlink, "no such file"),
    "a folder": (folder_instead, "no such file"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "text": (lambda path: path.write_text("x"), "begins with"),
    "cut": (cut, "truncated"),
    "flipped": (flip, "cannot be read"),
    "unwritten": (unwritten, "holds 3 chunks of diffuse where .* needs 5"),
    "another skin": (skin("green"), "skin must be one of published, measured, got 'green'"),
    "skin a number": (skin(3.5), "skin must be one of"),
    "skin bytes": (skin(np.bytes_(b"\xff")), "skin must be one of"),
    "a group": (
        lambda path: (delete("cct")(path), h5py.File(path, "a").create_group("cct")),
        "no data set 'cct'",
    ),
    **{f"{name} missing": (delete(name), f"no data set '{name}' inside") for name in NAMES},
    **{
        f"{name} of other count": (
            instead(name, lambda values: values[:-1]),
            rf"{name} has shape \(4[,)].*expected \(5[,)]",
        )
        for name in NAMES
    },
    **{
        f"{name} of another size": (
            instead(name, lambda values: np.concatenate((values, values), axis=-1)),
            f"{name} has shape",
        )
        for name in NAMES
        if name != "cct"
    },
    "cct of a column": (instead("cct", lambda values: values[:, None]), "cct has shape"),
    **{
        f"{name} in integers": (
            instead(name, lambda values: values.astype(np.int32)),
            f"{name} holds int32; expected floating point",
        )
        for name in NAMES
    },
    "melanin of records": (
        instead("melanin", lambda values: np.zeros(values.shape, [("a", "f4")])),
        "melanin holds records of a",
    ),
    **{f"{name} NaN": (one(name, np.nan), f"{name} of sample 3 holds NaN") for name in NAMES},
    **{
        f"{name} infinite": (one(name, -np.inf), f"{name} of sample 3 holds NaN or")
        for name in NAMES
    },
    **{f"{name} above": (one(name, 1.5), f"{name} of sample 3 holds 1.5") for name in NAMES[:2]},
    **{f"{name} below": (one(name, -1.5), f"{name} of sample 3 holds -1.5") for name in NAMES[:4]},
    "shading infinite": (one("diffuse", np.inf), "diffuse of sample 3 holds NaN or infinite"),
    "weights negative": (
        one("illuminant_weights", -0.2),
        "illuminant_weights of sample 3 holds -0.2",
    ),
    "weights of no sum": (
        instead("illuminant_weights", lambda values: 0.5 * values),
        "illuminant_weights of sample [0-4] sum to 0.5; expected 1",
    ),
    "light in thousands": (one("cct", 6.5), "cct of sample 3 holds 6.5; expected 4000..25000"),
    "light too blue": (one("cct", 40_000.0), "cct of sample 3 holds 4e\\+04"),
    "camera": (one("camera", 3.5), "camera of sample 3 holds 3.5; expected -3..3"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_told_in_one_line(name: str, whole: Path, tmp_path: Path) -> None:
    """By both readers, whether they read all or a few; images are read as before."""
    folder = tmp_path / "set"
    shutil.copytree(whole, folder)
    damage, cause = DAMAGES[name]
    damage(folder / TRUTH)
    (file,) = find_pairs(folder)
    for read in (
        lambda: read_truth(file, range(COUNT)),
        lambda: FacePairs([file], truth=True).read([3, 2]),
        lambda: FacePairs([file], truth=True, in_memory=True),
    ):
        with pytest.raises(DataError, match=cause) as told:
            read()
        assert "\n" not in str(told.value)
        assert str(told.value).startswith(str(folder / TRUTH))
    assert len(FacePairs([file]).read(range(COUNT)).channels) == COUNT


@pytest.mark.parametrize("kind", ["<f2", ">f4", ">f8"])
def test_truth_of_any_floating_point(kind: str, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    shutil.copytree(whole, folder)
    for name in NAMES:
        instead(name, lambda values: values.astype(kind))(folder / TRUTH)
    skin(np.bytes_(b"published"))(folder / TRUTH)
    expected = read_truth(find_pairs(whole)[0], [4, 0, 4]).arrays()
    for name, values in read_truth(find_pairs(folder)[0], [4, 0, 4]).arrays().items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, expected[name], rtol=1e-3, atol=1e-3)


def test_truth_of_two_skins_is_not_mixed(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    synthesize(SyntheticSettings(out=folder, count=6, per_file=3, holdout=0, size=SIDE, workers=0))
    skin("published")(folder / TRUTH)
    with pytest.raises(DataError, match=r"01.hdf5.*published skin|published skin .*01.hdf5"):
        FacePairs(find_pairs(folder), truth=True).read([0, 5])
