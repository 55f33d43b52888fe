"""What a face image decomposes into, and what an edit changes in it."""

from typing import TYPE_CHECKING

from ..system.lazy import lazy

if TYPE_CHECKING:
    from .calibration import Calibration as Calibration
    from .edit import Edit as Edit
    from .maps import Decomposition as Decomposition

__all__ = ["Calibration", "Decomposition", "Edit"]

__getattr__ = lazy(
    __name__,
    {
        "Calibration": "calibration",
        "Decomposition": "maps",
        "Edit": "edit",
    },
)
