"""What a face's colour is made of: melanin, haemoglobin, shading, light and camera.

A PyTorch implementation of BioFaceNet (Alotaibi and Smith, BMVC 2019).
"""

from . import reference
from .decomposition import Decomposition
from .errors import BioFaceNetError
from .network import BioFaceNet
from .physics.illuminant import Illuminant
from .physics.skin import SkinParameters
from .physics.tables import Tables
from .renderer import Renderer, render

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

__version__ = "0.1.0"
