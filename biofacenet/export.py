"""Write network and renderer for other runtimes: python -m biofacenet.export MODEL --out FILE."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .cli import parse, run
from .errors import BioFaceNetError
from .network.folders import check_ending, check_opset, find
from .rendering.accuracy import Accuracy
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
    accuracy: Accuracy = "default"
    """Of the skin table: default is as exact as float32, fast is smaller and faster and finer than 8-bit
    images, exact is all that float64 tells apart."""
    opset: int = 18
    """Version of the operators of an .onnx file, 18 to 23."""
    precision: Literal["float32", "float16"] = "float32"
    """Of the network's weights and features. float16 is half the file; image, renderer and results stay
    float32, and differ by less than a step of 8-bit images."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Export what the command line names."""
    for word in sys.argv[1:] if arguments is None else arguments:
        if word.partition("=")[0] == "--bands":
            raise BioFaceNetError(
                "--bands: no such option any more; give --accuracy fast (for 16), default (32) or exact (33)"
            )
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
            accuracy=settings.accuracy,
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
