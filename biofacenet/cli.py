"""What all command lines share: typed settings, one-line errors, exit status."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

import tyro

from .errors import BioFaceNetError
from .system.settings import Settings, load_settings

__all__ = ["fail", "given_names", "parse", "parse_choice", "run"]

SETTINGS_OPTION = "--settings"


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


def program_name(program: str) -> str:
    """What a command is called by: as a module, or as a command of ``biofacenet``."""
    if Path(sys.argv[0]).stem == program:
        return f"python -m biofacenet.{program}"
    return f"biofacenet {program.replace('_', '-')}"


def parse(
    settings: type[Settings],
    arguments: Sequence[str] | None = None,
    *,
    program: str,
    examples: Sequence[str] = (),
) -> Settings:
    """Settings from the command line, on top of a settings file where ``--settings FILE`` names one.

    Args:
        settings: a dataclass; its docstring is the help text.
        arguments: command line arguments; those of the process when None.
        program: name of the command, such as ``train``.
        examples: arguments to show in the help.
    """
    given, default = _settings_file(settings, arguments)
    called = program_name(program)
    shown = "\n".join(f"  {called} {example}".rstrip() for example in examples)
    parsed: Settings = tyro.cli(  # type: ignore[assignment]
        settings,
        prog=called,
        args=given,
        default=default,
        description=f"{inspect.getdoc(settings)}\n\n"
        f"{SETTINGS_OPTION} FILE starts from the settings.json of an earlier run; other options "
        f"then override it.\n\nExamples:\n{shown}",
        config=(tyro.conf.OmitArgPrefixes,),
    )
    return parsed


def parse_choice(
    choices: tuple[type[Any], ...],
    arguments: Sequence[str] | None = None,
    *,
    program: str,
    about: str | None,
) -> Any:
    """One of several settings, each a command of its own."""
    return tyro.extras.subcommand_cli_from_dict(
        {choice.__name__.lower(): choice for choice in choices},
        prog=program_name(program),
        description=about,
        args=arguments,
    )


def _settings_file(
    settings: type[Settings], arguments: Sequence[str] | None
) -> tuple[list[str], Settings | None]:
    """The other arguments, and what a settings file among them holds."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for position, argument in enumerate(given):
        if argument == "--":
            break
        if argument == SETTINGS_OPTION or argument.startswith(SETTINGS_OPTION + "="):
            inline = argument.partition("=")[2]
            if not inline and position + 1 == len(given):
                fail(f"{SETTINGS_OPTION} needs a file, such as runs/first/settings.json")
            path = Path(inline or given[position + 1])
            del given[position : position + (1 if inline else 2)]
            return given, load_settings(settings, path)
    return given, None


def given_names(settings: type[Any], arguments: Sequence[str]) -> set[str]:
    """Names of the settings that a command line names, at their defaults or not.

    What a settings file holds counts as named too.
    """
    names = {field.name for field in fields(settings)}
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
