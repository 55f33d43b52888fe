"""Reading a head model, once in each process."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ....errors import DataError
from .model import MODEL_LAYOUT
from .objects import NEUTRAL, read_objects
from .packed import read_packed
from .prepared import PreparedModel

__all__ = ["find_model", "read_heads"]


def find_model(path: str | Path) -> Path:
    """Where a model is: the folder of OBJ files, also when the one around it was named, or the NPZ file.

    Raises:
        DataError: there is none.
    """
    path = Path(path)
    if path.is_file():
        return path
    for folder in (path, path / "FaceXModel"):
        if (folder / NEUTRAL).is_file():
            return folder
    if path.is_dir():
        packed = sorted(path.glob("*.npz"))
        if len(packed) == 1:
            return packed[0]
        raise DataError(f"{path}: holds no head model; expected {MODEL_LAYOUT}")
    raise DataError(f"{path}: no such file or folder; expected {MODEL_LAYOUT}")


def read_heads(path: str | Path) -> PreparedModel:
    """A head model, ready to make heads of.

    Raises:
        DataError: it is missing, damaged, or of another kind.
    """
    return _read(find_model(path).resolve())


@cache
def _read(path: Path) -> PreparedModel:
    return PreparedModel.of(read_packed(path) if path.is_file() else read_objects(path))
