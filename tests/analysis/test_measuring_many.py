"""Thousands of photos: a run that is killed, several processes and several machines give the same table."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import ROOT, blocks
from PIL import Image

import biofacenet
from biofacenet.analysis.measuring import many
from biofacenet.analysis.measuring.runs import JOURNAL
from biofacenet.analysis.measuring.settings import Settings
from biofacenet.cli import parse
from biofacenet.system.journal import _line
from biofacenet.system.locks import folder_lock
from biofacenet.system.shares import Share, share_of

Run = Callable[..., subprocess.CompletedProcess[str]]

QUICK = ("--crop", "whole", "--size", "16", "--resolution", "64", "--no-sheets")

DOOR = "biofacenet.measure"


def skin(path: Path, seed: int, side: int = 40) -> None:
    """A picture of skin colours, which is no face."""
    noise = np.random.default_rng(seed)
    colour = np.array([200, 150, 120]) * noise.uniform(0.4, 1.1)
    pixels = (colour + noise.normal(0.0, 8.0, (side, side, 3))).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """19 photos and one that is none; names that are awkward in tables and journals."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(16):
        skin(folder / f"{number}.png", number)
    for name in (b"caf\xe9.png", b'=1+1,\n"x.png', b"two words.png"):
        skin(folder / os.fsdecode(name), len(name))
    (folder / "text.jpg").write_text("no photo")
    return folder


@pytest.fixture(scope="module")
def whole(photos: Path, in_process: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    ended = in_process(DOOR, str(photos), "--out", str(out), "--workers", "0", *QUICK, cwd=photos)
    assert ended.returncode == 2
    assert "1 of 20 photos could not be measured" in ended.stdout
    return out


def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    photos: Path, whole: Path, in_process: Run, forked: Any, tmp_path: Path
) -> None:
    words = (str(photos), "--out", str(tmp_path / "out"), "--workers", "0", *QUICK)
    killed = forked(DOOR, *words)
    journal = tmp_path / "out" / JOURNAL
    deadline = time.monotonic() + 120.0
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 6):
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.process.join()
    assert not (tmp_path / "out" / "faces.csv").exists()
    before = journal.read_bytes()
    done = before.count(b"\n") - 1
    assert 5 < done < 20
    journal.write_bytes(before[:-20])  # as if the last line had been half written

    ended = in_process(DOOR, *words, cwd=photos)
    assert "of 20 photos were measured before" in ended.stdout
    for name in ("faces.csv", "codebook.md"):
        assert (tmp_path / "out" / name).read_bytes() == (whole / name).read_bytes()
    assert journal.read_bytes().startswith(before[:-20])


def test_processes_give_the_same_bytes(
    photos: Path, whole: Path, in_process: Run, tmp_path: Path
) -> None:
    """Six of the photos, as processes take long to start; their rows are those of the whole table."""
    some = [str(photos / f"{number}.png") for number in (3, 1, 4, 5, 9)] + [
        str(photos / "text.jpg")
    ]
    ended = in_process(DOOR, *some, "--out", "out", "--workers", "2", *QUICK, cwd=tmp_path)
    assert ended.returncode == 2
    assert "text.jpg" in ended.stderr
    rows = {line.split(",")[0]: [] for line in lines(whole / "faces.csv")}
    for line in lines(whole / "faces.csv"):
        rows[line.split(",")[0]].append(line)
    expected = [line for name in ("photo", *some) for line in rows[name]]
    assert lines(tmp_path / "out" / "faces.csv") == expected


def test_shares_joined_are_the_whole(
    photos: Path, whole: Path, in_process: Run, tmp_path: Path
) -> None:
    words = (str(photos), "--out", "out", "--workers", "0", *QUICK)
    for share in ("2/3", "1/3"):
        ended = in_process(DOOR, *words, "--share", share, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
    early = in_process(DOOR, "--join", "out", "--out", "joined", cwd=tmp_path)
    assert early.returncode == 2
    assert "share 3/3 is missing (1 of 3 are)" in early.stderr
    assert not (tmp_path / "joined").exists()

    assert in_process(DOOR, *words, "--share", "3/3", cwd=tmp_path).returncode == 0
    ended = in_process(DOOR, "--join", "out", "--out", "joined", cwd=tmp_path)
    assert ended.returncode == 2  # of the photo that is none
    for name in ("faces.csv", "codebook.md"):
        assert (tmp_path / "joined" / name).read_bytes() == (whole / name).read_bytes()
    ended = in_process(DOOR, "--join", "out", "--out", "joined", cwd=tmp_path)
    assert "these go to joined-2" in ended.stdout
    assert len(list(tmp_path.glob("joined*/faces.csv"))) == 2

    journal = tmp_path / "out" / "share-2-of-3" / JOURNAL
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    ended = in_process(DOOR, "--join", "out", "--out", "again", cwd=tmp_path)
    assert "share-2-of-3: 1 of 7 photos are not measured yet, such as" in ended.stderr
    shutil.copytree(tmp_path / "out" / "share-1-of-3", tmp_path / "copy")
    ended = in_process(DOOR, "--join", "out/share-1-of-3", "copy", "--out", "again", cwd=tmp_path)
    assert "share 1/3, and so is" in ended.stderr


def test_what_is_measured_is_not_measured_again(
    photos: Path, whole: Path, in_process: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a photo that was changed since, and one that could not be read before."""
    shutil.copytree(photos, tmp_path / "photos")
    words = ("photos", "--out", "out", "--workers", "0", *QUICK)
    in_process(DOOR, *words, cwd=tmp_path)
    table = (tmp_path / "out" / "faces.csv").read_bytes()
    measured: list[str] = []
    task = many._Task.__call__

    def watched(self: Any, item: Any) -> Any:
        measured.append(item[0].name)
        return task(self, item)

    monkeypatch.setattr(many._Task, "__call__", watched)
    in_process(DOOR, *words, cwd=tmp_path)
    assert measured == ["text.jpg"]
    assert (tmp_path / "out" / "faces.csv").read_bytes() == table

    measured.clear()
    skin(tmp_path / "photos" / "3.png", 99)
    skin(tmp_path / "photos" / "text.jpg", 98)
    ended = in_process(DOOR, *words, cwd=tmp_path)
    assert measured == ["3.png", "text.jpg"]
    assert ended.returncode == 0
    assert (tmp_path / "out" / "faces.csv").read_bytes() != table


def unfinished(out: Path) -> None:
    """Take the last line of a journal."""
    journal = out / JOURNAL
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--resolution", "32"], "--resolution was 64, and is 32"),
        (["--every", "2"], "--every was 1.0, and is 2.0"),
        (["more.png"], "more.png is new among 4 photos, 3 then"),
        (["--share", "1/2"], ""),
    ],
)
def test_an_unfinished_run_of_something_else_is_refused_by_name(
    change: Sequence[str], words: str, photos: Path, in_process: Run, tmp_path: Path
) -> None:
    names = ["0.png", "1.png", "2.png"]
    for name in [*names, "more.png"]:
        skin(tmp_path / name, len(name))
    given = (*names, "--out", "out", "--workers", "0", *QUICK)
    in_process(DOOR, *given, cwd=tmp_path)
    unfinished(tmp_path / "out")
    before = (tmp_path / "out" / JOURNAL).read_bytes()
    ended = in_process(DOOR, *given, *change, cwd=tmp_path)
    if not words:  # a share has a folder of its own
        assert ended.returncode == 0
        return
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "an unfinished run (1 of 3 photos left) of other measurements" in ended.stderr
    assert words in ended.stderr
    assert (tmp_path / "out" / JOURNAL).read_bytes() == before


def test_another_network_of_the_same_name_is_another_run(in_process: Run, tmp_path: Path) -> None:
    """Also where its weights are the same, but not what its description says of intervals."""
    small = Path(biofacenet.__file__).parent / "network" / "weights" / "small"
    shutil.copytree(small, tmp_path / "net")
    for name in ("a.png", "b.png"):
        skin(tmp_path / name, len(name))
    words = ("a.png", "b.png", "--model", "net", "--out", "out", "--workers", "0", *QUICK)
    in_process(DOOR, *words, cwd=tmp_path)
    unfinished(tmp_path / "out")
    with (tmp_path / "net" / "config.json").open("a") as stream:
        stream.write("\n")
    ended = in_process(DOOR, *words, cwd=tmp_path)
    assert "the network is another now" in ended.stderr


def test_a_file_of_the_settings_is_told_by_what_it_holds(in_process: Run, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        skin(tmp_path / name, len(name))
    Image.new("RGB", (40, 40), (200, 200, 200)).save(tmp_path / "card.png")
    words = ("a.png", "b.png", "--reference", "card.png", "--out", "out", "--workers", "0", *QUICK)
    ended = in_process(DOOR, *words, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    unfinished(tmp_path / "out")
    Image.new("RGB", (40, 40), (100, 100, 100)).save(tmp_path / "card.png")
    ended = in_process(DOOR, *words, cwd=tmp_path)
    assert "--reference was card.png" in ended.stderr


def test_a_finished_table_stays(in_process: Run, tmp_path: Path) -> None:
    """That of other photos or settings goes to a numbered folder, and goes on there when given again."""

    def measured(*words: str) -> str:
        ended = in_process(DOOR, *words, "--workers", "0", *QUICK, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def photos_in(folder: str) -> set[str]:
        return {row.split(",")[0] for row in lines(tmp_path / folder / "faces.csv")[1:]}

    for name in ("a.png", "b.png"):
        skin(tmp_path / name, len(name))
    assert "earlier" not in measured("a.png", "--out", "out")
    before = (tmp_path / "out" / "faces.csv").read_bytes()
    said = measured("b.png", "--out", "out")
    assert (
        "out: earlier results are there and stay; these go to out-2 (--overwrite replaces)" in said
    )
    assert (tmp_path / "out" / "faces.csv").read_bytes() == before
    assert photos_in("out-2") == {"b.png"}
    assert "out-3/faces.csv" in measured("a.png", "--out", "out", "--every", "2")

    again = measured("b.png", "--out", "out")
    assert "1 of 1 photos were measured before" in again
    assert not (tmp_path / "out-4").exists()
    assert "earlier" not in measured("b.png", "--out", "out", "--overwrite")
    assert photos_in("out") == {"b.png"}


def test_a_table_of_which_nobody_knows_stays(in_process: Run, tmp_path: Path) -> None:
    skin(tmp_path / "a.png", 1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "faces.csv").write_text("mine")
    ended = in_process(DOOR, "a.png", "--out", "out", *QUICK, cwd=tmp_path)
    assert "these go to out-2" in ended.stdout
    assert (tmp_path / "out" / "faces.csv").read_text() == "mine"
    assert (tmp_path / "out-2" / "faces.csv").exists()


def test_a_finished_share_is_refused_to_others(in_process: Run, tmp_path: Path) -> None:
    """Shares are joined by the names of their folders, which cannot be numbered."""
    for name in ("a.png", "b.png"):
        skin(tmp_path / name, len(name))
    words = ("--share", "1/2", "--out", "out", "--workers", "0", *QUICK)
    assert in_process(DOOR, "a.png", "b.png", *words, cwd=tmp_path).returncode == 0
    ended = in_process(DOOR, "b.png", "a.png", *words, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "a run of other measurements: the same photos in another order" in ended.stderr
    assert "--overwrite" in ended.stderr
    ended = in_process(DOOR, "b.png", "a.png", *words, "--overwrite", cwd=tmp_path)
    assert ended.returncode == 0


def test_results_are_no_photos(in_process: Run, tmp_path: Path) -> None:
    """Sheets of earlier runs beside the photos are not measured, nor those of numbered folders."""
    skin(tmp_path / "a.png", 1, side=64)
    quick = [word for word in QUICK if word != "--no-sheets"]
    for every in ("1", "2", "3"):
        words = (".", "--out", "out", "--workers", "0", "--every", every, *quick)
        assert in_process(DOOR, *words, cwd=tmp_path).returncode == 0
    rows = lines(tmp_path / "out-3" / "faces.csv")
    assert {row.split(",")[0] for row in rows[1:]} == {"a.png"}
    assert list((tmp_path / "out-2" / "sheets").glob("*.png"))


def test_a_journal_is_not_trusted(in_process: Run, tmp_path: Path) -> None:
    """Rows that are no rows of the table are refused, though their checksums are right."""
    skin(tmp_path / "a.png", 1)
    words = ("a.png", "--out", "out", "--workers", "0", *QUICK)
    in_process(DOOR, *words, cwd=tmp_path)
    path = tmp_path / "out" / JOURNAL
    heading, line = path.read_bytes().splitlines(keepends=True)
    entry = json.loads(line[9:])
    for rows in ([{"pixels": "many"}], [{"pixels": True}], [{"colour": 1}], [1], {"a": 1}, None):
        path.write_bytes(heading + _line([0, entry[1] | {"rows": rows}]))
        ended = in_process(DOOR, *words, cwd=tmp_path)
        assert ended.returncode == 2
        assert f"{JOURNAL}: not rows of this version's table" in ended.stderr
        assert ended.stderr.count("\n") == 1
    for head in ({"format": "other"}, [], {"format": "biofacenet measurements 1", "share": [1, 1]}):
        path.write_bytes(_line(head) + line)
        ended = in_process(DOOR, *words, cwd=tmp_path)
        assert "not a journal of measurements of this version" in ended.stderr


def test_one_process_at_a_time_measures_into_a_folder(in_process: Run, tmp_path: Path) -> None:
    skin(tmp_path / "a.png", 1)
    with folder_lock(tmp_path / "out", "measures photos"):
        ended = in_process(DOOR, "a.png", "--out", "out", *QUICK, cwd=tmp_path)
    assert ended.returncode == 2
    assert "measures photos there; wait for it to end" in ended.stderr


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--before", "a.png"], "--before needs --after"),
        (["a.png", "--pairs", "p.csv"], "photos together with --pairs"),
        (["--join", "out", "--share", "1/2"], "--share together with --join"),
        (["a.png", "--share", "5/4"], "share 5/4"),
        (["a.png", "--workers", "-1"], "workers -1: expected 0 or more"),
        (["--join", "nowhere"], "nowhere: no such folder"),
        (["--join", "."], "nothing was measured there"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(
    given: Sequence[str], words: str, in_process: Run, tmp_path: Path
) -> None:
    skin(tmp_path / "a.png", 1)
    ended = in_process(DOOR, *given, "--out", "made", cwd=tmp_path)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "made").exists()


def test_the_script_for_slurm_measures_its_share(tmp_path: Path) -> None:
    (script,) = blocks(ROOT / "docs" / "guides" / "many.md", "sh")
    stand_in = tmp_path / "biofacenet"
    stand_in.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@" > "$HOME/words"\n')
    stand_in.chmod(0o755)
    place = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    place |= {"SLURM_ARRAY_TASK_ID": "3"}
    subprocess.run(["bash", "-c", script], check=True, env={**os.environ, **place})
    command, *words = (tmp_path / "words").read_text().splitlines()
    assert command == "measure"
    settings = parse(Settings, words, program="measure")
    assert share_of(settings.share) == Share(3, 8)
    assert f"--array=1-{share_of(settings.share).count}\n" in script


def test_processes_are_as_many_as_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "usable_cpus", lambda: 8)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert [many.processes(None, files) for files in (1, 3, 8, 1000)] == [0, 0, 2, 8]
    assert many.processes(3, 1000) == 3
    assert many.processes(3, 2) == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert many.processes(None, 1000) == 2
