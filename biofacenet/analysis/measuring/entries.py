"""What a journal of measurements holds of a file: its rows, and which state of the file they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...system.workers import LOST, Lost
from .columns import BY_NAME
from .rows import Row, problem_row

__all__ = ["Entry", "entry_of", "largest", "state_of"]

State = tuple[int, int] | None
"""Bytes of a file and when it was changed, in nanoseconds; None where it is not there."""


def state_of(path: Path) -> State:
    """What tells a file from an earlier one of its name."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class Entry:
    """A file's rows."""

    state: State
    """Of the file when it was measured."""
    rows: tuple[Row, ...]
    changed: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    """Of changed copies of it, by `biofacenet.photos.changes.CHANGES`; empty where none were asked for."""

    @property
    def failed(self) -> bool:
        """Whether the file could not even be looked at: it is worth another try."""
        return any(row["problem"] and row["faces"] is None for row in self.rows)

    @property
    def problems(self) -> list[Row]:
        """Rows that say why there are no numbers."""
        return [row for row in self.rows if row["problem"]]

    def faces(self) -> dict[str, Row]:
        """By region, the rows of the largest face; of changed copies see `largest`."""
        return largest(self.rows)

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON; without empty cells."""
        return {
            "state": self.state,
            "rows": _plain(self.rows),
            "changed": {name: _plain(rows) for name, rows in self.changed.items()},
        }

    @classmethod
    def from_json(cls, stored: Any) -> Entry:
        """The entry that `as_json` told of.

        Raises:
            DataError: it is none.
        """
        try:
            state = stored["state"]
            if state is not None:
                size, changed = state
                state = (int(size), int(changed))
            copies = {str(name): _rows(rows) for name, rows in dict(stored["changed"]).items()}
            return cls(state, _rows(stored["rows"]), copies)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"not rows of this version's table ({error}); remove the journal to begin again"
            ) from error

    @classmethod
    def lost(cls, path: Path) -> Entry:
        """Of a file that ended the process that measured it."""
        what = (
            f"{path}: the process that measured it ended at once, perhaps for want of memory; shrink the "
            "photo, or save it again in another format"
        )
        return cls(state_of(path), (problem_row(str(path), what),))


def largest(rows: Sequence[Row]) -> dict[str, Row]:
    """By region, the rows of a photo's largest face."""
    return {str(row["region"]): row for row in rows if row["region"] and row["face"] == 1}


def _plain(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [{name: x for name, x in row.values.items() if x is not None} for row in rows]


def _rows(stored: Any) -> tuple[Row, ...]:
    if not isinstance(stored, list):
        raise TypeError("no list")
    for values in stored:
        for name, value in values.items():
            column = BY_NAME.get(name)
            text = column is not None and column.decimals is None
            if not isinstance(value, str) if text else type(value) not in (int, float):
                raise ValueError(f"{str(name)[:40]!r} is {str(value)[:40]!r}")
    return tuple(Row(values) for values in stored)


def entry_of(made: Entry | Lost, path: Path) -> Entry:
    """What came of a file, also where its process ended."""
    return Entry.lost(path) if made is LOST else made
