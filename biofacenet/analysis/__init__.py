"""A photo and what its face decomposes into: methods, results, folders, edits, videos."""

from typing import TYPE_CHECKING

from ..system.lazy import lazy

if TYPE_CHECKING:
    from .batch import process as process
    from .editing import apply as apply
    from .editing import retouch as retouch
    from .folder import write as write
    from .methods import ByFitting as ByFitting
    from .methods import ByNetwork as ByNetwork
    from .methods import decompose as decompose
    from .results import Result as Result

__all__ = ["ByFitting", "ByNetwork", "Result", "apply", "decompose", "process", "retouch", "write"]

__getattr__ = lazy(
    __name__,
    {
        "ByFitting": "methods",
        "ByNetwork": "methods",
        "Result": "results",
        "apply": "editing",
        "retouch": "editing",
        "decompose": "methods",
        "process": "batch",
        "write": "folder",
    },
)
