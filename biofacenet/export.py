"""Network and renderer in a file that runs without this package: python -m biofacenet.export MODEL.

The fused renderer is an operator of this package, which no other runtime knows. Here the same
mathematics stands in plain tensor operations: two small skin tables read by gathering and linear
interpolation, everything after them one matrix for each image (see `biofacenet.folding`).
"""

from __future__ import annotations

import copy
import importlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from . import __version__
from .cli import console, parse, run
from .errors import BioFaceNetError
from .files import whole_file
from .folding import fold
from .network import BioFaceNet
from .physics.colour import linear_to_srgb, srgb_to_linear
from .physics.illuminant import spectrum
from .renderer import Renderer

__all__ = ["OUTPUTS", "TOLERANCE", "Deployed", "Settings", "export", "main"]

OUTPUTS = (
    *("melanin", "haemoglobin", "diffuse", "specular"),
    *("illuminant_weights", "cct", "spectrum", "camera", "reconstruction"),
)
"""Names of the results, in order."""

TOLERANCE = 1e-4
"""Largest difference of a written file from the network: this, and this share of the value."""

CHECKED = ((1, 64, 64), (3, 128, 128), (2, 48, 80))
"""Batch, height and width that a written file is run with."""

OPSET = 18
"""Of the ONNX operators."""

Run = Callable[[Tensor], dict[str, Tensor]]
Write = Callable[[ExportedProgram, Path, dict[str, str]], None]
Load = Callable[[Path], Run]


@dataclass
class Settings:
    """Write network and renderer to a file that runs without this package.

    The ending decides: .onnx for ONNX runtimes, .pt2 for torch.export.load, which needs torch alone.
    Input: image, float32 (B, 3, H, W) in 0..1, any B, and any H and W from 32 that are multiples of
    16. Outputs: melanin, haemoglobin, diffuse and specular (B, 1, H, W); illuminant_weights (B, 14),
    cct (B,) in kelvin, spectrum (B, 33), camera (B, 2), and reconstruction, an image like the input.
    What was written is run and compared with the network before it takes its place.
    """

    model: Annotated[str, tyro.conf.Positional] = "small"
    """Folder of a network that training wrote, or owner/name of one on the Hugging Face hub; small:
    the weights that come with the package."""
    out: tuple[Path, ...] = (Path("biofacenet.onnx"),)
    """One file or more, ending in .onnx (needs the export extra) or .pt2."""
    encoding: Literal["srgb", "linear"] = "srgb"
    """Of the input image and the reconstruction: srgb, as photos are stored, or linear light."""
    bands: Literal[16, 32, 33] = 32
    """Bands that spectra are reduced to: 32 is as exact as float32, 16 is smaller and faster and finer
    than 8-bit images."""


class AnySizePool(nn.Module):
    """`nn.AdaptiveAvgPool2d` as two matrix products, so that the size of the image stays free."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, features: Tensor) -> Tensor:
        height, width = features.shape[2:]
        across = self.means(width, features)
        return self.means(height, features) @ features @ across.T

    def means(self, length: int, like: Tensor) -> Tensor:
        """(side, length): each row takes the mean of its window."""
        windows = torch.arange(self.side, device=like.device).unsqueeze(1)
        start = windows * length // self.side
        end = ((windows + 1) * length + self.side - 1) // self.side
        places = torch.arange(length, device=like.device)
        inside = (places >= start) & (places < end)
        return inside.to(like) / (end - start).to(like)


class Deployed(nn.Module):
    """Image to all named results, in plain tensor operations.

    Args:
        network: a trained one.
        encoding: ``srgb`` or ``linear``, of the image and of the reconstruction.
        bands: 16, 32 or 33, that spectra are reduced to.

    Example:
        >>> deployed = Deployed(BioFaceNet("small"))
        >>> deployed(torch.rand(1, 3, 64, 64))["spectrum"].shape
        torch.Size([1, 33])
    """

    def __init__(
        self,
        network: BioFaceNet,
        *,
        encoding: Literal["srgb", "linear"] = "srgb",
        bands: int = 32,
    ) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
        for module in list(self.network.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.AdaptiveAvgPool2d):
                    setattr(module, name, AnySizePool(int(child.output_size)))  # type: ignore[arg-type]
        self.encoding = encoding
        cpu = torch.device("cpu")
        renderer = Renderer(network.skin, bands=bands)
        tables, self.skin, self.folding = renderer.prepared(cpu, torch.float32)
        self.lights = (tables.fixed_illuminants, tables.daylights)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """All results by name.

        Args:
            image: (B, 3, H, W), in 0..1, H and W divisible by 16.
        """
        linear = srgb_to_linear(image) if self.encoding == "srgb" else image
        found = self.network(linear)
        weights, highlight = fold(found.illuminant, found.camera, self.folding)
        # All that a pixel does: a row of each table, their product, three sums.
        components = read(self.skin.epidermis, found.melanin) * read(
            self.skin.dermis, found.haemoglobin
        )
        skin = torch.einsum("bhwk,bck->bchw", components, weights)
        rendered = torch.relu(found.diffuse * skin + found.specular * highlight[:, :, None, None])
        reconstruction = linear_to_srgb(rendered) if self.encoding == "srgb" else rendered
        return {
            "melanin": found.melanin,
            "haemoglobin": found.haemoglobin,
            "diffuse": found.diffuse,
            "specular": found.specular,
            "illuminant_weights": found.illuminant.weights,
            "cct": found.illuminant.cct,
            "spectrum": spectrum(found.illuminant, *self.lights),
            "camera": found.camera,
            "reconstruction": reconstruction,
        }


def read(table: Tensor, values: Tensor) -> Tensor:
    """Rows of a table (N, K) at map values (B, 1, H, W) in [-1, 1]: (B, H, W, K)."""
    last = table.shape[0] - 1
    position = ((values.squeeze(1) + 1.0) * (last / 2.0)).clamp(0.0, float(last))
    lower = position.floor().clamp(max=float(last - 1))
    row = lower.long()
    return torch.lerp(table[row], table[row + 1], (position - lower).unsqueeze(-1))


def export(
    network: BioFaceNet,
    *paths: str | Path,
    encoding: Literal["srgb", "linear"] = "srgb",
    bands: int = 32,
) -> list[float]:
    """Write network and renderer to files that end in .onnx or .pt2, and check them.

    Args:
        network: a trained one.
        paths: each file is whole and checked in the end, or as it was before.
        encoding: of the image and of the reconstruction.
        bands: 16, 32 or 33, that spectra are reduced to.

    Returns:
        For each file the largest difference from the network and the fused renderer, as a share of
        `TOLERANCE`.

    Raises:
        BioFaceNetError: another ending, a missing package, or results that differ.
    """
    formats = [file_format(Path(path)) for path in paths]
    facts = {
        "biofacenet_version": __version__,
        "image": f"(B, 3, H, W), {'sRGB-encoded' if encoding == 'srgb' else 'linear sRGB'}, 0..1",
        "bands": str(bands),
        "network": network.size,
    }
    program = trace(Deployed(network, encoding=encoding, bands=bands))
    differences = []
    for path, (write, load) in zip(paths, formats, strict=True):
        with whole_file(path) as temporary:
            write(program, temporary, facts)
            difference = compare(load(temporary), network, encoding, bands)
            if difference > 1.0:
                raise BioFaceNetError(
                    f"{path}: what was exported differs from the network by {difference:.3g} times the "
                    f"tolerance of {TOLERANCE:g}, and was not kept; try the other format, or other "
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
    if path.suffix == ".pt2":
        return write_program, load_program
    if path.suffix != ".onnx":
        raise BioFaceNetError(f"{path}: expected a name that ends in .onnx or .pt2")
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
    with _quiet():
        made = torch.onnx.export(
            program,
            input_names=["image"],
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            verbose=False,
        )
    assert made is not None
    made.model.metadata_props.update(facts)
    made.save(path, external_data=False)


def load_onnx(path: Path) -> Run:
    """Run an .onnx file on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def results(image: Tensor) -> dict[str, Tensor]:
        found = session.run(list(OUTPUTS), {"image": image.numpy()})
        return {name: torch.from_numpy(value) for name, value in zip(OUTPUTS, found, strict=True)}

    return results


def compare(run_file: Run, network: BioFaceNet, encoding: str, bands: int) -> float:
    """Largest difference of a file's results from the network's, as a share of `TOLERANCE`."""
    network = copy.deepcopy(network).cpu().float().eval()
    worst = 0.0
    for batch, height, width in CHECKED:
        image = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(height))
        results = run_file(image)
        with torch.no_grad():
            found = network(srgb_to_linear(image) if encoding == "srgb" else image)
            rendered = found.render(bands=bands)
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
            share = (ours - theirs).abs() / (TOLERANCE * (1.0 + ours.abs()))
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


def main() -> None:
    """Export what the command line names."""
    settings = parse(Settings, program="biofacenet.export")
    for path in settings.out:
        file_format(path)
    network = BioFaceNet.from_pretrained(settings.model)
    with console.status(f"exporting {settings.model}, and comparing"):
        differences = export(
            network, *settings.out, encoding=settings.encoding, bands=settings.bands
        )
    for path, difference in zip(settings.out, differences, strict=True):
        console.print(
            f"{settings.model} -> {path}  ({path.stat().st_size / 1e6:.1f} MB, within "
            f"{difference * TOLERANCE:.0e} of the network)",
            markup=False,
        )


if __name__ == "__main__":
    run(main)
