"""What is to be measured, and what is made of it: files, pairs of them, and people's repeated photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import BioFaceNetError, DataError
from ...photos.paths import expand, is_video
from ...system.files import is_file
from ...system.names import shown
from ...system.tables import read_table

__all__ = ["Pair", "Person", "Plan", "of_pair", "of_pairs", "of_repeats"]


@dataclass(frozen=True)
class Pair:
    """Two photos of a face that are compared."""

    name: str
    before: int
    """Place in the plan's files."""
    after: int


@dataclass(frozen=True)
class Person:
    """A person's photos, which should all give the same numbers."""

    name: str
    photos: tuple[int, ...]
    """Places in the plan's files; that of the first session first, and so on."""


@dataclass(frozen=True)
class Plan:
    """Files in the order of the table, and what is made of their numbers."""

    files: tuple[Path, ...]
    pairs: tuple[Pair, ...] = ()
    people: tuple[Person, ...] = ()
    changes: bool = False
    """Whether changed copies of each photo are measured, too."""

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "files": [str(path) for path in self.files],
            "pairs": [[pair.name, pair.before, pair.after] for pair in self.pairs],
            "people": [[person.name, list(person.photos)] for person in self.people],
            "changes": self.changes,
        }

    @classmethod
    def from_json(cls, stored: Any) -> Plan:
        """The plan that `as_json` told of.

        Raises:
            ValueError: it is none.
        """
        try:
            files = tuple(Path(_text(name)) for name in stored["files"])
            pairs = tuple(
                Pair(_text(name), _place(before, files), _place(after, files))
                for name, before, after in stored["pairs"]
            )
            people = tuple(
                Person(_text(name), tuple(_place(place, files) for place in photos))
                for name, photos in stored["people"]
            )
            return cls(files, pairs, people, stored["changes"] is True)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no plan of measurements ({error})") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _place(value: Any, files: Sequence[Path]) -> int:
    if type(value) is not int or not 0 <= value < len(files):
        raise ValueError(f"no file has the place {value!r}")
    return value


# Made of what the command line names --------------------------------------------------------


class _Files:
    """Files that are named, each once, and their places."""

    def __init__(self) -> None:
        self._places: dict[Path, int] = {}

    def __contains__(self, path: Path) -> bool:
        return path in self._places

    def place(self, path: Path) -> int:
        return self._places.setdefault(path, len(self._places))

    def all(self) -> tuple[Path, ...]:
        return tuple(self._places)


def of_pair(before: Path, after: Path) -> Plan:
    """A plan of two photos of a face.

    Raises:
        BioFaceNetError: they are one file, a video, or not there.
    """
    for path in (before, after):
        _check_photo(path, "")
    _check_two(before, after, "")
    return Plan((before, after), (Pair(after.stem, 0, 1),))


def of_pairs(table: Path) -> Plan:
    """A plan of the pairs of a CSV file: columns before and after, and if you like name.

    Photos are named by their place beside the file, or by whole paths.

    Raises:
        DataError: the table is damaged, or names what is no photo.
    """
    files, pairs, taken = _Files(), [], dict[str, int]()
    for line, row in read_table(table, ("before", "after")):
        where = f"{table}, line {line}: "
        before, after = (table.parent / row[key] for key in ("before", "after"))
        for key, path in (("before", before), ("after", after)):
            if not row[key]:
                raise DataError(f"{where}empty {key}; expected the path of a photo")
            _check_photo(path, where)
        _check_two(before, after, where)
        name = row.get("name") or after.stem
        if name in taken and row.get("name"):
            raise DataError(
                f"{where}the name {name!r} is that of line {taken[name]}, too; rename one"
            )
        taken.setdefault(name, line)
        pairs.append(Pair(name, files.place(before), files.place(after)))
    return Plan(files.all(), tuple(pairs))


def of_repeats(source: Path, without: Sequence[Path] = ()) -> Plan:
    """A plan of repeated photos of people.

    Args:
        source: a folder with a folder of photos for each person; or a CSV file with the columns person
            and photo, photos named by their place beside it or by whole paths.
        without: folders, such as that of the results, which are nobody's.

    Raises:
        DataError: there are no two photos of anybody, or the table is damaged.
    """
    files = _Files()
    found: dict[str, list[int]] = {}
    if source.is_dir():
        nobody = {path.resolve() for path in without}
        for folder in sorted(path for path in source.iterdir() if path.is_dir()):
            hidden = folder.name.startswith(".")
            if not hidden and folder.resolve() not in nobody:
                found[folder.name] = [files.place(path) for path in _photos_in(folder)]
    else:
        for line, row in read_table(source, ("person", "photo")):
            where = f"{source}, line {line}: "
            if not row["person"] or not row["photo"]:
                raise DataError(f"{where}empty person or photo; give both")
            path = source.parent / row["photo"]
            _check_photo(path, where)
            if path in files:
                raise DataError(f"{where}{row['photo']} a second time; expected each photo once")
            found.setdefault(row["person"], []).append(files.place(path))
    people = tuple(Person(name, tuple(places)) for name, places in found.items())
    if not any(len(person.photos) > 1 for person in people):
        raise DataError(
            f"{source}: no person with two photos; expected a folder for each person with photos in it, "
            "or a table with the columns person and photo"
        )
    return Plan(files.all(), people=people)


def _photos_in(folder: Path) -> tuple[Path, ...]:
    try:
        return expand((folder,))
    except BioFaceNetError:  # a folder without photos is nobody
        return ()


def _check_photo(path: Path, where: str) -> None:
    if not is_file(path):
        raise DataError(f"{where}{shown(path)}: no such photo; correct the name or add the file")
    if is_video(path):
        raise DataError(f"{where}{shown(path)}: a video; expected a photo, such as one frame of it")


def _check_two(before: Path, after: Path, where: str) -> None:
    if before.resolve() == after.resolve():
        raise DataError(f"{where}{shown(before)} before and after; expected two photos")
