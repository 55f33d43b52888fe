"""Finding file pairs of faces, and checking what they say of themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..system.limits import TooLargeError, check_size
from .layout import DATASET, IMAGE_CHANNELS, IMAGE_NAME, LAYOUT, LIGHTING_SHAPE
from .rows import FULL, Rows

__all__ = [
    "PairFile",
    "find_pairs",
]


@dataclass(frozen=True)
class PairFile:
    """One numbered pair of files, checked for shape."""

    number: str
    images: Path
    lighting: Path
    count: int
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the data set of images: (N, 10, H, W)."""
        return (self.count, IMAGE_CHANNELS, self.height, self.width)

    @property
    def truth(self) -> Path:
        """Where synthetic pairs keep their true maps."""
        return self.images.with_name(self.images.name.replace("_d10_inmc_", "_truth_"))


def find_pairs(folder: str | Path, numbers: Sequence[str] = ()) -> list[PairFile]:
    """The file pairs of a folder, in the order of their numbers or as asked for.

    Args:
        folder: where the files are.
        numbers: take these only, such as ``("20", "05")``; all when empty.

    Raises:
        DataError: no pairs, a pair that lacks its half, a number that is not there, or files that
            do not have the layout above.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with {LAYOUT}")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = IMAGE_NAME.fullmatch(path.name)
        if match is None:
            continue
        number = match["number"]
        if number in found:
            raise DataError(
                f"{folder}: two image files have the number {number} ({found[number].name} and "
                f"{path.name}); keep one set to a folder"
            )
        found[number] = path
    if not found:
        raise DataError(f"{folder}: no image files; expected {LAYOUT}")
    chosen = list(found)
    if numbers:
        # 5 and 05 mean the same file.
        by_value = {int(number): number for number in found}
        for number in numbers:
            if not number.isdigit() or int(number) not in by_value:
                raise DataError(
                    f"{folder}: no file numbered {number!r}; there are {', '.join(found)}"
                )
        chosen = list(dict.fromkeys(by_value[int(number)] for number in numbers))
    return [_check_pair(number, found[number]) for number in chosen]


def _check_pair(number: str, images: Path) -> PairFile:
    lighting = images.with_name(images.name.replace("_d10_inmc_", "_d3_lrgb_"))
    if not lighting.is_file():
        raise DataError(f"{lighting}: missing; expected beside {images.name} as its other half")
    stored, lights = Rows(images), Rows(lighting)
    shape, light_shape = stored.shape, lights.shape
    if len(shape) != 4 or shape[1] != IMAGE_CHANNELS or 0 in shape:
        raise DataError(
            f"{images}: {DATASET} has shape {shape}; expected (N, {IMAGE_CHANNELS}, H, W) with N > 0"
        )
    try:
        check_size(4 * math.prod(shape[1:]), f"a sample of {shape[3]} x {shape[2]} pixels")
    except TooLargeError as error:
        raise DataError(f"{images}: {error}") from error
    if not (stored.is_float or stored.kind in FULL):
        raise DataError(
            f"{images}: {DATASET} holds {stored.kind}; expected floating point, uint8 or uint16"
        )
    if len(light_shape) != 3 or light_shape[1:] != LIGHTING_SHAPE:
        raise DataError(f"{lighting}: {DATASET} has shape {light_shape}; expected (N, 3, 9)")
    if not lights.is_float:
        raise DataError(f"{lighting}: {DATASET} holds {lights.kind}; expected floating point")
    if light_shape[0] != shape[0]:
        raise DataError(
            f"{images} holds {shape[0]} samples but {lighting.name} holds {light_shape[0]}; a pair must "
            "have as many of both: copy both files again"
        )
    return PairFile(number, images, lighting, shape[0], shape[2], shape[3])
