"""How a run was started: the commands, to copy and paste, in starts.csv."""

from __future__ import annotations

import contextlib
import csv
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from ..system.files import whole_file

__all__ = [
    "Start",
    "command_line",
    "note_start",
    "starts",
    "to_paste",
]

FILE = "starts.csv"

LAUNCHERS = {
    *("torchrun", "torch.distributed.run", "torch.distributed.launch"),
    *("accelerate", "accelerate.commands.launch", "accelerate.commands.accelerate_cli"),
}
"""Programs and modules that start several processes."""


@dataclass(frozen=True)
class Start:
    """One start of a run."""

    time: str
    """Of day, with the zone: ISO 8601."""
    step: str
    """Steps that had been taken before."""
    folder: str
    """Working folder, which relative paths are of."""
    command: str
    """For a shell; empty where a program called `train`."""

    @property
    def to_paste(self) -> str:
        """Lines for a shell that start it again; empty where no command did."""
        return f"cd {shlex.quote(self.folder)}\n{self.command}" if self.command else ""


def note_start(folder: Path, step: int) -> None:
    """A line of starts.csv in the folder of a run."""
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    start = Start(now, str(step), str(Path.cwd()), command_line(sys.orig_argv, _parent()))
    rows = [astuple(known) for known in (*starts(folder), start)]
    with (
        whole_file(folder / FILE) as temporary,
        # Names of files need not be UTF-8.
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        csv.writer(stream).writerows([[field.name for field in fields(Start)], *rows])


def starts(folder: Path) -> list[Start]:
    """Starts of the run in a folder, the first first; what is no line of its file counts for nothing."""
    path = folder / FILE
    if not path.is_file():
        return []
    lines = path.read_text("utf-8", errors="replace").replace("\0", "").splitlines(keepends=True)
    rows: list[list[str]] = []
    with contextlib.suppress(csv.Error):
        rows.extend(csv.reader(lines))
    whole = [row for row in rows[1:] if len(row) == len(fields(Start)) and row[1].isdecimal()]
    return [Start(*row) for row in whole]


def command_line(own: Sequence[str], parent: Sequence[str] = ()) -> str:
    """The shell command that started training; empty where it was another program's doing.

    Args:
        own: words that this process was started with, the interpreter first.
        parent: those of the process that started it: torchrun or accelerate, where there is one.
    """
    names = {Path(word).stem if "/" in word else word for word in parent[:3]}
    if names & LAUNCHERS and _trains(parent):
        return shlex.join(_without_interpreter(parent))
    return shlex.join(_without_interpreter(own)) if _trains(own) else ""


def to_paste(*words: str | Path, processes: int = 1) -> str:
    """``train`` with these words, for a shell, started as it was: alone or by torchrun."""
    start = ["python"] if processes == 1 else ["torchrun", "--nproc-per-node", str(processes)]
    return shlex.join([*start, "-m", "biofacenet.train", *map(str, words)])


def _trains(words: Sequence[str]) -> bool:
    """Whether a command line is one of the command train."""
    return "biofacenet.train" in words or any(
        Path(one).stem == "biofacenet" and two == "train" for one, two in pairwise(words)
    )


def _without_interpreter(words: Sequence[str]) -> list[str]:
    """A script such as biofacenet or torchrun by its name where PATH leads to it, else by its path."""
    if len(words) < 2 or words[1].startswith("-") or Path(words[1]).suffix not in ("", ".exe"):
        return list(words)
    found = shutil.which(Path(words[1]).stem)
    known = found is not None and Path(found).resolve() == Path(words[1]).resolve()
    return [Path(words[1]).stem if known else words[1], *words[2:]]


def _parent() -> list[str]:
    """Words that the parent process was started with, where the system tells."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().split(b"\0")[:-1]
        return [os.fsdecode(word) for word in words]
    return []
