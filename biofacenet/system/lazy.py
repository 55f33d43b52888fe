"""Names that a room shows, imported when they are first used: naming a room costs nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazy"]


def lazy(room: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` that imports a name from where it lives.

    Args:
        room: the package, its ``__name__``.
        homes: name to the module that holds it, relative to the room; a name that is itself a module
            has its own path, such as ``{"reference": "rendering.reference"}``.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        module = importlib.import_module(f"{room}.{homes[name]}")
        whole = homes[name].rpartition(".")[2] == name and not hasattr(module, name)
        found = module if whole else getattr(module, name)
        setattr(sys.modules[room], name, found)
        return found

    return find
