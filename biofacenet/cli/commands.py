"""Which commands there are, and by what name a program was called."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["COMMANDS", "PROGRAM", "command_name", "program_name"]

PROGRAM = "biofacenet"

COMMANDS = {
    "predict": "Decompose photos and videos into melanin, blood, shading, light and camera.",
    "fit": "Decompose photos without a network; slower, and true to the last detail.",
    "measure": "Measure skin in photos: numbers for a table, with intervals and warnings.",
    "edit": "Change the skin, the shading, the light or the camera of a face.",
    "app": "A web page on this computer, with sliders that change a photo.",
    "train": "Train a network on faces of your own, or on synthetic ones.",
    "synthesize": "Make synthetic faces to train on.",
    "prepare": "Make training data of photos.",
    "evaluate": "Measure a network against the truth, beside baselines.",
    "skin-fit": "Measure how well the skin model explains spectra of skin.",
    "export": "Write a network for other runtimes, as ONNX or .pt2.",
    "doctor": "Show which renderer backends run on this machine.",
    "rebuild": "Rebuild the figure files that come with the package.",
    "completion": "Print a script that completes commands and options in a shell.",
}
"""Each command, a line about it; its module has the same name, with _ for -."""


def command_name(word: str) -> str:
    """A command's name, however its words are joined."""
    return word.replace("_", "-")


def program_name(command: str = "") -> str:
    """What the program, or a command of it, was called by."""
    if "." in command:
        return f"python -m {command}"
    called = Path(sys.argv[0])
    module = called.stem if called.suffix == ".py" and called.parent.name == PROGRAM else ""
    if command and module == command.replace("-", "_"):
        return f"python -m {PROGRAM}.{module}"
    program = f"python -m {PROGRAM}" if module == "__main__" else PROGRAM
    return f"{program} {command_name(command)}".rstrip()
