"""Help texts, as wide as the terminal."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

from .options import Option, summary_of

__all__ = ["SETTINGS_OPTION", "help_text", "listing", "terminal_width"]

SETTINGS_OPTION = "--settings"

WIDEST = 120
"""Columns; longer lines are hard to read."""
COLUMN = 22
"""Where what is said of an option begins, on a terminal wide enough for two columns."""
NARROW = 70
"""Columns below which it stands under the option."""

WORD = re.compile(r"(?:--\S+ )?(?:'[^']*'|\S)+")
"""A word of an example, or an option with its value."""

GLUE = "\xa0"
"""A space at which no line is broken."""
SHORT = 24
"""Characters of a default that stays on one line."""

Row = tuple[str, str]


def help_text(
    settings: type[Any],
    options: Sequence[Option],
    called: str,
    examples: Sequence[str],
    start: Any | None = None,
) -> str:
    """The help of a command.

    Args:
        settings: of the command; its docstring says what the command does.
        options: of the command.
        called: the command's name as it was called.
        examples: arguments to show.
        start: settings to show as the defaults, of a settings file.
    """
    width = terminal_width()
    named = [option for option in options if not option.positional]
    arguments = [option for option in options if option.positional]
    words = [called, *(["[OPTIONS]"] if named else [])]
    words += [option.value if option.required else f"[{option.value}]" for option in arguments]
    lines = wrapped(" ".join(words), width, "usage: ", "       ")
    for paragraph in summary_of(settings):
        lines += ["", *wrapped(paragraph, width)]
    rows = [_row(option, start) for option in arguments]
    lines += table("arguments", rows, width)
    lines += table("options", [*_rows(named, "", start), *common(bool(options))], width)
    for group in dict.fromkeys(option.group for option in named if option.group):
        lines += table(f"options of the {group}", list(_rows(named, group, start)), width)
    if examples:
        lines += ["", "examples:"]
        for example in examples:
            lines += _example(f"{called} {example}".rstrip(), width)
    return "\n".join(lines) + "\n"


def common(with_settings: bool) -> Iterator[Row]:
    """What every command takes."""
    if with_settings:
        yield (
            f"{SETTINGS_OPTION} FILE",
            "Start from the settings.json of an earlier run; other options override it.",
        )
    yield "-h, --help", "Show this help."


def listing(called: str, about: str, commands: dict[str, str], options: Sequence[Row]) -> str:
    """The help of the program: its commands, a line each."""
    width = terminal_width()
    lines = wrapped(f"{called} COMMAND [OPTIONS]", width, "usage: ", "       ")
    lines += ["", *wrapped(about, width)]
    lines += table("commands", list(commands.items()), width, column=14)
    lines += table("options", options, width, column=14)
    lines += ["", *wrapped(f"{called} COMMAND --help shows the options of a command.", width)]
    return "\n".join(lines) + "\n"


def terminal_width() -> int:
    """Columns to use."""
    return max(20, min(shutil.get_terminal_size().columns, WIDEST))


def table(title: str, rows: Sequence[Row], width: int, column: int = COLUMN) -> list[str]:
    """Names on the left and what is said of them on the right, under a title."""
    lines = ["", f"{title}:"] if rows else []
    if width < NARROW and column == COLUMN:
        column = 6
    for name, about in rows:
        said = wrapped(about, width, " " * column, " " * column)
        if len(name) + 4 <= column and said:
            said[0] = f"  {name}".ljust(column) + said[0].strip()
            lines += said
        else:
            lines += [*wrapped(name, width, "  ", "      "), *said]
    return lines


def wrapped(text: str, width: int, first: str = "", others: str = "") -> list[str]:
    """A paragraph as lines; names with hyphens stay whole."""
    lines = wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [line.replace(GLUE, " ") for line in lines]


def _rows(options: Sequence[Option], group: str, start: Any | None) -> Iterator[Row]:
    within = start if start is None or not group else getattr(start, group)
    return (_row(option, within) for option in options if option.group == group)


def _row(option: Option, start: Any | None) -> Row:
    if option.required and start is None:
        return option.usage, option.about
    default = option.default if start is None else getattr(start, option.name)
    shown = f"(default: {option.default_text(default)})"
    if len(shown) <= SHORT:
        shown = shown.replace(" ", GLUE)
    return option.usage, f"{option.about} {shown}"


def _example(command: str, width: int) -> list[str]:
    """A command that can be copied, on more than one line where it is long."""
    lines = [" "]
    for word in WORD.findall(command):
        if lines[-1].strip() and len(lines[-1]) + len(word) + 3 > width:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {word}"
    return lines
