"""Maps, light and camera to an image: the reference, and what is fast."""

from typing import TYPE_CHECKING

from ..system.lazy import lazy

if TYPE_CHECKING:
    from . import reference as reference
    from .folding import fold as fold
    from .renderer import Renderer as Renderer
    from .renderer import render as render

__all__ = ["Renderer", "fold", "reference", "render"]

__getattr__ = lazy(
    __name__,
    {
        "Renderer": "renderer",
        "fold": "folding",
        "reference": "reference",
        "render": "renderer",
    },
)
