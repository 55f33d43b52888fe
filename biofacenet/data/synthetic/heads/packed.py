"""A head model packed into one NPZ file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import DataError
from ...hdf5_opening import one_line
from .model import MATERIALS, MODEL_LAYOUT, HeadModel
from .polygons import kept_triangles, places_of_vertices

__all__ = ["read_packed"]

KEYS = {
    "neutral": ("f", 2),
    "identity": ("f", 3),
    "expression": ("f", 3),
    "expression_names": ("U", 1),
    "polygons": ("i", 2),
    "uv": ("f", 2),
    "polygon_uv": ("i", 2),
    "material": ("i", 1),
    "material_names": ("U", 1),
    "landmarks68": ("i", 1),
}
"""What the file must hold: kind of number (NumPy's letters) and number of dimensions."""

MOST_BYTES = 512 * 1024**2
"""Of all that the file unpacks to; the published model takes 26 MB."""


def read_packed(path: Path) -> HeadModel:
    """The model in an NPZ file.

    Raises:
        DataError: it is damaged, of another kind, or unpacks to more than a head model takes.
    """
    found = _arrays(path)
    polygons, polygon_uv = found["polygons"], found["polygon_uv"]
    names, material = [str(name) for name in found["material_names"]], found["material"]
    _check_indices(path, found)
    triangles, kinds = kept_triangles(polygons, names, material)
    of_face = np.array([MATERIALS.get(name) == "face" for name in names])[material]
    count = len(found["neutral"])
    expression = [str(name) for name in found["expression_names"]]
    return HeadModel(
        path=path,
        neutral=found["neutral"].astype(np.float32),
        identity=found["identity"].astype(np.float32),
        expression=dict(zip(expression, found["expression"].astype(np.float32), strict=True)),
        triangles=triangles,
        material=kinds,
        uv=places_of_vertices(count, polygons, polygon_uv, found["uv"], of_face),
        landmarks=found["landmarks68"].astype(np.int64),
    )


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            told = sum(entry.file_size for entry in archive.infolist())
        if told > MOST_BYTES:
            raise DataError(
                f"{path}: unpacks to {told / 1024**2:.0f} MB; a head model takes less than "
                f"{MOST_BYTES // 1024**2}; name {MODEL_LAYOUT}"
            )
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            found = {name: file[name] for name in KEYS}
    except DataError:
        raise
    except KeyError as error:
        raise DataError(
            f"{path}: not a head model: {one_line(error)}; name {MODEL_LAYOUT}"
        ) from error
    except Exception as error:  # the readers raise many kinds on damaged bytes
        raise DataError(
            f"{path}: not a readable head model ({one_line(error)}); name {MODEL_LAYOUT}"
        ) from error
    for name, (kind, dimensions) in KEYS.items():
        array: np.ndarray[Any, Any] = np.asarray(found[name])  # bytes where it is no array
        if array.dtype.kind != kind or array.ndim != dimensions or array.size == 0:
            raise DataError(
                f"{path}: {name} holds {array.dtype} of shape {array.shape}; expected numbers of kind "
                f"{kind!r} in {dimensions} dimensions; name {MODEL_LAYOUT}"
            )
    return found


def _check_indices(path: Path, found: dict[str, np.ndarray]) -> None:
    """Raise DataError unless what names other rows names such that are there."""
    polygons, polygon_uv, material = found["polygons"], found["polygon_uv"], found["material"]
    fits = polygons.shape == polygon_uv.shape == (len(material), 4)
    fits = fits and len(found["expression"]) == len(found["expression_names"])
    fits = fits and found["uv"].shape[1:] == (2,)
    if not fits:
        raise DataError(
            f"{path}: arrays of a head model whose sizes do not fit together; name {MODEL_LAYOUT}"
        )
    limits = (
        ("polygons", polygons, -1, len(found["neutral"])),
        ("polygon_uv", polygon_uv, -1, len(found["uv"])),
        ("material", material, 0, len(found["material_names"])),
    )
    for name, values, least, end in limits:
        if values.min() < least or values.max() >= end or (polygons[:, :3] < 0).any():
            raise DataError(
                f"{path}: {name} names rows that are not there; expected {least}..{end - 1}; name "
                f"{MODEL_LAYOUT}"
            )
