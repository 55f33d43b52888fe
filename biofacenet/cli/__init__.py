"""What all command lines share: typed settings, help, errors of one line, exit status."""

from .commands import COMMANDS, PROGRAM, command_name, program_name
from .help import listing
from .parsing import fail, given_names, parse, run
from .words import nearest

__all__ = [
    "COMMANDS",
    "PROGRAM",
    "command_name",
    "fail",
    "given_names",
    "listing",
    "nearest",
    "parse",
    "program_name",
    "run",
]
