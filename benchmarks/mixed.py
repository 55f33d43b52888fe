"""A network between two of the same shape: their weights, mixed.

    python -m benchmarks.mixed runs/around/model runs/variety/model runs/shipped/model --share 0.7

Weights that learned further and those they began with are often both near the best ones: a network between
them keeps more of what each is good at than either (Wortsman et al., Robust fine-tuning of zero-shot models,
2022).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from biofacenet import BioFaceNet
from biofacenet.cli import run
from biofacenet.errors import ModelError

__all__ = ["main", "mixed"]


def mixed(first: BioFaceNet, second: BioFaceNet, share: float) -> BioFaceNet:
    """The first network with its weights gone a share, 0..1, of the way to the second's.

    Raises:
        ModelError: the networks are not of one shape or one skin.
        ValueError: the share is out of range.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share must lie in 0..1, got {share}")
    begun, learned = first.state_dict(), second.state_dict()
    shapes = [{name: tensor.shape for name, tensor in each.items()} for each in (begun, learned)]
    if shapes[0] != shapes[1] or first.skin != second.skin:
        raise ModelError("networks of different shapes or skins; expected two that learned in turn")
    first.load_state_dict({name: begun[name].lerp(learned[name], share) for name in begun})
    return first


def main(arguments: Sequence[str] | None = None) -> None:
    """Mix two stored networks and store the result."""
    words = argparse.ArgumentParser(prog="benchmarks.mixed", description=__doc__)
    words.add_argument("first", type=Path)
    words.add_argument("second", type=Path)
    words.add_argument("out", type=Path)
    words.add_argument("--share", type=float, default=0.7)
    given = words.parse_args(arguments)
    networks = [BioFaceNet.from_pretrained(each) for each in (given.first, given.second)]
    mixed(networks[0], networks[1], given.share).save_pretrained(given.out, half=True)


if __name__ == "__main__":
    run(main)
