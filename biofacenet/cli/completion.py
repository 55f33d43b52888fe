"""Scripts that complete commands, options and choices in a shell."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

from .commands import COMMANDS, PROGRAM
from .help import SETTINGS_OPTION
from .options import Option, options_of

__all__ = ["SCRIPTS"]

BASH = """# bash completion of {program}
_{program}() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
    local command="${{COMP_WORDS[1]//_/-}}" known=""
    if ((COMP_CWORD == 1)); then
        known="{commands} --help --version"
    else
        case "$command $before" in
{choices}
            *)
                if [[ "$word" == -* ]]; then
                    case "$command" in
{options}
                    esac
                fi ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$known" -- "$word"))
}}
complete -o default -o bashdefault -F _{program} {program}
"""

ZSH = """#compdef {program}
# zsh completion of {program}
_{program}() {{
    local command="${{words[2]//_/-}}"
    if ((CURRENT == 2)); then
        local -a commands=(
{lines}
        )
        _describe command commands
        return
    fi
    case "$command ${{words[CURRENT-1]}}" in
{choices}
    esac
    if [[ "$PREFIX" == -* ]]; then
        case "$command" in
{options}
        esac
    else
        _files
    fi
}}
if [[ "${{zsh_eval_context[-1]}}" == loadautofunc ]]; then
    _{program} "$@"
else
    compdef _{program} {program}
fi
"""


def bash() -> str:
    """For bash; files are completed where nothing else is."""
    return BASH.format(
        program=PROGRAM,
        commands=" ".join(COMMANDS),
        choices=_cases(12, [(p, f'known="{" ".join(words)}"') for p, words in _choices()]),
        options=_cases(24, [(name, f'known="{" ".join(words)}"') for name, words in _flags()]),
    )


def zsh() -> str:
    """For zsh, as a file of $fpath or to be sourced."""
    return ZSH.format(
        program=PROGRAM,
        lines="\n".join(f"            '{name}:{about}'" for name, about in COMMANDS.items()),
        choices=_cases(8, [(p, f"compadd -- {' '.join(w)}; return") for p, w in _choices()]),
        options=_cases(12, [(name, f"compadd -- {' '.join(words)}") for name, words in _flags()]),
    )


def tcsh() -> str:
    """For tcsh, which does not tell the options of one command from those of another."""
    flags = sorted({flag.removeprefix("--") for _, words in _flags() for flag in words})
    after: dict[str, list[str]] = {}
    for place, words in _choices():
        name = place.strip('"').split()[1]
        after[name] = sorted({*after.get(name, ()), *words})
    rules = [f"'p/1/({' '.join(COMMANDS)})/'", f"'c/--/({' '.join(flags)})/'"]
    rules += [f"'n/{name}/({' '.join(words)})/'" for name, words in after.items() if name[0] == "-"]
    return f"# tcsh completion of {PROGRAM}\ncomplete {PROGRAM} {' '.join(rules)}\n"


SCRIPTS: dict[str, Callable[[], str]] = {"bash": bash, "zsh": zsh, "tcsh": tcsh}
"""What prints the script of each shell."""


def _options() -> Iterator[tuple[str, list[Option]]]:
    """The options of each command."""
    for name in COMMANDS:
        module = importlib.import_module(f"{PROGRAM}.{name.replace('-', '_')}")
        yield name, list(options_of(module.Settings))


def _flags() -> Iterator[tuple[str, list[str]]]:
    """All flags of each command."""
    for name, options in _options():
        own = [flag for option in options for flag in option.flags]
        yield name, [*own, *([SETTINGS_OPTION] if options else []), "--help"]


def _choices() -> Iterator[tuple[str, tuple[str, ...]]]:
    """A command with the word before, and the choices that may follow it."""
    for name, options in _options():
        for option in options:
            if option.choices:
                yield f'"{name} {name if option.positional else option.flag}"', option.choices


def _cases(indent: int, cases: list[tuple[str, str]]) -> str:
    """Cases of a shell's ``case``."""
    return "\n".join(f"{' ' * indent}{pattern}) {what} ;;" for pattern, what in cases)
