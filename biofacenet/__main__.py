"""The command biofacenet: each of its commands is a module of that name, with _ for -."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from ._version import __version__
from .cli import COMMANDS, PROGRAM, command_name, fail, listing, nearest, program_name, run

__all__ = ["main"]

ABOUT = "What a face's colour is made of: melanin, haemoglobin, shading, light and camera."


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the first word names."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    run(lambda: _main(given))


def _main(given: list[str]) -> None:
    if not given or given[0] in ("-h", "--help", "help"):
        options = [("--version", "Show the version."), ("-h, --help", "Show this help.")]
        _say(listing(program_name(), ABOUT, COMMANDS, options))
    elif given[0] in ("-V", "--version"):
        _say(f"{PROGRAM} {__version__}\n")
    else:
        name = command_name(given[0])
        if name not in COMMANDS:
            what = "option" if name.startswith("-") else "command"
            known = ["--help", "--version"] if what == "option" else COMMANDS
            remark = nearest(name, known) or ";"
            fail(f"{given[0]}: no such {what}{remark} see {program_name()} --help")
        importlib.import_module(f"{PROGRAM}.{name.replace('-', '_')}").main(given[1:])


def _say(text: str) -> None:
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
