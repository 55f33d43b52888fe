"""Work shared by processes: every item once, also where a process is killed."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from biofacenet.errors import BioFaceNetError
from biofacenet.system import workers
from biofacenet.system.workers import LOST, as_they_end


def _deadly(item: int, folder: Path, deadly: int) -> int:
    with (folder / f"{item}").open("a") as stream:
        stream.write("x")
    if item == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * item


def test_an_item_that_kills_its_process_is_lost_alone(tmp_path: Path) -> None:
    task = partial(_deadly, folder=tmp_path, deadly=1)
    found = list(as_they_end(task, range(3), 1))
    assert found == [(0, 0), (1, LOST), (2, 20)]
    assert (tmp_path / "1").read_text() == "xx"  # once among others, once alone


def test_where_no_process_lives_the_work_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "PATIENCE", 0)
    task = partial(_deadly, folder=tmp_path, deadly=0)
    with pytest.raises(BioFaceNetError, match=r"ended at once.*fewer --workers"):
        list(as_they_end(task, range(1), 1))
