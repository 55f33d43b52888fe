"""Settings as JSON files, each value checked against the type of its field."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..errors import BioFaceNetError
from .files import whole_file
from .limits import read_json

__all__ = [
    "Settings",
    "load_settings",
    "option",
    "save_settings",
]

Settings = TypeVar("Settings")


def option(
    default: Any = dataclasses.MISSING,
    *,
    shown: str = "",
    metavar: str = "",
    positional: bool = False,
) -> Any:
    """A field of settings, with what its type does not say of it.

    Args:
        default: its value when not given; it must be given when there is none.
        shown: the default in words, where the value does not say it, such as None.
        metavar: what stands for its value in help, in capitals; the last word of its name as a rule.
        positional: whether a command line names it by its place.
    """
    facts = {"shown": shown, "metavar": metavar, "positional": positional}
    found: Any = dataclasses.field(default=default, metadata=facts)
    return found


NOTES = "notes"
"""Key of what a settings file says beside settings."""


def save_settings(settings: Any, path: str | Path, notes: Mapping[str, str] | None = None) -> None:
    """Write a settings dataclass as JSON that ``--settings`` reads back.

    Args:
        settings: the dataclass.
        path: of the file.
        notes: what else it should say to people, by a name each, such as whose licence applies.
    """
    values = dataclasses.asdict(settings) | ({NOTES: dict(notes)} if notes else {})
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, default=str) + "\n", "utf-8")


def load_settings(settings: type[Settings], path: Path) -> Settings:
    """Settings from a JSON file, each value checked against the type of its field."""
    try:
        values = read_json(path)
    except OSError as error:
        raise BioFaceNetError(
            f"{path}: {error.strerror}; name the settings.json of an earlier run"
        ) from error
    except ValueError as error:
        raise BioFaceNetError(
            f"{path}: not a settings file ({error}); expected the JSON that a run wrote"
        ) from error
    if not isinstance(values, dict):
        raise BioFaceNetError(
            f"{path}: expected a JSON object of settings, found {type(values).__name__}"
        )
    values.pop(NOTES, None)
    try:
        return _object(values, settings)
    except (TypeError, ValueError) as error:
        raise BioFaceNetError(
            f"{path}: {error}; expected the JSON that a run of this command wrote"
        ) from error


def _object(values: dict[str, Any], kind: type[Settings]) -> Settings:
    """A dataclass from a JSON object."""
    hints = typing.get_type_hints(kind)
    known = {field.name: hints[field.name] for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"unknown setting {unknown[0]!r}; known are {', '.join(sorted(known))}")
    return kind(**{name: _convert(value, known[name], name) for name, value in values.items()})


def _convert(value: Any, hint: Any, name: str) -> Any:
    """A JSON value as the type that a field declares."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        if value in options:
            return value
        raise ValueError(
            f"setting {name!r} must be one of {', '.join(map(repr, options))}, not {value!r}"
        )
    if origin is typing.Annotated:
        return _convert(value, options[0], name)
    if origin is tuple:
        if isinstance(value, list) and options[-1] is Ellipsis:
            return tuple(_convert(item, options[0], name) for item in value)
        if isinstance(value, list) and len(value) == len(options):
            return tuple(
                _convert(item, option, name) for item, option in zip(value, options, strict=True)
            )
    elif options:  # a union, such as Path | None
        for option in options:
            try:
                return _convert(value, option, name)
            except ValueError:
                continue
    elif dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return _object(value, hint)
    elif hint is type(None) and value is None:
        return None
    elif hint is Path and isinstance(value, str):
        return Path(value)
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    expected = getattr(hint, "__name__", str(hint))
    raise ValueError(f"setting {name!r} must be {expected}, not {value!r}")
