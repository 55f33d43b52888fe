"""Shared fixtures: where the paper authors' tables are, and random inputs of the renderer."""

import os
from collections.abc import Callable
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    # Busy threads of several processes on the same cores slow each other several times.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from biofacenet import Decomposition, Illuminant

os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session")
def authors() -> Path:
    """Folder with the published .mat files, named by BIOFACENET_AUTHORS_DIR."""
    folder = os.environ.get("BIOFACENET_AUTHORS_DIR")
    if not folder:
        pytest.skip("BIOFACENET_AUTHORS_DIR does not name the authors' tables")
    return Path(folder)


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
