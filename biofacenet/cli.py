"""What all command lines share: typed settings, settings files, one-line errors."""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
import tyro
from rich.console import Console

from .errors import BioFaceNetError
from .files import whole_file

__all__ = ["choose_device", "console", "fail", "load_settings", "parse", "run", "save_settings"]

console = Console(highlight=False, soft_wrap=True)
"""Where command lines speak."""

Settings = TypeVar("Settings")

SETTINGS_OPTION = "--settings"


def choose_device(name: str) -> torch.device:
    """The device that a ``device`` setting means; ``auto`` takes a GPU where there is one.

    Raises:
        BioFaceNetError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise BioFaceNetError(
            f"device {name!r} cannot be used here ({reason}); use auto, cpu or cuda"
        ) from error
    return device


def fail(message: str) -> NoReturn:
    """End the program with one line on standard error and exit status 2."""
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    raise SystemExit(2)


def run(main: Callable[[], None]) -> None:
    """Run a command line: errors that a person can mend become one line and exit status 2."""
    try:
        main()
    except BioFaceNetError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(141) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fail(
            f"{where}{error.strerror or error}; check the path, its permissions and the free space"
        )


def parse(
    settings: type[Settings],
    arguments: Sequence[str] | None = None,
    *,
    program: str,
) -> Settings:
    """Settings from the command line, on top of a settings file where ``--settings FILE`` names one.

    Args:
        settings: a dataclass; its docstring is the help text.
        arguments: command line arguments; those of the process when None.
        program: name shown in the help, such as ``biofacenet.train``.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    default: Settings | None = None
    for position, argument in enumerate(given):
        if argument == "--":
            break
        if argument == SETTINGS_OPTION or argument.startswith(SETTINGS_OPTION + "="):
            inline = argument.partition("=")[2]
            if not inline and position + 1 == len(given):
                fail(f"{SETTINGS_OPTION} needs a file, such as runs/first/settings.json")
            path = Path(inline or given[position + 1])
            del given[position : position + (1 if inline else 2)]
            default = load_settings(settings, path)
            break
    parsed: Settings = tyro.cli(  # type: ignore[assignment]
        settings,
        prog=f"python -m {program}",
        args=given,
        default=default,
        description=f"{inspect.getdoc(settings)}\n\n"
        f"{SETTINGS_OPTION} FILE starts from the settings.json of an earlier run; other options "
        "then override it.",
        config=(tyro.conf.OmitArgPrefixes,),
    )
    return parsed


def save_settings(settings: Any, path: str | Path) -> None:
    """Write a settings dataclass as JSON that ``--settings`` reads back."""
    with whole_file(path) as temporary:
        temporary.write_text(
            json.dumps(dataclasses.asdict(settings), indent=2, default=str) + "\n", "utf-8"
        )


def load_settings(settings: type[Settings], path: Path) -> Settings:
    """Settings from a JSON file, each value checked against the type of its field."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except OSError as error:
        fail(f"{path}: {error.strerror}; name the settings.json of an earlier run")
    except ValueError as error:
        fail(f"{path}: not a settings file ({error}); expected the JSON that a run wrote")
    if not isinstance(values, dict):
        fail(f"{path}: expected a JSON object of settings, found {type(values).__name__}")
    hints = typing.get_type_hints(settings)
    known = {field.name: hints[field.name] for field in dataclasses.fields(settings)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(known)):
        fail(f"{path}: unknown setting {unknown[0]!r}; known are {', '.join(sorted(known))}")
    try:
        return settings(
            **{name: _convert(value, known[name], name) for name, value in values.items()}
        )
    except (TypeError, ValueError) as error:
        fail(f"{path}: {error}; expected the JSON that a run of this command wrote")


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
