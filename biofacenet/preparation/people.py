"""A folder of photographs of people, and the tables in it.

- ``people.csv``: ``id``, ``group``, a row for each person; other columns are left alone.
- ``photos.csv`` (may be missing): ``id``, ``photo``, and if you like ``expression``. Without it, a
  person's photos are the files ``ID.*`` and ``ID_WORD.*``, and the word is the expression unless it is a
  number.
- ``landmarks.csv`` (may be missing): ``image`` (a file's name, with or without its ending), then
  ``x0,y0,x1,y1,..`` in pixels of the upright photo.
- ``pairs.csv`` (may be missing): ``id``, ``photo``, ``diffuse`` and if you like ``factor``.

Photos are named by their place in the folder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..photos.paths import PHOTO_ENDINGS
from ..system.files import is_file
from ..system.tables import read_table

__all__ = [
    "Pair",
    "PeopleFolder",
    "Person",
    "Shot",
    "chosen_ids",
    "read_folder",
    "read_landmarks",
    "who_is_on",
]

PEOPLE, PHOTOS, LANDMARKS, PAIRS = "people.csv", "photos.csv", "landmarks.csv", "pairs.csv"

FIRST = "neutral"
"""Expression of the photo that changes are implanted in, where there is one."""

SCHEMES = {189: "WebMorph", 468: "MediaPipe"}
"""Whose points are known, by their number."""


@dataclass(frozen=True)
class Shot:
    """A photo of a person."""

    path: Path
    expression: str = ""
    """Empty where photos of a person are not told apart."""


@dataclass(frozen=True)
class Pair:
    """A photo, and the same without surface reflection."""

    photo: Path
    diffuse: Path
    factor: float = 1.0
    """What the linear light of ``diffuse`` is multiplied by, to be of the photo's exposure."""


@dataclass(frozen=True)
class Person:
    """A person, and where their photos are."""

    id: str
    group: str
    """As they call themselves."""
    shots: tuple[Shot, ...] = ()
    """The one that changes are implanted in comes first."""
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class PeopleFolder:
    """What a folder holds."""

    path: Path
    people: tuple[Person, ...]
    landmarks: dict[str, np.ndarray] | None
    """Points (N, 2), across and down in pixels, by the name of a photo without its ending; None where
    the folder has no table of them."""


def read_folder(folder: Path, *, people: str = "", without: str = "") -> PeopleFolder:
    """The people of a folder and their photos.

    Args:
        folder: see the module.
        people: ids separated by commas, or a text file of one a line: only these; all when empty.
        without: the same, of those who are left out.

    Raises:
        DataError: a table or photo is missing, or says what cannot be.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with {PEOPLE} and photos")
    rows = read_table(folder / PEOPLE, ("id", "group"))
    groups: dict[str, str] = {}
    for line, row in rows:
        if not row["id"] or not row["group"]:
            raise DataError(f"{folder / PEOPLE}, line {line}: empty id or group; give both")
        if row["id"] in groups:
            raise DataError(
                f"{folder / PEOPLE}, line {line}: {row['id']} a second time; expected a row a person"
            )
        groups[row["id"]] = row["group"]
    ids = chosen_ids(groups, folder / PEOPLE, people, without)
    shots, pairs = _shots(folder, groups), _pairs(folder, groups)
    for name in ids:
        if name not in shots and name not in pairs:
            raise DataError(
                f"{folder}: no photo of {name}; expected {name}_neutral.jpg or the like, or a row of "
                f"{PHOTOS}; --without {name} leaves them out"
            )
    return PeopleFolder(
        folder,
        tuple(Person(i, groups[i], shots.get(i, ()), pairs.get(i, ())) for i in ids),
        read_landmarks(folder),
    )


def who_is_on(folder: Path) -> dict[Path, str]:
    """The id of the person on each photo of a folder; nothing where it has no table of people.

    Raises:
        DataError: the table is damaged.
    """
    if not (folder / PEOPLE).is_file():
        return {}
    ids = {row["id"]: "" for _, row in read_table(folder / PEOPLE, ("id",)) if row["id"]}
    found = _shots(folder, ids)
    return {shot.path: name for name, shots in found.items() for shot in shots}


def chosen_ids(
    known: Sequence[str] | dict[str, str], where: Path, only: str, without: str
) -> list[str]:
    """Ids in the table's order, of those who are named or not left out.

    Raises:
        DataError: one that is named is not in the table, or nobody is left.
    """
    wanted, dropped = _ids(only), _ids(without)
    for name in (*wanted, *dropped):
        if name not in known:
            raise DataError(
                f"{where}: nobody has the id {name!r}; expected one of its column id, such as "
                f"{next(iter(known), '001')}"
            )
    ids = [name for name in known if (not wanted or name in wanted) and name not in dropped]
    if not ids:
        raise DataError(
            f"{where}: nobody is left; name fewer with --without, or more with --people"
        )
    return ids


def _ids(text: str) -> list[str]:
    """Of a list separated by commas, or of a text file of one a line."""
    if text.endswith(".txt"):
        path = Path(text)
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"{path}: not readable ({error}); expected a text file, an id a line"
            ) from error
    else:
        lines = text.split(",")
    return [line.strip() for line in lines if line.strip()]


# Tables --------------------------------------------------------------------------------------


def _shots(folder: Path, groups: dict[str, str]) -> dict[str, tuple[Shot, ...]]:
    """Photos of each person, the first expression first."""
    found: dict[str, list[Shot]] = {}
    table = folder / PHOTOS
    if table.is_file():
        for line, row in read_table(table, ("id", "photo")):
            where = f"{table}, line {line}"
            _check_id(where, row["id"], groups)
            shot = Shot(_photo(folder, where, row["photo"]), row.get("expression", ""))
            found.setdefault(row["id"], []).append(shot)
    else:
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() not in PHOTO_ENDINGS or not path.is_file():
                continue
            # Ids may hold underscores: the longest that fits.
            words = path.stem.split("_")
            for end in range(len(words), 0, -1):
                name = "_".join(words[:end])
                if name in groups:
                    word = "_".join(words[end:])
                    shot = Shot(path, "" if word.isdecimal() else word)
                    found.setdefault(name, []).append(shot)
                    break
    return {
        name: tuple(sorted(shots, key=lambda shot: shot.expression != FIRST))
        for name, shots in found.items()
    }


def _pairs(folder: Path, groups: dict[str, str]) -> dict[str, tuple[Pair, ...]]:
    table = folder / PAIRS
    found: dict[str, tuple[Pair, ...]] = {}
    if not table.is_file():
        return found
    for line, row in read_table(table, ("id", "photo", "diffuse")):
        where = f"{table}, line {line}"
        _check_id(where, row["id"], groups)
        factor = _number(where, "factor", row.get("factor") or "1")
        if factor <= 0.0:
            raise DataError(f"{where}: factor {factor:g}; expected a number above 0, such as 1")
        photo, diffuse = (_photo(folder, where, row[name]) for name in ("photo", "diffuse"))
        pair = Pair(photo, diffuse, factor)
        found[row["id"]] = (*found.get(row["id"], ()), pair)
    return found


def read_landmarks(folder: Path) -> dict[str, np.ndarray] | None:
    """Points (N, 2), across and down in pixels, by the name of a photo without its ending.

    Returns:
        None where the folder has no table of them.

    Raises:
        DataError: the table is damaged.
    """
    table = folder / LANDMARKS
    if not table.is_file():
        return None
    found: dict[str, np.ndarray] = {}
    for line, row in read_table(table, ("image", "x0", "y0")):
        count = (len(row) - 1) // 2
        wanted = [f"{axis}{i}" for i in range(count) for axis in "xy"]
        if count not in SCHEMES or any(name not in row for name in wanted):
            raise DataError(
                f"{table}: {len(row)} columns; expected image and x0,y0,x1,y1,.. of "
                + " or ".join(f"{number} {name}" for number, name in SCHEMES.items())
                + " points"
            )
        where = f"{table}, line {line}"
        values = [_number(where, name, row[name]) for name in wanted]
        name = row["image"]
        name = Path(name).stem if Path(name).suffix.lower() in PHOTO_ENDINGS else name
        found[name] = np.array(values).reshape(count, 2)
    return found


def _number(where: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: {name} is {text!r}; expected a number")
    return value


def _check_id(where: str, name: str, groups: dict[str, str]) -> None:
    if name not in groups:
        raise DataError(f"{where}: nobody has the id {name!r} in {PEOPLE}; add a row there")


def _photo(folder: Path, where: str, name: str) -> Path:
    """A file of the folder."""
    path = Path(name)
    if not name or path.is_absolute() or ".." in path.parts:
        raise DataError(f"{where}: {name!r}; expected the place of a photo in the folder")
    if not is_file(folder / path):
        raise DataError(f"{where}: {folder / path}: no such photo; correct the row or add the file")
    return folder / path
