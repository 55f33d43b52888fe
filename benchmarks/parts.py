"""How well a network tells the parts of photographed faces, against their landmarks.

    biofacenet prepare faces/aside --out data/aside --size 96 --holdout 0
    python -m benchmarks.parts data/aside

Pixels that landmarks do not label, such as hair and background, do not count. Of photos without points in the
table, labels are those of the landmark model where that is installed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from biofacenet import BioFaceNet
from biofacenet.cli import run
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs, decode
from biofacenet.decomposition.parts import PART_NAMES, UNLABELLED

__all__ = ["measure"]

MEASURED = ("skin", "lips", "eyes", "brows", "teeth")


@torch.no_grad()
def measure(network: BioFaceNet, faces: FacePairs) -> dict[str, list[float]]:
    """Intersection over union of each measured part, of each face that has it.

    Raises:
        ValueError: the network tells no parts, or no part of the faces is known.
    """
    batch = decode(faces.read(range(len(faces))))
    found = network.decompose(batch.image).parts
    if found is None or batch.geometry is None:
        raise ValueError("parts are needed, of the network and of the faces")
    right = batch.geometry.parts
    guess = torch.where(right == UNLABELLED, UNLABELLED, found.argmax(dim=1, keepdim=True))
    shares: dict[str, list[float]] = {}
    for name in MEASURED:
        ours, theirs = (values == PART_NAMES.index(name) for values in (guess, right))
        both = (ours & theirs).sum((1, 2, 3)) / (ours | theirs).sum((1, 2, 3)).clamp(min=1)
        shares[name] = both[theirs.any(dim=3).any(dim=2)[:, 0]].tolist()
    return shares


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "faces", type=Path, help="folder of pairs that prepare made of labelled photos"
    )
    parser.add_argument("--model", default="small")
    settings = parser.parse_args(arguments)
    network = BioFaceNet.from_pretrained(settings.model)
    shares = measure(network, FacePairs(find_pairs(settings.faces), geometry=True))
    print("part    faces   mean  least")
    for name, values in shares.items():
        if values:
            print(f"{name:6} {len(values):6} {sum(values) / len(values):6.3f} {min(values):6.3f}")


if __name__ == "__main__":
    run(main)
