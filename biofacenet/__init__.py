"""What a face's colour is made of: melanin, haemoglobin, shading, light and camera.

A PyTorch implementation of BioFaceNet (Alotaibi and Smith, BMVC 2019).
"""

from typing import TYPE_CHECKING

from ._version import __version__ as __version__
from .system.lazy import lazy

if TYPE_CHECKING:
    from .decomposition.maps import Decomposition as Decomposition
    from .errors import BioFaceNetError as BioFaceNetError
    from .network.unet import BioFaceNet as BioFaceNet
    from .physics.illuminant import Illuminant as Illuminant
    from .physics.skin import SkinParameters as SkinParameters
    from .physics.tables import Tables as Tables
    from .rendering import reference as reference
    from .rendering.renderer import Renderer as Renderer
    from .rendering.renderer import render as render

__all__ = [
    "BioFaceNet",
    "BioFaceNetError",
    "Decomposition",
    "Illuminant",
    "Renderer",
    "SkinParameters",
    "Tables",
    "reference",
    "render",
]

__getattr__ = lazy(
    __name__,
    {
        "BioFaceNet": "network.unet",
        "BioFaceNetError": "errors",
        "Decomposition": "decomposition.maps",
        "Illuminant": "physics.illuminant",
        "Renderer": "rendering.renderer",
        "SkinParameters": "physics.skin",
        "Tables": "physics.tables",
        "reference": "rendering.reference",
        "render": "rendering.renderer",
    },
)
