"""What goes wrong while an epoch is read, in this process or in workers, is told in one line."""

import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import pytest
import torch

from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs, RawBatch
from biofacenet.errors import BioFaceNetError, DataError
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.training.batches import batches

IMAGES, TRUTH = "zx_7_d10_inmc_synthetic_01.hdf5", "zx_7_truth_synthetic_01.hdf5"
NUMBERS = [[0, 1], [2, 3], [4, 5], [6, 7]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    synthesize(SyntheticSettings(out=folder, count=8, holdout=0, size=16, workers=0))
    with_floats(folder / IMAGES)
    return folder


def run(workers: int) -> Any:
    team = SimpleNamespace(device=torch.device("cpu"))
    return SimpleNamespace(settings=SimpleNamespace(workers=workers), team=team)


def spoil(path: Path, name: str) -> None:
    with h5py.File(path, "a") as file:
        file[name][5] = float("nan")


def with_floats(path: Path) -> None:
    """Integers have no NaN."""
    with h5py.File(path, "a") as file:
        values = (file["zx_7"][()] / 65535.0).astype("float32")
        del file["zx_7"]
        file.create_dataset("zx_7", data=values, chunks=values[:1].shape)


def cut(path: Path, _: str) -> None:
    path.write_bytes(path.read_bytes()[:-9000])


def remove(path: Path, _: str) -> None:
    path.unlink()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("damage", [spoil, cut, remove])
@pytest.mark.parametrize(("file", "name"), [(IMAGES, "zx_7"), (TRUTH, "melanin")])
def test_a_file_that_breaks_in_the_middle(
    workers: int, damage: Any, file: str, name: str, folder: Path
) -> None:
    """Between two epochs, for instance: found in order in the first, damaged in the second."""
    data = FacePairs(find_pairs(folder), truth=True)
    if workers:  # which open the files themselves
        assert len(list(batches(run(workers), data, NUMBERS))) == 4
    damage(folder / file, name)
    with pytest.raises(DataError) as told:
        list(batches(run(workers), data, NUMBERS))
    assert "\n" not in str(told.value)
    assert str(told.value).startswith(str(folder / file))


def test_workers_end_at_once_after_an_error(folder: Path) -> None:
    """Torch waits five seconds for each that the traceback of an error keeps."""
    data = FacePairs(find_pairs(folder))
    spoil(folder / IMAGES, "zx_7")
    with pytest.raises(DataError):
        list(batches(run(2), data, NUMBERS))
    begin = time.monotonic()
    gc.collect()
    assert not multiprocessing.active_children()
    assert time.monotonic() - begin < 4


class Deadly(FacePairs):
    """Reading a certain sample ends the process, as when memory runs out."""

    def read(self, indices: Sequence[int]) -> RawBatch:
        if 6 in indices:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(indices)


def test_a_worker_that_is_killed(folder: Path) -> None:
    with pytest.raises(BioFaceNetError, match=r"want of memory.*--resume.*fewer --workers") as told:
        list(batches(run(2), Deadly(find_pairs(folder)), NUMBERS))
    assert "\n" not in str(told.value)


def test_other_errors_keep_their_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(FacePairs, "read", fail)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        list(batches(run(0), FacePairs(find_pairs(folder)), NUMBERS))
