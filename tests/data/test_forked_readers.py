"""Readers in forked processes open the files themselves."""

import multiprocessing
import os
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from biofacenet.data import Faces
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs
from biofacenet.data.pairs_writing import write_pairs

COUNT, SIZE = 6, 16


def write(folder: Path, value: float) -> None:
    """A pair of files whose images are all of one value."""
    plane = torch.full((COUNT, 3, SIZE, SIZE), value)
    normals = torch.zeros_like(plane)
    normals[:, 2] = 1.0
    with write_pairs(folder, "01") as writer:
        mask, lighting = torch.ones(COUNT, 1, SIZE, SIZE), torch.full((COUNT, 3, 9), value)
        writer.append(Faces(plane, normals, mask, plane, lighting))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system"
)
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_worker_opens_the_files_anew(tmp_path: Path) -> None:
    """HDF5 handles do not survive a fork: a worker must not read through those of its parent.

    The files are exchanged after the parent has opened them. Who opens them reads the new ones; who
    reads through an older handle, the old ones.
    """
    write(tmp_path / "set", 0.2)
    write(tmp_path / "new", 0.6)
    data = FacePairs(find_pairs(tmp_path / "set"))
    assert data.read([0]).channels[0, 0, 0, 0] == 0.2
    for path in sorted((tmp_path / "new").iterdir()):
        os.replace(path, tmp_path / "set" / path.name)  # noqa: PTH105
    loader = DataLoader(
        data,
        batch_size=2,
        num_workers=2,
        collate_fn=FacePairs.collate,
        multiprocessing_context="fork",
    )
    seen = list(loader)
    assert len(seen) == 3
    for batch in seen:
        assert (batch.channels[:, :3] == 0.6).all()
        assert (batch.lighting == 0.6).all()
    # The parent's own handles are as they were.
    assert data.read([COUNT - 1]).channels[0, 0, 0, 0] == 0.2
