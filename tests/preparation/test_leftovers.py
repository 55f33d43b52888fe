"""What killed runs leave behind goes at the next start, and runs keep out of each other's folders."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flat_network import save_flat_network

from biofacenet.errors import BioFaceNetError
from biofacenet.preparation import photos
from biofacenet.preparation.settings import PhotoSettings, SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.system.locks import LOCK_FILE, folder_lock


def hidden(folder: Path) -> list[Path]:
    return list(folder.rglob(".*"))


def test_a_killed_synthesize_leaves_nothing_in_the_end(
    tmp_path: Path, forked: Callable[..., Any]
) -> None:
    out = tmp_path / "set"
    options = ["--out", str(out), "--size", "32", "--workers", "0", "--holdout", "0"]
    process = forked("biofacenet.synthesize", *options, "--count", "2000")
    deadline = time.monotonic() + 60
    while len(list(out.glob(".partial-*"))) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    mine = SyntheticSettings(out=out, count=4, holdout=0, size=32, workers=0)
    with pytest.raises(BioFaceNetError, match=r"process \d+ makes faces there"):
        synthesize(mine)
    assert len(list(out.glob(".partial-*"))) == 3  # still in use
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert len(hidden(out)) == 4  # three files and the lock
    synthesize(mine)
    assert not hidden(out)


def test_a_killed_prepare_leaves_nothing_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also among the parts of other settings."""
    out = tmp_path / "set"
    (tmp_path / "a.jpg").write_text("no photo")
    model = save_flat_network(tmp_path / "model")
    settings = PhotoSettings((tmp_path / "a.jpg",), out=out, size=32, model=model, workers=0)
    left = [
        out / ".partial-01234567.hdf5",
        out / "parts" / "1-size-96-mean-from-96" / "0a" / ".partial-01234567.npz",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    with (
        folder_lock(out, "prepares photos"),
        pytest.raises(BioFaceNetError, match=rf"process {os.getpid()} prepares photos there"),
    ):
        photos.prepare(settings)
    assert all(path.exists() for path in left)
    with monkeypatch.context() as patch:
        patch.setattr("biofacenet.system.locks.fcntl", None)  # nobody knows whose they are
        with pytest.raises(BioFaceNetError, match="none of 1 photos"):
            photos.prepare(settings)
    assert all(path.exists() for path in left)
    with pytest.raises(BioFaceNetError, match="none of 1 photos"):
        photos.prepare(settings)
    assert not hidden(out)
    assert not (out / LOCK_FILE).exists()
