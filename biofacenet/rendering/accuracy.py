"""How exactly fused renderers take the skin; named without torch, for help and mistakes."""

from __future__ import annotations

from typing import Any, Literal, get_args

__all__ = ["ACCURACIES", "FUNCTIONS", "Accuracy", "check_accuracy", "no_bands"]

Accuracy = Literal["fast", "default", "exact"]

ACCURACIES: tuple[Accuracy, ...] = get_args(Accuracy)

FUNCTIONS: dict[Accuracy, int | None] = {"fast": 5, "default": 6, "exact": None}
"""Functions of the fixed axis; None: as many as float64 tells apart."""


def check_accuracy(accuracy: str) -> None:
    """Raise ValueError where there is no such accuracy."""
    if accuracy not in ACCURACIES:
        raise ValueError(f"accuracy must be one of {', '.join(ACCURACIES)}, got {accuracy!r}")


def no_bands(options: dict[str, Any]) -> None:
    """Raise TypeError for options that a function does not have, with a word on `bands`."""
    if "bands" in options:
        raise TypeError(
            "bands is no more: give accuracy='fast' (for 16), 'default' (32) or 'exact' (33)"
        )
    for name in options:
        raise TypeError(f"there is no argument {name!r}")
