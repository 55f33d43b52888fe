"""A photo and what its face decomposes into: methods, results, folders, edits, videos."""

from typing import TYPE_CHECKING

from ..system.lazy import lazy

if TYPE_CHECKING:
    from .batch import process as process
    from .editing import apply as apply
    from .editing import combine as combine
    from .folder import write as write
    from .methods import ByFitting as ByFitting
    from .methods import ByNetwork as ByNetwork
    from .methods import decompose as decompose
    from .results import Result as Result

__all__ = ["ByFitting", "ByNetwork", "Result", "apply", "combine", "decompose", "process", "write"]

__getattr__ = lazy(
    __name__,
    {
        "ByFitting": "methods",
        "ByNetwork": "methods",
        "Result": "results",
        "apply": "editing",
        "combine": "editing",
        "decompose": "methods",
        "process": "batch",
        "write": "folder",
    },
)
