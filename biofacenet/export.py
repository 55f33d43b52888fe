"""Write network and renderer for other runtimes: python -m biofacenet.export MODEL --out FILE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .cli import parse, run
from .network.folders import check_ending, check_opset, find
from .system.files import check_file
from .system.settings import option

__all__ = ["Settings", "main"]

EXAMPLES = ("small --out face.onnx", "runs/001/model --out face.pt2 --encoding linear")


@dataclass
class Settings:
    """Write network and renderer to a file that runs without this package.

    The ending decides: .onnx for ONNX runtimes, .pt2 for torch.export.load, which needs torch alone.
    Input: image, float32 (B, 3, H, W) in 0..1, any B, and any H and W from 32 that are multiples of
    16; other sizes are refused. Outputs: melanin, haemoglobin, diffuse and specular (B, 1, H, W);
    illuminant_weights (B, 14), cct (B,) in kelvin, spectrum (B, 33), camera (B, 2), and reconstruction,
    an image like the input.
    What was written is run and compared with the network before it takes its place.
    """

    model: str = option("small", positional=True)
    """Network to write: small, which comes with the package; a folder that training wrote; or owner/name
    of one on the Hugging Face hub."""
    out: tuple[Path, ...] = option((Path("biofacenet.onnx"),), metavar="FILE")
    """One file or more, ending in .onnx (needs the export extra) or .pt2."""
    encoding: Literal["srgb", "linear"] = "srgb"
    """Of the input image and the reconstruction: srgb, as photos are stored, or linear light."""
    bands: Literal[16, 32, 33] = 32
    """Bands that spectra are reduced to: 32 is as exact as float32, 16 is smaller and faster and finer
    than 8-bit images."""
    opset: int = 18
    """Version of the operators of an .onnx file, 18 to 23."""
    precision: Literal["float32", "float16"] = "float32"
    """Of the network's weights and features. float16 is half the file; image, renderer and results stay
    float32, and differ by less than a step of 8-bit images."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Export what the command line names."""
    settings = parse(Settings, arguments, program="export", examples=EXAMPLES)
    for path in settings.out:
        check_ending(path)
        check_file(path)
    check_opset(settings.opset)
    find(settings.model)

    from .network.exporting import TOLERANCES, export, file_format
    from .network.unet import BioFaceNet
    from .system.console import console

    for path in settings.out:
        file_format(path)
    network = BioFaceNet.from_pretrained(settings.model)
    with console.status(f"exporting {settings.model}, and comparing"):
        differences = export(
            network,
            *settings.out,
            encoding=settings.encoding,
            bands=settings.bands,
            opset=settings.opset,
            precision=settings.precision,
        )
    for path, difference in zip(settings.out, differences, strict=True):
        console.print(
            f"{settings.model} -> {path}  ({path.stat().st_size / 1e6:.1f} MB, within "
            f"{difference * TOLERANCES[settings.precision]:.0e} of the network)",
            markup=False,
        )


if __name__ == "__main__":
    run(main)
