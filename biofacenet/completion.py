"""A script that completes commands and options: python -m biofacenet.completion bash|zsh|tcsh."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .cli import parse, run
from .cli.completion import SCRIPTS
from .system.settings import option

__all__ = ["Settings", "main"]

EXAMPLES = (
    "bash > ~/.local/share/bash-completion/completions/biofacenet",
    "zsh > ~/.zfunc/_biofacenet",
)


@dataclass
class Settings:
    """Print a script that completes commands and options of biofacenet in a shell.

    bash: write it to ~/.local/share/bash-completion/completions/biofacenet, or source it. zsh: write it to
    a file _biofacenet in a folder of $fpath. tcsh: append it to ~/.tcshrc. It is of the version that is
    installed.
    """

    shell: Literal["bash", "zsh", "tcsh"] = option(positional=True)
    """The shell that the script is for."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the script."""
    settings = parse(Settings, arguments, program="completion", examples=EXAMPLES)
    sys.stdout.write(SCRIPTS[settings.shell]())


if __name__ == "__main__":
    run(main)
