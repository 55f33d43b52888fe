"""Faces as files: pairs to train on, synthetic faces, measured spectra."""

from typing import TYPE_CHECKING

from ..system.lazy import lazy

if TYPE_CHECKING:
    from .geometry import Geometry as Geometry
    from .pair_files import find_pairs as find_pairs
    from .pairs import FaceBatch as FaceBatch
    from .pairs import FacePairs as FacePairs
    from .pairs import decode as decode
    from .pairs_writing import write_pairs as write_pairs
    from .records import Faces as Faces
    from .spectra import Spectra as Spectra
    from .spectra import read_spectra as read_spectra
    from .synthetic.faces import generate as generate
    from .truth import read_truth as read_truth

__all__ = [
    "FaceBatch",
    "FacePairs",
    "Faces",
    "Geometry",
    "Spectra",
    "decode",
    "find_pairs",
    "generate",
    "read_spectra",
    "read_truth",
    "write_pairs",
]

__getattr__ = lazy(
    __name__,
    {
        "FaceBatch": "pairs",
        "FacePairs": "pairs",
        "Faces": "records",
        "Geometry": "geometry",
        "Spectra": "spectra",
        "decode": "pairs",
        "find_pairs": "pair_files",
        "generate": "synthetic.faces",
        "read_spectra": "spectra",
        "read_truth": "truth",
        "write_pairs": "pairs_writing",
    },
)
