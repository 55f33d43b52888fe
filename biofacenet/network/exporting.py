"""Writing the deployed network as .onnx or .pt2, and comparing what was written."""

from __future__ import annotations

import copy
import importlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from .._version import __version__
from ..errors import BioFaceNetError
from ..physics.colour import linear_to_srgb, srgb_to_linear
from ..rendering.accuracy import Accuracy
from ..system.files import whole_file
from .deployed import OUTPUTS, Deployed, Precision
from .folders import OPSETS, check_ending, check_opset
from .onnx_guards import guard
from .unet import BioFaceNet

__all__ = [
    "TOLERANCES",
    "export",
    "file_format",
]

TOLERANCES = {"float32": 1e-4, "float16": 1 / 255}
"""Largest difference of a written file from the network: this, and this share of the value."""

CHECKED = ((1, 64, 64), (3, 128, 128), (2, 48, 80), (1, 32, 32))
"""Batch, height and width that a written file is run with; one for ONNX with an empty batch too."""

Run = Callable[[Tensor], dict[str, Tensor]]

Write = Callable[[ExportedProgram, Path, dict[str, str]], None]

Load = Callable[[Path], Run]


def export(
    network: BioFaceNet,
    *paths: str | Path,
    encoding: Literal["srgb", "linear"] = "srgb",
    accuracy: Accuracy = "default",
    opset: int = OPSETS[0],
    precision: Precision = "float32",
) -> list[float]:
    """Write network and renderer to files that end in .onnx or .pt2, and check them.

    Args:
        network: a trained one.
        paths: each file is whole and checked in the end, or as it was before.
        encoding: of the image and of the reconstruction.
        accuracy: of the skin table, ``fast``, ``default`` or ``exact``; see `Renderer`.
        opset: version of the ONNX operators, one of `OPSETS`.
        precision: of the network's weights and features; image, renderer and results are float32.

    Returns:
        For each file the largest difference from the network and the fused renderer, as a share of
        the one of `TOLERANCES`.

    Raises:
        BioFaceNetError: another ending or opset, a missing package, or results that differ.
    """
    formats = [file_format(Path(path)) for path in paths]
    check_opset(opset)
    facts = {
        "biofacenet_version": __version__,
        "image": f"(B, 3, H, W), {'sRGB-encoded' if encoding == 'srgb' else 'linear sRGB'}, 0..1",
        "sizes": "H and W multiples of 16, from 32; any B",
        "accuracy": accuracy,
        "network": network.size,
        "precision": precision,
        "opset": str(opset),
    }
    program = trace(Deployed(network, encoding=encoding, accuracy=accuracy, precision=precision))
    tolerance = TOLERANCES[precision]
    differences = []
    for path, (write, load) in zip(paths, formats, strict=True):
        with whole_file(path) as temporary:
            write(program, temporary, facts)
            difference = compare(load(temporary), network, encoding, accuracy) / tolerance
            if not difference <= 1.0:
                raise BioFaceNetError(
                    f"{path}: what was exported differs from the network by {difference:.3g} times the "
                    f"tolerance of {tolerance:g}, and was not kept; try the other format, or other "
                    "versions of torch and onnxruntime"
                )
        differences.append(difference)
    return differences


def trace(deployed: Deployed) -> ExportedProgram:
    """The program of a module, for any batch and any size that is a multiple of 16."""
    batch, rows, columns = Dim("batch", min=1), Dim("rows", min=1), Dim("columns", min=1)
    # Sizes that are all different, and no 1, so that nothing is taken for a constant.
    example = torch.rand(2, 3, 48, 80)
    with torch.no_grad(), _quiet():
        return torch.export.export(
            deployed,
            (example,),
            dynamic_shapes={"image": {0: batch, 2: 16 * rows, 3: 16 * columns}},
        )


def file_format(path: Path) -> tuple[Write, Load]:
    """How a file of this ending is written and run.

    Raises:
        BioFaceNetError: another ending, or a package is missing.
    """
    check_ending(path)
    if path.suffix == ".pt2":
        return write_program, load_program
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise BioFaceNetError(
                f"{path}: ONNX needs {package}, which cannot be imported ({error}); "
                "pip install 'biofacenet[export]', or name a .pt2 file"
            ) from error
    return write_onnx, load_onnx


def write_program(program: ExportedProgram, path: Path, facts: dict[str, str]) -> None:
    """For `torch.export.load`."""
    # A stream: from a path the archive would take its temporary name.
    with path.open("wb") as stream:
        torch.export.save(program, stream, extra_files={"biofacenet.json": json.dumps(facts)})


def load_program(path: Path) -> Run:
    """Run a .pt2 file."""
    module = torch.export.load(path).module()

    def results(image: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            found: dict[str, Tensor] = module(image)
        return found

    return results


def write_onnx(program: ExportedProgram, path: Path, facts: dict[str, str]) -> None:
    """For ONNX runtimes, all in one file."""
    import onnx

    with _quiet():
        made = torch.onnx.export(
            program,
            input_names=["image"],
            output_names=list(OUTPUTS),
            opset_version=int(facts["opset"]),
            verbose=False,
        )
    assert made is not None
    made.model.metadata_props.update(facts)
    model = made.model_proto
    found = [opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")]
    if found != [int(facts["opset"])]:
        raise BioFaceNetError(
            f"opset {facts['opset']}: the installed onnxscript writes {found}; take opset "
            f"{OPSETS[0]}, or upgrade onnxscript"
        )
    guard(model)
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(path, full_check=True)


def load_onnx(path: Path) -> Run:
    """Run an .onnx file on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    none = session.run(list(OUTPUTS), {"image": np.zeros((0, 3, 64, 64), np.float32)})
    assert all(len(value) == 0 for value in none)

    def results(image: Tensor) -> dict[str, Tensor]:
        found = session.run(list(OUTPUTS), {"image": image.numpy()})
        return {name: torch.from_numpy(value) for name, value in zip(OUTPUTS, found, strict=True)}

    return results


def compare(run_file: Run, network: BioFaceNet, encoding: str, accuracy: Accuracy) -> float:
    """Largest difference of a file's results from the network's, as a share of one and the value."""
    network = copy.deepcopy(network).cpu().float().eval()
    worst = 0.0
    for batch, height, width in CHECKED:
        image = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(height))
        results = run_file(image)
        with torch.no_grad():
            found = network(srgb_to_linear(image) if encoding == "srgb" else image)
            rendered = found.render(accuracy=accuracy)
        expected = {
            **{name: getattr(found, name) for name in OUTPUTS[:4]},
            "illuminant_weights": found.illuminant.weights,
            "cct": found.illuminant.cct,
            "spectrum": found.spectrum(),
            "camera": found.camera,
            "reconstruction": linear_to_srgb(rendered) if encoding == "srgb" else rendered,
        }
        for name in OUTPUTS:
            ours, theirs = expected[name], results[name]
            if ours.shape != theirs.shape:
                raise BioFaceNetError(
                    f"the exported {name} has shape {tuple(theirs.shape)}, expected {tuple(ours.shape)}"
                )
            share = (ours - theirs).abs() / (1.0 + ours.abs())
            # NaN is a difference too.
            worst = max(worst, float(share.nan_to_num(float("inf")).max()))
    return worst


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters' remarks on their own inner workings are not for those who export."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
