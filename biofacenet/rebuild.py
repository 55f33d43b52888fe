"""Rebuild the figure files that come with the package: python -m biofacenet.rebuild PART."""

from __future__ import annotations

from collections.abc import Sequence

from .cli import parse_choice, run

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Rebuild the figure files that ship with the package from their sources."""
    from .physics.rebuilding import Camera, Chromophores, Cie

    parse_choice((Cie, Camera, Chromophores), arguments, program="rebuild", about=main.__doc__)()


if __name__ == "__main__":
    run(main)
