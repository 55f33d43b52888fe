"""The network on faces of a skin model that it does not know, beside faces of the one that it does.

python -m benchmarks.other_skin

The same seeds are drawn with both skins: the same heads, lights and cameras, other reflectances. Maps
of two skins stand for different colours, so what is compared is what maps of both mean alike: the albedo that
they render to, and the order of faces.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from scipy.stats import spearmanr
from torch import Tensor

from biofacenet import BioFaceNet, Decomposition
from biofacenet.cli import run
from biofacenet.data import generate
from biofacenet.physics import srgb_to_linear
from biofacenet.physics.names import SkinName

__all__ = ["measure", "table"]

SEED, COUNT, SIZE = 20190909, 40, 64
"""The first faces of the fixed test set of `biofacenet evaluate`."""
SKINS: tuple[SkinName, ...] = ("published", "measured")
WHITE = 0.3425
"""Linear sRGB of a perfect white under unit diffuse shading."""
COLUMNS = {
    "albedo": "albedo, RMSE",
    "reconstruction": "reconstruction, RMSE",
    "melanin_between": "melanin, rank between faces",
    "haemoglobin_between": "haemoglobin, rank between faces",
}


def measure(network: BioFaceNet, skin: SkinName, count: int = COUNT) -> dict[str, float]:
    """The figures of a network on faces of a skin, by the names of `COLUMNS`."""
    faces = generate(range(count), SEED, size=SIZE, skin=skin)
    assert faces.truth is not None
    image, mask = srgb_to_linear(faces.image), faces.mask
    with torch.no_grad():
        found = network.decompose(image)
    return {
        "albedo": error(albedo(found), albedo(faces.truth), mask),
        "reconstruction": error(found.render(), image, mask),
        "melanin_between": between(found.melanin, faces.truth.melanin, mask),
        "haemoglobin_between": between(found.haemoglobin, faces.truth.haemoglobin, mask),
    }


def albedo(maps: Decomposition) -> Tensor:
    """Linear sRGB of the bare skin beside a white of 1: (B, 3, H, W)."""
    one = torch.ones_like(maps.diffuse)
    return replace(maps, diffuse=one, specular=0.0 * one).render() / WHITE


def mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of each image over channels and pixels of its mask: (B,)."""
    return (values * mask).sum((1, 2, 3)) / (values.shape[1] * mask.sum((1, 2, 3)))


def error(found: Tensor, true: Tensor, mask: Tensor) -> float:
    """Root of the mean over faces of each face's mean squared error in its mask."""
    return float(mean((found - true).square(), mask).mean().sqrt())


def between(found: Tensor, true: Tensor, mask: Tensor) -> float:
    """Spearman's coefficient of the means of faces."""
    return float(spearmanr(mean(found, mask).numpy(), mean(true, mask).numpy()).statistic)


def table(stored: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        ["skin of the faces", *COLUMNS.values()],
        ["---", *["---:"] * len(COLUMNS)],
        *(
            [skin, *(f"{row[name]:.3f}" for name in COLUMNS)]
            for skin, row in stored["skins"].items()
        ),
    ]
    shown = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    about = (
        f"{stored['faces']} synthetic faces of {SIZE} x {SIZE} pixels, seed {SEED}, network "
        f"`{stored['model']}`; `python -m benchmarks.other_skin` wrote this."
    )
    return f"{shown}\n\n{about}\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, and keep it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.other_skin", description=__doc__)
    parser.add_argument("--model", default="small", help="network, as for biofacenet evaluate")
    parser.add_argument("--count", type=int, default=COUNT, help="faces of each skin")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder")
    chosen = parser.parse_args(arguments)
    network = BioFaceNet.from_pretrained(chosen.model).eval()
    stored = {
        "model": chosen.model,
        "faces": chosen.count,
        "skins": {skin: measure(network, skin, chosen.count) for skin in SKINS},
    }
    made = table(stored)
    print(made)
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "other-skin.json").write_text(json.dumps(stored, indent=2) + "\n", "utf-8")
    (chosen.out / "other-skin.md").write_text(made, "utf-8")


if __name__ == "__main__":
    run(main)
