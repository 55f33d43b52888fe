"""The options of a command, as the fields of its settings declare them."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Option", "options_of", "summary_of"]


@dataclass(frozen=True)
class Option:
    """One option or argument of a command."""

    name: str
    """Of the field."""
    group: str
    """Name of the field that holds the field, where settings are within settings."""
    kind: type
    """Of each word of the value; str for choices."""
    choices: tuple[str, ...]
    """The words that are allowed; any when empty."""
    count: int | None
    """Words that it takes: none for a switch; any number when None."""
    optional: bool
    """Whether None can be said, which takes back what a settings file holds."""
    single: bool
    """Whether the value is one word and not a tuple of words."""
    or_file: bool
    """Whether one word that is no number may stand for a tuple of numbers: the name of a file."""
    positional: bool
    default: Any
    """``dataclasses.MISSING`` where it must be given."""
    shown: str
    """The default in words, where the value does not say it."""
    metavar: str
    about: str
    """What its docstring says, on one line."""

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is dataclasses.MISSING

    @property
    def switch(self) -> bool:
        """Whether it is said or denied, and takes no value."""
        return self.count == 0

    @property
    def flag(self) -> str:
        """How it is named on a command line."""
        # A name that Python keeps for itself has a line after it: from_ is --from.
        name = self.name.rstrip("_").replace("_", "-")
        return self.metavar if self.positional else f"--{name}"

    @property
    def flags(self) -> tuple[str, ...]:
        """All words that name it."""
        if self.positional:
            return ()
        return (self.flag, f"--no-{self.flag[2:]}") if self.switch else (self.flag,)

    @property
    def value(self) -> str:
        """What stands for its value in help."""
        one = "|".join(self.choices) or self.metavar
        if self.count is None:
            return f"{one} ..."
        return " ".join([one] * self.count) if " " not in one else one

    @property
    def usage(self) -> str:
        """How it is written, in help."""
        if self.positional:
            return self.value
        return f"--[no-]{self.flag[2:]}" if self.switch else f"{self.flag} {self.value}"

    def default_text(self, default: Any) -> str:
        """A default, for people."""
        if self.shown and default == self.default:
            return self.shown
        if isinstance(default, bool):
            return "yes" if default else "no"
        words = default if isinstance(default, tuple | list) else (default,)
        return " ".join(f"{word:g}" if isinstance(word, float) else str(word) for word in words)


def options_of(settings: type[Any], group: str = "") -> Iterator[Option]:
    """The options of a settings class, those of settings within it included."""
    hints = typing.get_type_hints(settings)
    about = _field_docs(settings)
    for field in dataclasses.fields(settings):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from options_of(typing.cast(type[Any], hint), field.name)
            continue
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        yield _option(field, hint, default, group, about.get(field.name, ""))


def _option(
    field: dataclasses.Field[Any], hint: Any, default: Any, group: str, about: str
) -> Option:
    parts = typing.get_args(hint)
    optional = typing.get_origin(hint) in (typing.Union, types.UnionType) and type(None) in parts
    or_file = False
    if optional:
        # Of several kinds the first is the one of the command line.
        hint, *others = (part for part in parts if part is not type(None))
        or_file = typing.get_origin(hint) is tuple and str in others
        parts = typing.get_args(hint)
    count: int | None = 1
    single = typing.get_origin(hint) is not tuple
    if not single:
        count = None if parts[-1] is Ellipsis else len(parts)
        hint = parts[0]
    elif hint is bool:
        count = 0
    choices: tuple[Any, ...] = ()
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        hint = type(choices[0])
    return Option(
        name=field.name,
        group=group,
        kind=hint,
        choices=tuple(map(str, choices)),
        count=count,
        optional=optional,
        single=single,
        or_file=or_file,
        positional=field.metadata.get("positional", False),
        default=default,
        shown=field.metadata.get("shown", ""),
        metavar=field.metadata.get("metavar") or field.name.rpartition("_")[2].upper(),
        about=about,
    )


def summary_of(settings: type[Any]) -> Sequence[str]:
    """Paragraphs of a settings class's docstring, each on one line."""
    text = inspect.cleandoc(settings.__doc__ or "")
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()]


def _field_docs(settings: type[Any]) -> dict[str, str]:
    """What the string below each field says, on one line."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(settings)))
    except OSError:  # no source is there
        return {}
    found = {}
    body = typing.cast(ast.ClassDef, tree.body[0]).body
    for field, text in itertools.pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found
