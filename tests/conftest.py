"""Shared fixtures: where the paper authors' tables are, and random inputs of the renderer."""

import contextlib
import importlib
import io
import os
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:
    # Busy threads of several processes on the same cores slow each other several times.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from PIL import Image

from biofacenet import Decomposition, Illuminant
from biofacenet.cli import run
from biofacenet.network.sizes import SIZES, NetworkSize
from biofacenet.system.files import whole_file
from tests.forked import Forked

os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=4, help="how many runs of training are killed")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config.option, "loadscopereorder"):  # the order below is better
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first: none of them is left to one process in the end."""
    weights = Counter(item.path for item in items)
    for item in items:
        weights[item.path] += 20 * (item.get_closest_marker("slow") is not None)
    items.sort(key=lambda item: -weights[item.path])


@pytest.fixture(scope="session")
def authors() -> Path:
    """Folder with the published .mat files, named by BIOFACENET_AUTHORS_DIR."""
    folder = os.environ.get("BIOFACENET_AUTHORS_DIR")
    if not folder:
        pytest.skip("BIOFACENET_AUTHORS_DIR does not name the authors' tables")
    return Path(folder)


@pytest.fixture(scope="session")
def in_process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A command as from a shell, but without the seconds that a process takes to import torch.

    `test_readme.py` starts each command in a process of its own.
    """

    def call(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        words, errors = io.StringIO(), io.StringIO()
        main = importlib.import_module(module).main
        status: object = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(cwd)
            patch.setattr(sys, "argv", [module, *arguments])
            with contextlib.redirect_stdout(words), contextlib.redirect_stderr(errors):
                try:
                    run(main)
                except SystemExit as ended:
                    status = ended.code or 0
        assert isinstance(status, int)
        return subprocess.CompletedProcess(
            [module, *arguments], status, words.getvalue(), errors.getvalue()
        )

    return call


@pytest.fixture(scope="session")
def forked() -> type[Forked]:
    """Start a command in a process that can be killed, without the seconds to import torch."""
    return Forked


@pytest.fixture(scope="session")
def two_processes(forked: type[Forked]) -> Callable[..., list[Forked]]:
    """Start a command in two processes that train together, as torchrun would."""

    def start(module: str, *arguments: str) -> list[Forked]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return [
            forked(module, *arguments, RANK=str(rank), LOCAL_RANK=str(rank), **place)
            for rank in range(2)
        ]

    return start


@pytest.fixture
def tiny_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training draws next to nothing: half of a short run's time, where no test looks at it."""

    def tiny(*maps_and_path: Any, title: str) -> None:
        with whole_file(maps_and_path[-1]) as temporary:
            Image.new("RGB", (8, 8)).save(temporary)

    monkeypatch.setattr("biofacenet.training.messages.training_grid", tiny)
    monkeypatch.setattr("biofacenet.training.journal.loss_plots", lambda *_: {})


@pytest.fixture
def little_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """ "small" with two levels of one convolution: all kinds of layers, but a quarter to compile."""
    little = NetworkSize((8, 16), 1, 1, 16, normalised=False, logarithms=True)
    monkeypatch.setitem(SIZES, "small", little)


@pytest.fixture(scope="session")
def random_decomposition() -> Callable[..., Decomposition]:
    """Inputs inside their ranges, away from ends, daylight knots and the ReLU."""

    def make(
        batch: int = 2,
        height: int = 4,
        width: int = 5,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> Decomposition:
        generator = torch.Generator().manual_seed(seed)

        def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
            values = torch.rand(*shape, generator=generator, dtype=torch.float64)
            return (low + (high - low) * values).to(dtype)

        plane = (batch, 1, height, width)
        weights = torch.softmax(torch.randn(batch, 14, generator=generator, dtype=torch.float64), 1)
        return Decomposition(
            melanin=uniform(-0.9, 0.5, *plane),
            haemoglobin=uniform(-0.9, 0.5, *plane),
            diffuse=uniform(0.5, 3.0, *plane),
            specular=uniform(0.1, 0.5, *plane),
            illuminant=Illuminant(weights.to(dtype), 5137.0 + uniform(0, 700, batch)),
            camera=uniform(-2.0, 2.0, batch, 2),
        )

    return make


@pytest.fixture(scope="session")
def web_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the web page, served by a process of its own, whose folder must be gone in the end."""
    folder = tmp_path_factory.mktemp("page")
    log = folder / "log.txt"
    command = [sys.executable, "-u", "-m", "biofacenet.app", "--port", "0", "--resolution", "64"]
    with log.open("w") as stream:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            found = re.match(r"(http://127\.0\.0\.1:\d+) ", first)
            assert found, first + log.read_text()
            assert list(folder.glob("biofacenet-*"))
            yield found[1]
        finally:
            process.terminate()
            process.wait(timeout=30)
            process.stdout.close()
    assert not list(folder.glob("biofacenet-*"))
    assert "Traceback" not in log.read_text()
