"""All tables that the renderer reads, in one place.

`Tables.computed()` makes them from the published formulas and the figure files; `Tables.from_mat`
replaces some of them by the authors' `.mat` files, so that published results can be reproduced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..system.brief import Brief
from ..system.lasting import kept
from ..system.limits import TooLargeError
from ..system.undisturbed import undisturbed
from .camera import mean_and_components
from .colour import raw_to_xyz_table
from .illuminant import daylight_table, fixed_spectra
from .skin import Skin, SkinParameters, reflectance_table, skin_parameters
from .spectra import unit_sum

__all__ = [
    "Tables",
    "read_mat",
]


@dataclass(frozen=True, repr=False)
class Tables(Brief):
    """The fixed quantities of the renderer; all tensors share one dtype and device."""

    skin: Tensor
    """(256, 256, 33), reflectance by haemoglobin (row) and melanin (column)."""
    fixed_illuminants: Tensor
    """(13, 33), A and F1..F12, unit sums."""
    daylights: Tensor
    """(22, 33), D at 4000, 5000, .. 25000 K, unit sums."""
    camera_mean: Tensor
    """(3, 33)"""
    camera_components: Tensor
    """(3, 33, 2), scaled by the square root of their eigenvalue."""
    raw_to_xyz: Tensor
    """(128, 128, 3, 3), by b1 (row) and b2 (column)."""

    @classmethod
    def computed(cls, skin: Skin | None = None) -> Tables:
        """The tables of the formulas, float64 on the CPU (cached).

        Args:
            skin: ``published`` (the default), ``measured`` or other constants of the skin model.

        Raises:
            ValueError: there is no skin of that name.
        """
        return _computed(skin_parameters(skin))

    @classmethod
    def from_mat(
        cls,
        *,
        skin: str | Path | None = None,
        raw_to_xyz: str | Path | None = None,
        illuminant_a: str | Path | None = None,
        illuminant_d: str | Path | None = None,
        illuminant_f: str | Path | None = None,
        camera: str | Path | None = None,
    ) -> Tables:
        """Tables from the authors' MATLAB files; what is not named is computed.

        Args:
            skin: ``Newskincolour.mat``, (256, 256, 33).
            raw_to_xyz: ``Tmatrix.mat``, (128, 128, 9).
            illuminant_a: ``illumA.mat``, 33 numbers.
            illuminant_d: ``illumDmeasured.mat``, (22, 33).
            illuminant_f: ``illF.mat``, (33, 12).
            camera: ``CamPCA.mat`` with ``mu`` (99) and the scaled components ``PC`` (99, 2).

        Raises:
            DataError: a file is missing, is no MATLAB file, or holds other shapes.
        """
        tables = cls.computed()
        fixed = tables.fixed_illuminants.clone()
        if skin is not None:
            tables = replace(tables, skin=_array(skin, (256, 256, 33)))
        if raw_to_xyz is not None:
            # Written by MATLAB: the nine entries of a matrix are in column-major order.
            matrices = _array(raw_to_xyz, (128, 128, 9)).reshape(128, 128, 3, 3).mT
            tables = replace(tables, raw_to_xyz=matrices.contiguous())
        if illuminant_a is not None:
            fixed[0] = unit_sum(_array(illuminant_a, (1, 1, 33)).reshape(33))
        if illuminant_f is not None:
            fixed[1:] = unit_sum(_array(illuminant_f, (1, 33, 12)).reshape(33, 12).T)
        if illuminant_d is not None:
            tables = replace(tables, daylights=unit_sum(_array(illuminant_d, (22, 33))))
        if camera is not None:
            mean = _array(camera, (99, 1), "mu").reshape(3, 33)
            components = _array(camera, (99, 2), "PC").reshape(3, 33, 2)
            tables = replace(tables, camera_mean=mean, camera_components=components)
        return replace(tables, fixed_illuminants=fixed)

    def map(self, change: Callable[[Tensor], Tensor]) -> Tables:
        """The same tables with a function applied to each."""
        return Tables(**{f.name: change(getattr(self, f.name)) for f in fields(self)})

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Tables:
        """The same tables on another device or in another precision."""
        return self.map(lambda table: table.to(device=device, dtype=dtype))


@kept
def _computed(parameters: SkinParameters) -> Tables:
    return undisturbed(lambda: _compute(parameters))


def _compute(parameters: SkinParameters) -> Tables:
    mean, components = mean_and_components()
    return Tables(
        skin=reflectance_table(parameters),
        fixed_illuminants=fixed_spectra(),
        daylights=daylight_table(),
        camera_mean=mean,
        camera_components=components,
        raw_to_xyz=raw_to_xyz_table(mean, components),
    )


def read_mat(path: str | Path) -> dict[str, np.ndarray]:
    """Numeric variables of a MATLAB file, version 4 to 7.3.

    Raises:
        DataError: the file is missing or cannot be read as a MATLAB file.
    """
    from ..system.matlab import read_matlab

    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a MATLAB .mat file")
    try:
        return {
            name: value
            for name, value in read_matlab(path).items()
            if isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
        }
    except TooLargeError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:  # the readers raise many kinds on damaged bytes
        raise DataError(
            f"{path}: cannot be read as a MATLAB file ({error}); copy it again"
        ) from error


def _array(path: str | Path, shape: tuple[int, ...], name: str | None = None) -> Tensor:
    """The one variable of a file with this many elements and shape (or of this name), float64."""
    variables = read_mat(path)
    for found, value in variables.items():
        if (name is None or found == name) and value.squeeze().shape == tuple(
            size for size in shape if size != 1
        ):
            values = torch.from_numpy(np.ascontiguousarray(value, dtype=np.float64)).reshape(shape)
            if not torch.isfinite(values).all():
                raise DataError(f"{path}: variable {found} holds NaN or infinite values")
            return values
    listing = ", ".join(f"{key} {value.shape}" for key, value in variables.items()) or "nothing"
    what = f"a variable {name} of shape {shape}" if name else f"a variable of shape {shape}"
    raise DataError(f"{path}: expected {what}, found {listing}; is this the right file?")
