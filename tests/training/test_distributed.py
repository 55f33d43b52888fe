"""Several processes: what starts them, the losses of one, and the end of all when one fails."""

import csv
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.training.checkpoints import checkpoints
from biofacenet.training.losses import TERMS

Start = Callable[..., Any]
"""Starts the command in a process of its own, much like a Popen."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces") / "set"
    synthesize(SyntheticSettings(out=folder, count=24, holdout=0, size=32, workers=0))
    return folder


@pytest.fixture(scope="module")
def start(forked: Start) -> Start:
    return partial(forked, "biofacenet.train")


def options(data: Path, out: Path, *others: str) -> list[str]:
    return [
        *("--data", str(data), "--out", str(out), "--device", "cpu", "--precision", "float32"),
        *("--epochs", "1", "--batch-size", "8", "--log-steps", "1", "--holdout", "none", *others),
    ]


def losses(folder: Path) -> list[dict[str, float]]:
    with (folder / "steps.csv").open(newline="") as stream:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]


@contextmanager
def team(
    start: Start, size: int, *arguments: str, only: dict[int, tuple[str, ...]] | None = None
) -> Iterator[list[Any]]:
    """Processes as a launcher starts them, but forked; none of them is left in the end.

    Args:
        start: starts one.
        size: how many.
        arguments: of all.
        only: further arguments of some.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = [
        start(
            *arguments, *(only or {}).get(rank, ()), RANK=str(rank), LOCAL_RANK=str(rank), **place
        )
        for rank in range(size)
    ]
    try:
        yield started
    finally:
        for process in started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.communicate()


def ends(processes: list[Any], seconds: float) -> list[tuple[str, str]]:
    """What each said, all within some seconds."""
    last = time.monotonic() + seconds
    return [process.communicate(max(0.1, last - time.monotonic())) for process in processes]


# The same losses -----------------------------------------------------------------------------


@pytest.mark.slow
def test_eight_processes_reach_the_losses_of_one(data: Path, start: Start, tmp_path: Path) -> None:
    """In float32; small steps, in which rounding does not grow, and yet a hundredth of the losses."""
    calm = ("--learning-rate", "2e-5")
    words, errors = start(*options(data, tmp_path / "one", *calm)).communicate(120)
    alone = losses(tmp_path / "one")
    assert len(alone) == 3, words + errors
    with team(start, 8, *options(data, tmp_path / "eight", *calm)) as processes:
        said = ends(processes, 120)
        assert [process.returncode for process in processes] == [0] * 8, said
    assert "and 7 more" in said[0][0]
    assert [words for words, _ in said[1:]] == [""] * 7
    for one, other in zip(alone, losses(tmp_path / "eight"), strict=True):
        for term in TERMS:
            # Camera coordinates are 6 sigmoid(x) - 3, and near 0 known to 3e-7: their squares round.
            assert other[term] == pytest.approx(one[term], rel=1e-5, abs=5e-9), term


# One fails -----------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        # Before the first thing that all do together, and after.
        (("--device", "cuda:7"), "device 'cuda:7' cannot be used here"),
        (("--files", "99"), "99"),
    ],
    ids=["device", "data"],
)
def test_an_error_of_one_ends_all_and_is_told_once(
    data: Path,
    start: Start,
    tmp_path: Path,
    failing: int,
    mistake: tuple[str, ...],
    words: str,
) -> None:
    arguments = options(data, tmp_path / "run")
    with team(start, 2, *arguments, only={failing: mistake}) as processes:
        said = ends(processes, 30)
        assert [process.returncode for process in processes] == [2, 2], said
    assert said[failing][1].startswith("error: ")
    assert words in said[failing][1]
    assert said[failing][1].count("\n") == 1
    assert said[1 - failing][1] == ""


def test_an_error_of_all_is_told_once(data: Path, start: Start, tmp_path: Path) -> None:
    with team(start, 3, *options(data, tmp_path / "run")) as processes:
        said = ends(processes, 30)
        assert [process.returncode for process in processes] == [2, 2, 2], said
    errors = "".join(errors for _, errors in said)
    assert errors.count("error:") == 1, errors
    assert "a batch of 8 faces cannot be divided into 3 processes" in errors


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_process_that_is_killed_ends_the_other(
    data: Path, start: Start, tmp_path: Path, killed: int
) -> None:
    with team(start, 2, *options(data, tmp_path / "run", "--epochs", "500")) as processes:
        while not (tmp_path / "run" / "steps.csv").exists():
            assert all(process.poll() is None for process in processes), ends(processes, 1)
            time.sleep(0.05)
        processes[killed].send_signal(signal.SIGKILL)
        said = ends(processes, 30)
        assert processes[1 - killed].returncode == 2, said
    errors = said[1 - killed][1]  # torch says something too where the leader was killed
    (message,) = re.findall(r"^error: .*", errors, re.M)
    assert message.startswith(f"error: process {1 - killed} of 2 has lost the others (")
    assert message.endswith("Go on with --resume")
    assert "Traceback" not in errors


def test_a_mistake_on_the_command_line_is_told_once(start: Start) -> None:
    with team(start, 2, "--epochs", "none") as processes:
        _, errors = processes[0].communicate(20)
        assert processes[0].returncode == 2
        assert errors.startswith("error: --epochs")
        processes[1].send_signal(signal.SIGTERM)  # as torchrun does
        assert processes[1].communicate(20) == ("", "")


def test_a_mistake_of_another_machine_is_told_in_the_end(start: Start, tmp_path: Path) -> None:
    arguments = ("--data", str(tmp_path / "none"))
    other = start(*arguments, RANK="1", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT="9")
    _, errors = other.communicate(20)
    assert other.returncode == 2
    assert errors.count("no such folder") == 1


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"WORLD_SIZE": "many"}, "WORLD_SIZE=many: expected a number of processes"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "found no others"),
    ],
)
def test_an_environment_of_no_launcher(
    data: Path, start: Start, tmp_path: Path, place: dict[str, str], said: str
) -> None:
    process = start(*options(data, tmp_path / "run"), **place)
    _, errors = process.communicate(20)
    assert process.returncode == 2
    assert errors.startswith("error: ")
    assert said in errors
    assert errors.count("\n") == 1


# Launchers -----------------------------------------------------------------------------------


def launched(*words: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=seconds,
    )


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2")
ACCELERATE = ("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2")
"""On CPUs accelerate starts one process, and any number where it takes them for GPUs."""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE], ids=["torchrun", "accelerate"])
def test_launchers_start_it(data: Path, tmp_path: Path, launcher: tuple[str, ...]) -> None:
    out = tmp_path / "run"
    words = (*launcher, "-m", "biofacenet.train", *options(data, out))
    done = launched(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "on cpu and 1 more" in done.stdout
    assert done.stdout.count("try it:") == 1
    assert (out / "model" / "model.safetensors").is_file()
    assert " ".join(words) in (out / "report.html").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_torchrun_and_all_its_processes_saves_once(
    data: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """As Slurm sends it; torchrun hands it on besides, so that each process has it twice."""
    out = tmp_path / "run"
    words = ("-m", "biofacenet.train", *options(data, out, "--epochs", "500"))
    process = subprocess.Popen(
        [sys.executable, "-m", *TORCHRUN, *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while not (out / "steps.csv").exists() or len(losses(out)) < 5:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        # The launcher's processes are in groups of their own.
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(workers) == 2
        for one in (process.pid, *map(int, workers)):
            os.kill(one, number)
        said, errors = process.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert said.count("stopped in epoch") == 1, said + errors
    assert f"torchrun --nproc-per-node 2 -m biofacenet.train --resume {out}" in said
    assert checkpoints(out)[-1].name == f"step_{len(losses(out)):08d}"


@pytest.mark.slow
def test_a_mistake_under_torchrun_is_told_once(tmp_path: Path) -> None:
    done = launched(*TORCHRUN, "-m", "biofacenet.train", "--data", str(tmp_path / "none"))
    assert done.returncode != 0
    assert done.stderr.count("no such folder") == 1
