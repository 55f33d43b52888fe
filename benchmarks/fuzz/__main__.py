"""Read damaged files of every kind, for as long as one likes.

python -m benchmarks.fuzz --count 1000
python -m benchmarks.fuzz --kinds photos --start 4711 --count 1 --keep /tmp/faults
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from biofacenet import BioFaceNetError
from biofacenet.cli import parse, run
from biofacenet.system.console import console

from .kinds import KINDS
from .run import LONGEST, MEMORY, Report, fuzz, remake


@dataclass
class Settings:
    """Read damaged files: only results and lines of the package's own may come of them."""

    kinds: tuple[str, ...] = tuple(KINDS)
    """Kinds of files."""
    count: int = 1000
    """Files of each kind."""
    start: int = 0
    """Number of the first; each has its own damage, always the same."""
    seconds: float = 1e9
    """Stop a kind after this long."""
    keep: Path | None = None
    """Folder for the files that were faults."""


def table(reports: list[Report]) -> Table:
    """What came of each kind."""
    made = Table(box=None, pad_edge=False)
    made.add_column("kind")
    for heading in ("files", "read", "refused", "faults", "slowest s", "most MB"):
        made.add_column(heading, justify="right")
    for one in reports:
        numbers = [one.count, *(one.outcomes[key] for key in ("read", "refused", "fault"))]
        made.add_row(one.kind, *map(str, numbers), f"{one.slowest:.2f}", f"{one.memory / 1e6:.0f}")
    return made


def main() -> None:
    """Fuzz what the command line names; exit status 1 where there was a fault."""
    settings = parse(Settings, program="benchmarks.fuzz")
    if unknown := sorted({*settings.kinds} - {*KINDS}):
        raise BioFaceNetError(f"no kind {unknown[0]!r}; known are {', '.join(KINDS)}")
    reports = []
    for kind in settings.kinds:
        report = fuzz(kind, start=settings.start, count=settings.count, seconds=settings.seconds)
        reports.append(report)
        for fault in report.faults:
            console.print(fault, markup=False, highlight=False, soft_wrap=True)
            if settings.keep is not None:
                number = int(fault.split(":")[0].split()[1])
                name, content = remake(kind, number)
                settings.keep.mkdir(parents=True, exist_ok=True)
                (settings.keep / f"{kind}_{number}_{Path(name).name}").write_bytes(content)
        console.print(table([report]))
    console.print()
    console.print(table(reports))
    console.print(f"Allowed: {LONGEST:g} s, {MEMORY / 1e9:g} GB besides the picture's own.")
    if any(report.faults for report in reports):
        sys.exit(1)


if __name__ == "__main__":
    run(main)
