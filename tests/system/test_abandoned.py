"""Folders that a killed process was writing vanish at the next start; those of others at work do not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from biofacenet.analysis.batch import one_by_one
from biofacenet.system.files import JUST_MADE, remove_abandoned, whole_directory

WRITE = """
import sys, time
from biofacenet.system.files import whole_directory
with whole_directory(sys.argv[1]) as folder:
    (folder / "half").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


def older(path: Path) -> None:
    long_ago = time.time() - 2 * JUST_MADE
    os.utime(path, (long_ago, long_ago))


@pytest.mark.parametrize("there", [False, True])
def test_of_a_killed_process_and_not_of_a_living_one(tmp_path: Path, there: bool) -> None:
    target = tmp_path / "out" / "photo"
    if there:
        target.mkdir(parents=True)
        (target / "mine.txt").write_text("stays")
    command = [sys.executable, "-c", WRITE, str(target)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    temporary = Path(process.stdout.readline().strip())
    older(temporary)
    remove_abandoned(temporary.parent)
    assert temporary.is_dir(), "of a process at work"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert temporary.is_dir()
    remove_abandoned(temporary.parent)
    assert not temporary.exists()
    assert not there or (target / "mine.txt").read_text() == "stays"


def test_what_was_just_made_or_has_another_name_stays(tmp_path: Path) -> None:
    new, named = tmp_path / ".partial-abcdefgh", tmp_path / ".partial-mine"
    new.mkdir()
    named.mkdir()
    older(named)
    file = tmp_path / ".partial-abcdefgi"
    file.write_text("a file that another process may be writing")
    older(file)
    link = tmp_path / ".partial-abcdefgj"
    link.symlink_to(named)
    remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        new.name,
        named.name,
        file.name,
        link.name,
    }
    remove_abandoned(tmp_path / "not there")


def test_the_next_batch_begins_with_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    beside, within = out / ".partial-abcdefgh", out / "photo" / ".partial-abcdefgh"
    for path in (beside, within):
        path.mkdir(parents=True)
        older(path)

    def work(source: Path, folder: Path) -> list[str]:
        with whole_directory(folder) as place:
            (place / "result").write_text(source.name)
        return []

    one_by_one([tmp_path / "photo.png"], [out / "photo"], work, what="photos")
    assert not beside.exists()
    assert [path.name for path in (out / "photo").iterdir()] == ["result"]
