"""What a face image decomposes into, and what an edit changes in it."""

from typing import TYPE_CHECKING

from ..system.lazy import lazy

if TYPE_CHECKING:
    from .calibration import Calibration as Calibration
    from .edit import Edit as Edit
    from .maps import Decomposition as Decomposition
    from .parts import PART_NAMES as PART_NAMES

__all__ = ["PART_NAMES", "Calibration", "Decomposition", "Edit"]

__getattr__ = lazy(
    __name__,
    {
        "Calibration": "calibration",
        "Decomposition": "maps",
        "Edit": "edit",
        "PART_NAMES": "parts",
    },
)
