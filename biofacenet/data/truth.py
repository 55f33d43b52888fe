"""True maps, light and camera of synthetic pairs, read from the file beside each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..decomposition import Decomposition
from ..errors import DataError
from ..physics.illuminant import Illuminant
from ..physics.names import CCT_RANGE, COORDINATE_RANGE, ILLUMINANT_NAMES
from ..physics.skin import skin_name
from .hdf5_opening import damage_told, open_file
from .layout import SKIN
from .pair_files import PairFile
from .rows import Rows

__all__ = ["Truth", "read_truth"]

RANGES = {
    "melanin": (-1.0, 1.0),
    "haemoglobin": (-1.0, 1.0),
    "diffuse": (0.0, np.inf),
    "specular": (0.0, np.inf),
    "illuminant_weights": (0.0, 1.0),
    "cct": CCT_RANGE,
    "camera": COORDINATE_RANGE,
}
"""Of the data sets in a truth file; maps, light and camera as `Decomposition` has them."""

SLACK = 1e-3
"""Of ranges, for rounding; of their width, or of 1 where they have no end."""


class Truth:
    """The opened truth file of a pair.

    Raises:
        DataError: it is missing, damaged, or not of these faces.
    """

    def __init__(self, file: PairFile) -> None:
        self.path = file.truth
        plane = (1, file.height, file.width)
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(RANGES, plane)
        shapes |= {"illuminant_weights": (len(ILLUMINANT_NAMES),), "cct": (), "camera": (2,)}
        opened = open_file(self.path)
        with damage_told(self.path):
            said = opened.attrs.get(SKIN, "published")
        try:
            self.skin = skin_name(
                said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
            )
        except ValueError as error:
            raise DataError(f"{self.path}: {error}; make it again") from error
        self._rows = {name: Rows(self.path, name, opened) for name in RANGES}
        for name, rows in self._rows.items():
            expected = (file.count, *shapes[name])
            if rows.shape != expected:
                raise DataError(
                    f"{self.path}: {name} has shape {rows.shape}; expected {expected} like "
                    f"{file.images.name}; copy or make the files of this number again, together"
                )
            if not rows.is_float:
                raise DataError(
                    f"{self.path}: {name} holds {rows.kind}; expected floating point; make it again"
                )

    def read(self, numbers: np.ndarray) -> Decomposition:
        """Samples by their numbers, in that order, in float32.

        Raises:
            DataError: they cannot be read, or hold NaN or values out of range.
        """
        found = {}
        for name, rows in self._rows.items():
            found[name] = torch.from_numpy(rows.read(numbers)).float()
            self._check(name, found[name], numbers)
        weights = found["illuminant_weights"]
        off = (weights.sum(dim=1) - 1.0).abs()
        if float(off.max()) > 10 * SLACK:
            raise DataError(
                f"{self.path}: illuminant_weights of sample {int(numbers[int(off.argmax())])} sum to "
                f"{float(weights[off.argmax()].sum()):.4g}; expected 1; make it again"
            )
        return Decomposition(
            found["melanin"],
            found["haemoglobin"],
            found["diffuse"],
            found["specular"],
            Illuminant(weights, found["cct"]),
            found["camera"],
            self.skin,
        )

    def _check(self, name: str, values: Tensor, numbers: np.ndarray) -> None:
        low, high = RANGES[name]
        slack = SLACK * (high - low if np.isfinite(high) else 1.0)
        least, most = map(float, values.aminmax())  # NaN where there is one
        if least >= low - slack and most <= high + slack and np.isfinite(most):
            return
        flat = values.flatten(1) if values.ndim > 1 else values[:, None]
        bad = ~((flat >= low - slack) & (flat <= high + slack) & flat.isfinite()).all(dim=1)
        number = int(numbers[int(bad.int().argmax())])
        raise DataError(
            f"{self.path}: {name} of sample {number} holds {_odd(flat[bad][0], low)}; expected "
            f"{f'{low:g}..{high:g}' if np.isfinite(high) else f'{low:g} or more, finite'}; make it again"
        )


def _odd(values: Tensor, low: float) -> str:
    """What is wrong with values, some of which are not within a range."""
    if not values.isfinite().all():
        return "NaN or infinite values"
    return f"{float(values.min() if float(values.min()) < low else values.max()):.4g}"


def read_truth(file: PairFile, indices: Sequence[int]) -> Decomposition:
    """True maps, light and camera of samples of a synthetic pair.

    Raises:
        DataError: the pair has no truth file, or that is damaged or not of these faces.
    """
    return Truth(file).read(np.asarray(indices, dtype=np.int64))
