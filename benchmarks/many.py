"""Measure hundreds of photos of one megapixel, and what time and memory that takes.

    python -m benchmarks.many faces/london --count 200

Photos are those that are named, over and over, each time cut out a little elsewhere, mirrored every other
time, and stored anew: so every one has to be read, looked for a face and measured.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps

from biofacenet.analysis.measuring.runs import JOURNAL
from biofacenet.cli import parse, run
from biofacenet.photos.paths import expand
from biofacenet.system.console import console
from biofacenet.system.device import processor
from biofacenet.system.files import write_json
from biofacenet.system.settings import option

__all__ = ["Settings", "main", "make_photos", "memory"]

SIDE = 1000
"""Pixels of a photo made, square: one megapixel."""

STEP = 3
"""Pixels by which the next round is cut out elsewhere."""


@dataclass
class Settings:
    """Measure hundreds of photos of one megapixel, and what time and memory that takes."""

    photos: tuple[Path, ...] = option(positional=True, metavar="PHOTO")
    """Photos of 1000 pixels a side or more, or a folder of them."""
    count: int = 200
    """Photos that are measured."""
    workers: int = 2
    """Processes."""
    sheets: bool = False
    """Draw sheets, too."""
    out: Path = Path("benchmarks/results/many.json")
    """File for the figures."""


def make_photos(sources: Sequence[Path], folder: Path, count: int) -> None:
    """Write so many photos of one megapixel."""
    for number in range(count):
        turn, source = divmod(number, len(sources))
        with Image.open(sources[source]) as opened:
            picture = opened.convert("RGB")
        left = (picture.width - SIDE) // 2 + STEP * (turn // 2)
        picture = picture.crop((left, 0, left + SIDE, SIDE))
        if turn % 2:
            picture = ImageOps.mirror(picture)
        picture.save(folder / f"{number:05d}.jpg", quality=92)


def memory(process: int) -> int:
    """Bytes of a process and all that it started, what they share counted once."""
    total = 0
    for folder in (Path("/proc") / str(each) for each in _family(process)):
        try:
            lines = (folder / "smaps_rollup").read_text("ascii").splitlines()
        except OSError:  # it has ended
            continue
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def _family(process: int) -> list[int]:
    found = [process]
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = task.read_text("ascii").split()
        except OSError:
            continue
        for child in children:
            found += _family(int(child))
    return found


def measured(settings: Settings, folder: Path) -> dict[str, Any]:
    """Seconds and bytes of one run of the command over a folder of photos."""
    out = folder / "out"
    command = [
        sys.executable,
        "-m",
        "biofacenet.measure",
        str(folder / "photos"),
        "--out",
        str(out),
    ]
    command += [
        "--workers",
        str(settings.workers),
        "--sheets" if settings.sheets else "--no-sheets",
    ]
    begin = time.perf_counter()
    samples: list[tuple[int, int]] = []
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        while process.poll() is None:
            time.sleep(1.0)
            journal = out / JOURNAL
            done = journal.read_bytes().count(b"\n") - 1 if journal.exists() else 0
            samples.append((done, memory(process.pid)))
    seconds = time.perf_counter() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    middle, all_ = settings.count // 4, settings.count
    early = [size for done, size in samples if 0 < done <= 2 * middle]
    late = [size for done, size in samples if all_ - middle <= done <= all_]
    return {
        "status": process.returncode,
        "wall_s": round(seconds, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "photos_per_wall_s": round(settings.count / seconds, 3),
        "cpu_s_per_photo": round((used.ru_utime + used.ru_stime) / settings.count, 3),
        "peak_bytes": max(size for _, size in samples),
        "peak_bytes_first_half": max(early, default=0),
        "peak_bytes_last_quarter": max(late, default=0),
        "journal_bytes": (out / JOURNAL).stat().st_size,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Make photos, measure them, and write down what it took."""
    settings = parse(Settings, arguments, program="benchmarks.many")
    sources = expand(settings.photos)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        make_photos(sources, folder / "photos", settings.count)
        found = measured(settings, folder)
    said = asdict(settings) | {"photos": len(sources), "out": str(settings.out)}
    load = [round(each, 1) for each in os.getloadavg()]
    about = {
        "machine": processor(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "load": load,
    }
    write_json(settings.out, about | {"settings": said} | found)
    console.print(
        f"{settings.count} photos, {settings.workers} processes: {found['photos_per_wall_s']} photos/s, "
        f"{found['cpu_s_per_photo']} s of CPU time a photo, at most {found['peak_bytes'] / 1e9:.2f} GB"
    )


if __name__ == "__main__":
    run(main)
