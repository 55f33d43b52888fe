"""What files of decompositions hold, and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..physics.illuminant import Illuminant
from ..physics.skin import skin_name
from ..system.limits import TooLargeError, check_zip

__all__ = ["FORMAT", "MAY_BE_MISSING", "OF_ANY_LIGHT", "read_stored"]

FORMAT = "biofacenet decomposition 2"

OF_ANY_LIGHT = "biofacenet decomposition 3"
"""Of files with a measured light or camera, which earlier versions would take for an estimated one."""

WITHOUT_SKIN = "biofacenet decomposition 1"
"""Of files that do not say which skin they belong to: the published one."""

Made = TypeVar("Made")

MAY_BE_MISSING = ("normals", "parts", "measured_light", "measured_camera")

STORED_SLACK = 1e-2
"""By how much lengths of stored normals and sums of stored shares may be off 1."""


def _checked_normals(values: Tensor | None) -> Tensor | None:
    """Stored normals, of unit length or zero where there is no head, or ValueError."""
    if values is not None:
        values = values.float()
        lengths = torch.linalg.vector_norm(values, dim=1)
        known = ((lengths - 1.0).abs() < STORED_SLACK) | (lengths == 0.0)
        if not bool(known.all()):
            raise ValueError("normals whose length is not 1")
    return values


def _checked_parts(values: Tensor | None) -> Tensor | None:
    """Stored shares of parts, or ValueError where they are none."""
    if values is not None:
        values = values.float()
        sums = values.sum(dim=1)
        if not bool((values >= 0.0).all() and ((sums - 1.0).abs() < STORED_SLACK).all()):
            raise ValueError("parts that do not add up to 1")
    return values


def read_stored(path: Path, make: Callable[..., Made]) -> Made:
    """What a stored decomposition is, made of its fields.

    Args:
        path: of the file.
        make: takes the fields by name, and raises ValueError where they do not fit together.

    Raises:
        DataError: the file is missing, damaged, of another kind, too large, or holds NaN.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected an NPZ file that predict wrote")
    try:
        check_zip(path)
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            found = str(file["format"])
            if found not in (FORMAT, OF_ANY_LIGHT, WITHOUT_SKIN):
                raise ValueError(f"of the form {found!r}, not {FORMAT!r}")
            skin = skin_name("published" if found == WITHOUT_SKIN else str(file["skin"]))
            stored = {
                name: torch.from_numpy(file[name])
                for name in file.files
                if name not in ("format", "skin")
            }
        for name, values in stored.items():
            if not values.is_floating_point() or not bool(torch.isfinite(values).all()):
                raise ValueError(f"{name} holds NaN, infinite values or no floating point")
        maps = ("melanin", "haemoglobin", "diffuse", "specular", "camera")
        fields: dict[str, Any] = {name: stored[name] for name in maps}
        fields["illuminant"] = Illuminant(stored["illuminant_weights"], stored["cct"])
        fields |= {name: stored.get(name) for name in MAY_BE_MISSING}
        fields["normals"] = _checked_normals(fields["normals"])
        fields["parts"] = _checked_parts(fields["parts"])
        return make(**fields, skin=skin)
    except TooLargeError as error:
        raise DataError(f"{path}: {error}") from error
    except KeyError as error:
        raise DataError(
            f"{path}: holds no {error}; expected an NPZ file that predict wrote"
        ) from error
    except Exception as error:  # the readers raise many kinds on damaged bytes
        raise DataError(
            f"{path}: not a readable decomposition ({error}); expected an NPZ file that predict wrote"
        ) from error
