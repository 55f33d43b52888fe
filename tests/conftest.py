"""Shared fixtures: where the paper authors' tables are, and random inputs of the renderer."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from biofacenet import BioFaceNet, Decomposition, Illuminant

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


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network (model) and what it was exported to (face.onnx, face.pt2).

    Made once for all tests, as it takes its time.
    """
    from biofacenet.export import export

    torch.manual_seed(0)
    network = BioFaceNet("small").eval()
    with torch.no_grad():
        # Large enough for maps that vary.
        for weight in (*network.decoders.parameters(), *network.vector.parameters()):
            weight *= 1.3
    folder = tmp_path_factory.mktemp("exported")
    network.save_pretrained(folder / "model")
    differences = export(network, folder / "face.onnx", folder / "face.pt2")
    assert max(differences) <= 1.0
    return folder
