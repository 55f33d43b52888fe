"""From the words of a command line to values of options."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..system.names import wrong_source
from .options import Option

__all__ = ["Mistake", "begins_option", "nearest", "read_words"]

OPTION = re.compile(r"--.|-[A-Za-z]")
"""How a word begins that names an option; -1 and -5,0,80 are values."""

EXPECTED = {int: "a whole number", float: "a number", Path: "a path", str: "a word"}
"""What the words of each kind of value are called."""


class Mistake(Exception):  # noqa: N818
    """What is wrong with a command line, for the person who wrote it."""


def begins_option(word: str) -> bool:
    """Whether a word names an option, or ends them all, and is no value."""
    return word == "--" or OPTION.match(word) is not None


def nearest(word: str, known: Iterable[str]) -> str:
    """A question after the name that is most like a word; empty where none is."""
    names = list(known)
    longer = [name for name in names if len(word.strip("-")) > 1 and name.startswith(word)]
    found = longer or difflib.get_close_matches(word, names, 1, 0.6)
    return f", did you mean {found[0]}?" if found else ""


def read_words(options: Sequence[Option], words: Sequence[str]) -> dict[tuple[str, str], Any]:
    """Values of the options that are named, by group and name; the last one counts.

    Raises:
        Mistake: an option is unknown, or a value is missing or of another kind.
    """
    named = {flag: option for option in options for flag in option.flags}
    values: dict[tuple[str, str], Any] = {}
    loose: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            loose += left
            break
        if not begins_option(word):
            loose.append(word)
            continue
        name, inline, value = word.partition("=")
        flag = name.replace("_", "-")
        if flag not in named:
            raise Mistake(f"{name}: no such option{nearest(flag, named)}")
        option = named[flag]
        if option.switch:
            if inline:
                raise Mistake(f"{word}: {flag} takes no value")
            values[option.group, option.name] = not flag.startswith("--no-")
            continue
        taken = [value] if inline else _take(option, left)
        values[option.group, option.name] = _convert(option, taken)
    values |= _arguments([option for option in options if option.positional], loose)
    return values


def _take(option: Option, left: list[str]) -> list[str]:
    """The words that belong to an option, taken from what is left."""
    if option.optional and left[:1] == ["None"]:
        return [left.pop(0)]
    if option.or_file and left and not begins_option(left[0]) and not _is_number(left[0]):
        return [left.pop(0)]
    taken: list[str] = []
    while left and not begins_option(left[0]) and len(taken) != option.count:
        taken.append(left.pop(0))
    return taken


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _arguments(options: Sequence[Option], loose: list[str]) -> dict[tuple[str, str], Any]:
    """Values of the arguments without a name: one word each, or all that are left."""
    values = {}
    for option in options:
        if loose:
            count = len(loose) if option.count is None else option.count
            values[option.group, option.name] = _convert(option, loose[:count])
            loose = loose[count:]
    if loose:
        what = "options only" if not options else " ".join(option.value for option in options)
        raise Mistake(f"{loose[0]}: one word too many, expected {what}")
    return values


def _convert(option: Option, words: Sequence[str]) -> Any:
    """The value of an option that was given these words."""
    if option.optional and list(words) == ["None"]:
        return None
    if option.or_file and len(words) == 1 and words[0] and not _is_number(words[0]):
        return str(_path(option, words[0]))
    if option.count is not None and len(words) != option.count:
        said = " ".join(words) or "no value"
        raise Mistake(f"{option.flag}: expected {_expected(option)}, found {said}")
    found = [_word(option, word) for word in words]
    return found[0] if option.single else tuple(found)


def _word(option: Option, word: str) -> Any:
    if option.choices and word not in option.choices:
        remark = nearest(word, option.choices)
        raise Mistake(f"{option.flag} {word}: expected {_expected(option)}{remark}")
    if option.kind is Path:
        return _path(option, word)
    try:
        return option.kind(word)
    except ValueError:
        raise Mistake(f"{option.flag} {word}: expected {_expected(option)}") from None


def _path(option: Option, word: str) -> Path:
    """A path; the home of this user where a shell has left ~ as it was, as in --out=~/maps."""
    if remedy := wrong_source(word):
        raise Mistake(f"{option.flag} {word}: {remedy}")
    path = Path(word)
    return path.expanduser() if path.parts[:1] == ("~",) else path


def _expected(option: Option) -> str:
    """What an option takes, in words, with an example where its default is one."""
    if option.choices:
        *others, last = option.choices
        return f"{', '.join(others)} or {last}"
    one = EXPECTED[option.kind]
    if option.count is not None and option.count > 1:
        return f"{option.count} words, each {one}{', or a file' if option.or_file else ''}"
    example = option.default
    if example is dataclasses.MISSING or example in (None, "", ()):
        return one
    return f"{one}, such as {option.default_text(example)}"
