"""True maps, light and camera of synthetic pairs, read from the file beside each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..decomposition import Decomposition
from ..decomposition.parts import PART_NAMES, UNLABELLED
from ..errors import DataError
from ..physics.illuminant import Illuminant
from ..physics.names import CCT_RANGE, COORDINATE_RANGE, ILLUMINANT_NAMES
from ..physics.skin import skin_name
from .geometry import LANDMARKS as LANDMARK_COUNT
from .geometry import Geometry
from .hdf5_opening import damage_told, open_file
from .layout import LANDMARKS, NORMALS, OCCLUSION, PARTS, SKIN, TRUTH_VERSION, VERSION
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

GEOMETRY = {
    NORMALS: (-1.0, 1.0),
    PARTS: (0.0, float(UNLABELLED)),
    OCCLUSION: (0.0, 1.0),
    LANDMARKS: (-1e5, 1e5),
}
"""Of the data sets that hold the geometry."""

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
            _check_version(self.path, opened.attrs.get(VERSION, 1))
            self.has_geometry = any(name in opened for name in GEOMETRY)
        try:
            self.skin = skin_name(
                said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
            )
        except ValueError as error:
            raise DataError(f"{self.path}: {error}; make it again") from error
        if self.has_geometry:
            shapes |= dict.fromkeys((PARTS, OCCLUSION), plane)
            shapes |= {NORMALS: (3, *plane[1:]), LANDMARKS: (LANDMARK_COUNT, 2)}
        self._rows = {name: Rows(self.path, name, opened) for name in shapes}
        for name, rows in self._rows.items():
            expected = (file.count, *shapes[name])
            if rows.shape != expected:
                raise DataError(
                    f"{self.path}: {name} has shape {rows.shape}; expected {expected} like "
                    f"{file.images.name}; copy or make the files of this number again, together"
                )
            kind = "uint8" if name == PARTS else "floating point"
            if not (rows.kind == "uint8" if name == PARTS else rows.is_float):
                raise DataError(
                    f"{self.path}: {name} holds {rows.kind}; expected {kind}; make it again"
                )

    def read(self, numbers: np.ndarray) -> Decomposition:
        """Samples by their numbers, in that order, in float32.

        Raises:
            DataError: they cannot be read, or hold NaN or values out of range.
        """
        found = {name: self._checked(name, numbers) for name in RANGES}
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

    def read_geometry(self, numbers: np.ndarray) -> Geometry | None:
        """Normals, parts, occlusion and landmarks of samples; nothing where the file has none.

        Raises:
            DataError: they cannot be read, or hold NaN (but for landmarks) or values out of range.
        """
        if not self.has_geometry:
            return None
        parts = torch.from_numpy(self._rows[PARTS].read(numbers))
        odd = ((parts >= len(PART_NAMES)) & (parts != UNLABELLED)).flatten(1).any(dim=1)
        if odd.any():
            bad = int(odd.int().argmax())
            raise DataError(
                f"{self.path}: {PARTS} of sample {int(numbers[bad])} holds {_odd_label(parts[bad])}; "
                f"expected 0..{len(PART_NAMES) - 1} or {UNLABELLED}; make it again"
            )
        return Geometry(
            normals=self._checked(NORMALS, numbers),
            parts=parts,
            occlusion=self._checked(OCCLUSION, numbers),
            landmarks=self._landmarks(numbers),
        )

    def _landmarks(self, numbers: np.ndarray) -> Tensor:
        """Those that are known must lie near the picture."""
        found = torch.from_numpy(self._rows[LANDMARKS].read(numbers)).float()
        self._check(LANDMARKS, found.nan_to_num(nan=0.0, posinf=torch.inf), numbers)
        return found

    def _checked(self, name: str, numbers: np.ndarray) -> Tensor:
        """Rows of a data set, in float32."""
        found = torch.from_numpy(self._rows[name].read(numbers)).float()
        self._check(name, found, numbers)
        return found

    def _check(self, name: str, values: Tensor, numbers: np.ndarray) -> None:
        low, high = RANGES[name] if name in RANGES else GEOMETRY[name]
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


def _check_version(path: Path, found: object) -> None:
    """Raise DataError unless a file is of a kind that is known here."""
    value = found.item() if isinstance(found, np.generic) else found
    if not isinstance(value, int) or not 1 <= value <= TRUTH_VERSION:
        raise DataError(
            f"{path}: of version {value!r}; expected 1..{TRUTH_VERSION}; update biofacenet, or make it again"
        )


def _odd_label(labels: Tensor) -> int:
    """The largest label that is none."""
    return int(labels[labels != UNLABELLED].max())


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
