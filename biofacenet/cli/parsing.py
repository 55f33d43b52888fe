"""From a command line to settings, and from errors to one line and an exit status.

Nothing here imports torch, so that help and mistakes answer at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..errors import BioFaceNetError
from ..system.names import complain, shown
from ..system.settings import Settings, load_settings
from .commands import program_name
from .help import SETTINGS_OPTION, help_text
from .options import Option, options_of
from .words import Mistake, read_words

__all__ = ["fail", "given_names", "parse", "run"]


def fail(message: str) -> NoReturn:
    """End the program with one line on standard error and exit status 2."""
    complain(message)
    raise SystemExit(2)


def run(main: Callable[[], None]) -> None:
    """Run a command line: errors that a person can mend become one line and exit status 2."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        # Names have characters that an output may lack; and who reads a pipe reads along.
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):  # one that is closed, or reads too
                stream.reconfigure(errors="backslashreplace", line_buffering=True)
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        fail("the current folder was removed; change to another (cd ~) and give the command again")
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
        where = f"{shown(str(error.filename))}: " if error.filename else ""
        fail(
            f"{where}{error.strerror or error}; check the path, its permissions and the free space"
        )


def _open_streams() -> None:
    """Let what was closed be the null device: results would else get the numbers of the streams."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # also without a console, as under pythonw
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def parse(
    settings: type[Settings],
    arguments: Sequence[str] | None = None,
    *,
    program: str,
    examples: Sequence[str] = (),
) -> Settings:
    """Settings from the command line, on top of a settings file where ``--settings FILE`` names one.

    Args:
        settings: a dataclass; its docstring is the help text, and `biofacenet.system.settings.option`
            says of a field what its type and its default do not say.
        arguments: command line arguments; those of the process when None.
        program: name of the command, such as ``train``.
        examples: arguments to show in the help.

    Raises:
        SystemExit: with status 0 after help, with status 2 after a line that says what is wrong.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    called = program_name(program)
    options = list(options_of(settings))
    try:
        given, start = _settings_file(settings, given)
        if _asks_for_help(given):
            sys.stdout.write(help_text(settings, options, called, examples, start))
            raise SystemExit(0)
        values = read_words(options, given)
        if start is None:
            _check_complete(options, values)
        return _changed(settings, start, values)
    except Mistake as mistake:
        fail(f"{mistake}{'' if str(mistake).endswith('?') else ';'} see {called} --help")
    except BioFaceNetError as error:
        fail(str(error))


def given_names(settings: type[Any], arguments: Sequence[str]) -> set[str]:
    """Names of the settings that a command line names, at their defaults or not.

    What a settings file holds counts as named too.
    """
    names = {field.name for field in dataclasses.fields(settings)}
    found = set()
    for argument in arguments:
        if argument == "--":
            break
        word = argument.partition("=")[0].removeprefix("--").replace("-", "_")
        if argument.startswith("--"):
            found |= names & {word, word.removeprefix("no_")}
            if argument.partition("=")[0] == SETTINGS_OPTION:
                found |= names
    return found


def _asks_for_help(given: Sequence[str]) -> bool:
    words = given[: given.index("--")] if "--" in given else given
    return "-h" in words or "--help" in words


def _settings_file(settings: type[Settings], given: list[str]) -> tuple[list[str], Settings | None]:
    """The other arguments, and what a settings file among them holds."""
    for position, argument in enumerate(given):
        if argument == "--":
            break
        if argument == SETTINGS_OPTION or argument.startswith(SETTINGS_OPTION + "="):
            inline = argument.partition("=")[2]
            if not inline and position + 1 == len(given):
                raise Mistake(f"{SETTINGS_OPTION}: expected a file, such as runs/001/settings.json")
            path = Path(inline or given[position + 1])
            rest = given[:position] + given[position + (1 if inline else 2) :]
            return rest, load_settings(settings, path)
    return given, None


def _check_complete(options: Sequence[Option], values: dict[tuple[str, str], Any]) -> None:
    """Raise Mistake where something is missing that has no default."""
    for option in options:
        if option.required and not values.get((option.group, option.name)):
            raise Mistake(f"{option.flag} is missing: {option.about.rstrip('.')}")


def _changed(
    settings: type[Settings], start: Settings | None, values: dict[tuple[str, str], Any]
) -> Settings:
    """Settings, those of a file or the defaults, with values changed in them."""
    changes = {name: value for (group, name), value in values.items() if not group}
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        within = {name: value for (group, name), value in values.items() if group == field.name}
        if within:
            make: Any = field.default_factory
            before = make() if start is None else getattr(start, field.name)
            changes[field.name] = dataclasses.replace(before, **within)
    if start is None:
        return settings(**changes)
    return dataclasses.replace(start, **changes)  # type: ignore[type-var]
