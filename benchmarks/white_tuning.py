"""Learn how much light falls on a face beside a card from what a network's maps say of it.

    python -m benchmarks.white_tuning --faces 1500

It takes some ten minutes, and writes `biofacenet/fitting/beside_white.json`; to be done again whenever the
network in the package is another. Of rendered faces beside a grey card all is known; see `benchmarks.white`,
which measures the result on others.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from biofacenet import BioFaceNet
from biofacenet.analysis import ByNetwork
from biofacenet.analysis.whitening import forehead_of
from biofacenet.cli import run
from biofacenet.errors import PhotoError
from biofacenet.fitting.absolute import COLOUR, DEVELOPED, LEARNED_SKIN, skin_of
from biofacenet.fitting.known import WHITE, posterior
from biofacenet.fitting.shading import CLUES, DOUBTS, FARTHEST, FILE, clues_of, looked_at, terms
from biofacenet.photos.white import balanced, read_white
from biofacenet.photos.white_choice import WhiteChoice
from biofacenet.physics.skin import SKINS, melanosome_fraction
from biofacenet.system.console import progress
from biofacenet.system.files import write_json

from .white import GREY, SIDE, Beside, faces_with_card

__all__ = ["Seen", "learn", "seen"]

SEED = 777
"""Of no other set."""

SKIN = LEARNED_SKIN

LEVELS = (-0.3, -0.2, -0.1, 0.05, 0.3, 0.5)
"""Melanin map values at which errors are told."""

RIDGE, RIDGE_LEVELS = 20.0, 3.0

ROUNDS = 8
"""Of least squares with weights, in which large errors count by their size alone."""

LARGE = 0.1
"""From which errors of a logarithm are large."""

FOLDS = 5

LEAST_PIXELS = 20

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """Faces as a method with a white sees them, and the truth."""

    clues: Array
    """(N, CLUES)."""
    shading: Array
    """(N,), logarithm of the true shading where clues were read, 0 as on the card."""
    middle: Array
    """(N,), of that of the maps."""
    colour: Array
    """(N, 3), logarithm of linear RGB of the skin over the maps' shading."""
    melanin: Array
    haemoglobin: Array
    """(N,), true medians over the skin."""


def seen(method: ByNetwork, count: int, seed: int = SEED) -> tuple[Seen, Seen]:
    """What is seen of rendered faces in linear light, and as phones develop them."""
    rows: tuple[list[list[float]], list[list[float]]] = ([], [])
    with progress("faces", count) as bar:
        for index in range(count):
            for found, phone in zip(rows, (False, True), strict=True):
                face = faces_with_card(index, seed, phone=phone)
                row = _row(face, method)
                if row is not None:
                    found.append(row)
            bar.advance()
    linear, developed = (_of_rows(np.array(found)) for found in rows)
    return linear, developed


def _row(face: Beside, method: ByNetwork) -> list[float] | None:
    """Numbers of a face; None where the card is overexposed or next to no skin is seen."""
    try:
        white = read_white(face.photo, WhiteChoice(face.box, None, str(GREY)))
    except PhotoError:
        return None
    result = method(balanced(face.photo, white), face.part)
    found, image = result.decomposition.detach(), result.image.detach()
    skin = skin_of(found)
    clues, middle = clues_of(found, image, skin, forehead_of(result) > 0.5)
    diffuse, specular = found.diffuse, found.specular
    calm = looked_at(skin, skin, diffuse, specular)[0, 0] & face.mask
    if int(calm.sum()) < LEAST_PIXELS:
        return None
    more = (face.shading[calm].clamp(min=1e-3) / diffuse[0, 0][calm].clamp(min=1e-4)).log().median()
    where = looked_at(result.counted > 0.5, skin, diffuse, specular)[0, 0]
    colour = (WHITE * image / diffuse.clamp(min=1e-4)).clamp(min=1e-5).log()[0][:, where]
    truth = [float(x[face.mask].median()) for x in (face.truth, face.blood)]
    middles = colour.median(dim=1).values.tolist()
    return [*clues.tolist(), float(more + middle), float(middle), *middles, *truth]


def _of_rows(rows: Array) -> Seen:
    parts = np.split(rows, np.cumsum([len(CLUES), 1, 1, 3, 1]), axis=1)
    clues, shading, middle, colour, melanin, haemoglobin = parts
    return Seen(clues, shading[:, 0], middle[:, 0], colour, melanin[:, 0], haemoglobin[:, 0])


# Learning ------------------------------------------------------------------------------------


def _squares(basis: Array, values: Array, ridge: float, large: float = LARGE) -> Array:
    """Weights by least squares in which large errors count by their size alone."""
    hold = ridge * np.eye(basis.shape[1])
    hold[0, 0] = 0.0
    weight = np.ones(len(values))
    for _ in range(ROUNDS):
        heavy = basis * weight[:, None]
        found: Array = np.linalg.solve(heavy.T @ basis + hold, heavy.T @ values)
        weight = 1.0 / np.maximum(1.0, np.abs(values - basis @ found) / large)
    return found


def learn(faces: Seen, error: float) -> dict[str, Any]:
    """What `biofacenet.fitting.shading.Learned` holds, for JSON.

    Args:
        faces: to learn from.
        error: of the logarithm of a channel.
    """
    middle, spread = faces.clues.mean(axis=0), faces.clues.std(axis=0)
    told = np.clip((faces.clues - middle) / spread, -FARTHEST, FARTHEST)
    basis = terms(torch.from_numpy(told)).numpy()
    weights = _squares(basis, faces.shading, RIDGE)
    # Errors are those of faces that were left out.
    others, fold = np.zeros(len(basis)), np.arange(len(basis)) % FOLDS
    for number in range(FOLDS):
        rest = fold != number
        others[~rest] = basis[~rest] @ _squares(basis[rest], faces.shading[rest], RIDGE)
    off = np.abs(others - faces.shading)
    one = np.concatenate((np.ones((len(told), 1)), told), axis=1)
    doubt = np.linalg.lstsq(one, np.minimum(off, 3.0 * LARGE), rcond=None)[0]
    doubts = np.clip(one @ doubt, *DOUBTS)
    share = float(np.quantile(off / doubts, 0.68))
    doubts, doubt = np.clip(share * doubts, *DOUBTS), share * doubt
    return {
        "middle": _rounded(middle),
        "spread": _rounded(spread),
        "weights": _rounded(weights),
        "doubt": _rounded(doubt),
        "levels": list(LEVELS),
        **_levels(faces, faces.colour - (others - faces.middle)[:, None], doubts, error),
        "faces": len(basis),
        "error_of_shading": round(float(np.quantile(off, 0.68)), 4),
    }


def _levels(faces: Seen, colour: Array, doubts: Array, error: float) -> dict[str, Any]:
    """Usual errors by the level of melanin, and by what intervals are too narrow."""
    rows = []
    for seen_colour, doubt in zip(colour, doubts, strict=True):
        known = posterior(torch.from_numpy(seen_colour).float(), float(doubt), error, SKIN)[0]
        rows.append(
            [known.melanin, *known.melanin_ends, known.haemoglobin, *known.haemoglobin_ends]
        )
    melanin, low, high, blood, least, most = np.array(rows).T
    hats = np.stack([np.interp(melanin, LEVELS, row) for row in np.eye(len(LEVELS))], axis=1)
    steep = _slope(melanin)
    shift = _squares(hats * steep[:, None], (faces.melanin - melanin) * steep, RIDGE_LEVELS)
    off = faces.melanin - melanin - hats @ shift
    ratio = np.where(off > 0.0, off / (high - melanin), -off / (melanin - low))
    off_blood = faces.haemoglobin - blood
    ratio_blood = np.where(
        off_blood > 0.0, off_blood / (most - blood), -off_blood / (blood - least)
    )
    return {
        "shift": _rounded(shift),
        "wider": _rounded([_weighted(ratio, hat) for hat in hats.T]),
        "wider_blood": round(float(np.quantile(ratio_blood, 0.68)), 4),
    }


def _slope(melanin: Array) -> Array:
    """By how much the logarithm of melanosomes goes with the map value."""
    step = 0.01
    ends = (
        melanosome_fraction(torch.from_numpy(melanin + d).clamp(-1.0, 1.0), SKINS[SKIN]).log()
        for d in (step, -step)
    )
    more, less = (end.numpy() for end in ends)
    return np.asarray((more - less) / (2.0 * step), np.float64)


def _weighted(values: Array, weight: Array) -> float:
    """The quantile of 68 %."""
    order = values.argsort()
    sums = weight[order].cumsum()
    return float(np.interp(0.68 * sums[-1], sums, values[order]))


def _rounded(values: Sequence[float] | Array) -> list[float]:
    return [round(float(value), 5) for value in values]


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn, say how right it is, and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--faces", type=int, default=1500)
    parser.add_argument("--model", default="small")
    settings = parser.parse_args(arguments)
    model = BioFaceNet.from_pretrained(settings.model).eval()
    linear, developed = seen(ByNetwork(model, SIDE), settings.faces)
    told = {"linear": learn(linear, COLOUR), "developed": learn(developed, DEVELOPED)}
    for name, each in told.items():
        print(f"{name}: {each['faces']} faces, shading right to {each['error_of_shading']:.1%}")
    write_json(FILE, {"command": "python -m benchmarks.white_tuning", **told})


if __name__ == "__main__":
    run(main)
