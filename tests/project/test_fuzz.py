"""Damaged files of every kind, for half a minute; and that the fuzzer sees what it looks for."""

import ctypes
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fuzz import run
from benchmarks.fuzz.kinds import KINDS, Kind
from biofacenet.errors import DataError

SECONDS = 30.0
"""Of all kinds together."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_end_with_a_result_or_a_line(kind: str) -> None:
    """Whole files are read; of damaged ones some are, some are refused, and nothing else happens."""
    report = run.fuzz(kind, count=10**6, seconds=SECONDS / len(KINDS))
    assert report.faults == []
    assert report.count >= 5  # also on a busy machine
    assert report.outcomes["refused"] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_read(tmp_path: Path, kind: str) -> None:
    """Otherwise only the first line of a reader would be met."""
    for number, (name, content) in enumerate(KINDS[kind].wholes().items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        for other, whole in KINDS[kind].beside().items():
            (folder / other).write_bytes(whole)
        path = folder / Path(name).name
        path.write_bytes(content)
        if path.name not in PARTS:
            KINDS[kind].read(path)


PARTS = {"scene_old.mat"}
"""Whole, but without all that is asked of them."""


def test_damage_is_the_same_again_and_does_not_repeat() -> None:
    made = [run.remake("maps", number) for number in range(30)]
    assert made == [run.remake("maps", number) for number in range(30)]
    assert len({content for _, content in made}) > 20


def raises(path: Path) -> None:
    raise KeyError("what no person can mend")


def several_lines(path: Path) -> None:
    raise DataError(f"{path}: one\ntwo")


def no_path(path: Path) -> None:
    raise DataError("damaged")


def crashes(path: Path) -> None:
    ctypes.string_at(0)


def hangs(path: Path) -> None:
    time.sleep(60.0)


def eats(path: Path) -> None:
    np.ones(30_000_000)


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (raises, "KeyError"),
        (several_lines, "several lines"),
        (no_path, "without the path"),
        (crashes, "ended the process"),
        (hangs, "took over"),
        (eats, "took 0.24 GB"),
    ],
)
def test_faults_are_seen_and_leave_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, read: object, said: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setitem(KINDS, "maps", Kind(lambda: {"a.npz": b"some bytes"}, read))  # type: ignore[arg-type]
    monkeypatch.setattr(run, "LONGEST", 1.0 if read is hangs else 60.0)
    monkeypatch.setattr(run, "PATIENCE", 2.0)
    monkeypatch.setattr(run, "MEMORY", 1e8)
    run.wholes_of.cache_clear()
    count = 1 if read is hangs else 2
    report = run.fuzz("maps", count=count)
    run.wholes_of.cache_clear()
    assert report.outcomes["fault"] == report.count == count
    assert all(said in fault for fault in report.faults), report.faults
    assert not list(tmp_path.iterdir())
