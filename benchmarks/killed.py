"""Measure 200 photos, kill the run again and again at random times, and compare the tables byte by byte.

    python -m benchmarks.killed

Photos are small and of skin colours, with one that is none and names that are awkward in tables. Every other
time the whole group of processes is killed at once, as when a machine fails, else the first process alone,
as by a system that is short of memory.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from biofacenet.analysis.measuring.run import CODEBOOK, TABLE
from biofacenet.analysis.measuring.runs import JOURNAL
from biofacenet.cli import parse, run
from biofacenet.errors import BioFaceNetError
from biofacenet.system.console import console
from biofacenet.system.files import write_json

__all__ = ["Settings", "interrupted", "main", "make_photos"]

QUICK = ("--crop", "whole", "--size", "16", "--resolution", "64", "--no-sheets")

AWKWARD = ('=1+1,\n"x.png', "two words.png", os.fsdecode(b"caf\xe9.png"))

PATIENCE = 600.0
"""Seconds without any photo measured, after which a run counts as stuck."""


@dataclass
class Settings:
    """Kill a run of measure at random times, and compare its table with that of one that nothing stopped."""

    count: int = 200
    """Photos."""
    kills: int = 5
    """Times that each run is killed."""
    workers: tuple[int, ...] = (1, 2)
    """Processes; one run for each number."""
    seed: int = 20
    """Of the times."""
    out: Path = Path("benchmarks/results/killed.json")
    """File for what was found."""


def make_photos(folder: Path, count: int) -> None:
    """Write so many files, the last of which is no photo."""
    names = [f"{number:04d}.png" for number in range(count - 1 - len(AWKWARD))]
    for number, name in enumerate([*names, *AWKWARD]):
        noise = np.random.default_rng(number)
        colour = np.array([200, 150, 120]) * noise.uniform(0.4, 1.1)
        pixels = colour + noise.normal(0.0, 8.0, (40, 40, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name)
    (folder / "text.jpg").write_text("no photo", "utf-8")


def _begin(photos: Path, out: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "biofacenet.measure", str(photos), "--out", str(out)]
    command += ["--workers", str(workers), *QUICK]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True
    )


def _done(out: Path) -> int:
    journal = out / JOURNAL
    return max(0, journal.read_bytes().count(b"\n") - 1) if journal.exists() else 0


def interrupted(
    photos: Path, out: Path, workers: int, kills: int, times: random.Random
) -> list[int]:
    """Measure, killed so many times, then to the end; how many photos were done at each kill.

    Raises:
        BioFaceNetError: a run ended otherwise than one that nothing stopped, or is stuck.
    """
    total = sum(1 for _ in photos.iterdir())
    reached = []
    for number in range(kills):
        process = _begin(photos, out, workers)
        # Times of day would mostly fall into the start of Python: so many photos, and a bit more.
        wanted = _done(out) + times.randint(
            0, max(1, 2 * (total - _done(out)) // (kills - number + 1))
        )
        _wait(process, out, wanted)
        time.sleep(times.uniform(0.0, 0.2))
        if process.poll() is None:
            if number % 2:
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reached.append(_done(out))
    process = _begin(photos, out, workers)
    _wait(process, out, total)
    if process.wait(PATIENCE) != 2:  # as one file is no photo
        raise BioFaceNetError(f"{out}: ended with status {process.returncode}; expected 2")
    return reached


def _wait(process: subprocess.Popen[bytes], out: Path, wanted: int) -> None:
    """Until so many photos are done, or the process ended."""
    last, since = _done(out), time.monotonic()
    while process.poll() is None and _done(out) < wanted:
        time.sleep(0.01)
        if _done(out) != last:
            last, since = _done(out), time.monotonic()
        if time.monotonic() - since > PATIENCE:
            raise BioFaceNetError(f"{out}: stuck at {last} photos; expected {wanted}")


def measured(settings: Settings, folder: Path) -> list[dict[str, Any]]:
    """For each number of processes: photos done at each kill, and whether the tables are the same."""
    photos = folder / "photos"
    photos.mkdir()
    make_photos(photos, settings.count)
    times = random.Random(settings.seed)
    interrupted(photos, folder / "whole", 0, 0, times)
    found = []
    for workers in settings.workers:
        out = folder / f"killed-{workers}"
        reached = interrupted(photos, out, workers, settings.kills, times)
        same = all(
            (out / name).read_bytes() == (folder / "whole" / name).read_bytes()
            for name in (TABLE, CODEBOOK)
        )
        found.append({"workers": workers, "photos_done_at_kills": reached, "same_bytes": same})
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill, compare, and write down what came of it."""
    settings = parse(Settings, arguments, program="benchmarks.killed")
    with tempfile.TemporaryDirectory() as name:
        found = measured(settings, Path(name))
    write_json(
        settings.out, {"settings": asdict(settings) | {"out": str(settings.out)}, "runs": found}
    )
    for one in found:
        console.print(
            f"{settings.count} photos, {one['workers']} processes, killed after "
            f"{', '.join(map(str, one['photos_done_at_kills']))}: the same bytes: {one['same_bytes']}"
        )
    if not all(one["same_bytes"] for one in found):
        raise BioFaceNetError("a run that was killed gave another table; expected the same bytes")


if __name__ == "__main__":
    run(main)
