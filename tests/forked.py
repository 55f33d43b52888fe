"""Commands in processes of their own, forked from one that has torch loaded.

Not in conftest.py: a process that starts anew finds what it is to run by the name of its module, and there
are several of that name.
"""

import importlib
import multiprocessing
import os
import resource
import sys
from multiprocessing.connection import Connection

import pytest

from biofacenet.cli import run


class Forked:
    """A command in a process of its own, forked from one that has torch loaded; much like a Popen."""

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "biofacenet.training.loop"])

    def __init__(
        self, module: str, *arguments: str, largest: int | None = None, **variables: str
    ) -> None:
        ends = [self.context.Pipe(duplex=False) for _ in range(2)]
        self._said = [reader for reader, _ in ends]
        writers = [writer for _, writer in ends]
        self.process = self.context.Process(
            target=run_forked, args=(writers, module, arguments, largest, variables)
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OMP_NUM_THREADS", "1")  # of the process to fork from
            self.process.start()
        for writer in writers:
            writer.close()

    def poll(self) -> int | None:
        return self.process.exitcode

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; what it said, and its errors, less than a pipe holds."""
        self.process.join(timeout)
        assert self.process.exitcode is not None, f"still running after {timeout} s"
        found = []
        for end in self._said:
            with open(end.fileno(), "rb", closefd=False) as stream:
                found.append(stream.read().decode())
            end.close()
        return found[0], found[1]


def run_forked(
    writers: list[Connection],
    module: str,
    arguments: tuple[str, ...],
    largest: int | None,
    variables: dict[str, str],
) -> None:
    for number, writer in enumerate(writers, 1):
        os.dup2(writer.fileno(), number)
        writer.close()
    os.environ.update(variables)
    sys.argv = [module, *arguments]
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    run(importlib.import_module(module).main)
